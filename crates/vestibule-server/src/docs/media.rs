//! What a file is, by its name.

/// What a file is to the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A page, with a word of its own in its head.
    Html,
    /// A page's text, with a word of its own in its front matter.
    Markdown,
    /// A list of pages for search engines.
    Sitemap,
    /// A search index whose entries can be told apart.
    Search,
    /// An index, or a text of the whole site, that is given whole or not at all.
    SearchWhole,
    /// Anything else.
    Asset,
}

/// Ends of names, and their media types.
#[rustfmt::skip]
const TYPES: &[(&str, &str)] = &[
    ("html",        "text/html"),
    ("htm",         "text/html"),
    ("xhtml",       "application/xhtml+xml"),
    ("md",          "text/markdown; charset=utf-8"),
    ("markdown",    "text/markdown; charset=utf-8"),
    ("mdx",         "text/markdown; charset=utf-8"),
    ("txt",         "text/plain; charset=utf-8"),
    ("css",         "text/css; charset=utf-8"),
    ("js",          "text/javascript; charset=utf-8"),
    ("mjs",         "text/javascript; charset=utf-8"),
    ("json",        "application/json"),
    ("map",         "application/json"),
    ("webmanifest", "application/manifest+json"),
    ("yaml",        "application/yaml"),
    ("yml",         "application/yaml"),
    ("xml",         "application/xml"),
    ("rss",         "application/rss+xml"),
    ("atom",        "application/atom+xml"),
    ("csv",         "text/csv; charset=utf-8"),
    ("svg",         "image/svg+xml"),
    ("png",         "image/png"),
    ("jpg",         "image/jpeg"),
    ("jpeg",        "image/jpeg"),
    ("gif",         "image/gif"),
    ("webp",        "image/webp"),
    ("avif",        "image/avif"),
    ("ico",         "image/x-icon"),
    ("woff2",       "font/woff2"),
    ("woff",        "font/woff"),
    ("ttf",         "font/ttf"),
    ("otf",         "font/otf"),
    ("wasm",        "application/wasm"),
    ("pdf",         "application/pdf"),
    ("zip",         "application/zip"),
    ("gz",          "application/gzip"),
    ("mp4",         "video/mp4"),
    ("webm",        "video/webm"),
    ("mp3",         "audio/mpeg"),
    ("ogg",         "audio/ogg"),
    ("vtt",         "text/vtt; charset=utf-8"),
];

/// The ends of names of variants that were compressed beforehand, and their content codings.
pub(super) const VARIANTS: &[(&str, &str)] = &[("br", "br"), ("gz", "gzip"), ("zst", "zstd")];

/// How names of search indexes start.
const SEARCH_NAMES: &[&str] = &[
    "search_index",
    "search-index",
    "searchindex",
    "search-data",
    "search_data",
    "search-doc",
    "search_doc",
    "lunr-index",
    "lunr_index",
    "@localsearchindex",
];
/// Names of files that hold the text or the names of all pages.
const WHOLE_NAMES: &[&str] = &[
    "llms.txt",
    "llms-full.txt",
    "objects.inv",
    "pagefind-entry.json",
];

fn ending(name: &str) -> Option<String> {
    name.rsplit_once('.')
        .map(|(_, ending)| ending.to_ascii_lowercase())
}

/// The media type of a file of this name; a page's lacks its charset, which only its content says.
pub(super) fn media_type(name: &str) -> &'static str {
    ending(name)
        .and_then(|ending| TYPES.iter().find(|(known, _)| *known == ending))
        .map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// What a path is, decoded; `indexes` says which paths are search indexes where the site says it itself.
pub(super) fn kind(path: &str, indexes: Option<&dyn Fn(&str) -> bool>) -> Kind {
    let name = path
        .rsplit('/')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let ending = ending(&name).unwrap_or_default();
    let is_json = ending == "json";
    if let Some(is_index) = indexes {
        if is_index(path) {
            return if is_json {
                Kind::Search
            } else {
                Kind::SearchWhole
            };
        }
    } else if let Some(kind) = usual_index(path, &name, &ending) {
        return kind;
    }
    match ending.as_str() {
        "html" | "htm" | "xhtml" => Kind::Html,
        "md" | "markdown" | "mdx" => Kind::Markdown,
        "xml" if name.starts_with("sitemap") => Kind::Sitemap,
        _ => Kind::Asset,
    }
}

