//! Renders every sample of every page, checks what must hold on all of them, and leaves them in the target folder to be
//! looked at in a browser.

use std::fs;
use std::path::Path;

use askama::Template;

use super::assets::{ASSETS, asset_path};
use super::href::SafeHref;
use super::pages::{
    AccountChoice, CheckLine, ChooseAccount, Consent, DocsCheck, DocsProblem, DocsSignOut,
    ErrorPage, FormPost, Home, ScopeLine, Setup, SetupDone, SetupValues, SignIn, SignOutConfirm,
    SignUp, SignUpValues, SignedOut,
};
use super::parts::{
    AccountLine, ClientBrand, Field, FieldErrors, PasswordFeedback, ProviderButton, Shell,
};
use super::words;

const EVIL: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}\u{202e}";
const LONG: &str = "The-Association-of-Unreasonably-Long-Application-Names-That-Never-Break";
const ADA: AccountLine<'_> = AccountLine {
    name: "Ada Lovelace",
    identifier: "ada@example.com",
};
const REFERENCE: &str = "0198c2f4-7a31";

fn shell() -> Shell<'static> {
    Shell {
        lang: "en",
        tenant_name: "Example",
        base_path: "",
        assets_below: None,
        client: None,
        reference: REFERENCE,
    }
}

fn with_app() -> Shell<'static> {
    let brand = ClientBrand {
        client_uri: SafeHref::web("https://acme.example"),
        policy_uri: SafeHref::web("https://acme.example/privacy"),
        tos_uri: SafeHref::web("https://acme.example/terms"),
        ..ClientBrand::named("Acme Docs")
    };
    Shell {
        client: Some(brand),
        ..shell()
    }
}

fn with_evil_app() -> Shell<'static> {
    let brand = ClientBrand {
        logo_uri: SafeHref::picture("jAvAsCrIpT:alert(1)").or(SafeHref::picture(
            "data:image/svg+xml,<svg onload=alert(1)>",
        )),
        client_uri: SafeHref::web("javascript:alert(1)"),
        policy_uri: SafeHref::web("https://acme.example/\"><script>alert(1)</script>"),
        tos_uri: SafeHref::web("\u{1}javascript:alert(1)"),
        ..ClientBrand::named(EVIL)
    };
    Shell {
        client: Some(brand),
        tenant_name: EVIL,
        base_path: "/t/acme",
        reference: EVIL,
        ..shell()
    }
}

fn with_logo() -> Shell<'static> {
    let brand = ClientBrand {
        logo_uri: SafeHref::picture("https://acme.example/logo.svg"),
        ..ClientBrand::named(LONG)
    };
    Shell {
        client: Some(brand),
        base_path: "/t/acme",
        tenant_name: LONG,
        ..shell()
    }
}

fn evil_person() -> AccountLine<'static> {
    AccountLine {
        name: EVIL,
        identifier: EVIL,
    }
}

fn field_errors() -> FieldErrors {
    let mut errors = FieldErrors::default();
    errors.push(
        Field::Email,
        "Enter an email address, such as ada@example.com.",
    );
    errors.push(
        Field::Password,
        "Choose a password that is harder to guess.",
    );
    errors
}

fn other_sites() -> Vec<ProviderButton> {
    [("google", "Google"), ("github", "GitHub"), ("corp", LONG)]
        .map(|(id, name)| ProviderButton {
            id: id.to_owned(),
            name: name.to_owned(),
            href: format!("/sign-in/with/{id}?request=r1"),
        })
        .to_vec()
}

const WEAK: PasswordFeedback<'_> = PasswordFeedback {
    score: 1,
    warning: Some("This is close to a very common password."),
    suggestions: &["Add another word or two.", "Capital letters help little."],
};

