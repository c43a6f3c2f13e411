//! Pages on their way to a reader: parts that are for others are taken out, and what the reader is called is filled in.
//!
//! The law: what a reader may not see is not in the bytes. A page that cannot be read without doubt is not given out.
//!
//! | In the page | What becomes of it |
//! |---|---|
//! | `data-if-signed-in`, `data-if-signed-out` | the element goes unless it is so |
//! | `data-groups="a,b"` | the element goes unless the reader is in one of the groups |
//! | `data-user="firstName"` | the element's content becomes that text, where it is known |
//! | links in navigation (`nav`, `aside`, `header`, `footer`, and what is called so) | go where they lead to pages that the reader may not be told of, and so does an item of a list that has no other links |
//! | `<a data-sign-in>`, `<a data-sign-out>` | get their addresses |

use super::view::View;
use super::{handshake, reader};
use bytes::Bytes;
use lol_html::html_content::{ContentType, Element, TextChunk};
use lol_html::send::{HtmlRewriter, SendHandlerTypes, Settings};
use lol_html::{
    DocumentContentHandlers, ElementContentHandlers, HandlerResult, MemorySettings, Selector,
};
use parking_lot::Mutex;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use url::Url;
use vestibule_core::docs::front_matter::{OwnWord, group_names};
use vestibule_core::docs::path::SitePath;
use vestibule_core::docs::site::HANDSHAKE_PATH;
use vestibule_core::docs::user::DocsUser;

/// What reading a page may take, in bytes: a tag as long as an inlined picture fits.
const MEMORY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The metas in which a page says for whom it is.
const META_GROUPS: &str = "vestibule:groups";
const META_PUBLIC: &str = "vestibule:public";
/// What stands in every page that says so: pages without it need not be read.
const META_MARK: &[u8] = b"vestibule:";

/// Elements whose content is no text to show.
const RAW: &[&str] = &[
    "script",
    "style",
    "iframe",
    "noembed",
    "noframes",
    "noscript",
    "plaintext",
    "template",
    "xmp",
];
/// What says in a tag that something is not for everybody.
const PART_MARKS: &[&str] = &["data-groups", "data-if-signed"];

/// Why a page cannot be given out.
#[derive(Debug, thiserror::Error)]
pub(super) enum RewriteError {
    /// It is in an encoding in which its tags cannot be found.
    #[error("the page is in UTF-16; save it as UTF-8")]
    Encoding,
    /// Markup that two readers may understand in two ways, or too much of it.
    #[error("{0}")]
    Markup(String),
}

type Handlers = ElementContentHandlers<'static, SendHandlerTypes>;
type Content = (Cow<'static, Selector>, Handlers);
type El<'r, 't> = Element<'r, 't, SendHandlerTypes>;

/// Where navigation stands: by what the elements are, and by what the generators that do without such elements call them.
const AREAS: &[&str] = &[
    "nav",
    "aside",
    "header",
    "footer",
    "[role=navigation]",
    "[class*=nav]",
    "[class*=menu]",
    "[class*=sidebar]",
    "[id*=nav]",
    "[id*=menu]",
    "[id*=sidebar]",
];

fn within_areas(inner: &str) -> String {
    let selectors: Vec<String> = AREAS.iter().map(|area| format!("{area} {inner}")).collect();
    selectors.join(", ")
}

struct Selectors {
    meta: Selector,
    base: Selector,
    head: Selector,
    parts: Selector,
    links: Selector,
    items: Selector,
    scriptless: Selector,
    buttons: Selector,
}

static SELECTORS: LazyLock<Option<Selectors>> = LazyLock::new(|| {
    let parse = |text: &str| text.parse::<Selector>().ok();
    Some(Selectors {
        meta: parse("meta[name]")?,
        base: parse("base[href]")?,
        head: parse("head")?,
        parts: parse("[data-if-signed-in], [data-if-signed-out], [data-groups], [data-user]")?,
        links: parse(&format!(
            "{}, a[rel~=next], a[rel~=prev], link[rel~=next], link[rel~=prev], link[rel~=prefetch], link[rel~=prerender]",
            within_areas("a[href]")
        ))?,
        scriptless: parse("noscript")?,
        items: parse(&within_areas("li"))?,
        buttons: parse("a[data-sign-in], a[data-sign-out]")?,
    })
});

fn selectors() -> Result<&'static Selectors, RewriteError> {
    SELECTORS
        .as_ref()
        .ok_or_else(|| RewriteError::Markup("the rules for pages cannot be read".to_owned()))
}

