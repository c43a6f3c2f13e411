//! Arrows run one way: `server → store → core`, and inside the server
//! `main, cli → app → dialects → features → ground`. A feature never imports a feature; a dialect may call any.

use super::{Finding, Tree, line_of, rust, word_positions};

const SERVER_SOURCE: &str = "crates/vestibule-server/src/";

/// The layers of the server, lowest first. A module imports lower layers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// What features stand on. These may use one another.
    Ground,
    Feature,
    Dialect,
    App,
    Top,
}

/// Every module at the root of the server's source has a row.
#[rustfmt::skip]
const LAYERS: &[(&str, Layer)] = &[
    ("main",      Layer::Top),
    ("cli",       Layer::Top),
    ("lib",       Layer::Top),
    ("serve",     Layer::Top),
    ("testing",   Layer::Top),
    ("app",       Layer::App),
    ("dialects",  Layer::Dialect),
    ("oauth",     Layer::Feature),
    ("login",     Layer::Feature),
    ("consent",   Layer::Feature),
    ("setup",     Layer::Feature),
    ("demo",      Layer::Feature),
    ("mock_provider", Layer::Feature),
    ("account",   Layer::Feature),
    ("broker",    Layer::Feature),
    ("docs",      Layer::Feature),
    ("admin",     Layer::Feature),
    ("http",      Layer::Ground),
    ("ui",        Layer::Ground),
    ("outbound",  Layer::Ground),
    ("jobs",      Layer::Ground),
    ("config",    Layer::Ground),
    ("logs",      Layer::Ground),
];

/// Crates that a crate must not name: the arrows between crates.
#[rustfmt::skip]
const CRATE_ARROWS: &[(&str, &[&str])] = &[
    ("crates/vestibule-core/",  &["vestibule_store", "vestibule_server"]),
    ("crates/vestibule-store/", &["vestibule_server"]),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = between_crates(tree);
    for (path, source) in tree.rust(SERVER_SOURCE) {
        findings.extend(inside_server(path, source));
    }
    findings
}

fn between_crates(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (home, forbidden) in CRATE_ARROWS {
        for (path, source) in tree.rust(home) {
            let code = rust::code(source);
            for name in *forbidden {
                findings.extend(word_positions(&code, name).map(|at| {
                    Finding::at(
                        path,
                        line_of(&code, at),
                        format!("{home} must not know {name}: arrows run server → store → core"),
                    )
                }));
            }
        }
        let manifest = format!("{home}Cargo.toml");
        for name in *forbidden {
            let name = name.replace('_', "-");
            if let Some(at) = tree.get(&manifest).and_then(|text| text.find(&name)) {
                let line = tree.get(&manifest).map_or(1, |text| line_of(text, at));
                findings.push(Finding::at(
                    &manifest,
                    line,
                    format!("must not depend on {name}"),
                ));
            }
        }
    }
    findings
}

fn inside_server(path: &str, source: &str) -> Vec<Finding> {
    let inner = path.trim_start_matches(SERVER_SOURCE);
    let home = inner
        .split('/')
        .next()
        .unwrap_or(inner)
        .trim_end_matches(".rs");
    if home == "lib" {
        return Vec::new();
    }
    let Some(own_layer) = layer(home) else {
        return vec![Finding::at(
            path,
            1,
            format!("the module {home} has no layer; give it a row in xtask/src/tidy/layers.rs"),
        )];
    };
    let code = rust::code(source);
    imports(inner, &code)
        .into_iter()
        .filter(|(name, _)| name != home)
        .filter_map(|(name, at)| {
            let other_layer = layer(&name)?;
            let allowed = other_layer < own_layer
                || own_layer == Layer::Top
                || own_layer == Layer::Ground && other_layer == Layer::Ground;
            if allowed {
                return None;
            }
            let why = if own_layer == Layer::Feature && other_layer == Layer::Feature {
                "features do not import one another; what both need belongs to http, ui, outbound, store or core".to_owned()
            } else {
                format!("{name} stands above {home}; arrows run main, cli → app → dialects → features → ground")
            };
            Some(Finding::at(path, line_of(&code, at), format!("{home} imports {name}: {why}")))
        })
        .collect()
}

