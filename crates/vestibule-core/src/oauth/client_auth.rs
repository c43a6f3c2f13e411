//! Client authentication (OAuth 2.1, 2.4; OpenID Connect Core, 9).
//!
//! [`authenticate`] is the only maker of an [`AuthenticatedClient`], and every rule of the token endpoint needs one.

use super::client::{Client, ClientAuthMethod, ClientKind};
use super::error::{ErrorCode, OAuthError};
use super::params::{Params, form_decode};
use super::project::project_client;
use super::scope::ScopeSet;
use crate::id::TenantId;
use crate::secret::Secret;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::sync::Arc;

/// The longest `Authorization` header that is read.
const AUTHORIZATION_LENGTH_MAX: usize = 4096;

/// What a request presents as its client's identity.
#[derive(Clone, Debug)]
pub struct Credentials {
    client_id: String,
    presented: Presented,
}

#[derive(Clone, Debug)]
enum Presented {
    Nothing,
    Basic(Secret),
    Post(Secret),
}

/// A client that proved itself by the method it registered. A public client proves nothing: for it this says only who claims to ask.
#[derive(Clone, Debug)]
pub struct AuthenticatedClient(Arc<Client>);

impl AuthenticatedClient {
    /// The client.
    pub fn client(&self) -> &Client {
        &self.0
    }

    /// Whether it proved possession of a secret.
    pub fn is_confidential(&self) -> bool {
        self.0.kind() == ClientKind::Confidential
    }
}

/// The project as the client of its own API. Its key was looked at by the rules of that API
/// ([`accept_key`](super::outer::accept_key)), and names an app at most: like a public client it proves nothing.
pub fn project_caller(tenant: TenantId, name: &str, served: &ScopeSet) -> AuthenticatedClient {
    AuthenticatedClient(Arc::new(project_client(tenant, name, served)))
}

/// The one sentence for whatever failed, so that nobody learns which part was right.
pub const FAILED: &str = "client authentication failed: check the client id, the secret, and the registered authentication method";

fn failed(detail: &'static str) -> OAuthError {
    OAuthError::new(ErrorCode::InvalidClient, FAILED).detail(detail)
}

impl Credentials {
    /// Reads the credentials of a request from its `Authorization` header and its body. One method a request (OAuth 2.1, 2.4);
    /// the halves of Basic are form-decoded (2.4.1). The query is never looked at.
    pub fn parse(authorization: Option<&str>, params: &Params) -> Result<Self, OAuthError> {
        if params.is_repeated("client_id") || params.is_repeated("client_secret") {
            return Err(OAuthError::new(
                ErrorCode::InvalidRequest,
                "client_id and client_secret may stand once",
            ));
        }
        let (body_id, body_secret) = (params.get("client_id"), params.get("client_secret"));
        if ["client_assertion", "client_assertion_type"]
            .iter()
            .any(|name| params.get(name).is_some())
        {
            return Err(failed(
                "a client assertion, which no client can have registered",
            ));
        }
        if let Some(header) = authorization {
            if body_secret.is_some() {
                return Err(OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "the request authenticates in two ways; use the Authorization header or the body, not both",
                ));
            }
            let (client_id, secret) = parse_basic(header)?;
            if body_id.is_some_and(|body_id| body_id != client_id) {
                return Err(OAuthError::new(
                    ErrorCode::InvalidRequest,
                    "client_id in the body is not the one in the Authorization header",
                ));
            }
            return Ok(Self {
                client_id,
                presented: Presented::Basic(secret),
            });
        }
        let client_id = body_id.ok_or_else(|| failed("no client_id"))?.to_owned();
        let presented = body_secret.map_or(Presented::Nothing, |secret| {
            Presented::Post(Secret::new(secret.to_owned()))
        });
        Ok(Self {
            client_id,
            presented,
        })
    }

    /// The client that the request claims to come from.
    pub fn client_id(&self) -> &str {
        &self.client_id
    }
}

fn parse_basic(header: &str) -> Result<(String, Secret), OAuthError> {
    if header.len() > AUTHORIZATION_LENGTH_MAX {
        return Err(failed("an Authorization header above the limit"));
    }
    let (scheme, encoded) = header
        .split_once(' ')
        .ok_or_else(|| failed("an Authorization header without credentials"))?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(failed("an Authorization scheme other than Basic"));
    }
    let malformed = || failed("Basic credentials that cannot be read");
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| malformed())?;
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    let (id, secret) = text.split_once(':').ok_or_else(malformed)?;
    let (id, secret) = (
        form_decode(id).ok_or_else(malformed)?,
        form_decode(secret).ok_or_else(malformed)?,
    );
    Ok((id, Secret::new(secret)))
}

