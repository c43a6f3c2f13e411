//! Secrets that an installation file names and does not hold: `*_env` and `*_file`; and the folders of docs sites, which are relative to it.
//!
//! They are read by the process in which the command runs, before the document goes anywhere: the running server reads neither
//! the environment nor files for somebody else.

use super::document::DOCUMENT_BYTES_MAX;
use crate::config;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;

/// The largest file that holds a secret, in bytes.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// What a key stands for. It does not print itself.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Resolved {
    /// The secret.
    Secret(String),
    /// Why it could not be read.
    Problem(String),
}

/// Reads what the `*_env`, `*_file` and `root` keys of a document stand for, by the place of each. Relative paths start at `folder`.
pub(crate) fn resolve(document: &Value, folder: &Path) -> BTreeMap<String, Resolved> {
    let mut secrets = BTreeMap::new();
    for (tenant_index, tenant) in items(document, "tenant") {
        for kind in ["client", "user", "provider", "api_key", "docs_site"] {
            for (index, entry) in items(tenant, kind) {
                for (key, value) in entry.as_object().into_iter().flatten() {
                    let Some(value) = value.as_str() else {
                        continue;
                    };
                    let resolved = match key.as_str() {
                        "client_secret_env" | "password_env" | "key_env" => read_variable(value),
                        "client_secret_file" | "password_file" | "key_file" => {
                            read_file(&folder.join(value))
                        }
                        "root" if kind == "docs_site" => find_folder(&folder.join(value)),
                        _ => continue,
                    };
                    let place = format!("tenant[{tenant_index}].{kind}[{index}].{key}");
                    secrets.insert(
                        place,
                        resolved.map_or_else(Resolved::Problem, Resolved::Secret),
                    );
                }
            }
        }
    }
    secrets
}

/// The whole path of a folder, since whoever serves it runs elsewhere.
fn find_folder(path: &Path) -> Result<String, String> {
    let found = std::fs::canonicalize(path)
        .ok()
        .filter(|found| found.is_dir());
    let found = found.ok_or_else(|| format!("there is no folder {}", path.display()))?;
    let text = found.to_str().map(str::to_owned);
    text.ok_or_else(|| format!("the path {} is not UTF-8", path.display()))
}

/// Reads a secret from a variable.
pub(crate) fn read_variable(name: &str) -> Result<String, String> {
    config::variable(name)
        .map(|value| value.expose().to_owned())
        .ok_or_else(|| format!("the variable {name} is not set, or empty"))
}

/// Reads an installation file.
pub(crate) fn read_document(path: &Path) -> std::io::Result<String> {
    read_bounded(path, DOCUMENT_BYTES_MAX as u64)
}

/// Reads a secret from a file; newlines at its end do not count.
pub(crate) fn read_file(path: &Path) -> Result<String, String> {
    let text = read_bounded(path, SECRET_FILE_BYTES_MAX)
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

fn read_bounded(path: &Path, bytes_max: u64) -> std::io::Result<String> {
    let mut text = String::new();
    std::fs::File::open(path)?
        .take(bytes_max + 1)
        .read_to_string(&mut text)?;
    if text.len() as u64 > bytes_max {
        return Err(std::io::Error::other(format!(
            "larger than {bytes_max} bytes"
        )));
    }
    Ok(text)
}

fn items<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    value
        .get(key)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
}
