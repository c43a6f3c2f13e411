//! One struct a page. Plain data in, HTML out (`askama::Template::render`).
//!
//! Every local path (`action`, `…_href`) is a path below the tenant's base, `/sign-in?…`; the template puts
//! [`Shell::base_path`] before it. Addresses from outside are [`SafeHref`]s.

use askama::Template;

use super::href::SafeHref;
use super::parts::{AccountLine, FieldErrors, FormError, PasswordFeedback, ProviderButton, Shell};
use super::words::ErrorWords;

/// Username and password.
#[derive(Debug, Template)]
#[template(path = "sign_in.html")]
pub(crate) struct SignIn<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf`, `username`, `password`.
    pub(crate) action: &'a str,
    /// Ties the form to this browser and step.
    pub(crate) csrf: &'a str,
    /// What stands in the username field already; empty for nothing.
    pub(crate) identifier: &'a str,
    /// Why the last try was refused.
    pub(crate) error: Option<FormError>,
    /// Why the person is asked, where it is not plain.
    pub(crate) notice: Option<&'a str>,
    /// Other sites to sign in with.
    pub(crate) providers: Vec<ProviderButton>,
    /// Where to make an account, if people may.
    pub(crate) sign_up_href: Option<&'a str>,
    /// Where to choose among the accounts of this browser, if there are any.
    pub(crate) accounts_href: Option<&'a str>,
}

impl SignIn<'_> {
    /// Whether the last try was refused because of the field with this id.
    fn is_wrong(&self, id: &str) -> bool {
        self.error.as_ref().is_some_and(|error| error.is_about(id))
    }
}

/// A new account.
#[derive(Debug, Template)]
#[template(path = "sign_up.html")]
pub(crate) struct SignUp<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf`, `name`, `username` (if asked), `email`, `password`.
    pub(crate) action: &'a str,
    /// Ties the form to this browser and step.
    pub(crate) csrf: &'a str,
    /// What was filled in already.
    pub(crate) values: SignUpValues<'a>,
    /// Why the form as a whole was refused.
    pub(crate) error: Option<FormError>,
    /// What is wrong with its fields.
    pub(crate) errors: FieldErrors,
    /// The shortest password that is accepted, in characters.
    pub(crate) password_length_min: usize,
    /// What is wrong with the password, if one was tried.
    pub(crate) password_feedback: Option<PasswordFeedback<'a>>,
    /// Other sites to sign up with.
    pub(crate) providers: Vec<ProviderButton>,
    /// Where people with an account go.
    pub(crate) sign_in_href: &'a str,
}

/// What a person typed into [`SignUp`], except the password, which is never shown again.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SignUpValues<'a> {
    /// The name.
    pub(crate) name: &'a str,
    /// The username; `None` where none is asked for.
    pub(crate) username: Option<&'a str>,
    /// The address.
    pub(crate) email: &'a str,
}

/// Which account of this browser.
#[derive(Debug, Template)]
#[template(path = "choose_account.html")]
pub(crate) struct ChooseAccount<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf`, and either `account` or `sign_out` with a [`AccountChoice::handle_value`].
    pub(crate) action: &'a str,
    /// Ties the form to this browser and step.
    pub(crate) csrf: &'a str,
    /// The accounts, most recently used first.
    pub(crate) accounts: Vec<AccountChoice<'a>>,
    /// Where to sign in as somebody else.
    pub(crate) another_href: &'a str,
}

/// An account to choose.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AccountChoice<'a> {
    /// What the form sends for it.
    pub(crate) handle_value: &'a str,
    /// Who it is.
    pub(crate) account: AccountLine<'a>,
    /// Whether its session has ended, so that choosing it asks for the password.
    pub(crate) signed_out: bool,
}

/// May this app have what it asks for? The app is [`Shell::client`].
#[derive(Debug, Template)]
#[template(path = "consent.html")]
pub(crate) struct Consent<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf` and `decision`, which is `allow` or `deny`.
    pub(crate) action: &'a str,
    /// Ties the form to this browser and step.
    pub(crate) csrf: &'a str,
    /// Where the browser goes afterwards, as a person reads it: the host, or "an app on this device".
    pub(crate) redirect_host: &'a str,
    /// As which account.
    pub(crate) account: AccountLine<'a>,
    /// Where to choose another account, if the app leaves the choice.
    pub(crate) switch_href: Option<&'a str>,
    /// What it asks for now.
    pub(crate) scopes: Vec<ScopeLine<'a>>,
    /// What it was allowed before, in sentences, and is not asked again.
    pub(crate) already: Vec<&'a str>,
    /// Whether every address of the app is on this device, so that any program here could be asking.
    pub(crate) local_warning: bool,
    /// Whether the app keeps its access while the person is away.
    pub(crate) offline: bool,
}