/// Decides whether the credentials are the client's: only the registered method, only with its proof (T13: the diagonal).
/// `client` is what the store knows under the presented id.
pub fn authenticate(
    client: Option<Arc<Client>>,
    credentials: &Credentials,
) -> Result<AuthenticatedClient, OAuthError> {
    let client = client.ok_or_else(|| failed("unknown client"))?;
    let proved = match (client.auth_method, &credentials.presented) {
        (ClientAuthMethod::ClientSecretBasic, Presented::Basic(secret))
        | (ClientAuthMethod::ClientSecretPost, Presented::Post(secret)) => {
            client.accepts_secret(secret.reveal())
        }
        (ClientAuthMethod::None, Presented::Nothing) => true,
        (
            ClientAuthMethod::ClientSecretBasic
            | ClientAuthMethod::ClientSecretPost
            | ClientAuthMethod::None,
            _,
        ) => {
            return Err(failed("another method than the registered one"));
        }
    };
    if proved {
        Ok(AuthenticatedClient(client))
    } else {
        Err(failed("wrong secret"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::client::tests::client;
    use super::*;

    pub(crate) fn authenticated(client: Client) -> AuthenticatedClient {
        AuthenticatedClient(Arc::new(client))
    }

    fn basic(id: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    fn attempt(method: &str, header: Option<&str>, body: &str) -> Result<(), (ErrorCode, String)> {
        let client = client(&format!(
            r#"{{"client_id":"a","redirect_uris":["https://a.example/cb"],"token_endpoint_auth_method":"{method}"}}"#
        ));
        let params = Params::parse(body.as_bytes()).unwrap();
        Credentials::parse(header, &params)
            .and_then(|credentials| {
                authenticate(
                    (credentials.client_id() == "a").then(|| Arc::new(client)),
                    &credentials,
                )
            })
            .map(|_| ())
            .map_err(|error| (error.code, error.detail.into_owned()))
    }

    #[test]
    fn t13_only_the_registered_method_with_its_proof_passes() {
        let good = basic("a", "s3cret");
        let wrong = basic("a", "wrong");
        let empty = basic("a", "");
        // Presented: Basic right, Basic wrong, Basic empty, post right, post wrong, post empty, nothing.
        let presented: [(Option<&str>, &str); 7] = [
            (Some(&good), ""),
            (Some(&wrong), ""),
            (Some(&empty), ""),
            (None, "client_id=a&client_secret=s3cret"),
            (None, "client_id=a&client_secret=wrong"),
            (None, "client_id=a&client_secret="),
            (None, "client_id=a"),
        ];
        let table = [
            (
                "client_secret_basic",
                [true, false, false, false, false, false, false],
            ),
            (
                "client_secret_post",
                [false, false, false, true, false, false, false],
            ),
            ("none", [false, false, false, false, false, true, true]),
        ];
        for (method, row) in table {
            for ((header, body), passes) in presented.iter().zip(row) {
                let result = attempt(method, *header, body);
                assert_eq!(result.is_ok(), passes, "{method} {header:?} {body}");
                if let Err((code, _)) = result {
                    assert_eq!(code, ErrorCode::InvalidClient);
                }
            }
        }
    }

    #[test]
    fn o21_07_two_methods_at_once_are_refused() {
        let header = basic("a", "s3cret");
        for body in [
            "client_secret=s3cret",
            "client_id=b",
            "client_id=a&client_secret=s3cret",
        ] {
            assert_eq!(
                attempt("client_secret_basic", Some(&header), body)
                    .unwrap_err()
                    .0,
                ErrorCode::InvalidRequest,
                "{body}"
            );
        }
        assert!(attempt("client_secret_basic", Some(&header), "client_id=a").is_ok());
    }

    #[test]
    fn o21_10_the_halves_of_basic_are_form_decoded() {
        let client = client(r#"{"client_id":"a","redirect_uris":["https://a.example/cb"]}"#);
        let header = basic("a", "s3%63ret");
        let credentials = Credentials::parse(Some(&header), &Params::default()).unwrap();
        assert!(authenticate(Some(Arc::new(client)), &credentials).is_ok());
    }

    #[test]
    fn t11_a_header_that_cannot_be_read_fails_as_a_wrong_secret_does() {
        for header in [
            "Basic",
            "Basic ",
            "Basic !!!",
            "Bearer x",
            "",
            "Basic YQ==",
            "Basic YTolJSU=",
            "Basic /////w==",
        ] {
            let error = Credentials::parse(Some(header), &Params::default()).unwrap_err();
            assert_eq!(
                (error.code, error.description.as_ref()),
                (ErrorCode::InvalidClient, FAILED),
                "{header}"
            );
        }
        assert_eq!(
            Credentials::parse(
                Some(&format!("Basic {}", "A".repeat(5000))),
                &Params::default()
            )
            .unwrap_err()
            .code,
            ErrorCode::InvalidClient
        );
    }

    #[test]
    fn an_unknown_client_and_a_wrong_secret_get_the_same_answer() {
        let unknown = Credentials::parse(Some(&basic("nobody", "x")), &Params::default()).unwrap();
        let error = authenticate(None, &unknown).unwrap_err();
        assert_eq!(
            (error.description.as_ref(), error.detail.as_ref()),
            (FAILED, "unknown client")
        );
    }
}
