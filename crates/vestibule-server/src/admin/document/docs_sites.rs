//! What a document says about docs sites.

use super::broker::{CLIENT_SECRET_KEYS, ClientSecretShape};
use super::{CLIENT_SECRET_BYTES_MAX, DocsSiteEntry, Reader, add_properties, array_of, split};
use crate::admin::secrets::Resolved;
use schemars::{JsonSchema as _, Schema, SchemaGenerator};
use serde_json::Value;
use std::path::Path;
use vestibule_core::docs::site::{DocsSite, DocsSiteSettings};
use vestibule_core::relying_party::provider::UpstreamAuth;

pub(super) fn docs_sites_schema(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = DocsSiteSettings::json_schema(generator);
    add_properties(&mut schema, &ClientSecretShape::json_schema(generator));
    array_of(&schema)
}

impl Reader<'_> {
    pub(super) fn docs_site(&mut self, place: String, value: &Value) -> Option<DocsSiteEntry> {
        let (secret, settings) = split(value, CLIENT_SECRET_KEYS);
        let mut settings: DocsSiteSettings = self.part(&place, Value::Object(settings))?;
        self.find_root(&place, &mut settings);
        let given = self.client_secret(&place, secret);
        let site = match DocsSite::from_settings(&settings) {
            Ok(site) => site,
            Err(problems) => {
                for problem in problems {
                    self.problem(format!("{place}.{}", problem.field), problem.problem);
                }
                return None;
            }
        };
        let given = given.ok()?;
        if let Some((key, secret)) = &given {
            let bytes = secret.reveal().as_bytes();
            // RFC 6749, A.2: printable ASCII.
            if !(1..=CLIENT_SECRET_BYTES_MAX).contains(&bytes.len())
                || !bytes.iter().all(|byte| (0x20..0x7f).contains(byte))
            {
                self.problem(
                    format!("{place}.{key}"),
                    format!(
                        "a secret has 1 to {CLIENT_SECRET_BYTES_MAX} printable ASCII characters"
                    ),
                );
            }
            if site.auth == Some(UpstreamAuth::None) {
                self.problem(
                    format!("{place}.{key}"),
                    "there is no secret with token_endpoint_auth_method = \"none\"; leave it out",
                );
            }
        }
        Some(DocsSiteEntry {
            place,
            site,
            settings,
            secret: given.map(|(_, secret)| secret),
        })
    }

    /// A folder that is named relative to the file was found where the command runs.
    fn find_root(&mut self, place: &str, settings: &mut DocsSiteSettings) {
        let place = format!("{place}.root");
        match (&settings.root, self.secrets.get(&place)) {
            (Some(_), Some(Resolved::Secret(path))) => settings.root = Some(path.clone()),
            (Some(_), Some(Resolved::Problem(text))) => self.problem(place, text.clone()),
            (Some(root), None) if !root.is_empty() && !Path::new(root).is_absolute() => {
                self.problem(
                    place,
                    "write the whole path of the folder, such as /srv/docs",
                );
            }
            _ => {}
        }
    }
}
