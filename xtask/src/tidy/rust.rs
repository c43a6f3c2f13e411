//! As much Rust as the checks need: where code ends and comments and literals begin, and what a path names.

/// The same text with comments and literals blanked, byte for byte, so that positions and lines stay what they were.
pub fn code(source: &str) -> String {
    let bytes = source.as_bytes();
    let mut kept = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let end = match bytes[at] {
            b'/' if bytes.get(at + 1) == Some(&b'/') => line_end(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'*') => block_comment_end(bytes, at),
            b'"' => string_end(bytes, at),
            b'r' if !follows_word(bytes, at) => raw_string_end(bytes, at).unwrap_or(at),
            b'\'' => character_end(bytes, at).unwrap_or(at),
            _ => at,
        };
        if end == at {
            at += 1;
            continue;
        }
        for byte in &mut kept[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |length| at + length)
}

fn block_comment_end(bytes: &[u8], start: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = start;
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => {
                depth += 1;
                at += 2;
            }
            Some(b"*/") => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// `r"…"`, `r#"…"#` and so on; `b` and `c` before the `r` are ordinary letters to us.
fn raw_string_end(bytes: &[u8], start: usize) -> Option<usize> {
    let hashes = bytes[start + 1..]
        .iter()
        .take_while(|byte| **byte == b'#')
        .count();
    let open = start + 1 + hashes;
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let mut close = vec![b'"'];
    close.resize(1 + hashes, b'#');
    let length = bytes[open + 1..]
        .windows(close.len())
        .position(|window| window == close);
    Some(length.map_or(bytes.len(), |length| open + 1 + length + close.len()))
}

/// A character literal, as against a lifetime: it is one character, or starts with a backslash.
fn character_end(bytes: &[u8], start: usize) -> Option<usize> {
    let first = *bytes.get(start + 1)?;
    if first == b'\\' {
        let close = bytes
            .get(start + 3..)?
            .iter()
            .position(|byte| *byte == b'\'')?;
        return Some(start + 3 + close + 1);
    }
    let length = match first {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        _ => 4,
    };
    (bytes.get(start + 1 + length) == Some(&b'\'')).then_some(start + 2 + length)
}

/// Whether the letter at a place is inside a word, and so starts no literal. The prefixes `b` and `c` are part of one.
fn follows_word(bytes: &[u8], at: usize) -> bool {
    match at.checked_sub(1).map(|before| bytes[before]) {
        Some(b'b' | b'c') => follows_word(bytes, at - 1),
        Some(before) => before.is_ascii_alphanumeric() || before == b'_',
        None => false,
    }
}

/// The first names after a path's start, with the place of each: `{a::b, c}` names `a` and `c`, `a::b` names `a`.
/// `rest` begins right after the `::`, at byte `offset` of the file.
pub fn names_after(rest: &str, offset: usize) -> Vec<(String, usize)> {
    let trimmed = rest.trim_start();
    let begin = offset + rest.len() - trimmed.len();
    let Some(group) = trimmed.strip_prefix('{') else {
        return identifier(trimmed)
            .map(|name| (name, begin))
            .into_iter()
            .collect();
    };
    let mut names = Vec::new();
    let mut depth = 1_usize;
    let mut expect_name = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            ',' if depth == 1 => expect_name = true,
            _ if expect_name && !character.is_whitespace() => {
                names.extend(identifier(&group[at..]).map(|name| (name, begin + 1 + at)));
                expect_name = false;
            }
            _ => {}
        }
    }
    names
}

/// The identifier at the start of a text, if one stands there.
pub fn identifier(text: &str) -> Option<String> {
    let raw = text.strip_prefix("r#").unwrap_or(text);
    let name: String = raw
        .chars()
        .take_while(|character| super::is_word(*character))
        .collect();
    (!name.is_empty() && !name.starts_with(|first: char| first.is_ascii_digit())).then_some(name)
}

/// The names of the functions in code, with the place of each.
pub fn function_names(code: &str) -> impl Iterator<Item = (String, usize)> + '_ {
    super::word_positions(code, "fn").filter_map(|at| {
        let rest = code.get(at + 2..)?;
        let name = identifier(rest.trim_start())?;
        Some((name, at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_literals_are_blanked_and_code_is_kept() {
        #[rustfmt::skip]
        let table = [
            ("a // b\nc",                    "a     \nc"),
            ("a /* b /* c */ d */ e",        "a                   e"),
            (r#"a("b // \" c") d"#,          "a(           ) d"),
            (r##"r#"a " b"# c"##,            "           c"),
            (r#"br"a" c"#,                   "b     c"),
            ("for_r \"x\" y",                "for_r     y"),
            ("'a' 'b: &'static str",         "    'b: &'static str"),
            (r"'\'' '\u{1f}' x",             "              x"),
        ];
        for (row, (source, expected)) in table.into_iter().enumerate() {
            assert_eq!(code(source), expected, "row {row}");
        }
    }

    #[test]
    fn a_path_names_its_first_parts() {
        let names = |rest| -> Vec<String> {
            names_after(rest, 0)
                .into_iter()
                .map(|(name, _)| name)
                .collect()
        };
        assert_eq!(names("oauth::token"), ["oauth"]);
        assert_eq!(
            names("{ http::{Ctx, login}, oauth, self }"),
            ["http", "oauth", "self"]
        );
        assert_eq!(names("*"), Vec::<String>::new());
    }

    #[test]
    fn functions_are_found_by_name() {
        let found: Vec<String> = function_names("fn a() {} pub async fn b<T>() {} let f: fn(u8);")
            .map(|(name, _)| name)
            .collect();
        assert_eq!(found, ["a", "b"]);
    }
}
