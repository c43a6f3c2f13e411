//! A person's browser, as much of it as a sign-in needs: cookies, redirects, the button of a provider, and the two forms that stand in
//! the way.

use super::http::{self, Connection};
use super::provider::{self, Provider};

/// Redirects and pages between the start of a flow and the client.
const STEPS_MAX: usize = 12;

/// Where all clients are sent back to. It is never called.
pub const REDIRECT_URI: &str = "https://app.bench.test/callback";

/// Somebody who signs in.
#[derive(Clone, Debug)]
pub struct Person {
    pub username: String,
    pub password: String,
    /// Where they sign in instead of with a password; their name is their id there.
    pub upstream: Option<Provider>,
}

/// A browser with a connection of its own.
#[derive(Debug)]
pub struct Browser {
    pub connection: Connection,
    port: u16,
    base: String,
    cookies: Vec<(String, String)>,
    /// What a proxy would say of where they are, as a header line.
    network: String,
    /// How long each page of the last flow was, in bytes.
    pub pages: Vec<usize>,
}

/// A form as it stands in a page: where it goes, and what it carries unseen.
#[derive(Debug, PartialEq, Eq)]
struct Form {
    action: String,
    hidden: Vec<(String, String)>,
}

impl Browser {
    pub async fn open(port: u16) -> Result<Self, String> {
        Ok(Self {
            connection: Connection::open(port).await?,
            port,
            base: format!("http://127.0.0.1:{port}"),
            cookies: Vec::new(),
            network: String::new(),
            pages: Vec::new(),
        })
    }

    /// Starts anew, as a browser that has never been here.
    pub fn forget(&mut self) {
        self.cookies.clear();
    }

    /// Moves to a network of its own. Only a server that trusts us as its proxy listens.
    pub fn come_from(&mut self, network: u32) {
        self.network = format!(
            "X-Forwarded-For: 2001:db8:{:x}:{:x}::1\r\n",
            network >> 16,
            network & 0xffff
        );
    }

    /// Goes where the client sends the person, does what the pages ask, and answers with the code that the client gets.
    pub async fn authorize(&mut self, path: &str, person: &Person) -> Result<String, String> {
        self.pages.clear();
        let mut status = self.get(path).await?;
        for _ in 0..STEPS_MAX {
            if matches!(status, 302 | 303) {
                let location = self.location()?;
                if let Some(rest) = location.strip_prefix(REDIRECT_URI) {
                    return parameter(rest, "code")
                        .map(str::to_owned)
                        .ok_or_else(|| format!("the client was sent no code: {location}"));
                }
                let path = match person.upstream {
                    Some(upstream) if location.starts_with(&upstream.authorization_endpoint()) => {
                        answer_of_provider(&location, &person.username)
                            .ok_or_else(|| format!("no request to a provider: {location}"))?
                    }
                    _ => self.own_path(&location)?,
                };
                if parameter(&path, "problem").is_some() {
                    return Err(format!("the provider's answer was not taken: {path}"));
                }
                status = self.get(&path).await?;
            } else if status == 200 {
                self.pages.push(self.connection.body().len());
                status = self.fill(person).await?;
            } else {
                return Err(self.connection.shown());
            }
        }
        Err(format!(
            "no end after {STEPS_MAX} steps; the last:\n{}",
            self.connection.shown()
        ))
    }

    /// Signs in without a client: the page, then the form.
    pub async fn sign_in(&mut self, person: &Person) -> Result<u16, String> {
        if self.get("/sign-in").await? != 200 {
            return Err(self.connection.shown());
        }
        self.fill(person).await
    }

    async fn get(&mut self, path: &str) -> Result<u16, String> {
        let request = http::get(self.port, path, &self.cookie_header());
        let status = self.connection.call(&request).await?;
        self.keep_cookies();
        Ok(status)
    }