impl SignIn<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let plain = || SignIn {
            shell: with_app(),
            action: "/sign-in?request=r1",
            csrf: "token",
            identifier: "",
            error: None,
            notice: None,
            providers: Vec::new(),
            sign_up_href: Some("/sign-up?request=r1"),
            accounts_href: None,
        };
        vec![
            ("sign-in", plain()),
            (
                "sign-in-plain",
                SignIn {
                    shell: shell(),
                    sign_up_href: None,
                    ..plain()
                },
            ),
            (
                "sign-in-again",
                SignIn {
                    shell: with_logo(),
                    identifier: "ada",
                    notice: Some(words::SIGN_IN_AGAIN),
                    accounts_href: Some("/accounts"),
                    ..plain()
                },
            ),
            (
                "sign-in-wrong",
                SignIn {
                    identifier: "ada",
                    error: Some(words::wrong_credentials()),
                    ..plain()
                },
            ),
            (
                "sign-in-throttled",
                SignIn {
                    identifier: "ada",
                    error: Some(words::throttled(30)),
                    ..plain()
                },
            ),
            (
                "sign-in-busy",
                SignIn {
                    identifier: "ada",
                    error: Some(words::busy()),
                    ..plain()
                },
            ),
            (
                "sign-in-with",
                SignIn {
                    providers: other_sites(),
                    ..plain()
                },
            ),
            (
                "sign-in-with-refused",
                SignIn {
                    shell: shell(),
                    providers: other_sites(),
                    error: words::upstream_problem("address-in-use"),
                    ..plain()
                },
            ),
            (
                "sign-in-evil",
                SignIn {
                    providers: vec![ProviderButton {
                        id: "evil".to_owned(),
                        name: EVIL.to_owned(),
                        href: "//evil.example".to_owned(),
                    }],
                    shell: with_evil_app(),
                    action: "//evil.example",
                    identifier: EVIL,
                    csrf: EVIL,
                    ..plain()
                },
            ),
        ]
    }
}

impl SignUp<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let plain = || SignUp {
            shell: with_app(),
            action: "/sign-up?request=r1",
            csrf: "token",
            values: SignUpValues::default(),
            error: None,
            errors: FieldErrors::default(),
            password_length_min: 10,
            password_feedback: None,
            providers: Vec::new(),
            sign_in_href: "/sign-in?request=r1",
        };
        let values = SignUpValues {
            name: "Ada Lovelace",
            username: Some("ada"),
            email: "ada",
        };
        vec![
            ("sign-up", plain()),
            (
                "sign-up-with",
                SignUp {
                    providers: other_sites(),
                    ..plain()
                },
            ),
            (
                "sign-up-wrong",
                SignUp {
                    values,
                    errors: field_errors(),
                    password_feedback: Some(WEAK),
                    ..plain()
                },
            ),
            (
                "sign-up-throttled",
                SignUp {
                    shell: shell(),
                    values,
                    error: Some(words::throttled(120)),
                    ..plain()
                },
            ),
            (
                "sign-up-evil",
                SignUp {
                    shell: with_evil_app(),
                    values: SignUpValues {
                        name: EVIL,
                        username: Some(EVIL),
                        email: EVIL,
                    },
                    password_feedback: Some(PasswordFeedback {
                        score: 9,
                        warning: Some(EVIL),
                        suggestions: &[EVIL],
                    }),
                    ..plain()
                },
            ),
        ]
    }
}

impl ChooseAccount<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let choice = |handle_value, account, signed_out| AccountChoice {
            handle_value,
            account,
            signed_out,
        };
        let grace = AccountLine {
            name: "Grace Brewster Murray Hopper",
            identifier: "grace.hopper@navy.example",
        };
        let plain = |shell, accounts| ChooseAccount {
            shell,
            action: "/accounts",
            csrf: "token",
            accounts,
            another_href: "/sign-in?another=1",
        };
        vec![
            (
                "choose-account",
                plain(
                    with_app(),
                    vec![choice("h1", ADA, false), choice("h2", grace, true)],
                ),
            ),
            (
                "choose-account-plain",
                plain(shell(), vec![choice("h1", ADA, false)]),
            ),
            (
                "choose-account-evil",
                plain(with_evil_app(), vec![choice(EVIL, evil_person(), false)]),
            ),
        ]
    }
}

