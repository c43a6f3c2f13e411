//! Who calls: the project, the tier that the keys open, and the person of the access token.

use super::envelope::header;
use crate::http::context::Ctx;
use crate::http::projects::Project;
use crate::http::reply::Failure;
use std::sync::Arc;
use vestibule_core::id::TenantId;
use vestibule_core::identity::api_key::KeyTier;
use vestibule_core::identity::tenant::PublishableKey;
use vestibule_core::identity::user::User;
use vestibule_core::jose::token_type::TokenType;
use vestibule_core::jose::verify::verify;
use vestibule_core::oauth::known_error::KnownError;
use vestibule_core::oauth::project::BRANCH;
use vestibule_core::oauth::project_token::ProjectToken;

/// What a caller may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tier {
    /// What anybody's browser may.
    Client,
    /// What the app's server may.
    Server,
    /// What the project's administration may.
    Admin,
}

impl Tier {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "client" => Some(Self::Client),
            "server" => Some(Self::Server),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// The tier as it is written.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
            Self::Admin => "admin",
        }
    }
}

/// A person whose access token stands.
pub(super) struct Person {
    /// The token.
    pub(super) token: ProjectToken,
    /// The person.
    pub(super) user: User,
}

/// A caller whose headers are in order.
pub(super) struct Access {
    /// The tier.
    pub(super) tier: Tier,
    /// The project.
    pub(super) project: Arc<Project>,
    person: Option<Person>,
}

impl Access {
    /// The person, where one is signed in.
    pub(super) fn person(&self) -> Option<&Person> {
        self.person.as_ref()
    }

    /// The person, for what only people do.
    pub(super) fn user(&self) -> Result<&Person, KnownError> {
        self.person
            .as_ref()
            .ok_or(KnownError::UserAuthenticationRequired)
    }

    /// The person whom `me` means.
    pub(super) fn me(&self) -> Result<&Person, KnownError> {
        self.person
            .as_ref()
            .ok_or(KnownError::CannotGetOwnUserWithoutUser)
    }

    /// Refuses callers below a tier.
    pub(super) fn at_least(&self, tier: Tier) -> Result<(), KnownError> {
        if self.tier >= tier {
            return Ok(());
        }
        let allowed = [Tier::Server, Tier::Admin]
            .into_iter()
            .filter(|allowed| *allowed >= tier)
            .map(Tier::as_str)
            .collect();
        Err(KnownError::InsufficientAccessType {
            actual: self.tier.as_str().to_owned(),
            allowed,
        })
    }
}

/// Goes on in the project of that id: at the root it chooses the tenant, below a tenant's base it must be that tenant's.
pub(super) async fn choose_project(
    ctx: &mut Ctx,
    id: &str,
) -> Result<Result<(), KnownError>, Failure> {
    let missing = || KnownError::CurrentProjectNotFound(id.to_owned());
    let Some(tenant_id) = TenantId::parse(&id.to_ascii_lowercase()) else {
        return Ok(Err(missing()));
    };
    if ctx.tenant.tenant.id == tenant_id {
        return Ok(Ok(()));
    }
    let at_root = ctx.base_path.is_empty() && ctx.origin == ctx.shared.public_url.origin();
    if !at_root {
        return Ok(Err(missing()));
    }
    match ctx.shared.tenant_by_id(tenant_id).await? {
        Some(tenant) => {
            ctx.tenant = tenant;
            Ok(Ok(()))
        }
        None => Ok(Err(missing())),
    }
}

/// Reads the headers, before anything else is looked at.
pub(super) async fn read(ctx: &mut Ctx) -> Result<Result<Access, KnownError>, Failure> {
    let keyed = [
        "publishable-client-key",
        "secret-server-key",
        "super-secret-admin-key",
        "admin-access-token",
    ]
    .iter()
    .any(|name| header(ctx, name).is_some());
    let tier = match header(ctx, "access-type") {
        None if keyed => return Ok(Err(KnownError::ProjectKeyWithoutAccessType)),
        None => return Ok(Err(KnownError::AccessTypeRequired)),
        Some(text) => match Tier::parse(text) {
            Some(tier) => tier,
            None => return Ok(Err(KnownError::InvalidAccessType(text.to_owned()))),
        },
    };
    let Some(id) = header(ctx, "project-id").map(str::to_owned) else {
        let error = KnownError::AccessTypeWithoutProjectId(tier.as_str().to_owned());
        return Ok(Err(error));
    };
    if let Some(branch) = header(ctx, "branch-id").filter(|branch| *branch != BRANCH) {
        return Ok(Err(KnownError::BranchDoesNotExist(branch.to_owned())));
    }
    if let Err(error) = choose_project(ctx, &id).await? {
        return Ok(Err(error));
    }
    let project = Arc::clone(ctx.tenant.project(&ctx.shared).await?);
    if let Err(error) = check_keys(ctx, &project, tier) {
        return Ok(Err(error));
    }
    let person = match header(ctx, "access-token") {
        None => None,
        Some(token) => match person(ctx, token).await? {
            Ok(person) => Some(person),
            Err(error) => return Ok(Err(error)),
        },
    };
    Ok(Ok(Access {
        tier,
        project,
        person,
    }))
}

fn check_keys(ctx: &Ctx, project: &Project, tier: Tier) -> Result<(), KnownError> {
    let id = ctx.tenant.tenant.id.to_string();
    let opens =
        |name: &str, tier| header(ctx, name).is_some_and(|key| project.opens(tier, key, ctx.now));
    match tier {
        Tier::Client => {
            let required = ctx.tenant.tenant.policy.publishable_key == PublishableKey::Required;
            match header(ctx, "publishable-client-key") {
                None if required => Err(KnownError::PublishableClientKeyRequiredForProject(id)),
                None => Ok(()),
                Some(_) if opens("publishable-client-key", KeyTier::Publishable) => Ok(()),
                Some(_) => Err(KnownError::InvalidPublishableClientKey(id)),
            }
        }
        Tier::Server if opens("secret-server-key", KeyTier::Secret) => Ok(()),
        Tier::Server => Err(KnownError::InvalidSecretServerKey(id)),
        Tier::Admin if opens("super-secret-admin-key", KeyTier::Admin) => Ok(()),
        Tier::Admin => Err(KnownError::InvalidSuperSecretAdminKey(id)),
    }
}

/// The person of an access token, held against the facts of the moment. One whose session is over reads as one that is over: its
/// holder then asks for another and learns that there is none.
pub(super) async fn person(ctx: &Ctx, text: &str) -> Result<Result<Person, KnownError>, Failure> {
    let tenant = &ctx.tenant.tenant;
    let Ok(verified) = verify(text, &ctx.tenant.keys, TokenType::ProjectToken) else {
        return Ok(Err(KnownError::UnparsableAccessToken));
    };
    let Some(token) = ProjectToken::from_claims(verified.claims(), &tenant.issuer, tenant.id)
    else {
        return Ok(Err(KnownError::UnparsableAccessToken));
    };
    let over = || KnownError::AccessTokenExpired(Some(token.expires_at));
    if !token.is_current(ctx.now) {
        return Ok(Err(over()));
    }
    let standing = ctx
        .store()
        .family_standing(token.family_id, token.id)
        .await?;
    Ok(match standing {
        Some(standing)
            if standing.family_stands
                && !standing.revoked
                && standing.user.disabled_at.is_none()
                && token.user_id == standing.user.id =>
        {
            Ok(Person {
                token,
                user: standing.user,
            })
        }
        _ => Err(over()),
    })
}
