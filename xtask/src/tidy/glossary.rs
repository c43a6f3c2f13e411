//! The glossary and the code use the same words: every Rust type that a table of `GLOSSARY.md` names exists.

use std::collections::BTreeSet;

use super::{Finding, Tree, rust, word_positions};

const GLOSSARY: &str = "GLOSSARY.md";
const COLUMN: &str = "rust type";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let Some(text) = tree.get(GLOSSARY) else {
        return Vec::new();
    };
    let types = declared_types(tree);
    let mut findings = Vec::new();
    let mut column = None;
    for (index, line) in text.lines().enumerate() {
        let Some(row) = line.trim().strip_prefix('|') else {
            column = None;
            continue;
        };
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let heading = cells.iter().position(|cell| cell.to_lowercase() == COLUMN);
        if heading.is_some() {
            column = heading;
            continue;
        }
        let Some(cell) = column.and_then(|column| cells.get(column)) else {
            continue;
        };
        for name in type_names(cell) {
            if !types.contains(&name) {
                findings.push(Finding::at(
                    GLOSSARY,
                    index + 1,
                    format!("the type {name} does not exist"),
                ));
            }
        }
    }
    findings
}

/// The types that a cell names: `Credential::{Password, Passkey}` names `Credential`; a module or a function is not a type.
fn type_names(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .filter_map(rust::identifier)
        .filter(|name| name.starts_with(char::is_uppercase))
        .collect()
}

fn declared_types(tree: &Tree) -> BTreeSet<String> {
    let mut types = BTreeSet::new();
    for (_, source) in tree.rust("crates/") {
        let code = rust::code(source);
        for keyword in ["struct", "enum", "type", "trait", "union"] {
            types.extend(
                word_positions(&code, keyword)
                    .filter_map(|at| rust::identifier(code[at + keyword.len()..].trim_start())),
            );
        }
    }
    types
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_only_the_glossary_knows_is_caught() {
        let glossary = "| Term | Rust type | Not |\n|---|---|---|\n\
                        | client | `Client`, `ClientId` | `App` |\n\
                        | credential | `Credential::{Password}` | |\n\
                        | consent | verb: `allow`; module `consent` | |\n\
                        | `Term` is not read | | |\n";
        let tree = Tree::from([
            (GLOSSARY, glossary),
            (
                "crates/vestibule-core/src/x.rs",
                "pub struct Client; pub enum Credential {} // struct ClientId",
            ),
        ]);
        let sentences: Vec<String> = check(&tree).iter().map(ToString::to_string).collect();
        assert_eq!(
            sentences,
            ["GLOSSARY.md:3: the type ClientId does not exist"]
        );
    }
}