    /// Sends the form of the page that was answered last.
    async fn fill(&mut self, person: &Person) -> Result<u16, String> {
        let page = self.connection.body();
        if person.upstream.is_some()
            && let Some(path) = link(page, &format!("/sign-in/with/{}", provider::ID))
        {
            return self.get(&path).await;
        }
        let (form, own) = if let Some(form) = form(page, "name=\"password\"") {
            let username = ("username", person.username.as_str());
            (form, vec![username, ("password", person.password.as_str())])
        } else if let Some(form) = form(page, "value=\"allow\"") {
            (form, vec![("decision", "allow")])
        } else {
            return Err(format!(
                "a page with neither form:\n{}",
                self.connection.shown()
            ));
        };
        let path = self.own_path(&form.action)?;
        let hidden = form
            .hidden
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let body: Vec<String> = hidden
            .chain(own)
            .map(|(name, value)| format!("{}={}", http::encode(name), http::encode(value)))
            .collect();
        let headers = format!(
            "{}Origin: {}\r\nSec-Fetch-Site: same-origin\r\n",
            self.cookie_header(),
            self.base
        );
        let request = http::post(self.port, &path, &headers, &body.join("&"));
        let status = self.connection.call(&request).await?;
        self.keep_cookies();
        Ok(status)
    }

    fn location(&self) -> Result<String, String> {
        self.connection
            .headers("location")
            .next()
            .map(str::to_owned)
            .ok_or_else(|| format!("a redirect to nowhere:\n{}", self.connection.shown()))
    }

    fn own_path(&self, url: &str) -> Result<String, String> {
        let path = url.strip_prefix(&self.base).unwrap_or(url);
        if path.starts_with('/') {
            Ok(path.to_owned())
        } else {
            Err(format!("a way out of the server: {url}"))
        }
    }

    fn cookie_header(&self) -> String {
        if self.cookies.is_empty() {
            return self.network.clone();
        }
        let pairs: Vec<String> = self
            .cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        format!("{}Cookie: {}\r\n", self.network, pairs.join("; "))
    }

    fn keep_cookies(&mut self) {
        for line in self.connection.headers("set-cookie") {
            keep(&mut self.cookies, line);
        }
    }
}

/// The callback that a provider sends the browser to: it answers the request that stands in its address.
fn answer_of_provider(location: &str, subject: &str) -> Option<String> {
    let (state, nonce) = (parameter(location, "state")?, parameter(location, "nonce")?);
    Some(format!(
        "/api/v1/auth/oauth/callback/{}?code={}&state={state}",
        provider::ID,
        provider::code(subject, nonce)
    ))
}

/// Where the link leads whose address begins so.
fn link(page: &str, start: &str) -> Option<String> {
    page.split("<a")
        .skip(1)
        .filter_map(|rest| attribute(rest.split('>').next()?, "href"))
        .find(|address| address.starts_with(start))
}

/// One parameter of a query, as it is written there.
pub fn parameter<'a>(url: &'a str, name: &str) -> Option<&'a str> {
    let (_, query) = url.split_once('?')?;
    query.split(['&', '#']).find_map(|pair| {
        let (key, value) = pair.split_once('=')?;
        (key == name).then_some(value)
    })
}

/// One member of a JSON object whose values are plain strings.
pub fn member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let key = format!("\"{name}\":\"");
    let start = json.find(&key)? + key.len();
    let length = json[start..].find('"')?;
    Some(&json[start..start + length])
}

fn keep(cookies: &mut Vec<(String, String)>, line: &str) {
    let mut parts = line.split(';').map(str::trim);
    let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else {
        return;
    };
    let ends = value.is_empty() || parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
    cookies.retain(|(known, _)| known != name);
    if !ends {
        cookies.push((name.to_owned(), value.to_owned()));
    }
}