impl Consent<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let line = |name, sentence, new| ScopeLine {
            name,
            sentence,
            new,
        };
        let plain = || Consent {
            shell: with_app(),
            action: "/consent?request=r1",
            csrf: "token",
            redirect_host: "docs.acme.example",
            account: ADA,
            switch_href: Some("/accounts?request=r1"),
            scopes: vec![
                line("profile", "See your name and picture", false),
                line("email", "See your email address", false),
            ],
            already: vec![],
            local_warning: false,
            offline: false,
        };
        vec![
            ("consent", plain()),
            (
                "consent-more",
                Consent {
                    shell: with_logo(),
                    scopes: vec![line(
                        "docs:write",
                        "Change the documents that you may change",
                        true,
                    )],
                    already: vec!["See your name and picture", "See your email address"],
                    offline: true,
                    ..plain()
                },
            ),
            (
                "consent-local",
                Consent {
                    redirect_host: "an app on this device (127.0.0.1)",
                    local_warning: true,
                    switch_href: None,
                    ..plain()
                },
            ),
            (
                "consent-nothing",
                Consent {
                    scopes: vec![],
                    ..plain()
                },
            ),
            (
                "consent-evil",
                Consent {
                    shell: with_evil_app(),
                    redirect_host: EVIL,
                    account: evil_person(),
                    scopes: vec![line(EVIL, EVIL, true)],
                    already: vec![EVIL],
                    ..plain()
                },
            ),
        ]
    }
}

impl SignOutConfirm<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let page = |shell, account| SignOutConfirm {
            shell,
            action: "/sign-out",
            csrf: "token",
            request: "sealed",
            account,
            stay_href: "/",
        };
        vec![
            ("sign-out", page(with_app(), Some(ADA))),
            ("sign-out-plain", page(shell(), None)),
            ("sign-out-evil", page(with_evil_app(), Some(evil_person()))),
        ]
    }
}

impl SignedOut<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let page = |shell, continue_href| SignedOut {
            shell,
            continue_href,
            sign_in_href: "/sign-in",
        };
        vec![
            (
                "signed-out",
                page(with_app(), SafeHref::registered("https://acme.example/bye")),
            ),
            ("signed-out-plain", page(shell(), None)),
            (
                "signed-out-evil",
                page(with_evil_app(), SafeHref::registered("javascript:alert(1)")),
            ),
        ]
    }
}

impl ErrorPage<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        vec![
            ("error-expired", ErrorPage::new(with_app(), &words::EXPIRED_LINK)),
            ("error-unknown-app", ErrorPage::new(shell(), &words::UNKNOWN_APP).for_developer("invalid_client", "No client has the id “acme”.")),
            (
                "error-address",
                ErrorPage::new(shell(), &words::UNREGISTERED_ADDRESS)
                    .for_developer("invalid_request", "redirect_uri https://acme.example/cb/ is not registered; it must match exactly, down to the last slash"),
            ),
            ("error-broken-request", ErrorPage::new(shell(), &words::BROKEN_REQUEST)),
            ("error-cookies", ErrorPage::new(shell(), &words::COOKIES_REFUSED)),
            ("error-other-browser", ErrorPage::new(shell(), &words::OTHER_BROWSER)),
            ("error-form", ErrorPage::new(shell(), &words::FORM_REFUSED)),
            ("error-busy", ErrorPage::new(shell(), &words::SERVER_BUSY)),
            ("error-failed", ErrorPage::new(shell(), &words::SERVER_FAILED)),
            ("error-not-found", ErrorPage::new(Shell { reference: "", ..shell() }, &words::NOT_FOUND)),
            ("error-method", ErrorPage::new(shell(), &words::METHOD_NOT_ALLOWED)),
            ("error-satellite", ErrorPage::new(shell(), &words::SATELLITE_DOMAIN)),
            ("error-host", ErrorPage::new(shell(), &words::UNKNOWN_HOST)),
            ("error-setup-closed", ErrorPage::new(shell(), &words::SETUP_CLOSED)),
            ("error-evil", ErrorPage::new(with_evil_app(), &words::EXPIRED_LINK).for_developer(EVIL, EVIL)),
        ]
    }
}

impl FormPost<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let action = SafeHref::web("https://acme.example/callback?a=1&b=2").unwrap();
        vec![
            (
                "form-post",
                FormPost {
                    shell: with_app(),
                    action,
                    fields: vec![("code", "c1"), ("state", "s1")],
                },
            ),
            (
                "form-post-evil",
                FormPost {
                    shell: with_evil_app(),
                    action,
                    fields: vec![("submit", EVIL), (EVIL, "x")],
                },
            ),
        ]
    }
}

