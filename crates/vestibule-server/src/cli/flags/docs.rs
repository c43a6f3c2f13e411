//! From flags to actions on docs sites.

use super::super::args::docs::{DocsCommand, DocsSiteFlags};
use super::super::print::Look;
use super::{ask, keys, put, put_list, read_secret};
use crate::admin::actions::{Action, ActionError};
use serde_json::{Map, Value};

pub(super) fn docs(command: DocsCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        DocsCommand::List(within) => (
            Action::DocsSiteList {
                tenant: within.tenant,
            },
            Look::Table(&[
                "name",
                "public_url",
                "visibility",
                "client_id",
                "redirect_uri",
            ]),
        ),
        DocsCommand::Show { name, within } => (
            Action::DocsSiteShow {
                tenant: within.tenant,
                name,
            },
            Look::Fields,
        ),
        DocsCommand::Create {
            name,
            flags,
            within,
        } => (
            Action::DocsSiteCreate {
                tenant: within.tenant,
                name,
                set: site_keys(*flags)?,
            },
            Look::Report,
        ),
        DocsCommand::Update {
            name,
            flags,
            within,
        } => (
            Action::DocsSiteUpdate {
                tenant: within.tenant,
                name,
                set: site_keys(*flags)?,
            },
            Look::Report,
        ),
        DocsCommand::Check { name, within } => (
            Action::DocsCheck {
                tenant: within.tenant,
                site: name,
            },
            Look::Steps,
        ),
        DocsCommand::Delete { name, yes, within } => {
            ask(
                &yes,
                &format!("This serves the docs site {name} no more and forgets its readers"),
            )?;
            (
                Action::DocsSiteRemove {
                    tenant: within.tenant,
                    name,
                },
                Look::Fields,
            )
        }
    })
}

fn site_keys(flags: DocsSiteFlags) -> Result<Map<String, Value>, ActionError> {
    let mut set = keys(flags.keys)?;
    // The server that is asked runs in another folder.
    let root = match flags.root {
        None => None,
        Some(root) => {
            let path = std::path::absolute(&root)
                .map_err(|error| ActionError::usage(format!("--root: {error}")))?;
            let text = path.to_str().map(str::to_owned);
            Some(text.ok_or_else(|| ActionError::usage("--root: the path is not UTF-8"))?)
        }
    };
    for (key, value) in [
        ("root", root),
        ("upstream", flags.upstream),
        ("public_url", flags.public_url),
        ("listen", flags.site_listen),
        ("visibility", flags.visibility),
        ("authorization_url", flags.authorization_url),
        ("client_id", flags.client_id),
        ("token_url", flags.token_url),
        ("info_api_url", flags.info_api_url),
        ("logout_url", flags.logout_url),
    ] {
        put(&mut set, key, value);
    }
    put_list(&mut set, "scopes", &flags.scopes);
    let secret = read_secret(flags.secret_env.as_deref(), flags.secret_file.as_deref())?;
    put(&mut set, "client_secret", secret);
    Ok(set)
}