fn layer(module: &str) -> Option<Layer> {
    LAYERS
        .iter()
        .find(|(name, _)| *name == module)
        .map(|(_, layer)| *layer)
}

/// The root modules that a file names, through `crate::` or by climbing with `super::`.
fn imports(inner: &str, code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for at in word_positions(code, "crate") {
        // `$crate::` in a macro names the same place.
        let after = at + "crate".len();
        let rest = &code[after..];
        if let Some(path) = rest.trim_start().strip_prefix("::") {
            found.extend(rust::names_after(path, code.len() - path.len()));
        }
    }
    let depth = module_depth(inner);
    for (at, _) in code.match_indices("super::") {
        let climbs_on = code[..at].trim_end().ends_with("super::");
        if climbs_on {
            continue;
        }
        let mut rest = &code[at..];
        let mut climbed = 0;
        while let Some(next) = rest.trim_start().strip_prefix("super::") {
            rest = next;
            climbed += 1;
        }
        if climbed >= depth {
            found.extend(rust::names_after(rest, code.len() - rest.len()));
        }
    }
    found
}

/// How many modules a file is below the root: `oauth/token.rs` is two, `oauth/mod.rs` and `oauth.rs` are one.
fn module_depth(inner: &str) -> usize {
    let parts = inner.split('/').count();
    if inner.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, source: &str) -> Vec<usize> {
        let path = format!("{SERVER_SOURCE}{path}");
        inside_server(&path, source)
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn an_import_against_the_arrows_is_caught_and_one_along_them_is_not() {
        #[rustfmt::skip]
        let table: &[(&str, &str, &[usize])] = &[
            ("login/password.rs", "use crate::http::session;",                        &[]),
            ("login/password.rs", "use crate::login::throttle;",                      &[]),
            ("login/password.rs", "\nuse crate::oauth::token;",                       &[2]),
            ("login/password.rs", "use crate::{http::Ctx,\n  consent::{page}};",      &[2]),
            ("login/password.rs", "fn f() { crate::account::show() }",                &[1]),
            ("login/password.rs", "use super::super::broker;",                        &[1]),
            ("login/password.rs", "use super::throttle;",                             &[]),
            ("login/mod.rs",      "use super::docs::site;",                           &[1]),
            ("login.rs",          "use crate::app::App;",                             &[1]),
            ("login.rs",          "// use crate::oauth\nlet x = \"crate::oauth\";",   &[]),
            ("consent/mod.rs",    "use crate :: admin;",                              &[1]),
            ("dialects/strict.rs", "use crate::{oauth, login, http};",                &[]),
            ("dialects/strict.rs", "use crate::app;",                                 &[1]),
            ("http/context.rs",   "use crate::ui::page; use crate::config;",          &[]),
            ("http/context.rs",   "use crate::oauth::token;",                         &[1]),
            ("app.rs",            "use crate::{oauth, dialects, http};",              &[]),
            ("app.rs",            "use crate::cli;",                                  &[1]),
            ("cli/serve.rs",      "use crate::app; use crate::admin;",                &[]),
            ("main.rs",           "mod cli; use crate::cli;",                         &[]),
            ("novel/mod.rs",      "",                                                 &[1]),
        ];
        for (row, (path, source, expected)) in table.iter().enumerate() {
            assert_eq!(found(path, source), *expected, "row {row}: {path}");
        }
    }

    #[test]
    fn a_lower_crate_does_not_know_a_higher_one() {
        let tree = Tree::from([
            (
                "crates/vestibule-core/src/lib.rs",
                "use vestibule_store::Store;",
            ),
            (
                "crates/vestibule-store/src/lib.rs",
                "use vestibule_core::time;",
            ),
            (
                "crates/vestibule-store/Cargo.toml",
                "[dependencies]\nvestibule-server.workspace = true",
            ),
        ]);
        let places: Vec<(String, usize)> = check(&tree)
            .into_iter()
            .map(|finding| (finding.path, finding.line))
            .collect();
        assert_eq!(
            places,
            [
                ("crates/vestibule-core/src/lib.rs".to_owned(), 1),
                ("crates/vestibule-store/Cargo.toml".to_owned(), 2),
            ]
        );
    }
}
