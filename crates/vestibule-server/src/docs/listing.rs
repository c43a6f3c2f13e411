//! Sitemaps and search indexes: what names or quotes pages, with those left out that somebody may not be told of.
//!
//! The law: what cannot be understood is not given. An entry that may mean a hidden page is left out.

use super::view::View;
use quick_xml::events::Event;
use quick_xml::{Reader, Writer};
use serde_json::Value;
use url::Url;
use vestibule_core::docs::path::SitePath;

/// The members of a search index's entries that may say where the page is, and whether they say nothing else.
#[rustfmt::skip]
const LOCATORS: &[(&str, bool)] = &[
    ("location", true), ("url", true),     ("href", true),     ("permalink", true), ("uri", true),   ("loc", true),
    ("relUrl", true),   ("rel_url", true), ("path", true),
    ("link", false),    ("id", false),     ("slug", false),    ("ref", false),      ("route", false), ("u", false),
    ("objectID", false),
];
/// The members by which an inverted index shows itself: words of all pages, without a word on which.
const INVERTED: &[&str] = &[
    "index",
    "invertedIndex",
    "documentStore",
    "inverted",
    "fieldVectors",
    "terms",
    "titleterms",
    "storedFields",
];

/// A sitemap without the pages that are not for everybody; `None` if it cannot be understood. It is the same for every reader.
pub(super) fn sitemap(view: &View, at: &SitePath, xml: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(xml).ok()?;
    let mut reader = Reader::from_str(text);
    let mut writer = Writer::new(Vec::with_capacity(xml.len()));
    // The entry that is being read, and the depth within it; its addresses.
    let mut entry: Option<(Vec<Event<'_>>, usize)> = None;
    let mut addresses: Vec<String> = Vec::new();
    let mut is_address = false;
    loop {
        let event = reader.read_event().ok()?;
        if matches!(event, Event::Eof) {
            break;
        }
        let Some((events, depth)) = &mut entry else {
            match &event {
                Event::Start(start) if start.local_name().as_ref() == b"url" => {
                    entry = Some((vec![event], 1));
                    addresses.clear();
                }
                _ => writer.write_event(event).ok()?,
            }
            continue;
        };
        match &event {
            Event::Start(start) => {
                *depth += 1;
                is_address = start.local_name().as_ref() == b"loc";
                if is_address {
                    addresses.push(String::new());
                }
                addresses.extend(href(start));
            }
            Event::Empty(start) => addresses.extend(href(start)),
            Event::End(_) => {
                *depth -= 1;
                is_address = false;
            }
            Event::Text(text) if is_address => {
                addresses.last_mut()?.push_str(&text.decode().ok()?);
            }
            Event::CData(text) if is_address => {
                addresses.last_mut()?.push_str(&text.decode().ok()?);
            }
            Event::GeneralRef(name) if is_address => {
                let name = name.decode().ok()?;
                let text = match quick_xml::escape::resolve_predefined_entity(&name) {
                    Some(text) => text.to_owned(),
                    None => quick_xml::escape::unescape(&format!("&{name};"))
                        .ok()?
                        .into_owned(),
                };
                addresses.last_mut()?.push_str(&text);
            }
            _ => {}
        }
        let is_whole = *depth == 0;
        events.push(event);
        if !is_whole {
            continue;
        }
        let is_told = addresses
            .iter()
            .all(|address| pages(view, at, address.trim()).all(|page| view.lists_for_all(&page)));
        if is_told {
            for event in entry.take()?.0 {
                writer.write_event(event).ok()?;
            }
        }
        entry = None;
    }
    // An entry without an end would be left out, and what is not well-formed was refused above.
    entry.is_none().then(|| writer.into_inner())
}

/// The address of another language's version of a page (`xhtml:link`).
fn href(start: &quick_xml::events::BytesStart<'_>) -> Option<String> {
    let attribute = start.try_get_attribute("href").ok()??;
    Some(attribute.unescape_value().ok()?.into_owned())
}

/// A search index without the pages that the reader may not be told of; `None` if it cannot be understood, or if it holds the words
/// of all pages in one.
pub(super) fn search_index(view: &View, at: &SitePath, json: &[u8]) -> Option<Vec<u8>> {
    let mut index: Value = serde_json::from_slice(json).ok()?;
    if !filter(view, at, &mut index) {
        return None;
    }
    serde_json::to_vec(&index).ok()
}

/// Leaves out what may not be told; whether everything was understood.
fn filter(view: &View, at: &SitePath, value: &mut Value) -> bool {
    match value {
        Value::Array(items) => {
            items.retain(|item| !is_hidden(view, at, item) && !names_hidden(view, at, item));
            items.iter_mut().all(|item| filter(view, at, item))
        }
        Value::Object(members) => {
            if members
                .iter()
                .any(|(name, value)| INVERTED.contains(&name.as_str()) && !value.is_string())
            {
                return false;
            }
            members.retain(|name, item| {
                !is_hidden(view, at, item)
                    && pages(view, at, name).all(|page| !view.has(&page) || view.lists(&page))
            });
            members.values_mut().all(|item| filter(view, at, item))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
    }
}

/// Whether an item of a list is the address of a page that the reader may not be told of.
fn names_hidden(view: &View, at: &SitePath, item: &Value) -> bool {
    item.as_str()
        .is_some_and(|text| pages(view, at, text).any(|page| view.has(&page) && !view.lists(&page)))
}

/// Whether something is the entry of a page that the reader may not be told of.
fn is_hidden(view: &View, at: &SitePath, item: &Value) -> bool {
    let Some(members) = item.as_object() else {
        return false;
    };
    LOCATORS.iter().any(|(name, is_sure)| {
        let text = members.get(*name).and_then(Value::as_str);
        let pages: Vec<SitePath> =
            text.map_or_else(Vec::new, |text| pages(view, at, text).collect());
        let is_told = pages.iter().all(|page| view.lists(page));
        // An index may be there before the page that it quotes.
        let is_known = || pages.is_empty() || pages.iter().any(|page| view.has(page));
        !is_told || *is_sure && view.is_complete() && !is_known()
    })
}

/// The pages that a text may mean: as a link of the index's own place, of the site's first page, and as a path below the base though it
/// does not say the base.
fn pages<'a>(
    view: &'a View,
    at: &'a SitePath,
    text: &'a str,
) -> impl Iterator<Item = SitePath> + 'a {
    let address = &view.served.site.address;
    let root = Url::parse(&address.join("/")).ok();
    let fits = text.len() <= 2048 && !text.contains(['\n', '\r']);
    let below = text.trim_start_matches('/');
    let candidates = [
        fits.then(|| address.page_of(text, at)).flatten(),
        root.as_ref()
            .filter(|_| fits)
            .and_then(|root| address.page_at(&root.join(text).ok()?)),
        root.as_ref()
            .filter(|_| fits && below.len() < text.len())
            .and_then(|root| address.page_at(&root.join(&format!("./{below}")).ok()?)),
    ];
    candidates.into_iter().flatten()
}