fn usual_index(path: &str, name: &str, ending: &str) -> Option<Kind> {
    if WHOLE_NAMES.contains(&name) || ending.starts_with("pf_") {
        return Some(Kind::SearchWhole);
    }
    let in_search = path
        .rsplit('/')
        .nth(1)
        .is_some_and(|folder| folder.to_ascii_lowercase().starts_with("search"));
    let is_index = name == "search.json"
        || (in_search && name == "index.json")
        || SEARCH_NAMES.iter().any(|start| name.starts_with(start));
    match ending {
        "json" if is_index => Some(Kind::Search),
        "js" | "mjs" if is_index => Some(Kind::SearchWhole),
        _ => None,
    }
}

/// Whether a name ends as a variant's; the name that it is a variant of.
pub(super) fn variant_of(name: &str) -> Option<&str> {
    VARIANTS
        .iter()
        .find_map(|(ending, _)| name.strip_suffix(ending)?.strip_suffix('.'))
        .filter(|name| !name.is_empty())
}

/// Whether compressing something of this type is worth the while.
pub(super) fn is_compressible(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.starts_with("text/")
        || ["json", "javascript", "xml", "yaml", "wasm", "ttf", "otf"]
            .iter()
            .any(|part| essence.ends_with(part))
}

/// Whether a name holds a digest of the content, so that the file never changes: a part of at least eight hexadecimal digits, or of
/// base64 that shows itself by having digits, capitals and small letters.
pub(super) fn is_fingerprinted(name: &str) -> bool {
    let Some((stem, _)) = name.rsplit_once('.') else {
        return false;
    };
    stem.split(['.', '-']).any(|part| {
        let has = |test: fn(&char) -> bool| part.chars().any(|character| test(&character));
        let digits = has(char::is_ascii_digit);
        let hex = part.len() >= 8 && part.chars().all(|c| matches!(c, '0'..='9' | 'a'..='f'));
        let base64 = part.len() >= 8
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && has(char::is_ascii_uppercase)
            && has(char::is_ascii_lowercase);
        digits && (base64 || hex && has(char::is_ascii_alphabetic))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_names_of_the_usual_generators_are_indexes() {
        #[rustfmt::skip]
        let table = [
            ("/search/search_index.json",   Kind::Search),
            ("/search-index-0a1b.json",     Kind::Search),
            ("/searchindex.json",           Kind::Search),
            ("/searchindex.js",             Kind::SearchWhole),
            ("/search/index.json",          Kind::Search),
            ("/index.json",                 Kind::Asset),
            ("/assets/js/search-data.json", Kind::Search),
            ("/pagefind/fragment/en_1.pf_fragment", Kind::SearchWhole),
            ("/pagefind/pagefind.js",       Kind::Asset),
            ("/assets/chunks/@localSearchIndexroot.Ab1.js", Kind::SearchWhole),
            ("/llms-full.txt",              Kind::SearchWhole),
            ("/sitemap.xml",                Kind::Sitemap),
            ("/a/sitemap-0.xml",            Kind::Sitemap),
            ("/feed.xml",                   Kind::Asset),
            ("/a/b.HTML",                   Kind::Html),
            ("/a.md",                       Kind::Markdown),
            ("/search",                     Kind::Asset),
        ];
        for (path, expected) in table {
            assert_eq!(kind(path, None), expected, "{path}");
        }
        let own = |path: &str| path == "/x.json" || path == "/y.bin";
        assert_eq!(kind("/x.json", Some(&own)), Kind::Search);
        assert_eq!(kind("/y.bin", Some(&own)), Kind::SearchWhole);
        assert_eq!(kind("/searchindex.json", Some(&own)), Kind::Asset);
    }

    #[test]
    fn only_names_that_hold_a_digest_never_change() {
        for name in [
            "main.1a2b3c4d.js",
            "index-BX3kq_Zl.js",
            "1a2b3c4d5e.css",
            "a.0123456789abcdef.min.js",
        ] {
            assert!(is_fingerprinted(name), "{name}");
        }
        for name in [
            "main.js",
            "api-reference.js",
            "deadbeef.js",
            "a-20240101.js",
            "1a2b3c4.js",
            "1a2b3c4d",
            "vendor-12345678.css",
            "GettingStarted.png",
        ] {
            assert!(!is_fingerprinted(name), "{name}");
        }
    }

    #[test]
    fn a_variant_is_told_by_its_ending() {
        assert_eq!(variant_of("a/b.html.gz"), Some("a/b.html"));
        assert_eq!(variant_of("b.js.br"), Some("b.js"));
        assert_eq!(variant_of("b.js"), None);
        assert_eq!(variant_of(".gz"), None);
    }
}
