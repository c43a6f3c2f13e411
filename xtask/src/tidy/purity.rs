//! Core performs no IO, is not async, and reads neither clock nor randomness nor environment.

use super::{Finding, Tree, line_of, rust, word_positions};

const CORE: &str = "crates/vestibule-core/";

/// What core may be built from. None of it does IO; aws-lc-rs is used for its pure functions.
const DEPENDENCIES: [&str; 10] = [
    "aws-lc-rs",
    "base64",
    "schemars",
    "serde",
    "serde_json",
    "strsim",
    "thiserror",
    "url",
    "uuid",
    "zeroize",
];

#[rustfmt::skip]
const IMPURE: &[(&str, &str)] = &[
    ("tokio",        "core is not async"),
    ("async fn",     "core is not async"),
    ("std::fs",      "core performs no IO"),
    ("std::net",     "core performs no IO; addresses are in core::net"),
    ("std::process", "core performs no IO"),
    ("std::env",     "settings are read in the server's config and passed down"),
    ("std::thread",  "core starts nothing"),
    ("SystemTime",   "`now` is an argument"),
    ("Instant",      "`now` is an argument"),
    ("thread_rng",   "randomness is an argument"),
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = dependencies(tree);
    for (path, source) in tree.rust(&format!("{CORE}src/")) {
        let code = rust::code(source);
        for (name, why) in IMPURE {
            findings.extend(word_positions(&code, name).map(|at| {
                Finding::at(
                    path,
                    line_of(&code, at),
                    format!("core names {name}: {why}"),
                )
            }));
        }
        findings.extend(grouped_std(path, &code));
    }
    findings
}

/// `use std::{fs, net::X}` names what `std::fs` names.
fn grouped_std(path: &str, code: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, start) in code.match_indices("std::{") {
        let offset = at + start.len() - 1;
        for (name, place) in rust::names_after(&code[offset..], offset) {
            let full = format!("std::{name}");
            if let Some((_, why)) = IMPURE.iter().find(|(impure, _)| *impure == full) {
                findings.push(Finding::at(
                    path,
                    line_of(code, place),
                    format!("core names {full}: {why}"),
                ));
            }
        }
    }
    findings
}

fn dependencies(tree: &Tree) -> Vec<Finding> {
    let path = format!("{CORE}Cargo.toml");
    let Some(text) = tree.get(&path) else {
        return Vec::new();
    };
    let manifest: toml::Table = match text.parse() {
        Ok(manifest) => manifest,
        Err(error) => return vec![Finding::at(&path, 1, error.to_string())],
    };
    let mut names = Vec::new();
    collect_dependencies(&manifest, &mut names);
    names
        .into_iter()
        .filter(|name| !DEPENDENCIES.contains(&name.as_str()))
        .map(|name| {
            let at = text
                .lines()
                .position(|line| line.starts_with(&name))
                .map_or(1, |line| line + 1);
            Finding::at(
                &path,
                at,
                format!("core may not depend on {name}; its list is in xtask/src/tidy/purity.rs"),
            )
        })
        .collect()
}

/// Ordinary and build dependencies, those of single targets included; tests may use what they like.
fn collect_dependencies(table: &toml::Table, names: &mut Vec<String>) {
    for (key, value) in table {
        let Some(inner) = value.as_table() else {
            continue;
        };
        match key.as_str() {
            "dependencies" | "build-dependencies" => names.extend(inner.keys().cloned()),
            "target" => {
                for target in inner.values().filter_map(toml::Value::as_table) {
                    collect_dependencies(target, names);
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &str, text: &str) -> Vec<usize> {
        check(&Tree::from([(path, text)]))
            .into_iter()
            .map(|finding| finding.line)
            .collect()
    }

    #[test]
    fn impure_core_is_caught() {
        #[rustfmt::skip]
        let table: &[(&str, &[usize])] = &[
            ("use core::net::IpAddr; use std::fmt;",         &[]),
            ("// SystemTime is not for us",                  &[]),
            ("pub struct Instants;",                         &[]),
            ("fn f() {\n  std::fs::read(x);\n}",             &[2]),
            ("use std::{fmt,\n net::IpAddr};",               &[2]),
            ("use std::time::SystemTime;",                   &[1]),
            ("pub async fn f() {}",                          &[1]),
            ("use tokio::sync::Mutex;",                      &[1]),
        ];
        for (row, (source, expected)) in table.iter().enumerate() {
            assert_eq!(
                lines("crates/vestibule-core/src/x.rs", source),
                *expected,
                "row {row}"
            );
        }
    }

    #[test]
    fn a_new_dependency_of_core_is_caught() {
        let manifest = "[dependencies]\nurl.workspace = true\nrand = \"1\"\n[dev-dependencies]\nproptest = \"1\"\n\
                        [target.'cfg(unix)'.dependencies]\nlibc = \"1\"\n";
        assert_eq!(lines("crates/vestibule-core/Cargo.toml", manifest), [3, 7]);
    }
}
