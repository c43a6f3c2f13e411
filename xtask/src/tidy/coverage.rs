//! `cargo xtask coverage`: the requirements and threats that the project claims to meet, each with the tests named after it.
//!
//! The claims are ids in `docs/requirements-covered.txt`, one a line (`O21-03`, `T09`). A test carries the id in its name:
//! `fn o21_03_redirect_uri_is_compared_byte_for_byte`, or `test('O21_03 …')` in JavaScript. A claim without a test fails.

use std::collections::BTreeMap;
use std::path::Path;

use super::{Finding, Tree, has_extension, rust};

const CLAIMS: &str = "docs/requirements-covered.txt";

pub fn run(root: &Path) -> Result<(), String> {
    let tree = Tree::read(root)?;
    let tests = test_names(&tree);
    let claims = claims(&tree);
    for (id, _) in &claims {
        let covering = covering(id, &tests);
        println!("{id}\t{}\t{}", covering.len(), covering.join(" "));
    }
    let findings = check(&tree);
    for finding in &findings {
        println!("{finding}");
    }
    println!(
        "coverage: {} claimed, {} without a test",
        claims.len(),
        findings.len()
    );
    if findings.is_empty() {
        Ok(())
    } else {
        Err("Each id on the list needs a test that carries it in its name.".to_owned())
    }
}

pub fn check(tree: &Tree) -> Vec<Finding> {
    let tests = test_names(tree);
    let mut findings = Vec::new();
    let mut seen = BTreeMap::new();
    for (id, line) in claims(tree) {
        if !is_id(&id) {
            findings.push(Finding::at(
                CLAIMS,
                line,
                format!("{id} is not an id like O21-03 or T09"),
            ));
        } else if let Some(first) = seen.insert(id.clone(), line) {
            findings.push(Finding::at(
                CLAIMS,
                line,
                format!("{id} stands on line {first} already"),
            ));
        } else if covering(&id, &tests).is_empty() {
            findings.push(Finding::at(
                CLAIMS,
                line,
                format!(
                    "{id} is claimed, and no test has {} in its name",
                    in_a_name(&id)
                ),
            ));
        }
    }
    findings
}

fn claims(tree: &Tree) -> Vec<(String, usize)> {
    tree.get(CLAIMS)
        .unwrap_or_default()
        .lines()
        .enumerate()
        .filter_map(|(index, line)| {
            let id = line.split('#').next()?.split_whitespace().next()?;
            Some((id.to_owned(), index + 1))
        })
        .collect()
}

/// Letters and digits, starting with a letter and holding a digit, in parts with hyphens between.
fn is_id(id: &str) -> bool {
    id.starts_with(|first: char| first.is_ascii_uppercase())
        && id.contains(|character: char| character.is_ascii_digit())
        && id.split('-').all(|part| {
            !part.is_empty()
                && part
                    .chars()
                    .all(|character| character.is_ascii_alphanumeric())
        })
}

fn in_a_name(id: &str) -> String {
    id.replace('-', "_").to_lowercase()
}

/// The tests whose name holds the id, bounded: `t09` is not in `t091_…` nor in `post09`.
fn covering<'a>(id: &str, tests: &'a [String]) -> Vec<&'a str> {
    let wanted = in_a_name(id);
    tests
        .iter()
        .map(String::as_str)
        .filter(|name| {
            let name = name.to_lowercase().replace('-', "_");
            name.match_indices(&wanted).any(|(at, _)| {
                let before = name[..at].chars().next_back();
                let after = name[at + wanted.len()..].chars().next();
                !before.is_some_and(char::is_alphanumeric)
                    && !after.is_some_and(char::is_alphanumeric)
            })
        })
        .collect()
}

fn test_names(tree: &Tree) -> Vec<String> {
    let mut names = Vec::new();
    for (path, text) in tree.iter() {
        if has_extension(path, "rs") && path.starts_with("crates/") {
            names.extend(rust_tests(path, text));
        } else if path.ends_with(".test.mjs") || path.ends_with(".test.js") {
            names.extend(script_tests(text));
        } else if has_extension(path, "py") && path.starts_with("tests/") {
            names.extend(
                text.lines()
                    .filter_map(|line| rust::identifier(line.trim().strip_prefix("def test_")?)),
            );
        }
    }
    names
}

/// In a folder of tests every function counts, since a macro may make tests of them; elsewhere those after `#[cfg(test)]`.
fn rust_tests(path: &str, source: &str) -> Vec<String> {
    let code = rust::code(source);
    let begin = if path.contains("/tests/") {
        Some(0)
    } else {
        code.find("#[cfg(test)]")
    };
    let Some(begin) = begin else {
        return Vec::new();
    };
    rust::function_names(&code[begin..])
        .map(|(name, _)| name)
        .collect()
}

/// The first argument of `test(` and `it(`, when it is a literal; names that are put together are read as far as they stand.
fn script_tests(source: &str) -> Vec<String> {
    ["test", "it"]
        .iter()
        .flat_map(|function| {
            super::word_positions(source, function).map(move |at| at + function.len())
        })
        .filter_map(|at| {
            let rest = source[at..].strip_prefix('(')?.trim_start();
            let quote = rest
                .chars()
                .next()
                .filter(|quote| "'\"`".contains(*quote))?;
            let name = &rest[1..];
            Some(name[..name.find(quote)?].to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sentences(list: &str) -> Vec<String> {
        let tree = Tree::from([
            (CLAIMS, list),
            (
                "crates/vestibule-core/src/a.rs",
                "fn o21_01_helper() {}\n#[cfg(test)]\nmod tests { fn o21_03_exact() {} }",
            ),
            (
                "crates/vestibule-server/tests/it/b.rs",
                "async fn code_race_t09() {} // fn t10_said()",
            ),
            (
                "tests/outside/c.test.mjs",
                "test('OC_07 and DP-05: nonce', async () => {});",
            ),
            (
                "tests/outside/python/test_d.py",
                "    def test_rv_02_revoked(self):",
            ),
        ]);
        check(&tree).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_claim_with_a_test_of_its_name_stands() {
        assert_eq!(
            sentences("# claims\nO21-03\nT09 # replay\nOC-07\nDP-05\nRV-02\n\n"),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_claim_without_a_test_is_caught() {
        for id in ["O21-01", "O21-0", "T10", "T9", "C-07"] {
            let found = sentences(id);
            assert_eq!(found.len(), 1, "{id}: {found:?}");
        }
    }

    #[test]
    fn a_line_that_is_no_id_or_stands_twice_is_caught() {
        assert_eq!(sentences("redirects").len(), 1);
        assert_eq!(sentences("T09\nT09").len(), 1);
    }
}
