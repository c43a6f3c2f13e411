//! `ARCHITECTURE.md` is the map of what stands: it names only files and folders that exist.
//!
//! Read are code spans that look like a path (`store/db.rs`, `http/context`, `xtask/`), and the names in drawn trees. A
//! path may be said from any folder on: `oauth/token` is found under `crates/vestibule-server/src/`.

use super::{Finding, Tree};

const MAP: &str = "ARCHITECTURE.md";
/// What else is written with a slash: media types.
const MEDIA: [&str; 6] = ["text", "application", "image", "multipart", "font", "audio"];
const FILE_ENDS: [&str; 12] = [
    "rs", "toml", "md", "sql", "html", "css", "js", "mjs", "py", "txt", "lock", "json",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.get(MAP) else {
        return Vec::new();
    };
    let known = known_paths(tree);
    let mut findings = Vec::new();
    let mut in_fence = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_fence = !in_fence;
            continue;
        }
        let named = if in_fence {
            drawn_name(line).into_iter().collect()
        } else {
            spans(line)
        };
        for name in named {
            for path in expand(&name) {
                if !exists(&known, &path) {
                    findings.push(Finding::at(
                        MAP,
                        index + 1,
                        format!("{path} is on the map and does not exist"),
                    ));
                }
            }
        }
    }
    findings
}

/// Every file and folder, and each Rust file also under its module's name, with a slash before.
fn known_paths(tree: &Tree) -> std::collections::BTreeSet<String> {
    let mut known = std::collections::BTreeSet::new();
    for path in tree.paths() {
        let mut part = String::new();
        for name in path.split('/') {
            part.push('/');
            part.push_str(name);
            known.insert(part.clone());
        }
        if let Some(module) = path.strip_suffix(".rs") {
            known.insert(format!("/{module}"));
        }
    }
    known
}

fn exists(known: &std::collections::BTreeSet<String>, path: &str) -> bool {
    let path = path
        .trim_start_matches("./")
        .trim_end_matches('/')
        .trim_end_matches("/**")
        .trim_end_matches("/*");
    let direct = format!("/{path}");
    // A crate may be called by the end of its name: `store/db.rs` is in `vestibule-store`.
    let in_crate = path.split_once('/').map(|(first, rest)| {
        (
            format!("/crates/vestibule-{first}/src/{rest}"),
            format!("/crates/vestibule-{first}/{rest}"),
        )
    });
    known.iter().any(|candidate| {
        candidate.ends_with(&direct)
            || in_crate
                .as_ref()
                .is_some_and(|(source, folder)| candidate == source || candidate == folder)
    })
}

/// The code spans of a line that look like a path in the tree.
fn spans(line: &str) -> Vec<String> {
    line.split('`')
        .skip(1)
        .step_by(2)
        .filter(|span| looks_like_a_path(span))
        .map(str::to_owned)
        .collect()
}

fn looks_like_a_path(span: &str) -> bool {
    let plain = span
        .chars()
        .all(|character| super::is_word(character) || "-./{},*".contains(character));
    // A path of a URL starts with a slash, and a name inside a crate is said with colons.
    let first = span.split('/').next().unwrap_or(span);
    let has_end = span
        .rsplit_once('.')
        .is_some_and(|(stem, end)| !stem.is_empty() && FILE_ENDS.contains(&end));
    plain && !span.starts_with('/') && !MEDIA.contains(&first) && (span.contains('/') || has_end)
}

/// The name after the branch of a drawn tree: `├── xtask/   the task runner` names `xtask/`.
fn drawn_name(line: &str) -> Option<String> {
    let (_, rest) = line.split_once("── ")?;
    let name = rest.split_whitespace().next()?;
    let plain = name
        .chars()
        .all(|character| super::is_word(character) || "-./{},*".contains(character));
    plain.then(|| name.to_owned())
}

/// `a/{b,c}.rs` names two files.
fn expand(name: &str) -> Vec<String> {
    let braces = name
        .find('{')
        .zip(name.find('}'))
        .filter(|(open, close)| open < close);
    match braces {
        Some((open, close)) => name[open + 1..close]
            .split(',')
            .flat_map(|choice| {
                expand(&format!(
                    "{}{}{}",
                    &name[..open],
                    choice.trim(),
                    &name[close + 1..]
                ))
            })
            .collect(),
        None => vec![name.to_owned()],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_that_does_not_exist_is_caught() {
        #[rustfmt::skip]
        let table: &[(&str, usize)] = &[
            ("`crates/vestibule-store/src/db.rs` and `store/db.rs`",   0),
            ("`oauth/token` `oauth/` `xtask/`",                        0),
            ("`oauth/{token,authorize}.rs`",                           1),
            ("`oauth/refresh`",                                        1),
            ("`Cargo.toml` and `missing.toml`",                        1),
            ("`/oauth/authorize` `text/html` `server → store → core`", 0),
            ("`Client::match_redirect` `now`",                         0),
            ("```\n├── xtask/   tasks\n└── ytask/   none\n```",        1),
        ];
        for (row, (text, expected)) in table.iter().enumerate() {
            let tree = Tree::from([
                (MAP, *text),
                ("Cargo.toml", ""),
                ("crates/vestibule-store/src/db.rs", ""),
                ("crates/vestibule-server/src/oauth/token.rs", ""),
                ("xtask/src/main.rs", ""),
            ]);
            assert_eq!(check(&tree).len(), *expected, "row {row}");
        }
    }
}