fn markup(error: impl std::fmt::Display) -> RewriteError {
    RewriteError::Markup(error.to_string())
}

fn is_utf16(html: &[u8]) -> bool {
    matches!(
        html,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'<', 0, ..] | [0, b'<', ..]
    )
}

fn settings(content: Vec<Content>) -> Settings<'static, 'static> {
    Settings {
        element_content_handlers: content,
        memory_settings: MemorySettings {
            max_allowed_memory_usage: MEMORY_BYTES_MAX,
            ..MemorySettings::new()
        },
        strict: true,
        adjust_charset_on_meta_tag: true,
        ..Settings::new_send()
    }
}

fn on(
    selector: &'static Selector,
    handler: impl FnMut(&mut El<'_, '_>) -> HandlerResult + Send + 'static,
) -> Content {
    (
        Cow::Borrowed(selector),
        Handlers::default().element(handler),
    )
}

/// What a page, or its beginning, says of itself.
pub(super) fn own_word(html: &[u8]) -> Result<OwnWord, RewriteError> {
    if is_utf16(html) {
        return Err(RewriteError::Encoding);
    }
    let marked = html
        .windows(META_MARK.len())
        .any(|window| window.eq_ignore_ascii_case(META_MARK));
    if !marked {
        return Ok(OwnWord::default());
    }
    let own = Arc::new(Mutex::new(OwnWord::default()));
    let noted = Arc::clone(&own);
    let meta = on(&selectors()?.meta, move |element| {
        let name = attribute(element, "name").unwrap_or_default();
        let content = attribute(element, "content").unwrap_or_default();
        if name.trim().eq_ignore_ascii_case(META_GROUPS) {
            noted.lock().add_groups(&content);
        } else if name.trim().eq_ignore_ascii_case(META_PUBLIC) {
            noted.lock().add_public(&content);
        }
        Ok(())
    });
    let mut rewriter = HtmlRewriter::new(settings(vec![meta]), |_: &[u8]| {});
    rewriter.write(html).map_err(markup)?;
    rewriter.end().map_err(markup)?;
    let own = own.lock().clone();
    Ok(own)
}

/// A whole page for a reader.
pub(super) fn whole(
    view: &Arc<View>,
    page: &SitePath,
    html: &[u8],
) -> Result<Vec<u8>, RewriteError> {
    let items = if view.lists_everything() {
        HashSet::new()
    } else {
        hidden_items(view, page, html)?
    };
    let mut rewriting = Rewriting::with(view, page, items)?;
    let mut out = rewriting.write(html)?.to_vec();
    out.extend_from_slice(&rewriting.end()?);
    Ok(out)
}

/// Where a rewriter leaves what it has read.
type Out = Arc<Mutex<Vec<u8>>>;
type Sink = Box<dyn FnMut(&[u8]) + Send>;

/// A page that is read while it is given out.
pub(super) struct Rewriting {
    rewriter: Option<HtmlRewriter<'static, Sink>>,
    out: Out,
}

impl Rewriting {
    /// A page for a reader that has not begun.
    pub(super) fn new(view: &Arc<View>, page: &SitePath) -> Result<Self, RewriteError> {
        Self::with(view, page, HashSet::new())
    }

    fn with(
        view: &Arc<View>,
        page: &SitePath,
        items: HashSet<usize>,
    ) -> Result<Self, RewriteError> {
        let out = Out::default();
        let sink = Arc::clone(&out);
        let sink: Sink = Box::new(move |bytes: &[u8]| sink.lock().extend_from_slice(bytes));
        Ok(Self {
            rewriter: Some(HtmlRewriter::new(personal(view, page, items)?, sink)),
            out,
        })
    }

