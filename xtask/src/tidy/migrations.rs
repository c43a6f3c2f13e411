//! A released migration never changes. `released.txt` beside the migrations holds the SHA-256 digest and the name of each,
//! as `sha256sum` prints them; it grows with a release.

use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;

use super::{Finding, Tree};

const FOLDER: &str = "crates/vestibule-store/migrations/";

pub fn check(tree: &Tree) -> Vec<Finding> {
    let list = format!("{FOLDER}released.txt");
    let mut findings = Vec::new();
    for (index, line) in tree.get(&list).unwrap_or_default().lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let fault = match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            [digest, name] => frozen(tree, digest, name.trim_start_matches('*')),
            _ => Some("a line is a digest and a file name".to_owned()),
        };
        findings.extend(fault.map(|sentence| Finding::at(&list, index + 1, sentence)));
    }
    findings
}

fn frozen(tree: &Tree, digest: &str, name: &str) -> Option<String> {
    let Some(text) = tree.get(&format!("{FOLDER}{name}")) else {
        return Some(format!("{name} was released and is gone"));
    };
    let mut actual = String::new();
    for byte in Sha256::digest(text.as_bytes()) {
        let _ = write!(actual, "{byte:02x}");
    }
    (actual != digest)
        .then(|| format!("{name} was released and has changed; write a new migration instead"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `printf 'abc' | sha256sum`
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    #[test]
    fn a_released_migration_that_changed_or_went_is_caught() {
        #[rustfmt::skip]
        let table = [
            (String::new(),                           "abc", 0),
            (format!("# none yet\n{ABC}  0001.sql"),  "abc", 0),
            (format!("{ABC}  0001.sql"),              "abd", 1),
            (format!("{ABC}  0002.sql"),              "abc", 1),
            ("0001.sql".to_owned(),                   "abc", 1),
        ];
        for (row, (list, text, expected)) in table.into_iter().enumerate() {
            let tree = Tree::from([
                (
                    "crates/vestibule-store/migrations/released.txt",
                    list.as_str(),
                ),
                ("crates/vestibule-store/migrations/0001.sql", text),
            ]);
            assert_eq!(check(&tree).len(), expected, "row {row}");
        }
    }
}
