//! From flags to actions on providers, API keys and trusted domains.

use super::super::args::broker::{
    ApiKeyCommand, ApiKeyFlags, ProviderCommand, ProviderFlags, TrustedDomainCommand,
};
use super::super::print::Look;
use super::{ask, keys, put, put_list, read_secret};
use crate::admin::actions::{Action, ActionError};
use serde_json::{Map, Value};

pub(super) fn provider(command: ProviderCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        ProviderCommand::List(within) => (
            Action::ProviderList {
                tenant: within.tenant,
            },
            Look::Table(&["id", "preset", "issuer", "client_id", "redirect_uri"]),
        ),
        ProviderCommand::Show { id, within } => (
            Action::ProviderShow {
                tenant: within.tenant,
                provider: id,
            },
            Look::Fields,
        ),
        ProviderCommand::Create { id, flags, within } => (
            Action::ProviderCreate {
                tenant: within.tenant,
                provider: id,
                set: provider_keys(*flags)?,
            },
            Look::Report,
        ),
        ProviderCommand::Update { id, flags, within } => (
            Action::ProviderUpdate {
                tenant: within.tenant,
                provider: id,
                set: provider_keys(*flags)?,
            },
            Look::Report,
        ),
        ProviderCommand::Delete { id, yes, within } => {
            ask(
                &yes,
                &format!("This removes the provider {id} and our secret there"),
            )?;
            (
                Action::ProviderRemove {
                    tenant: within.tenant,
                    provider: id,
                },
                Look::Fields,
            )
        }
    })
}

fn provider_keys(flags: ProviderFlags) -> Result<Map<String, Value>, ActionError> {
    let mut set = keys(flags.keys)?;
    for (key, value) in [
        ("preset", flags.preset),
        ("issuer", flags.issuer),
        ("authorization_url", flags.authorization_url),
        ("token_url", flags.token_url),
        ("userinfo_url", flags.userinfo_url),
        ("name", flags.name),
        ("client_id", flags.client_id),
        ("callback_url", flags.callback_url),
        ("email_trust", flags.email_trust),
        ("microsoft_tenant", flags.microsoft_tenant),
        ("apple_team_id", flags.apple_team_id),
        ("apple_key_id", flags.apple_key_id),
    ] {
        put(&mut set, key, value);
    }
    put_list(&mut set, "scopes", &flags.scopes);
    put_list(&mut set, "apple_bundle_ids", &flags.apple_bundle_ids);
    let secret = read_secret(flags.secret_env.as_deref(), flags.secret_file.as_deref())?;
    put(&mut set, "client_secret", secret);
    Ok(set)
}

pub(super) fn api_key(command: ApiKeyCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        ApiKeyCommand::List(within) => (
            Action::ApiKeyList {
                tenant: within.tenant,
            },
            Look::Table(&["name", "tier", "state", "created_at", "expires_at", "id"]),
        ),
        ApiKeyCommand::Create {
            name,
            flags,
            within,
        } => (
            Action::ApiKeyCreate {
                tenant: within.tenant,
                name,
                set: api_key_keys(flags)?,
            },
            Look::Report,
        ),
        ApiKeyCommand::Revoke { name, yes, within } => {
            ask(&yes, &format!("This ends the API key {name} at once"))?;
            (
                Action::ApiKeyRevoke {
                    tenant: within.tenant,
                    name,
                },
                Look::Fields,
            )
        }
        ApiKeyCommand::Delete { name, yes, within } => {
            ask(
                &yes,
                &format!("This removes the API key {name}, which then opens nothing"),
            )?;
            (
                Action::ApiKeyRemove {
                    tenant: within.tenant,
                    name,
                },
                Look::Fields,
            )
        }
    })
}

fn api_key_keys(flags: ApiKeyFlags) -> Result<Map<String, Value>, ActionError> {
    let mut set = Map::new();
    put(&mut set, "tier", Some(flags.tier));
    put(&mut set, "expires_at", flags.expires_at);
    let key = read_secret(flags.from_env.as_deref(), flags.from_file.as_deref())?;
    put(&mut set, "key", key);
    Ok(set)
}

pub(super) fn trusted_domain(command: TrustedDomainCommand) -> (Action, Look) {
    match command {
        TrustedDomainCommand::List(within) => (
            Action::TrustedDomainList {
                tenant: within.tenant,
            },
            Look::Table(&["base_url"]),
        ),
        TrustedDomainCommand::Add { base_url, within } => (
            Action::TrustedDomainAdd {
                tenant: within.tenant,
                base_url,
            },
            Look::Report,
        ),
        TrustedDomainCommand::Remove { base_url, within } => (
            Action::TrustedDomainRemove {
                tenant: within.tenant,
                base_url,
            },
            Look::Fields,
        ),
    }
}
