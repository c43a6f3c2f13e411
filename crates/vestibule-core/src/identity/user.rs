//! A person's record.

use crate::id::UserId;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest text of one profile field, in characters.
pub const PROFILE_TEXT_MAX: usize = 512;
/// The largest metadata object of one kind, in bytes of JSON.
pub const METADATA_BYTES_MAX: usize = 16 * 1024;
/// How deep a metadata object may be nested, in levels: the object is the first. Readers of JSON have limits of their own, and a record
/// travels inside of lists, answers and tokens.
pub const METADATA_DEPTH_MAX: usize = 16;
/// The most groups that a person can be in.
pub const GROUPS_COUNT_MAX: usize = 200;

/// Why a text is not a user name or e-mail address. The sentence is for the person.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentifierError {
    /// A user name.
    #[error(
        "A user name has 2 to 64 letters, digits, dots, hyphens or underscores, and starts and ends with a letter or digit."
    )]
    Username,
    /// An e-mail address.
    #[error("Enter an email address such as ada@example.com.")]
    Email,
}

/// A user name: ASCII, compared without case, so that no two look alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Username(String);

impl Username {
    /// Parses a user name as the person writes it.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let edge = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        let inner = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
        if (2..=64).contains(&text.len())
            && inner
            && edge(text.bytes().next())
            && edge(text.bytes().next_back())
        {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdentifierError::Username)
        }
    }

    /// As the person writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique in a tenant.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// An e-mail address in ASCII, compared without case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Email(String);

impl Email {
    /// Parses an address: a dot-atom, `@`, and a domain with at least one dot or a single label for closed networks.
    pub fn parse(text: &str) -> Result<Self, IdentifierError> {
        let refuse = Err(IdentifierError::Email);
        let Some((local, domain)) = text.split_once('@') else {
            return refuse;
        };
        let atom =
            |byte: u8| byte.is_ascii_alphanumeric() || b".!#$%&'*+/=?^_`{|}~-".contains(&byte);
        let local_fits = (1..=64).contains(&local.len())
            && local.bytes().all(atom)
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let label_fits = |label: &str| {
            (1..=63).contains(&label.len())
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        if local_fits && domain.len() <= 253 && domain.split('.').all(label_fits) {
            Ok(Self(text.to_owned()))
        } else {
            refuse
        }
    }

    /// As the person writes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What makes it unique in a tenant.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// What somebody types to say who they are: a user name or an e-mail address, folded as both keys are.
pub fn identifier_key(text: &str) -> String {
    text.trim().to_ascii_lowercase()
}

/// A postal address (OpenID Connect Core, 5.1.1).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Address {
    /// The whole address, lines separated by newlines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub formatted: Option<String>,
    /// Street and house.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub street_address: Option<String>,
    /// City.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locality: Option<String>,
    /// State or province.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Postal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// Country.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
}

/// What a person says about themselves: the standard claims of OpenID Connect Core, 5.1, and three kinds of metadata.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Profile {
    /// Full name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Given name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub given_name: Option<String>,
    /// Family name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub family_name: Option<String>,
    /// Middle name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub middle_name: Option<String>,
    /// Casual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nickname: Option<String>,
    /// Address of a profile page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
    /// Address of a picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub picture: Option<String>,
    /// Address of a web site.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub website: Option<String>,
    /// Gender.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gender: Option<String>,
    /// Birthday, `YYYY-MM-DD` or `YYYY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birthdate: Option<String>,
    /// Time zone such as `Europe/Paris`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub zoneinfo: Option<String>,
    /// Language such as `en`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locale: Option<String>,
    /// Telephone number, E.164.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone_number: Option<String>,
    /// Whether the number is proved.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub phone_number_verified: bool,
    /// Postal address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<Address>,
    /// The tenant's groups that the person is in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<String>,
    /// Metadata that servers write and everybody who may see the person reads.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub public_metadata: Map<String, Value>,
    /// Metadata that only servers read and write.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub private_metadata: Map<String, Value>,
    /// Metadata that the person's own apps write.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub unsafe_metadata: Map<String, Value>,
}