impl Setup<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let plain = || Setup {
            shell: Shell {
                tenant_name: "Vestibule",
                ..shell()
            },
            action: "/setup?link=l1",
            csrf: "token",
            values: SetupValues::default(),
            error: None,
            errors: FieldErrors::default(),
            password_length_min: 10,
            password_feedback: None,
        };
        let values = SetupValues {
            installation: "Example",
            name: "Ada Lovelace",
            username: "ada",
            email: "ada",
        };
        vec![
            ("setup", plain()),
            (
                "setup-wrong",
                Setup {
                    values,
                    errors: field_errors(),
                    password_feedback: Some(WEAK),
                    ..plain()
                },
            ),
            (
                "setup-expired",
                Setup {
                    values,
                    error: Some(words::busy()),
                    ..plain()
                },
            ),
        ]
    }
}

impl SetupDone<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        vec![(
            "setup-done",
            SetupDone {
                shell: shell(),
                sign_in_href: "/sign-in",
            },
        )]
    }
}

impl Home<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let page = |shell, signed_in| Home {
            shell,
            signed_in,
            sign_in_href: "/sign-in",
            sign_out_href: "/sign-out",
            discovery_href: "/.well-known/openid-configuration",
        };
        vec![
            ("home", page(shell(), None)),
            ("home-signed-in", page(shell(), Some(ADA))),
            ("home-evil", page(with_evil_app(), Some(evil_person()))),
        ]
    }
}

impl DocsProblem<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let page = |shell, words: &words::ErrorWords| DocsProblem {
            shell,
            title: words.title,
            message: words.message,
            advice: words.advice,
            reason: None,
            sign_in_href: "/_handshake/sign-in",
            site_href: None,
        };
        let told = |shell, words| DocsProblem {
            reason: Some(EVIL.to_owned()),
            site_href: Some("/"),
            ..page(shell, words)
        };
        vec![
            ("docs-stray", page(shell(), &words::DOCS_STRAY_ANSWER)),
            ("docs-refused", page(shell(), &words::DOCS_NOT_SIGNED_IN)),
            ("docs-failed", told(shell(), &words::DOCS_SIGN_IN_FAILED)),
            (
                "docs-failed-evil",
                told(with_evil_app(), &words::DOCS_SIGN_IN_FAILED),
            ),
        ]
    }
}

impl DocsSignOut<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let page = |shell, to| DocsSignOut {
            shell,
            action: "/_handshake/sign-out",
            csrf: "token",
            to,
            stay_href: "/",
        };
        vec![
            ("docs-sign-out", page(shell(), None)),
            ("docs-sign-out-evil", page(with_evil_app(), Some(EVIL))),
        ]
    }
}

impl DocsCheck<'_> {
    fn samples() -> Vec<(&'static str, Self)> {
        let line = |step, verdict, said| CheckLine {
            step,
            verdict,
            said,
        };
        let page = |shell, steps, sign_in_href: Option<&'static str>, received| DocsCheck {
            shell,
            site_name: "handbook",
            works: sign_in_href.is_some(),
            steps,
            sign_in_href,
            received,
        };
        let good = vec![
            line("token_url", "good", "It knows the client."),
            line("cors", "note", "No CORS is needed."),
        ];
        let bad = vec![
            line("info_api_url", "wrong", EVIL),
            line("reader", "wrong", LONG),
        ];
        vec![
            (
                "docs-check",
                page(shell(), good, Some("/_handshake/sign-in?ticket=t"), None),
            ),
            (
                "docs-check-evil",
                page(with_evil_app(), bad, None, Some(EVIL)),
            ),
        ]
    }
}

/// Every sample of every page, as HTML.
fn all() -> Vec<(&'static str, String)> {
    fn render<T: Template>(
        samples: Vec<(&'static str, T)>,
    ) -> impl Iterator<Item = (&'static str, String)> {
        samples
            .into_iter()
            .map(|(name, page)| (name, page.render().unwrap()))
    }
    render(SignIn::samples())
        .chain(render(SignUp::samples()))
        .chain(render(ChooseAccount::samples()))
        .chain(render(Consent::samples()))
        .chain(render(SignOutConfirm::samples()))
        .chain(render(SignedOut::samples()))
        .chain(render(ErrorPage::samples()))
        .chain(render(FormPost::samples()))
        .chain(render(Setup::samples()))
        .chain(render(SetupDone::samples()))
        .chain(render(Home::samples()))
        .chain(render(DocsProblem::samples()))
        .chain(render(DocsSignOut::samples()))
        .chain(render(DocsCheck::samples()))
        .collect()
}

/// An opening tag: its name, and its attributes in order.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    fn get(&self, attribute: &str) -> Option<&'a str> {
        self.attributes
            .iter()
            .find(|(name, _)| *name == attribute)
            .map(|(_, value)| *value)
    }
}

