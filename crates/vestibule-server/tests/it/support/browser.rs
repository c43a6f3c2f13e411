//! A browser without a screen: it keeps cookies, follows redirects within the server, and fills forms.

use super::app::App;
use super::installation::{BASE, PASSWORD};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use std::collections::BTreeMap;

/// A person's browser.
pub(crate) struct Browser<'a> {
    pub(crate) app: &'a App,
    /// Cookies by name.
    pub(crate) cookies: BTreeMap<String, String>,
    /// Every `Set-Cookie` line ever received.
    pub(crate) set_cookies: Vec<String>,
    /// The `Host` header.
    pub(crate) host: String,
    /// The scheme in the `Origin` header.
    pub(crate) scheme: &'static str,
}

/// What came back: the page, or the redirect that leads out of the server.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    /// The path and query that were asked for last.
    pub(crate) path: String,
}

/// A form of a page.
#[derive(Clone, Debug)]
pub(crate) struct Form {
    pub(crate) action: String,
    pub(crate) fields: Vec<(String, String)>,
}

impl Page {
    /// A header as text; empty when absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.status, self.body))
    }

    /// The parameters of the redirect's query (or fragment).
    pub(crate) fn answer(&self) -> BTreeMap<String, String> {
        let location = self.header("location");
        let (_, query) = location
            .split_once(['?', '#'])
            .unwrap_or_else(|| panic!("no answer in {} {location}\n{}", self.status, self.body));
        url::form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect()
    }

    /// The first form of the page.
    pub(crate) fn form(&self) -> Form {
        let start = self
            .body
            .find("<form")
            .unwrap_or_else(|| panic!("no form on {} {}\n{}", self.status, self.path, self.body));
        let end = self.body[start..].find("</form>").unwrap() + start;
        let html = &self.body[start..end];
        let mut fields = Vec::new();
        for tag in html.split("<input").skip(1) {
            let tag = &tag[..tag.find('>').unwrap()];
            if let Some(name) = attribute(tag, "name") {
                fields.push((name, attribute(tag, "value").unwrap_or_default()));
            }
        }
        Form {
            action: attribute(&html[..html.find('>').unwrap()], "action").unwrap(),
            fields,
        }
    }
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let rest = &tag[tag.find(&format!("{name}=\""))? + name.len() + 2..];
    Some(unescape(&rest[..rest.find('"')?]))
}

fn unescape(text: &str) -> String {
    text.replace("&#34;", "\"")
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&#60;", "<")
        .replace("&lt;", "<")
        .replace("&#62;", ">")
        .replace("&gt;", ">")
        // Last, so that an escaped escape stays one.
        .replace("&#38;", "&")
        .replace("&amp;", "&")
}

impl<'a> Browser<'a> {
    pub(crate) fn new(app: &'a App) -> Self {
        let host = BASE.split_once("://").unwrap().1.to_owned();
        Self {
            app,
            cookies: BTreeMap::new(),
            set_cookies: Vec::new(),
            host,
            scheme: "http",
        }
    }

    /// One request, no redirect followed. `headers` come on top of what browsers send.
    pub(crate) async fn send(
        &mut self,
        method: Method,
        target: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Page {
        let path = target.strip_prefix(BASE).unwrap_or(target);
        let path = if path.is_empty() { "/" } else { path };
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, &self.host);
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("accept"))
        {
            request = request.header(header::ACCEPT, "text/html,application/xhtml+xml,*/*;q=0.8");
        }
        if !self.cookies.is_empty() && !headers.iter().any(|(name, _)| *name == "no-cookies") {
            let cookies: Vec<String> = self
                .cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(header::COOKIE, cookies.join("; "));
        }
        for (name, value) in headers.iter().filter(|(name, _)| *name != "no-cookies") {
            request = request.header(*name, *value);
        }
        let response = self
            .app
            .call(
                request
                    .body(Bytes::copy_from_slice(body.as_bytes()))
                    .unwrap(),
            )
            .await;
        for line in response.headers().get_all(header::SET_COOKIE) {
            let line = line.to_str().unwrap().to_owned();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
            self.set_cookies.push(line);
        }
        let (parts, body) = response.into_parts();
        Page {
            status: parts.status,
            headers: parts.headers,
            body: String::from_utf8(body.to_vec()).unwrap(),
            path: path.to_owned(),
        }
    }

    /// Looks at an address, no redirect followed.
    pub(crate) async fn get(&mut self, target: &str) -> Page {
        self.send(Method::GET, target, &[], "").await
    }

    /// Visits an address and follows redirects as long as they stay on the server.
    pub(crate) async fn visit(&mut self, target: &str) -> Page {
        let page = self.get(target).await;
        self.follow(page).await
    }

    /// Follows redirects as long as they stay on the server.
    pub(crate) async fn follow(&mut self, mut page: Page) -> Page {
        for _ in 0..10 {
            let location = page.header("location").to_owned();
            if !page.status.is_redirection()
                || !(location.starts_with('/') || location.starts_with(&format!("{BASE}/")))
            {
                return page;
            }
            page = self.get(&location).await;
        }
        panic!(
            "more than ten redirects, last to {}",
            page.header("location")
        );
    }

    /// Posts a form as the page showed it, with some fields filled in; redirects are followed.
    pub(crate) async fn submit(&mut self, page: &Page, filled: &[(&str, &str)]) -> Page {
        let answer = self.submit_once(page, filled).await;
        self.follow(answer).await
    }

    /// The same, no redirect followed.
    pub(crate) async fn submit_once(&mut self, page: &Page, filled: &[(&str, &str)]) -> Page {
        let form = page.form();
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in form
            .fields
            .iter()
            .filter(|(name, _)| !filled.iter().any(|(known, _)| known == name))
        {
            body.append_pair(name, value);
        }
        for (name, value) in filled {
            body.append_pair(name, value);
        }
        self.post(&form.action, &body.finish()).await
    }

    /// Posts a form body as a browser does from a page of the same origin.
    pub(crate) async fn post(&mut self, target: &str, body: &str) -> Page {
        let origin = format!("{}://{}", self.scheme, self.host);
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
        ];
        self.send(Method::POST, target, &headers, body).await
    }

    /// Signs in on the sign-in page.
    pub(crate) async fn sign_in(&mut self, page: &Page, username: &str) -> Page {
        assert!(
            page.body.contains("id=\"password\""),
            "no sign-in page: {} {}\n{}",
            page.status,
            page.path,
            page.body
        );
        self.submit(page, &[("username", username), ("password", PASSWORD)])
            .await
    }

    /// Answers the consent page.
    pub(crate) async fn allow(&mut self, page: &Page) -> Page {
        assert!(
            page.body.contains("consent-allow"),
            "no consent page: {} {}\n{}",
            page.status,
            page.path,
            page.body
        );
        self.submit(page, &[("decision", "allow")]).await
    }

    /// Goes from an authorization request to the client's answer, signing in and allowing as asked.
    pub(crate) async fn authorize(&mut self, url: &str, username: &str) -> Page {
        let mut page = self.visit(url).await;
        if page.body.contains("sign-in-submit") {
            page = self.sign_in(&page, username).await;
        }
        if page.body.contains("consent-allow") {
            page = self.allow(&page).await;
        }
        page
    }
}
