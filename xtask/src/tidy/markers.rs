//! Nothing is left for later in the tree, and no test is switched off.

use super::{Finding, Tree, has_extension, line_of, word_positions};

/// Written in pieces, so that this file does not find itself.
const MARKERS: [&str; 6] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("#[ig", "nore"),
];
const FOLDERS: [&str; 3] = ["crates/", "xtask/", "tests/"];
const EXTENSIONS: [&str; 10] = [
    "rs", "toml", "sql", "html", "css", "js", "mjs", "py", "sh", "ftl",
];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.iter() {
        let ours = FOLDERS.iter().any(|folder| path.starts_with(folder));
        if !ours
            || !EXTENSIONS
                .iter()
                .any(|extension| has_extension(path, extension))
        {
            continue;
        }
        for marker in MARKERS {
            findings.extend(word_positions(text, marker).map(|at| {
                Finding::at(
                    path,
                    line_of(text, at),
                    format!("{marker} is left over: finish it or take it out"),
                )
            }));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leftover_is_caught_in_every_language() {
        #[rustfmt::skip]
        let table: &[(&str, String, usize)] = &[
            ("crates/a/src/lib.rs",  format!("fn f() {{ {}) }}", MARKERS[0]),         1),
            ("crates/a/src/lib.rs",  format!("{}= \"slow\"]\nfn f() {{}}", MARKERS[5]), 1),
            ("tests/outside/a.mjs",  format!("// {}: later", MARKERS[2]),             1),
            ("tests/outside/a.mjs",  format!("// {}S in a list", MARKERS[2]),         0),
            ("crates/a/a.bin",       MARKERS[3].to_owned(),                           0),
            ("README.md",            MARKERS[4].to_owned(),                           0),
        ];
        for (row, (path, text, expected)) in table.iter().enumerate() {
            assert_eq!(
                check(&Tree::from([(*path, text.as_str())])).len(),
                *expected,
                "row {row}"
            );
        }
    }
}
