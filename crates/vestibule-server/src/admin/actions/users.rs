//! Actions on people.

use super::{ActionError, One, apply_one, find_tenant, time, to_map};
use crate::admin::apply::all_users;
use crate::http::context::Shared;
use serde_json::{Map, Value, json};
use vestibule_core::id::{TenantId, UserId};
use vestibule_core::secret::Secret;
use vestibule_store::TenantUnit;
use vestibule_store::users::UserRecord;

/// Characters of a password that is made: 144 random bits.
const PASSWORD_CHARACTERS: usize = 24;

fn to_json(record: &UserRecord) -> Value {
    let user = &record.user;
    let mut value = to_map(&user.profile);
    value.insert("id".to_owned(), json!(user.id));
    value.insert("username".to_owned(), json!(user.username));
    value.insert("email".to_owned(), json!(user.email));
    value.insert("email_verified".to_owned(), json!(user.email_verified));
    value.insert("updated_at".to_owned(), json!(time(user.updated_at)));
    value.insert("disabled".to_owned(), json!(user.disabled_at.is_some()));
    if let Some(at) = user.disabled_at {
        value.insert("disabled_at".to_owned(), json!(time(at)));
    }
    if let Some(at) = record.operator_at {
        value.insert("operator_at".to_owned(), json!(time(at)));
    }
    Value::Object(value)
}

/// A person by user name, address or id.
async fn find(
    shared: &Shared,
    slug: &str,
    text: &str,
) -> Result<(TenantId, UserRecord), ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    let store = shared.tenant(tenant.id);
    let record = match UserId::parse(text) {
        Some(id) => store.user(id).await?,
        None => store
            .user_by_identifier(text)
            .await?
            .map(|(record, _)| record),
    };
    let missing = || {
        ActionError::not_found(format!(
            "there is nobody called `{text}` in the tenant `{slug}`"
        ))
    };
    Ok((tenant.id, record.ok_or_else(missing)?))
}

pub(super) async fn list(shared: &Shared, slug: &str) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    Ok(all_users(shared.tenant(tenant.id))
        .await?
        .iter()
        .map(to_json)
        .collect())
}

pub(super) async fn show(shared: &Shared, slug: &str, text: &str) -> Result<Value, ActionError> {
    find(shared, slug, text)
        .await
        .map(|(_, record)| to_json(&record))
}

pub(super) async fn create(
    shared: &Shared,
    slug: &str,
    mut set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let tenant = find_tenant(shared, slug).await?;
    for key in ["username", "email"] {
        if let Some(text) = set.get(key).and_then(Value::as_str)
            && shared
                .tenant(tenant.id)
                .user_by_identifier(text)
                .await?
                .is_some()
        {
            return Err(ActionError::conflict(format!(
                "there is somebody called `{text}` already in the tenant `{slug}`"
            )));
        }
    }
    let made = (!set.contains_key("password") && !set.contains_key("password_hash"))
        .then(|| make_password(shared));
    if let Some(password) = &made {
        set.insert("password".to_owned(), json!(password.reveal()));
    }
    let called = set
        .get("username")
        .or_else(|| set.get("email"))
        .cloned()
        .unwrap_or_default();
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "user",
            entry: set,
            target: None,
        },
    )
    .await?;
    Ok(with_password(
        applied.to_json(),
        slug,
        &called,
        made.as_ref(),
    ))
}

pub(super) async fn update(
    shared: &Shared,
    slug: &str,
    text: &str,
    set: Map<String, Value>,
) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, text).await?;
    change(shared, slug, record.user.id, set).await
}

async fn change(
    shared: &Shared,
    slug: &str,
    id: UserId,
    entry: Map<String, Value>,
) -> Result<Value, ActionError> {
    let applied = apply_one(
        shared,
        One {
            tenant: slug,
            kind: "user",
            entry,
            target: Some(id),
        },
    )
    .await?;
    Ok(applied.to_json())
}

pub(super) async fn set_password(
    shared: &Shared,
    slug: &str,
    text: &str,
    password: Option<String>,
) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, text).await?;
    let made = password.is_none().then(|| make_password(shared));
    let password = password.map(Secret::new).or_else(|| made.clone());
    let entry = Map::from_iter([(
        "password".to_owned(),
        json!(password.as_ref().map(Secret::reveal)),
    )]);
    let value = change(shared, slug, record.user.id, entry).await?;
    Ok(with_password(value, slug, &json!(text), made.as_ref()))
}

pub(super) async fn set_disabled(
    shared: &Shared,
    slug: &str,
    text: &str,
    disabled: bool,
) -> Result<Value, ActionError> {
    let (_, record) = find(shared, slug, text).await?;
    change(
        shared,
        slug,
        record.user.id,
        Map::from_iter([("disabled".to_owned(), json!(disabled))]),
    )
    .await
}

pub(super) async fn remove(shared: &Shared, slug: &str, text: &str) -> Result<Value, ActionError> {
    let (tenant, record) = find(shared, slug, text).await?;
    let id = record.user.id;
    let unit = TenantUnit::new(tenant)
        .end_everything_of(id, shared.now())
        .remove_user(id);
    if !shared.store.commit(unit).await?.won() {
        return Err(ActionError::not_found(format!(
            "`{text}` was removed meanwhile"
        )));
    }
    Ok(json!({ "removed": text, "id": id }))
}

pub(super) async fn sign_out(
    shared: &Shared,
    slug: &str,
    text: &str,
) -> Result<Value, ActionError> {
    let (tenant, record) = find(shared, slug, text).await?;
    let unit = TenantUnit::new(tenant).end_everything_of(record.user.id, shared.now());
    let _: bool = shared.store.commit(unit).await?.won();
    Ok(json!({ "signed_out": text, "id": record.user.id }))
}

fn make_password(shared: &Shared) -> Secret {
    let random = Secret::random(&shared.chance);
    Secret::new(random.reveal().chars().take(PASSWORD_CHARACTERS).collect())
}

/// Adds a password that was made: the one time that it is shown.
fn with_password(mut value: Value, slug: &str, called: &Value, made: Option<&Secret>) -> Value {
    if let (Some(made), Some(Value::Array(generated))) = (made, value.get_mut("generated")) {
        generated.push(json!({ "tenant": slug, "user": called, "password": made.reveal() }));
    }
    value
}