    /// Reads on; what of the page can be given out now.
    pub(super) fn write(&mut self, html: &[u8]) -> Result<Bytes, RewriteError> {
        if let Some(rewriter) = &mut self.rewriter {
            rewriter.write(html).map_err(markup)?;
        }
        Ok(std::mem::take(&mut *self.out.lock()).into())
    }

    /// The page has ended; its last bytes.
    pub(super) fn end(&mut self) -> Result<Bytes, RewriteError> {
        if let Some(rewriter) = self.rewriter.take() {
            rewriter.end().map_err(markup)?;
        }
        Ok(std::mem::take(&mut *self.out.lock()).into())
    }
}

/// Where the links of a page lead from: its own address, or the one that it names.
struct Links {
    view: Arc<View>,
    from: Mutex<Url>,
}

impl Links {
    fn of(view: &Arc<View>, page: &SitePath) -> Result<Arc<Self>, RewriteError> {
        let here = view.served.site.address.join(&page.encoded());
        Ok(Arc::new(Self {
            view: Arc::clone(view),
            from: Mutex::new(Url::parse(&here).map_err(markup)?),
        }))
    }

    fn follow_base(self: &Arc<Self>, selector: &'static Selector) -> Content {
        let (links, mut is_first) = (Arc::clone(self), true);
        on(selector, move |element| {
            let base = attribute(element, "href");
            let mut from = links.from.lock();
            // Only the first counts (HTML, 2.4.1).
            if let Some(base) = base
                .filter(|_| is_first)
                .and_then(|href| from.join(&href).ok())
            {
                *from = base;
            }
            is_first = false;
            Ok(())
        })
    }

    /// Whether a link leads to a page that the reader may not be told of.
    fn is_hidden(&self, element: &El<'_, '_>) -> bool {
        attribute(element, "href")
            .and_then(|href| self.from.lock().join(&href).ok())
            .and_then(|target| self.view.served.site.address.page_at(&target))
            .is_some_and(|target| !self.view.lists(&target))
    }
}

/// What of a list's items is seen while a page is read.
#[derive(Default)]
struct Items {
    /// Those that are open: where each starts, and how many links it has that stay, and that go.
    open: Vec<(usize, usize, usize)>,
    hidden: HashSet<usize>,
    /// Whether an item ended that was not the last to begin, or one did not end.
    is_odd: bool,
}

/// The items of navigation whose links all lead to pages that the reader may not be told of, with whatever heading they have: where
/// each starts. None where items end without saying so, since then nobody can tell what is in which.
fn hidden_items(
    view: &Arc<View>,
    page: &SitePath,
    html: &[u8],
) -> Result<HashSet<usize>, RewriteError> {
    let selectors = selectors()?;
    let links = Links::of(view, page)?;
    let items = Arc::new(Mutex::new(Items::default()));
    let base = links.follow_base(&selectors.base);
    let seen = Arc::clone(&items);
    let item = on(&selectors.items, move |element| {
        let start = element.source_location().bytes().start;
        seen.lock().open.push((start, 0, 0));
        let seen = Arc::clone(&seen);
        if let Some(handlers) = element.end_tag_handlers() {
            handlers.push(Box::new(move |_| {
                let mut seen = seen.lock();
                match seen.open.pop() {
                    Some((at, 0, 1..)) if at == start => {
                        seen.hidden.insert(start);
                    }
                    Some((at, ..)) if at == start => {}
                    _ => seen.is_odd = true,
                }
                Ok(())
            }));
        }
        Ok(())
    });
    let seen = Arc::clone(&items);
    let link = on(&selectors.links, move |element| {
        let is_hidden = links.is_hidden(element);
        // What opens and closes a part of a menu leads nowhere.
        let leads = attribute(element, "href").is_some_and(|href| !href.starts_with('#'));
        for (_, stays, goes) in &mut seen.lock().open {
            *goes += usize::from(is_hidden);
            *stays += usize::from(leads && !is_hidden);
        }
        Ok(())
    });
    let content = vec![base, item, link];
    let mut rewriter = HtmlRewriter::new(settings(content), |_: &[u8]| {});
    rewriter.write(html).map_err(markup)?;
    rewriter.end().map_err(markup)?;
    let items = std::mem::take(&mut *items.lock());
    Ok(if items.is_odd || !items.open.is_empty() {
        HashSet::new()
    } else {
        items.hidden
    })
}

