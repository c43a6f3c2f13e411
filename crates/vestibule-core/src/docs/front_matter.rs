//! What a page says of itself: the groups that it is for, or that it is public.
//!
//! The law: a page whose word cannot be understood is for nobody. Where it says both, the groups count.

use super::access::Access;

/// The most groups that a page names.
const GROUPS_COUNT_MAX: usize = 100;
/// The most lines of front matter that are read.
const LINES_COUNT_MAX: usize = 500;

/// A page's own word, as far as it was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnWord {
    groups: Option<Vec<String>>,
    is_public: bool,
}

impl OwnWord {
    /// Notes groups, separated by commas. Several notes add up.
    pub fn add_groups(&mut self, text: &str) {
        let groups = self.groups.get_or_insert_default();
        groups.extend(group_names(text));
        groups.truncate(GROUPS_COUNT_MAX);
    }

    /// Notes that the page is public, if the text says so.
    pub fn add_public(&mut self, text: &str) {
        self.is_public |= text.trim().eq_ignore_ascii_case("true");
    }

    /// For whom the page says that it is; `None` where it says nothing.
    pub fn access(self) -> Option<Access> {
        match self.groups {
            Some(groups) => Some(Access::Groups(groups)),
            None => self.is_public.then_some(Access::Public),
        }
    }
}

/// The names in a list that is separated by commas.
pub fn group_names(text: &str) -> impl Iterator<Item = String> + '_ {
    text.split(',')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
}

/// Reads the front matter of a Markdown page: `groups` and `public` at its top level, between `---` (YAML) or `+++` (TOML) lines.
pub fn front_matter(text: &str) -> OwnWord {
    let mut own = OwnWord::default();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().map(str::trim_end);
    let Some(fence @ ("---" | "+++")) = lines.next() else {
        return own;
    };
    let mut lines = lines
        .take_while(|line| *line != fence && *line != "...")
        .take(LINES_COUNT_MAX)
        .peekable();
    while let Some(line) = lines.next() {
        let Some((name, value)) = line.split_once([':', '=']) else {
            continue;
        };
        if line.starts_with(char::is_whitespace) {
            continue;
        }
        let value = without_comment(value);
        match unquoted(name.trim_end()) {
            "public" => own.add_public(unquoted(value)),
            "groups" => {
                let mut list = value.to_owned();
                while list.starts_with('[') && !list.ends_with(']') {
                    let Some(line) = lines.next() else { break };
                    list.push_str(without_comment(line));
                }
                // Items on lines of their own.
                while list.is_empty() || !list.starts_with('[') {
                    let Some(line) = lines.next_if(|line| is_item(line)) else {
                        break;
                    };
                    let item = line.trim_start().trim_start_matches('-');
                    list.push(',');
                    list.push_str(unquoted(without_comment(item)));
                }
                let list = list.trim_start_matches('[').trim_end_matches(']');
                let names: Vec<&str> = list.split(',').map(|name| unquoted(name.trim())).collect();
                own.add_groups(&names.join(","));
            }
            _ => {}
        }
    }
    own
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line == "-" || line.starts_with("- ") || line.starts_with('#')
}

fn without_comment(text: &str) -> &str {
    let text = text.trim();
    if text.starts_with('#') {
        return "";
    }
    text.split_once(" #")
        .map_or(text, |(value, _)| value.trim())
}

fn unquoted(text: &str) -> &str {
    let text = text.trim();
    ['"', '\'']
        .iter()
        .find_map(|quote| text.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it stands where pages say nothing, too"
    )]
    fn groups(names: &[&str]) -> Option<Access> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        Some(Access::Groups(names))
    }

    #[test]
    fn front_matter_names_groups_or_says_that_a_page_is_public() {
        #[rustfmt::skip]
        let table = [
            ("---\ngroups: [admin, beta]\n---\n# x",           groups(&["admin", "beta"])),
            ("---\r\ngroups: [\"admin\", 'b b']\r\n---\r\n",   groups(&["admin", "b b"])),
            ("\u{feff}---\ngroups: admin\n---\n",              groups(&["admin"])),
            ("---\ntitle: x\ngroups:\n  - admin\n  - beta # old\n\nx: y\n---\n", groups(&["admin", "beta"])),
            ("---\ngroups:\n- admin\n---\n",                   groups(&["admin"])),
            ("---\ngroups: [admin,\n  beta]\n---\n",           groups(&["admin", "beta"])),
            ("---\ngroups: # staff\n  - a\n---\n",             groups(&["a"])),
            ("---\n\"groups\": [a]\n---\n",                    groups(&["a"])),
            ("+++\ngroups = [\"a\", \"b\"]\n+++\n",            groups(&["a", "b"])),
            ("---\npublic: true\n---\n",                       Some(Access::Public)),
            ("---\npublic: True\n---\n",                       Some(Access::Public)),
            ("---\npublic: true\ngroups: [a]\n---\n",          groups(&["a"])),
        ];
        for (text, access) in table {
            assert_eq!(front_matter(text).access(), access, "{text}");
        }
    }

    #[test]
    fn groups_that_cannot_be_read_are_nobodys() {
        for text in [
            "---\ngroups:\n---\n",
            "---\ngroups: []\n---\n",
            "---\ngroups: [\n",
            "---\ngroups:\n",
            "---\ngroups: \"\"\n---\n",
        ] {
            assert_eq!(front_matter(text).access(), groups(&[]), "{text}");
        }
    }

    #[test]
    fn what_is_not_at_the_top_says_nothing() {
        for text in [
            "",
            "groups: [a]\n",
            "\n---\ngroups: [a]\n---\n",
            "# x\n---\ngroups: [a]\n---\n",
            "---\ntitle: x\n---\ngroups: [a]\npublic: true\n",
            "---\npublic: false\n---\n",
            "---\nnested:\n  groups: [a]\n  public: true\n---\n",
            "----\npublic: true\n---\n",
        ] {
            assert_eq!(front_matter(text).access(), None, "{text}");
        }
    }
}