/// One thing that an app asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ScopeLine<'a> {
    /// The scope, for people who know what that is.
    pub(crate) name: &'a str,
    /// What it means: "See your email address".
    pub(crate) sentence: &'a str,
    /// Whether the app has other access already and asks for this one for the first time.
    pub(crate) new: bool,
}

/// Really sign out?
#[derive(Debug, Template)]
#[template(path = "sign_out_confirm.html")]
pub(crate) struct SignOutConfirm<'a> {
    /// What surrounds the page; its client is the app that asked.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf`.
    pub(crate) action: &'a str,
    /// Ties the form to this browser and step.
    pub(crate) csrf: &'a str,
    /// What was asked for, sealed: the form sends it back as `continue`.
    pub(crate) request: &'a str,
    /// Who is signed in; `None` where several are, and all are signed out.
    pub(crate) account: Option<AccountLine<'a>>,
    /// Where "Stay signed in" leads.
    pub(crate) stay_href: &'a str,
}

/// Signed out.
#[derive(Debug, Template)]
#[template(path = "signed_out.html")]
pub(crate) struct SignedOut<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// A registered address to go on to.
    pub(crate) continue_href: Option<SafeHref<'a>>,
    /// Where to sign in again.
    pub(crate) sign_in_href: &'a str,
}

/// What happened and what to do. The reference is [`Shell::reference`].
#[derive(Debug, Template)]
#[template(path = "error.html")]
pub(crate) struct ErrorPage<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// What happened, as a heading.
    pub(crate) title: &'a str,
    /// What happened, in a sentence.
    pub(crate) message: &'a str,
    /// What to do.
    pub(crate) advice: &'a str,
    /// What the app's developer needs to know.
    pub(crate) developer: Option<Developer<'a>>,
}

impl<'a> ErrorPage<'a> {
    /// A page that says these words.
    pub(crate) fn new(shell: Shell<'a>, words: &ErrorWords) -> Self {
        Self {
            shell,
            title: words.title,
            message: words.message,
            advice: words.advice,
            developer: None,
        }
    }

    /// The same page with a word to the app's developer.
    pub(crate) fn for_developer(self, code: &'a str, description: &'a str) -> Self {
        Self {
            developer: Some(Developer { code, description }),
            ..self
        }
    }
}

/// What the app's developer needs to know about a refusal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Developer<'a> {
    /// The error code, such as `invalid_request`.
    pub(crate) code: &'a str,
    /// What exactly was wrong.
    pub(crate) description: &'a str,
}

/// An answer to an app in a form that sends itself (OAuth 2.0 Form Post Response Mode). The app is [`Shell::client`].
#[derive(Debug, Template)]
#[template(path = "form_post.html")]
pub(crate) struct FormPost<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// The registered address of the app.
    pub(crate) action: SafeHref<'a>,
    /// The parameters of the answer.
    pub(crate) fields: Vec<(&'a str, &'a str)>,
}

