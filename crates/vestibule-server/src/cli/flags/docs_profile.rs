//! From flags to the keys of a tenant that docs sites use.

use super::super::args::docs_profile::DocsProfileFlags;
use super::{put, put_at, put_list};
use crate::admin::actions::ActionError;
use serde_json::{Map, Value};

/// Puts what the flags say under the keys of the installation file.
pub(super) fn put_docs_profile(
    set: &mut Map<String, Value>,
    flags: DocsProfileFlags,
) -> Result<(), ActionError> {
    if let Some(scope) = flags.docs_scope {
        put_at(set, "policy.docs_scope", Value::String(scope));
    }
    let (mut profile, mut content) = (Map::new(), Map::new());
    for text in &flags.docs_content {
        let (name, source) = pair("--docs-content", "NAME=SOURCE", text)?;
        content.insert(name.to_owned(), source);
    }
    if !content.is_empty() {
        profile.insert("content".to_owned(), Value::Object(content));
    }
    let mut inputs = Map::new();
    for text in &flags.docs_inputs {
        let (target, source) = pair("--docs-input", "KIND.NAME=SOURCE", text)?;
        let (kind, name) = target.split_once('.').ok_or_else(|| {
            ActionError::usage(format!("--docs-input {text}: write KIND.NAME=SOURCE"))
        })?;
        put_at(&mut inputs, &format!("{kind}.{name}"), source);
    }
    if !inputs.is_empty() {
        profile.insert("playground".to_owned(), Value::Object(inputs));
    }
    put_list(&mut profile, "groups", &flags.docs_groups);
    put(&mut profile, "expires_in", flags.docs_expires_in);
    put_list(
        &mut profile,
        "shared_session_origins",
        &flags.shared_session_origins,
    );
    // What `--set docs_profile.…` said stays beside it.
    for (key, value) in profile {
        put_at(set, &format!("docs_profile.{key}"), value);
    }
    for text in &flags.endpoint_aliases {
        let (endpoint, path) = pair("--endpoint-alias", "ENDPOINT=PATH", text)?;
        put_at(set, &format!("endpoint_aliases.{endpoint}"), path);
    }
    Ok(())
}

/// The two sides of the first `=`; an empty right side is null, which takes the entry away.
fn pair<'a>(flag: &str, form: &str, text: &'a str) -> Result<(&'a str, Value), ActionError> {
    match text.split_once('=') {
        Some((name, "")) => Ok((name, Value::Null)),
        Some((name, value)) => Ok((name, Value::from(value))),
        None => Err(ActionError::usage(format!("{flag} {text}: write {form}"))),
    }
}