/// The opening tags of a page. Every `<` that opens no tag of ours, and every attribute without double quotes, is an error:
/// stricter than a browser, so that what passes here means the same there.
fn tags<'a>(page: &str, html: &'a str) -> Vec<Tag<'a>> {
    let mut tags = Vec::new();
    for piece in html.split('<').skip(1) {
        if piece.starts_with('/') || piece.starts_with("!doctype") {
            continue;
        }
        let end = piece.find(|c: char| !c.is_ascii_alphanumeric()).unwrap();
        let (name, mut rest) = piece.split_at(end);
        assert!(!name.is_empty(), "{page}: stray <");
        let mut attributes = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.starts_with('>') {
                break;
            }
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '-')
                .unwrap();
            let (attribute, after) = rest.split_at(end);
            assert!(
                !attribute.is_empty(),
                "{page}: cannot read <{name} … {rest}"
            );
            if let Some(quoted) = after.strip_prefix("=\"") {
                let (value, after) = quoted.split_once('"').unwrap();
                attributes.push((attribute, value));
                rest = after;
            } else {
                assert!(!after.starts_with('='), "{page}: unquoted {attribute}");
                attributes.push((attribute, ""));
                rest = after;
            }
        }
        tags.push(Tag { name, attributes });
    }
    tags
}

const TAG_NAMES: &[&str] = &[
    "a", "bdi", "body", "button", "code", "dd", "details", "div", "dl", "dt", "fieldset", "footer",
    "form", "h1", "h2", "head", "header", "html", "img", "input", "label", "legend", "li", "link",
    "main", "meta", "p", "script", "section", "span", "strong", "summary", "title", "ul",
];

#[test]
fn every_page_is_labelled_and_has_nothing_inline() {
    for (page, html) in all() {
        let tags = tags(page, &html);
        let count = |name: &str| tags.iter().filter(|tag| tag.name == name).count();
        for name in ["html", "title", "main", "h1", "header", "footer", "script"] {
            assert_eq!(count(name), 1, "{page}: <{name}>");
        }
        let title = html
            .split_once("<title>")
            .unwrap()
            .1
            .split_once("</title>")
            .unwrap()
            .0;
        assert!(
            title.trim_start().len() > " · ".len() && !title.starts_with(" ·"),
            "{page}: title {title:?}"
        );
        for tag in &tags {
            assert!(TAG_NAMES.contains(&tag.name), "{page}: <{}>", tag.name);
            for (attribute, value) in &tag.attributes {
                assert!(
                    !attribute.starts_with("on") && *attribute != "style",
                    "{page}: inline {attribute}"
                );
                if matches!(*attribute, "href" | "src" | "action") {
                    let local = value.starts_with('/') && !value.starts_with("//")
                        || value.starts_with('#');
                    let web = value.starts_with("https://acme.example");
                    assert!(local || web, "{page}: {attribute}={value:?}");
                }
                if matches!(*attribute, "aria-describedby" | "aria-labelledby" | "for") {
                    for id in value.split(' ') {
                        assert!(
                            tags.iter().any(|tag| tag.get("id") == Some(id)),
                            "{page}: {attribute} to no #{id}"
                        );
                    }
                }
            }
            if let Some(id) = tag.get("href").and_then(|href| href.strip_prefix('#')) {
                assert!(
                    tags.iter().any(|tag| tag.get("id") == Some(id)),
                    "{page}: link to no #{id}"
                );
            }
            match tag.name {
                "html" => assert_eq!(tag.get("lang"), Some("en"), "{page}"),
                "script" => assert!(
                    tag.get("src").unwrap().starts_with("/assets/vestibule."),
                    "{page}: inline script"
                ),
                "img" => assert!(tag.get("alt").is_some(), "{page}: img without alt"),
                "form" => assert_eq!(tag.get("method"), Some("post"), "{page}"),
                "input" if tag.get("type") == Some("hidden") => {
                    assert!(tag.get("name").is_some(), "{page}");
                }
                "input" => {
                    let id = tag.get("id").unwrap();
                    let labels = tags
                        .iter()
                        .filter(|label| label.name == "label" && label.get("for") == Some(id));
                    assert_eq!(labels.count(), 1, "{page}: label of #{id}");
                    assert_eq!(tag.get("name"), Some(id), "{page}: name of #{id}");
                    assert!(
                        tag.get("autocomplete")
                            .is_some_and(|value| !value.is_empty()),
                        "{page}: autocomplete of #{id}"
                    );
                }
                "button" => assert!(
                    tag.get("id").is_some() || tag.get("data-reveal").is_some(),
                    "{page}: button without id"
                ),
                _ => {}
            }
        }
        let mut ids: Vec<_> = tags.iter().filter_map(|tag| tag.get("id")).collect();
        let all_ids = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all_ids, "{page}: an id is there twice");
        let autofocus = tags
            .iter()
            .filter(|tag| tag.get("autofocus").is_some())
            .count();
        assert!(autofocus <= 1, "{page}: two fields want focus");
        assert!(
            !html.contains("<script>") && !html.contains("<img src=x"),
            "{page}: not escaped"
        );
        assert!(
            !html.to_lowercase().contains("=\"javascript:"),
            "{page}: script in an address"
        );
    }
}

