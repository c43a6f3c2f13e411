//! Only the store's `db` names a database engine.

use super::{Finding, Tree, line_of, rust, word_positions};

const ENGINES: [&str; 2] = ["rusqlite", "tokio_postgres"];
const HOME: &str = "crates/vestibule-store/src/db";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, source) in tree.rust("crates/") {
        let at_home = path
            .strip_prefix(HOME)
            .is_some_and(|rest| rest == ".rs" || rest.starts_with('/'));
        if at_home || path.contains("/tests/") {
            continue;
        }
        let code = rust::code(source);
        for engine in ENGINES {
            findings.extend(word_positions(&code, engine).map(|at| {
                Finding::at(
                    path,
                    line_of(&code, at),
                    format!("{engine} is named in {HOME}.rs and {HOME}/ only"),
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
    fn an_engine_named_away_from_home_is_caught() {
        #[rustfmt::skip]
        let table: &[(&str, usize)] = &[
            ("crates/vestibule-store/src/db.rs",         0),
            ("crates/vestibule-store/src/db/lite.rs",    0),
            ("crates/vestibule-store/tests/it/main.rs",  0),
            ("crates/vestibule-store/src/dbx.rs",        1),
            ("crates/vestibule-store/src/users.rs",      1),
            ("crates/vestibule-server/src/app.rs",       1),
        ];
        for (path, expected) in table {
            let tree = Tree::from([(*path, "use rusqlite::Connection; // tokio_postgres")]);
            assert_eq!(check(&tree).len(), *expected, "{path}");
        }
    }
}
