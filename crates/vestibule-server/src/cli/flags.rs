//! From flags to actions.

mod broker;
mod docs;
mod docs_profile;

use super::args::{
    ClientCommand, ClientFlags, Command, DomainCommand, KeyCommand, Keys, PasswordFlags,
    ScopeCommand, ScopeFlags, TenantCommand, TenantFlags, UserCommand, UserFlags, Yes,
};
use super::print::Look;
use crate::admin::actions::{Action, ActionError, Rotation};
use crate::admin::secrets;
use serde_json::{Map, Value, json};
use std::io::BufRead as _;
use std::path::Path;

/// What a command asks for, and how its answer looks.
pub(super) fn action(command: Command) -> Result<(Action, Look), ActionError> {
    match command {
        Command::Apply(args) => super::apply(&args).map(|action| (action, Look::Report)),
        Command::Tenant(command) => tenant(command),
        Command::Client(command) => client(command),
        Command::User(command) => user(command),
        Command::Domain(command) => Ok(domain(command)),
        Command::Scope(command) => scope(command),
        Command::Provider(command) => broker::provider(command),
        Command::ApiKey(command) => broker::api_key(command),
        Command::TrustedDomain(command) => Ok(broker::trusted_domain(command)),
        Command::Docs(command) => docs::docs(command),
        Command::Key(KeyCommand::List(within)) => {
            let look = Look::Table(&[
                "algorithm",
                "state",
                "created_at",
                "activated_at",
                "retired_at",
                "id",
            ]);
            Ok((
                Action::KeyList {
                    tenant: within.tenant,
                },
                look,
            ))
        }
        Command::Key(KeyCommand::Rotate { algorithm, within }) => Ok((
            Action::KeyRotate {
                tenant: within.tenant,
                algorithm,
            },
            Look::Fields,
        )),
        Command::SetupLink(_) => Ok((Action::SetUpLink {}, Look::Fields)),
        Command::Serve | Command::Demo(_) | Command::Config(_) | Command::Schema => {
            Err(ActionError::usage("this command asks for nothing"))
        }
    }
}

fn tenant(command: TenantCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        TenantCommand::List(_) => (Action::TenantList {}, Look::Table(&["slug", "name", "id"])),
        TenantCommand::Show { slug, .. } => (Action::TenantShow { tenant: slug }, Look::Fields),
        TenantCommand::Create { slug, flags, .. } => (
            Action::TenantCreate {
                tenant: slug,
                set: tenant_keys(*flags)?,
            },
            Look::Report,
        ),
        TenantCommand::Update { slug, flags, .. } => (
            Action::TenantUpdate {
                tenant: slug,
                set: tenant_keys(*flags)?,
            },
            Look::Report,
        ),
        TenantCommand::Delete { slug, yes, .. } => {
            ask(
                &yes,
                &format!("This removes the tenant {slug} with its people, clients and keys"),
            )?;
            (Action::TenantRemove { tenant: slug }, Look::Fields)
        }
    })
}

fn client(command: ClientCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        ClientCommand::List(within) => {
            let look = Look::Table(&[
                "client_id",
                "client_name",
                "token_endpoint_auth_method",
                "redirect_uris",
            ]);
            (
                Action::ClientList {
                    tenant: within.tenant,
                },
                look,
            )
        }
        ClientCommand::Show { client_id, within } => (
            Action::ClientShow {
                tenant: within.tenant,
                client_id,
            },
            Look::Fields,
        ),
        ClientCommand::Create {
            client_id,
            flags,
            within,
        } => (
            Action::ClientCreate {
                tenant: within.tenant,
                client_id,
                set: client_keys(*flags)?,
            },
            Look::Report,
        ),
        ClientCommand::Update {
            client_id,
            flags,
            within,
        } => (
            Action::ClientUpdate {
                tenant: within.tenant,
                client_id,
                set: client_keys(*flags)?,
            },
            Look::Report,
        ),
        ClientCommand::RotateSecret {
            client_id,
            keep_old,
            drop_old,
            within,
        } => {
            let rotation = match (keep_old, drop_old) {
                (true, _) => Rotation::KeepOld,
                (false, true) => Rotation::DropOld,
                (false, false) => Rotation::Replace,
            };
            (
                Action::ClientRotateSecret {
                    tenant: within.tenant,
                    client_id,
                    rotation,
                },
                Look::Fields,
            )
        }
        ClientCommand::Delete {
            client_id,
            yes,
            within,
        } => {
            ask(
                &yes,
                &format!("This removes the client {client_id}; its tokens stop counting at once"),
            )?;
            (
                Action::ClientRemove {
                    tenant: within.tenant,
                    client_id,
                },
                Look::Fields,
            )
        }
    })
}