impl Profile {
    /// Checks lengths. The error names the field and its limit.
    pub fn check(&self) -> Result<(), String> {
        let texts = [
            ("name", &self.name),
            ("given_name", &self.given_name),
            ("family_name", &self.family_name),
            ("middle_name", &self.middle_name),
            ("nickname", &self.nickname),
            ("profile", &self.profile),
            ("picture", &self.picture),
            ("website", &self.website),
            ("gender", &self.gender),
            ("birthdate", &self.birthdate),
            ("zoneinfo", &self.zoneinfo),
            ("locale", &self.locale),
            ("phone_number", &self.phone_number),
        ];
        for (field, text) in texts {
            if let Some(text) = text {
                if text.chars().count() > PROFILE_TEXT_MAX {
                    return Err(format!(
                        "`{field}` is longer than {PROFILE_TEXT_MAX} characters"
                    ));
                }
                if text.chars().any(char::is_control) {
                    return Err(format!("`{field}` has control characters"));
                }
            }
        }
        for (field, metadata) in [
            ("public_metadata", &self.public_metadata),
            ("private_metadata", &self.private_metadata),
            ("unsafe_metadata", &self.unsafe_metadata),
        ] {
            if !metadata
                .values()
                .all(|value| is_at_most(value, METADATA_DEPTH_MAX - 1))
            {
                return Err(format!(
                    "`{field}` is nested deeper than {METADATA_DEPTH_MAX} levels"
                ));
            }
            let text = serde_json::to_string(metadata).unwrap_or_default();
            if text.len() > METADATA_BYTES_MAX {
                return Err(format!(
                    "`{field}` is larger than {METADATA_BYTES_MAX} bytes of JSON"
                ));
            }
            if text.contains("\\u0000") {
                return Err(format!("`{field}` has a NUL character"));
            }
        }
        if self.groups.len() > GROUPS_COUNT_MAX {
            return Err(format!(
                "a person can be in {GROUPS_COUNT_MAX} groups at most"
            ));
        }
        Ok(())
    }
}

/// Whether a value has so many levels of objects and arrays at most. It looks no further than that.
fn is_at_most(value: &Value, levels: usize) -> bool {
    let within = |value: &Value| {
        levels
            .checked_sub(1)
            .is_some_and(|levels| is_at_most(value, levels))
    };
    match value {
        Value::Array(values) => levels > 0 && values.iter().all(within),
        Value::Object(members) => levels > 0 && members.values().all(within),
        _ => true,
    }
}

/// A person in a tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The record; its text is the person's `sub`, which is never given to anybody else.
    pub id: UserId,
    /// The user name, if they have one.
    pub username: Option<String>,
    /// The e-mail address, if they have one.
    pub email: Option<String>,
    /// Whether the address is proved.
    pub email_verified: bool,
    /// What they say about themselves.
    pub profile: Profile,
    /// When the record last changed.
    pub updated_at: Timestamp,
    /// Since when they may not sign in.
    pub disabled_at: Option<Timestamp>,
}

impl User {
    /// What they are called on pages: name, user name or address.
    pub fn display_name(&self) -> &str {
        self.profile
            .name
            .as_deref()
            .or(self.username.as_deref())
            .or(self.email.as_deref())
            .unwrap_or("You")
    }

    /// How they sign in: address or user name.
    pub fn identifier(&self) -> &str {
        self.email
            .as_deref()
            .or(self.username.as_deref())
            .unwrap_or("")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn metadata_are_nested_sixteen_levels_deep_at_most() {
        let objects =
            |levels: usize| (0..levels).fold(json!("x"), |inner, _| json!({ "a": inner, "b": [] }));
        let arrays = |levels: usize| {
            let inner = (1..levels).fold(json!(1), |inner, _| json!([0, inner]));
            json!({ "a": inner })
        };
        let with = |value: Value| {
            let Value::Object(map) = value else {
                return Ok(());
            };
            Profile {
                public_metadata: map,
                ..Profile::default()
            }
            .check()
        };
        let refused = Err("`public_metadata` is nested deeper than 16 levels".to_owned());
        for levels in [1, 2, 15] {
            assert_eq!(with(objects(levels)), Ok(()), "{levels}");
            assert_eq!(with(arrays(levels)), Ok(()), "{levels}");
        }
        assert_eq!(with(arrays(16)), Ok(()));
        // The empty array beside the innermost text is a level too.
        assert_eq!(with(objects(16)), refused);
        for levels in [17, 100, 200] {
            assert_eq!(with(objects(levels)), refused, "{levels}");
            assert_eq!(with(arrays(levels)), refused, "{levels}");
        }
    }

    #[test]
    fn a_user_name_is_ascii_and_folds_case() {
        assert_eq!(Username::parse("Ada.L").unwrap().key(), "ada.l");
        for bad in [
            "",
            "a",
            ".ada",
            "ada.",
            "ada ",
            " ada",
            "ａｄａ",
            "ad\u{301}a",
            "ada@x",
            "a/b",
            "ada\0",
            &"a".repeat(65),
        ] {
            assert_eq!(
                Username::parse(bad),
                Err(IdentifierError::Username),
                "{bad}"
            );
        }
    }

    #[test]
    fn an_address_is_a_dot_atom_at_a_domain() {
        assert_eq!(
            Email::parse("Ada@Acme.test").unwrap().key(),
            "ada@acme.test"
        );
        for bad in [
            "",
            "ada",
            "@x",
            "a@",
            "a@@b",
            "a b@c.d",
            ".a@b.c",
            "a..b@c.d",
            "a@-b.c",
            "a@b..c",
            "a@b.c\r\nBcc: x@y.z",
            "ада@b.c",
            &format!("{}@b.c", "a".repeat(65)),
        ] {
            assert_eq!(Email::parse(bad), Err(IdentifierError::Email), "{bad}");
        }
    }
}