fn personal(
    view: &Arc<View>,
    page: &SitePath,
    items: HashSet<usize>,
) -> Result<Settings<'static, 'static>, RewriteError> {
    let selectors = selectors()?;
    let links_from = Links::of(view, page)?;
    let base = links_from.follow_base(&selectors.base);
    let parts = {
        let view = Arc::clone(view);
        on(&selectors.parts, move |element| {
            part(element, view.user());
            Ok(())
        })
    };
    let links = on(&selectors.links, move |element| {
        if links_from.is_hidden(element) {
            element.remove();
        }
        Ok(())
    });
    let items = on(&selectors.items, move |element| {
        if items.contains(&element.source_location().bytes().start) {
            element.remove();
        }
        Ok(())
    });
    let base_path = view.served.site.address.base_path.clone();
    let sign_in = format!(
        "{base_path}{}",
        handshake::sign_in_path(Some(&format!("{base_path}{}", page.encoded())))
    );
    let sign_out = format!("{base_path}{HANDSHAKE_PATH}/sign-out");
    // What stands in `noscript` is one text to a reader of tags: parts in it cannot be taken out.
    let mut read = String::new();
    let scriptless = (
        Cow::Borrowed(&selectors.scriptless),
        Handlers::default().text(move |text: &mut TextChunk<'_>| {
            read.push_str(&text.as_str().to_ascii_lowercase());
            if PART_MARKS.iter().any(|mark| read.contains(mark)) {
                return Err("a part that is not for everybody stands in `noscript`".into());
            }
            if text.last_in_text_node() {
                read.clear();
            }
            Ok(())
        }),
    );
    let buttons = on(&selectors.buttons, move |element| {
        let href = if element.has_attribute("data-sign-in") {
            &sign_in
        } else {
            &sign_out
        };
        Ok(element.set_attribute("href", href)?)
    });
    let script = script(view, &base_path);
    let is_in = Arc::new(AtomicBool::new(false));
    let at_end = (Arc::clone(&is_in), script.clone());
    let head = on(&selectors.head, move |element| {
        let (is_in, script) = (Arc::clone(&is_in), script.clone());
        if let Some(handlers) = element.end_tag_handlers() {
            handlers.push(Box::new(move |end| {
                if !is_in.swap(true, Ordering::Relaxed) {
                    end.before(&script, ContentType::Html);
                }
                Ok(())
            }));
        }
        Ok(())
    });
    let end = DocumentContentHandlers::default().end(
        move |end: &mut lol_html::html_content::DocumentEnd<'_>| {
            let (is_in, script) = at_end;
            // A page without an end of its head: what stands at the end of the page does as well.
            if !is_in.load(Ordering::Relaxed) {
                end.append(&script, ContentType::Html);
            }
            Ok(())
        },
    );
    let mut settings = settings(vec![base, head, parts, items, links, scriptless, buttons]);
    settings.document_content_handlers = vec![end];
    Ok(settings)
}