/// The form that holds `mark`.
fn form(page: &str, mark: &str) -> Option<Form> {
    let chunk = page
        .split("<form")
        .skip(1)
        .map(|rest| rest.split("</form").next().unwrap_or(rest))
        .find(|chunk| chunk.contains(mark))?;
    let action = attribute(chunk.split('>').next()?, "action")?;
    let hidden = chunk
        .split("<input")
        .skip(1)
        .filter_map(|rest| rest.split('>').next())
        .filter(|tag| attribute(tag, "type").as_deref() == Some("hidden"))
        .filter_map(|tag| {
            Some((
                attribute(tag, "name")?,
                attribute(tag, "value").unwrap_or_default(),
            ))
        })
        .collect();
    Some(Form { action, hidden })
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let key = format!(" {name}=\"");
    let start = tag.find(&key)? + key.len();
    let length = tag[start..].find('"')?;
    Some(unescape(&tag[start..start + length]))
}

fn unescape(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut plain = text.to_owned();
    for (written, meant) in [
        ("&#38;", "&"),
        ("&#x26;", "&"),
        ("&#47;", "/"),
        ("&#x2F;", "/"),
        ("&#x3D;", "="),
        ("&#61;", "="),
        ("&#34;", "\""),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&#x27;", "'"),
        ("&lt;", "<"),
        ("&#60;", "<"),
        ("&gt;", ">"),
        ("&#62;", ">"),
        ("&amp;", "&"),
    ] {
        plain = plain.replace(written, meant);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_form_is_found_with_all_that_it_carries() {
        let page = r#"<form method="post" action="/theme"><input type="hidden" name="csrf" value="no"></form>
<form method="post" action="/sign-in?return=a&amp;b=c">
<input type="hidden" name="csrf" value="x&#43;y"><input value="z" type="hidden" name="step">
<input id="password" name="password" type="password"></form>"#;
        let expected = Form {
            action: "/sign-in?return=a&b=c".to_owned(),
            hidden: vec![
                ("csrf".to_owned(), "x&#43;y".to_owned()),
                ("step".to_owned(), "z".to_owned()),
            ],
        };
        assert_eq!(form(page, "name=\"password\""), Some(expected));
        assert_eq!(form(page, "value=\"allow\""), None);
    }

    #[test]
    fn the_button_of_a_provider_is_followed_and_its_request_answered() {
        let page =
            r#"<a href="/x">x</a><a class="b" href="/sign-in/with/bench?request=r&amp;x=1">y</a>"#;
        assert_eq!(
            link(page, "/sign-in/with/bench").as_deref(),
            Some("/sign-in/with/bench?request=r&x=1")
        );
        assert_eq!(link(page, "/sign-in/with/other"), None);
        assert_eq!(
            answer_of_provider("http://p/authorize?state=s-1&nonce=n-1", "ada").as_deref(),
            Some("/api/v1/auth/oauth/callback/bench?code=ada.n-1&state=s-1")
        );
        assert_eq!(
            answer_of_provider("http://p/authorize?state=s-1", "ada"),
            None
        );
    }

    #[test]
    fn a_cookie_is_replaced_and_forgotten() {
        let mut cookies = Vec::new();
        keep(&mut cookies, "a=1; Path=/");
        keep(&mut cookies, "b=2");
        keep(&mut cookies, "a=3; HttpOnly");
        assert_eq!(
            cookies,
            [
                ("b".to_owned(), "2".to_owned()),
                ("a".to_owned(), "3".to_owned())
            ]
        );
        keep(&mut cookies, "a=; Max-Age=0");
        keep(&mut cookies, "b=x; max-age=0");
        assert!(cookies.is_empty());
    }

    #[test]
    fn answers_are_read_without_a_parser() {
        assert_eq!(parameter("/cb?code=abc&state=s", "code"), Some("abc"));
        assert_eq!(parameter("/cb?encode=abc", "code"), None);
        assert_eq!(
            member(r#"{"access_token":"a.b","expires_in":600}"#, "access_token"),
            Some("a.b")
        );
        assert_eq!(member(r#"{"expires_in":600}"#, "access_token"), None);
    }
}
