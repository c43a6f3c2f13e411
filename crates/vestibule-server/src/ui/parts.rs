//! What pages share: the shell around them, form errors, password feedback.

use std::borrow::Cow;
use std::fmt;

use super::assets::asset_path;
use super::href::SafeHref;
use vestibule_core::docs::site::HANDSHAKE_PATH;

/// What surrounds the content of every page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shell<'a> {
    /// The language of the page, as in `lang="en"`.
    pub(crate) lang: &'a str,
    /// Whose sign-in this is.
    pub(crate) tenant_name: &'a str,
    /// The path that the tenant hangs from: empty, or `/t/{slug}`. Every local path that a page is given starts below it.
    pub(crate) base_path: &'a str,
    /// The base of the docs site that the page is shown on, where the root is not ours: assets hang below it.
    pub(crate) assets_below: Option<&'a str>,
    /// The app that sent the person here.
    pub(crate) client: Option<ClientBrand<'a>>,
    /// The request's id, for a person to quote; empty where there is nothing to find by it.
    pub(crate) reference: &'a str,
}

impl<'a> Shell<'a> {
    /// A local path below the tenant's base, for an `href` or `action`.
    ///
    /// A `path` that a browser would take for another host (`//host`, `/\host`) becomes the tenant's front page.
    pub(crate) fn path(&self, path: &'a str) -> LocalPath<'a> {
        let local = path.starts_with('/') && !path.starts_with("//") && !path.starts_with("/\\");
        LocalPath {
            base: self.base_path,
            folder: "",
            path: if local { path } else { "/" },
        }
    }

    /// The path of an asset, which lives at the root whatever the tenant.
    pub(crate) fn asset(&self, name: &str) -> LocalPath<'a> {
        LocalPath {
            base: self.assets_below.unwrap_or_default(),
            folder: self.assets_below.map_or("", |_| HANDSHAKE_PATH),
            path: asset_path(name),
        }
    }
}

/// A path on this server: the tenant's base and what follows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LocalPath<'a> {
    base: &'a str,
    folder: &'static str,
    path: &'a str,
}

impl fmt::Display for LocalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.base)?;
        f.write_str(self.folder)?;
        f.write_str(self.path)
    }
}

/// How an app presents itself. It chose all of this itself, so none of it is trusted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientBrand<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// Its logo.
    pub(crate) logo_uri: Option<SafeHref<'a>>,
    /// Its home page.
    pub(crate) client_uri: Option<SafeHref<'a>>,
    /// Its privacy policy.
    pub(crate) policy_uri: Option<SafeHref<'a>>,
    /// Its terms of service.
    pub(crate) tos_uri: Option<SafeHref<'a>>,
}

#[cfg(test)]
impl<'a> ClientBrand<'a> {
    /// An app that tells nothing but its name.
    pub(crate) fn named(name: &'a str) -> Self {
        Self {
            name,
            logo_uri: None,
            client_uri: None,
            policy_uri: None,
            tos_uri: None,
        }
    }
}

impl ClientBrand<'_> {
    /// The letter that stands in for a missing logo.
    pub(crate) fn initial(&self) -> String {
        initial(self.name)
    }
}

/// The first letter or digit of a name, as a capital: a picture for whoever has none.
pub(crate) fn initial(name: &str) -> String {
    name.chars()
        .find(|c| c.is_alphanumeric())
        .map_or_else(|| "·".to_owned(), |c| c.to_uppercase().collect())
}

/// A way to sign in that leads to another site.
#[derive(Clone, Debug)]
pub(crate) struct ProviderButton {
    /// The provider's name in addresses: letters, digits, hyphens.
    pub(crate) id: String,
    /// Its name for people.
    pub(crate) name: String,
    /// Where the button leads.
    pub(crate) href: String,
}

impl ProviderButton {
    /// The letter that stands for the provider.
    pub(crate) fn initial(&self) -> String {
        initial(&self.name)
    }
}

/// Who is signed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountLine<'a> {
    /// The person's name.
    pub(crate) name: &'a str,
    /// What they sign in with: username or address.
    pub(crate) identifier: &'a str,
}