fn user(command: UserCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        UserCommand::List(within) => {
            let look = Look::Table(&["username", "email", "name", "disabled", "id"]);
            (
                Action::UserList {
                    tenant: within.tenant,
                },
                look,
            )
        }
        UserCommand::Show(person) => (
            Action::UserShow {
                tenant: person.within.tenant,
                user: person.user,
            },
            Look::Fields,
        ),
        UserCommand::Create {
            flags,
            password,
            within,
        } => {
            let mut set = user_keys(*flags)?;
            if let Some(password) = read_password(&password)? {
                set.insert("password".to_owned(), json!(password));
            }
            (
                Action::UserCreate {
                    tenant: within.tenant,
                    set,
                },
                Look::Report,
            )
        }
        UserCommand::Update { person, flags } => {
            let set = user_keys(*flags)?;
            (
                Action::UserUpdate {
                    tenant: person.within.tenant,
                    user: person.user,
                    set,
                },
                Look::Report,
            )
        }
        UserCommand::SetPassword { person, password } => {
            let password = read_password(&password)?;
            (
                Action::UserSetPassword {
                    tenant: person.within.tenant,
                    user: person.user,
                    password,
                },
                Look::Report,
            )
        }
        UserCommand::Disable(person) => (
            Action::UserDisable {
                tenant: person.within.tenant,
                user: person.user,
            },
            Look::Report,
        ),
        UserCommand::Enable(person) => (
            Action::UserEnable {
                tenant: person.within.tenant,
                user: person.user,
            },
            Look::Report,
        ),
        UserCommand::SignOut(person) => (
            Action::UserSignOut {
                tenant: person.within.tenant,
                user: person.user,
            },
            Look::Fields,
        ),
        UserCommand::Delete { person, yes } => {
            ask(&yes, &format!("This removes {} for good", person.user))?;
            (
                Action::UserRemove {
                    tenant: person.within.tenant,
                    user: person.user,
                },
                Look::Fields,
            )
        }
    })
}

fn domain(command: DomainCommand) -> (Action, Look) {
    match command {
        DomainCommand::List(within) => (
            Action::DomainList {
                tenant: within.tenant,
            },
            Look::Table(&["host", "kind"]),
        ),
        DomainCommand::Add { host, kind, within } => (
            Action::DomainAdd {
                tenant: within.tenant,
                host,
                kind,
            },
            Look::Report,
        ),
        DomainCommand::Remove { host, within } => (
            Action::DomainRemove {
                tenant: within.tenant,
                host,
            },
            Look::Fields,
        ),
    }
}

fn scope(command: ScopeCommand) -> Result<(Action, Look), ActionError> {
    Ok(match command {
        ScopeCommand::List(within) => (
            Action::ScopeList {
                tenant: within.tenant,
            },
            Look::Table(&["name", "consent", "description"]),
        ),
        ScopeCommand::Create {
            name,
            flags,
            within,
        } => (
            Action::ScopeCreate {
                tenant: within.tenant,
                scope: name,
                set: scope_keys(flags),
            },
            Look::Report,
        ),
        ScopeCommand::Update {
            name,
            flags,
            within,
        } => (
            Action::ScopeUpdate {
                tenant: within.tenant,
                scope: name,
                set: scope_keys(flags),
            },
            Look::Report,
        ),
        ScopeCommand::Delete { name, yes, within } => {
            ask(&yes, &format!("This removes the scope {name}"))?;
            (
                Action::ScopeRemove {
                    tenant: within.tenant,
                    scope: name,
                },
                Look::Fields,
            )
        }
    })
}

fn scope_keys(flags: ScopeFlags) -> Map<String, Value> {
    let mut set = Map::new();
    put(&mut set, "description", flags.description);
    put(&mut set, "consent", flags.consent);
    set
}

/// What cannot be undone is done only with `--yes`.
fn ask(yes: &Yes, consequence: &str) -> Result<(), ActionError> {
    if yes.yes {
        Ok(())
    } else {
        Err(ActionError::usage(format!(
            "{consequence}. It cannot be undone: add --yes to do it."
        )))
    }
}