#[test]
fn a_tenant_path_stands_before_every_local_address_but_assets() {
    for (page, html) in all()
        .into_iter()
        .filter(|(page, _)| page.ends_with("-evil"))
    {
        for tag in tags(page, &html) {
            for attribute in ["href", "src", "action"] {
                let Some(value) = tag.get(attribute).filter(|value| value.starts_with('/')) else {
                    continue;
                };
                assert!(
                    value.starts_with("/t/acme/") || value.starts_with("/assets/"),
                    "{page}: {attribute}={value:?}"
                );
            }
        }
    }
}

#[test]
fn the_ids_that_others_rely_on_are_there() {
    //          page            ids
    let rows: [(&str, &[&str]); 9] = [
        ("sign-in", &["username", "password", "sign-in-submit"]),
        ("sign-up", &["name", "email", "password", "sign-up-submit"]),
        ("consent", &["consent-allow", "consent-deny"]),
        ("sign-out", &["logout-confirm"]),
        ("form-post", &["form-post-submit"]),
        (
            "setup",
            &[
                "installation",
                "name",
                "username",
                "email",
                "password",
                "setup-submit",
            ],
        ),
        (
            "choose-account",
            &["account-1", "account-1-sign-out", "another-account"],
        ),
        ("sign-in-wrong", &["form-error"]),
        ("error-expired", &["reference"]),
    ];
    let pages = all();
    for (name, ids) in rows {
        let (_, html) = pages.iter().find(|(page, _)| *page == name).unwrap();
        let tags = tags(name, html);
        for id in ids {
            assert!(
                tags.iter().any(|tag| tag.get("id") == Some(id)),
                "{name}: no #{id}"
            );
        }
    }
}

#[test]
fn allow_and_cancel_weigh_the_same() {
    for (page, html) in all()
        .into_iter()
        .filter(|(page, _)| page.starts_with("consent"))
    {
        let tags = tags(page, &html);
        let button = |id| tags.iter().find(|tag| tag.get("id") == Some(id)).unwrap();
        let (allow, deny) = (button("consent-allow"), button("consent-deny"));
        assert_eq!(allow.get("class"), deny.get("class"), "{page}");
        assert_eq!(
            (allow.get("name"), allow.get("value")),
            (Some("decision"), Some("allow")),
            "{page}"
        );
        assert_eq!(
            (deny.get("name"), deny.get("value")),
            (Some("decision"), Some("deny")),
            "{page}"
        );
    }
}

/// Leaves every page in `target/…/pages`, with its assets, to be opened in a browser.
#[test]
fn pages_can_be_looked_at() {
    let exe = std::env::current_exe().unwrap();
    let folder = exe
        .ancestors()
        .nth(2)
        .unwrap_or(Path::new("."))
        .join("pages");
    fs::create_dir_all(&folder).unwrap();
    for asset in ASSETS {
        fs::write(folder.join(asset.name), asset.bytes).unwrap();
    }
    for (name, html) in all() {
        let html = ASSETS.iter().fold(html, |html, asset| {
            html.replace(asset_path(asset.name), asset.name)
        });
        fs::write(folder.join(format!("{name}.html")), html).unwrap();
    }
}