impl AccountLine<'_> {
    /// The letter that stands for the person.
    pub(crate) fn initial(&self) -> String {
        initial(self.name)
    }
}

/// A field of a form, for an error to point at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// The installation's name (set-up only).
    Installation,
    /// The person's name.
    Name,
    /// Username, or on sign-in username or address.
    Username,
    /// E-mail address.
    Email,
    /// Password.
    Password,
}

impl Field {
    /// The field's `id`, which is also its `name` in the form.
    pub(crate) fn id(self) -> &'static str {
        match self {
            Self::Installation => "installation",
            Self::Name => "name",
            Self::Username => "username",
            Self::Email => "email",
            Self::Password => "password",
        }
    }
}

/// Why a form as a whole was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FormError {
    /// What happened.
    pub(crate) title: Cow<'static, str>,
    /// What to do about it.
    pub(crate) message: Cow<'static, str>,
    /// The fields to look at again.
    pub(crate) fields: &'static [FieldLink],
}

impl FormError {
    /// Whether this error says something about the field of this id.
    pub(crate) fn is_about(&self, id: &str) -> bool {
        self.fields.iter().any(|link| link.field.id() == id)
    }
}

/// A line of an error summary that leads to a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FieldLink {
    /// Where the line leads.
    pub(crate) field: Field,
    /// What it says.
    pub(crate) text: &'static str,
}

/// What is wrong with one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The field.
    pub(crate) field: Field,
    /// What is wrong and how to put it right, as one sentence.
    pub(crate) message: Cow<'static, str>,
}

/// What is wrong with the fields of a form, in the order of the form.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FieldErrors(pub(crate) Vec<FieldError>);

impl FieldErrors {
    /// Adds what is wrong with a field.
    pub(crate) fn push(&mut self, field: Field, message: impl Into<Cow<'static, str>>) {
        self.0.push(FieldError {
            field,
            message: message.into(),
        });
    }

    /// What is wrong with the field of this id, if anything.
    pub(crate) fn of(&self, id: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|error| error.field.id() == id)
            .map(|error| error.message.as_ref())
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// How easily a refused or weak password is guessed, and what would help.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PasswordFeedback<'a> {
    /// From 0 (guessed at once) to 4 (hard to guess).
    pub(crate) score: u8,
    /// What makes it easy to guess.
    pub(crate) warning: Option<&'a str>,
    /// What would make it harder.
    pub(crate) suggestions: &'a [&'a str],
}

impl PasswordFeedback<'_> {
    /// The score as the stylesheet knows it, 0 to 4.
    pub(crate) fn level(&self) -> u8 {
        self.score.min(4)
    }

    /// The score in words.
    pub(crate) fn verdict(&self) -> &'static str {
        match self.score {
            0 => "Very easy to guess",
            1 => "Easy to guess",
            2 => "Not hard enough to guess",
            3 => "Hard to guess",
            _ => "Very hard to guess",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Shell;

    #[test]
    fn a_local_path_never_leaves_this_server() {
        let shell = Shell {
            lang: "en",
            tenant_name: "",
            base_path: "",
            assets_below: None,
            client: None,
            reference: "",
        };
        let tenant = Shell {
            base_path: "/t/acme",
            ..shell
        };
        assert_eq!(shell.path("/sign-in?x=1").to_string(), "/sign-in?x=1");
        assert_eq!(tenant.path("/sign-in").to_string(), "/t/acme/sign-in");
        for evil in [
            "//evil.example",
            "/\\evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(shell.path(evil).to_string(), "/");
            assert_eq!(tenant.path(evil).to_string(), "/t/acme/");
        }
    }

    #[test]
    fn assets_hang_at_the_root_but_on_a_docs_site() {
        let shell = Shell {
            lang: "en",
            tenant_name: "",
            base_path: "/t/acme",
            assets_below: None,
            client: None,
            reference: "",
        };
        let site = Shell {
            assets_below: Some("/docs"),
            ..shell
        };
        let (at_root, on_site) = (shell.asset("mark.svg"), site.asset("mark.svg"));
        assert!(at_root.to_string().starts_with("/assets/mark."));
        assert_eq!(on_site.to_string(), format!("/docs/_handshake{at_root}"));
    }
}