/// One element that is for some and not for others, or says what the reader is called.
fn part(element: &mut El<'_, '_>, reader: Option<&DocsUser>) {
    let is_shown = match reader {
        Some(_) => !element.has_attribute("data-if-signed-out"),
        None => !element.has_attribute("data-if-signed-in"),
    };
    let groups = attribute(element, "data-groups");
    let is_for = groups.is_none_or(|groups| {
        let groups: Vec<String> = group_names(&groups).collect();
        reader.is_some_and(|reader| reader.is_in_any(&groups))
    });
    if !is_shown || !is_for {
        element.remove();
        return;
    }
    let text = attribute(element, "data-user").and_then(|path| text_at(reader?, path.trim()));
    // Where text is not only shown, what a reader is called would be run.
    if let Some(text) = text.filter(|_| !RAW.contains(&element.tag_name().as_str())) {
        element.set_inner_content(&text, ContentType::Text);
    }
}

/// What a dotted path leads to in what is known of a reader, if it is something to show.
fn text_at(reader: &DocsUser, path: &str) -> Option<String> {
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    let mut value = reader.content.get(first)?;
    for name in rest.split('.').filter(|name| !name.is_empty()) {
        value = value.as_object()?.get(name)?;
    }
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is) => Some(is.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The script that gives pages their reader, and for a page with a reader, who it is.
fn script(view: &View, base_path: &str) -> String {
    let mut script = String::new();
    if let Some(reader) = &view.reader {
        let data = reader::shown(Some(reader));
        let _ = write!(
            script,
            "<script type=\"application/json\" id=\"vestibule-reader\">{}</script>",
            in_html(&data.to_string())
        );
    }
    let _ = write!(
        script,
        "<script src=\"{base_path}{HANDSHAKE_PATH}/reader.js\" async></script>"
    );
    script
}

/// JSON in which nothing can end the element that it stands in, whatever the encoding of the page.
fn in_html(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    let mut units = [0; 2];
    for character in json.chars() {
        if character.is_ascii() && !matches!(character, '<' | '>' | '&' | '\x7f') {
            text.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut units) {
            let _ = write!(text, "\\u{unit:04x}");
        }
    }
    text
}

/// An attribute's value, its character references resolved: the numeric ones, and those that a generator writes.
fn attribute(element: &El<'_, '_>, name: &str) -> Option<String> {
    let raw = element.get_attribute(name)?;
    if raw.contains('&') {
        Some(resolved(&raw))
    } else {
        Some(raw)
    }
}

fn resolved(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, after)) = rest.split_once('&') {
        text.push_str(before);
        let found = after
            .split_once(';')
            .and_then(|(name, rest)| Some((reference(name)?, rest)));
        rest = if let Some((character, rest)) = found {
            text.push(character);
            rest
        } else {
            text.push('&');
            after
        };
    }
    text.push_str(rest);
    text
}