/// The first operator.
#[derive(Debug, Template)]
#[template(path = "setup.html")]
pub(crate) struct Setup<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf`, `installation`, `name`, `username`, `email`, `password`.
    pub(crate) action: &'a str,
    /// Ties the form to this browser and step.
    pub(crate) csrf: &'a str,
    /// What was filled in already.
    pub(crate) values: SetupValues<'a>,
    /// Why the form as a whole was refused.
    pub(crate) error: Option<FormError>,
    /// What is wrong with its fields.
    pub(crate) errors: FieldErrors,
    /// The shortest password that is accepted, in characters.
    pub(crate) password_length_min: usize,
    /// What is wrong with the password, if one was tried.
    pub(crate) password_feedback: Option<PasswordFeedback<'a>>,
}

/// What the operator typed into [`Setup`], except the password.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SetupValues<'a> {
    /// What people see as the name of this sign-in.
    pub(crate) installation: &'a str,
    /// The operator's name.
    pub(crate) name: &'a str,
    /// The operator's username.
    pub(crate) username: &'a str,
    /// The operator's address.
    pub(crate) email: &'a str,
}

/// Set-up is done.
#[derive(Debug, Template)]
#[template(path = "setup_done.html")]
pub(crate) struct SetupDone<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where to sign in for the first time.
    pub(crate) sign_in_href: &'a str,
}

/// The page at `/`: what this server is, and who is signed in.
#[derive(Debug, Template)]
#[template(path = "home.html")]
pub(crate) struct Home<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Who is signed in.
    pub(crate) signed_in: Option<AccountLine<'a>>,
    /// Where to sign in.
    pub(crate) sign_in_href: &'a str,
    /// Where to sign out.
    pub(crate) sign_out_href: &'a str,
    /// Where apps learn how to talk to this server.
    pub(crate) discovery_href: &'a str,
}

/// On a docs site: a sign-in that came to nothing, and how to start again. The reference is [`Shell::reference`].
#[derive(Debug, Template)]
#[template(path = "docs_problem.html")]
pub(crate) struct DocsProblem<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// What happened, as a heading.
    pub(crate) title: &'a str,
    /// What happened, in a sentence.
    pub(crate) message: &'a str,
    /// What to do.
    pub(crate) advice: &'a str,
    /// What exactly was wrong, for whoever runs the site.
    pub(crate) reason: Option<String>,
    /// Where to sign in again.
    pub(crate) sign_in_href: &'a str,
    /// Where to read on without, if the site is for everybody.
    pub(crate) site_href: Option<&'a str>,
}

/// On a docs site: really sign out?
#[derive(Debug, Template)]
#[template(path = "docs_sign_out.html")]
pub(crate) struct DocsSignOut<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// Where the form goes. It sends `csrf`, and `to` where there is one.
    pub(crate) action: &'a str,
    /// Ties the form to this reader.
    pub(crate) csrf: &'a str,
    /// Where the reader wants to go afterwards, as it was asked.
    pub(crate) to: Option<&'a str>,
    /// Where "Stay signed in" leads.
    pub(crate) stay_href: &'a str,
}

/// On a docs site, for whoever runs it: what each step of its handshake answered.
#[derive(Debug, Template)]
#[template(path = "docs_check.html")]
pub(crate) struct DocsCheck<'a> {
    /// What surrounds the page.
    pub(crate) shell: Shell<'a>,
    /// The site's name in commands.
    pub(crate) site_name: &'a str,
    /// Whether nothing is wrong.
    pub(crate) works: bool,
    /// The steps.
    pub(crate) steps: Vec<CheckLine<'a>>,
    /// Where to sign in for real; none where that was done.
    pub(crate) sign_in_href: Option<&'a str>,
    /// What was received of the reader, as JSON.
    pub(crate) received: Option<&'a str>,
}

/// One step of a check.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CheckLine<'a> {
    /// The setting or the step that it is about.
    pub(crate) step: &'a str,
    /// `good`, `note` or `wrong`.
    pub(crate) verdict: &'a str,
    /// What happened and what to do.
    pub(crate) said: &'a str,
}