fn tenant_keys(flags: TenantFlags) -> Result<Map<String, Value>, ActionError> {
    let mut set = keys(flags.keys)?;
    put(&mut set, "name", flags.name);
    put_list(&mut set, "groups", &flags.groups);
    for (key, value) in [
        ("policy.sign_up", flags.sign_up),
        ("policy.session_lifetime", flags.session_lifetime),
        ("policy.session_idle", flags.session_idle),
    ] {
        if let Some(value) = value {
            put_at(&mut set, key, Value::String(value));
        }
    }
    docs_profile::put_docs_profile(&mut set, flags.docs)?;
    Ok(set)
}

fn client_keys(flags: ClientFlags) -> Result<Map<String, Value>, ActionError> {
    let mut set = keys(flags.keys)?;
    put(&mut set, "client_name", flags.name);
    put(&mut set, "scope", flags.scope);
    put_list(&mut set, "redirect_uris", &flags.redirect_uris);
    put_list(
        &mut set,
        "post_logout_redirect_uris",
        &flags.post_logout_redirect_uris,
    );
    put_list(&mut set, "allowed_origins", &flags.allowed_origins);
    put_list(&mut set, "grant_types", &flags.grant_types);
    put(
        &mut set,
        "token_endpoint_auth_method",
        flags.public.then(|| "none".to_owned()),
    );
    let secret = read_secret(flags.secret_env.as_deref(), flags.secret_file.as_deref())?;
    put(&mut set, "client_secret", secret);
    Ok(set)
}

/// Reads a secret from where the flags say.
fn read_secret(variable: Option<&str>, file: Option<&Path>) -> Result<Option<String>, ActionError> {
    let secret = match (variable, file) {
        (Some(name), _) => Some(secrets::read_variable(name)),
        (None, Some(path)) => Some(secrets::read_file(path)),
        (None, None) => None,
    };
    secret.transpose().map_err(ActionError::usage)
}

fn user_keys(flags: UserFlags) -> Result<Map<String, Value>, ActionError> {
    let mut set = keys(flags.keys)?;
    put(&mut set, "username", flags.username);
    put(&mut set, "email", flags.email);
    put(&mut set, "name", flags.name);
    put_list(&mut set, "groups", &flags.groups);
    if flags.email_verified {
        set.insert("email_verified".to_owned(), json!(true));
    }
    // People's keys are taken away by an empty text, not by null.
    for value in set.values_mut().filter(|value| value.is_null()) {
        *value = json!("");
    }
    Ok(set)
}

/// Reads `KEY=VALUE`. A value is JSON where it is JSON, a text elsewhere; an empty one takes the key away.
fn keys(keys: Keys) -> Result<Map<String, Value>, ActionError> {
    let mut set = Map::new();
    for text in keys.set {
        let (key, value) = text
            .split_once('=')
            .ok_or_else(|| ActionError::usage(format!("--set {text}: write KEY=VALUE")))?;
        let value = match value {
            "" => Value::Null,
            value => {
                serde_json::from_str(value).unwrap_or_else(|_| Value::String(value.to_owned()))
            }
        };
        put_at(&mut set, key, value);
    }
    Ok(set)
}

fn put(set: &mut Map<String, Value>, key: &str, value: Option<String>) {
    if let Some(value) = value {
        set.insert(key.to_owned(), Value::String(value));
    }
}

fn put_list(set: &mut Map<String, Value>, key: &str, values: &[String]) {
    if !values.is_empty() {
        set.insert(key.to_owned(), json!(values));
    }
}

/// Puts a value at `key` or, one level down, at `table.key`.
fn put_at(set: &mut Map<String, Value>, key: &str, value: Value) {
    match key.split_once('.') {
        Some((table, key)) => {
            let table = set
                .entry(table.to_owned())
                .or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(table) = table {
                table.insert(key.to_owned(), value);
            }
        }
        None => {
            set.insert(key.to_owned(), value);
        }
    }
}

fn read_password(flags: &PasswordFlags) -> Result<Option<String>, ActionError> {
    if let Some(name) = &flags.password_env {
        return secrets::read_variable(name)
            .map(Some)
            .map_err(ActionError::usage);
    }
    if !flags.password_stdin {
        return Ok(None);
    }
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|error| ActionError::usage(error.to_string()))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err(ActionError::usage("standard input holds no password"));
    }
    Ok(Some(password.to_owned()))
}