fn reference(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16),
            None => number.parse(),
        };
        return char::from_u32(code.ok()?);
    }
    let known = [
        ("amp", '&'),
        ("lt", '<'),
        ("gt", '>'),
        ("quot", '"'),
        ("apos", '\''),
        ("sol", '/'),
        ("period", '.'),
        ("colon", ':'),
        ("num", '#'),
        ("comma", ','),
        ("nbsp", '\u{a0}'),
    ];
    known
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, character)| *character)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docs::proxy::Learned;
    use crate::docs::reader::Reader;
    use crate::docs::view::Pages;
    use crate::http::docs_sites::{Kept, ServedSite};
    use serde_json::json;
    use vestibule_core::docs::access::Access;
    use vestibule_core::docs::site::DocsSite;
    use vestibule_core::id::{ReaderSessionId, TenantId};
    use vestibule_core::time::Timestamp;

    fn view(reader: Option<Value>) -> Arc<View> {
        let settings = serde_json::from_value(json!({
            "name": "handbook", "root": "/srv/site", "public_url": "https://docs.acme.test/docs",
            "authorization_url": "https://auth.foo.test/authorization", "client_id": "x", "token_url": "https://auth.foo.test/exchange",
            "rule": [{ "path": "/admin/**", "groups": ["admin"] }],
        }));
        let site = DocsSite::from_settings(&settings.unwrap()).unwrap();
        Arc::new(View {
            served: Arc::new(ServedSite {
                tenant: TenantId::from_bytes([1; 16]),
                site,
                secret: None,
                kept: Kept::default(),
            }),
            reader: reader.map(|user| Reader {
                id: ReaderSessionId::from_bytes([2; 16]),
                user: serde_json::from_value(user).unwrap(),
                expires_at: Timestamp::from_seconds(9),
            }),
            pages: Pages::Learned(Arc::new(Learned::default())),
        })
    }

    fn rewritten(reader: Option<Value>, html: &str) -> String {
        let page = SitePath::parse("/guides/one").unwrap();
        let bytes = whole(&view(reader), &page, html.as_bytes()).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The same without the script at the end of a page that has no head.
    fn body(reader: Option<Value>, html: &str) -> String {
        let text = rewritten(reader, html);
        text.split("<script").next().unwrap().to_owned()
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it stands where there may be no reader"
    )]
    fn ada() -> Option<Value> {
        Some(
            json!({"groups": ["admin"], "content": {"firstName": "Ada <script>", "age": 36, "a": {"b": "deep", "c": [1]}, "ok": true}}),
        )
    }

    #[test]
    fn what_a_reader_may_not_see_is_not_in_the_bytes() {
        #[rustfmt::skip]
        let table = [
            // in the page                                             anonymous        Ada
            ("<p data-if-signed-in>in</p><p data-if-signed-out>out</p>", "out",         "in"),
            ("<p data-groups=\"admin,beta\">x</p>",                    "",              "x"),
            ("<p data-groups=\"beta\">x</p>",                          "",              ""),
            ("<p data-groups>x</p>",                                   "",              ""),
            ("<p data-groups=\" beta , admin \">x</p>",                "",              "x"),
            ("<p data-groups=\"b&#101;ta\">x</p>",                     "",              ""),
            ("<p data-groups=\"&#97;dmin\">x</p>",                     "",              "x"),
            ("<p data-if-signed-in><b data-groups=\"beta\">x</b>y</p>", "",             "y"),
            ("<P DATA-GROUPS='beta'>x</P>y",                           "y",             "y"),
            ("<img data-groups=beta src=x>y",                          "y",             "y"),
            ("<div><p data-groups=beta>secret</div>y",                 "y",             "y"),
            ("<b data-user=\"firstName\">friend</b>",                  "friend",        "Ada &lt;script&gt;"),
            ("<b data-user=\"a.b\">friend</b>",                        "friend",        "deep"),
            ("<b data-user=\"age\"></b>",                              "",              "36"),
            ("<b data-user=\"ok\">no</b>",                             "no",            "true"),
            ("<b data-user=\"a\">friend</b>",                          "friend",        "friend"),
            ("<b data-user=\"a.c\">friend</b>",                        "friend",        "friend"),
            ("<b data-user=\"a.b.c\">friend</b>",                      "friend",        "friend"),
            ("<b data-user=\"nobody\">friend</b>",                     "friend",        "friend"),
            ("<b data-user=\"firstName\" data-groups=\"beta\">x</b>",  "",              ""),
        ];
        let text = |html: String| {
            let mut out = String::new();
            let mut is_tag = false;
            for character in html.chars() {
                match character {
                    '<' => is_tag = true,
                    '>' => is_tag = false,
                    _ if is_tag => {}
                    _ => out.push(character),
                }
            }
            out
        };
        for (html, anonymous, known) in table {
            assert_eq!(text(body(None, html)), anonymous, "{html}");
            assert_eq!(text(body(ada(), html)), known, "{html}");
        }
    }

    #[test]
    fn links_to_pages_that_a_reader_is_not_told_of_go_from_navigation_only() {
        #[rustfmt::skip]
        let table = [
            ("<nav><ul><li><a href=\"../admin/x\">Z</a></ul></nav>",             false),
            ("<nav><a href=\"/docs/admin\">Z</a></nav>",                         false),
            ("<nav><a href=\"/docs/admin.html#a\">Z</a></nav>",                  false),
            ("<nav><a href=\"/docs/%61dmin/\">Z</a></nav>",                      false),
            ("<nav><a href=\"&#47;docs&#x2f;admin\">Z</a></nav>",                false),
            ("<aside><a href=\"https://docs.acme.test/docs/admin/\">Z</a></aside>", false),
            ("<div role=navigation><a href=\"../admin/\">Z</a></div>",           false),
            ("<div class=\"fixed-top navbar\"><a href=\"../admin/\">Z</a></div>", false),
            ("<div id=left-sidebar><div><a href=\"../admin/\">Z</a></div></div>", false),
            ("<ul class=dropdown-menu><li><a href=\"../admin/\">Z</a></li></ul>", false),
            ("<base href=\"/docs/\"><header><a href=\"admin/\">Z</a></header>",  false),
            ("<a rel=\"nofollow next\" href=\"../admin/\">Z</a>",                false),
            ("<link rel=next href=\"../admin/\" title=Z>",                       false),
            ("<nav><a href=\"/admin\">Z</a></nav>",                              true),
            ("<nav><a href=\"admin\">Z</a></nav>",                               true),
            ("<nav><a href=\"https://other.test/docs/admin\">Z</a></nav>",       true),
            ("<nav><a>Z</a></nav>",                                              true),
            ("<p><a href=\"/docs/admin\">Z</a></p>",                             true),
            ("<link rel=stylesheet href=\"../admin/\" title=Z>",                 true),
        ];
        for (html, shown) in table {
            assert_eq!(body(None, html).contains('Z'), shown, "{html}");
            assert_eq!(
                body(Some(json!({"groups": ["x"]})), html).contains('Z'),
                shown,
                "{html}"
            );
            assert!(body(ada(), html).contains('Z'), "{html}");
        }
    }

    #[test]
    fn an_item_with_nothing_left_goes_with_its_heading() {
        #[rustfmt::skip]
        let table = [
            ("<nav><ul><li>A<a href=/docs/admin/x>Z</a></li><li><a href=/docs/>B</a></li></ul></nav>", "<nav><ul><li><a href=/docs/>B</a></li></ul></nav>"),
            ("<nav><ul><li><a href=#>A</a><ul><li><a href=/docs/admin/x>Z</a></li><li><a href=/docs/admin/y>Z</a></li></ul></li></ul></nav>", "<nav><ul></ul></nav>"),
            ("<nav><ul><li>A<ul><li><a href=/docs/admin/x>Z</a></li><li><a href=/docs/>B</a></li></ul></li></ul></nav>", "<nav><ul><li>A<ul><li><a href=/docs/>B</a></li></ul></li></ul></nav>"),
            ("<nav><ul><li>A</li><li><a href=#x>B</a></li></ul></nav>", "<nav><ul><li>A</li><li><a href=#x>B</a></li></ul></nav>"),
            // Items that do not say where they end: only the link goes.
            ("<nav><ul><li>A<a href=/docs/admin/x>Z</a><li><a href=/docs/>B</a></ul></nav>", "<nav><ul><li>A<li><a href=/docs/>B</a></ul></nav>"),
            // Elsewhere than in navigation, items stay.
            ("<ul><li>A<a href=/docs/admin/x>Z</a></li></ul>", "<ul><li>A<a href=/docs/admin/x>Z</a></li></ul>"),
        ];
        for (html, expected) in table {
            assert_eq!(body(None, html), expected, "{html}");
            assert_eq!(body(ada(), html), html, "{html}");
        }
    }

    #[test]
    fn t33_nothing_that_is_told_of_a_reader_becomes_markup() {
        let evil = "</script><script>alert(1)</script><!--\u{2028}&";
        let reader = || Some(json!({"groups": [evil], "content": {"name": evil}}));
        let page = rewritten(
            reader(),
            "<html><head><title>x</title></head><body data-user=name></body></html>",
        );
        assert!(!page.contains("alert(1)</script>"), "{page}");
        assert!(!page.contains("<script>"), "{page}");
        assert!(page.contains("&lt;/script&gt;"), "{page}");
        let data = page
            .split("id=\"vestibule-reader\">")
            .nth(1)
            .unwrap()
            .split("</script>")
            .next()
            .unwrap();
        let data: Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["user"]["name"], evil);
        assert_eq!(data["expiresAt"], 9);
    }

    #[test]
    fn the_script_stands_once_and_in_the_head_where_there_is_one() {
        let script = "<script src=\"/docs/_handshake/reader.js\" async></script>";
        assert_eq!(
            rewritten(None, "<html><head></head><body></body></html>"),
            format!("<html><head>{script}</head><body></body></html>")
        );
        assert_eq!(rewritten(None, "<p>x"), format!("<p>x{script}"));
        assert_eq!(
            rewritten(None, "<head><title>x</title><body>y"),
            format!("<head><title>x</title><body>y{script}")
        );
    }

    #[test]
    fn t33_what_a_reader_is_called_is_not_run() {
        let html = "<script data-user=\"code\">1</script><style data-user=\"code\">a{}</style>";
        let page = rewritten(Some(json!({"content": {"code": "alert(1)"}})), html);
        assert_eq!(page.matches("alert(1)").count(), 1, "{page}");
        assert!(page.starts_with(html), "{page}");
    }

    #[test]
    fn a_part_for_some_in_noscript_holds_the_page_back() {
        let page = SitePath::parse("/").unwrap();
        for html in [
            "<noscript><p data-groups=a>x</p></noscript>",
            "<NOSCRIPT><p DATA-IF-SIGNED-IN>x</p></NOSCRIPT>",
        ] {
            assert!(
                whole(&view(None), &page, html.as_bytes()).is_err(),
                "{html}"
            );
        }
        let harmless = "<noscript><p>x</p></noscript>";
        assert!(body(None, harmless).starts_with(harmless));
    }

    #[test]
    fn buttons_get_their_addresses() {
        assert_eq!(
            body(
                None,
                "<a data-sign-in>in</a><a data-sign-out href=x>out</a>"
            ),
            "<a data-sign-in href=\"/docs/_handshake/sign-in?return_to=%2Fdocs%2Fguides%2Fone\">in</a>\
             <a data-sign-out href=\"/docs/_handshake/sign-out\">out</a>"
        );
    }

    #[test]
    fn a_page_says_for_whom_it_is() {
        let groups = |names: &[&str]| {
            Some(Access::Groups(
                names.iter().map(|name| (*name).to_owned()).collect(),
            ))
        };
        #[rustfmt::skip]
        let table = [
            ("<meta name=\"vestibule:groups\" content=\"a, b\">",              groups(&["a", "b"])),
            ("<META NAME='Vestibule:Groups' CONTENT='a'/>",                    groups(&["a"])),
            ("<meta content=a name=vestibule:groups>",                         groups(&["a"])),
            ("<meta name=\"vestibule:groups\" content=\"\">",                  groups(&[])),
            ("<meta name=\"vestibule:groups\">",                               groups(&[])),
            ("<meta name=\"vestibule:groups\" content=\"R&amp;D\">",           groups(&["R&D"])),
            ("<meta name=\"vestibule:public\" content=\"true\">",              Some(Access::Public)),
            ("<meta name=\"vestibule:public\" content=\"false\">",             None),
            ("<meta name=\"vestibule:public\" content=\"true\"><meta name=\"vestibule:groups\" content=\"a\">", groups(&["a"])),
            ("<!-- <meta name=\"vestibule:public\" content=\"true\"> -->",     None),
            ("<script>'<meta name=\"vestibule:public\" content=\"true\">'</script>", None),
            ("<meta name=\"description\" content=\"vestibule:groups\">",       None),
            ("",                                                               None),
        ];
        for (html, access) in table {
            assert_eq!(
                own_word(html.as_bytes()).unwrap().access(),
                access,
                "{html}"
            );
        }
        assert!(matches!(
            own_word(b"\xff\xfe<\0"),
            Err(RewriteError::Encoding)
        ));
    }
}
