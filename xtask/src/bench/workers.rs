//! What the workers of each row do over and over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::browser::{Browser, Person, REDIRECT_URI, member};
use super::http::{self, Connection};
use super::load::Worker;
use super::server;

const VERIFIER: &str = "bench-verifier-0123456789abcdefghijklmnopqrstuvwxyz";

/// The same requests again and again; together they are one unit.
pub struct Repeat {
    pub connection: Connection,
    pub requests: Vec<Vec<u8>>,
    /// What a good answer contains.
    pub mark: &'static str,
}

impl Worker for Repeat {
    async fn step(&mut self) -> Result<bool, String> {
        for request in &self.requests {
            let status = self.connection.call(request).await?;
            if status != 200 || !self.connection.body().contains(self.mark) {
                return Err(self.connection.shown());
            }
        }
        Ok(true)
    }
}

/// Codes that were obtained beforehand, redeemed one after the other.
pub struct Redeem {
    pub connection: Connection,
    pub requests: Vec<Vec<u8>>,
}

impl Worker for Redeem {
    async fn step(&mut self) -> Result<bool, String> {
        let Some(request) = self.requests.pop() else {
            return Ok(false);
        };
        tokens(&mut self.connection, &request).await?;
        Ok(true)
    }
}

/// A browser with a session that collects codes for [`Redeem`].
pub struct Collect {
    pub browser: Browser,
    pub person: Person,
    pub codes: Vec<String>,
    pub wanted: usize,
}

impl Worker for Collect {
    async fn step(&mut self) -> Result<bool, String> {
        if self.codes.len() >= self.wanted {
            return Ok(false);
        }
        let path = authorize_path(server::WEB, WEB_SCOPE);
        self.codes
            .push(self.browser.authorize(&path, &self.person).await?);
        Ok(true)
    }
}

/// A chain of refresh tokens.
pub struct Refresh {
    pub connection: Connection,
    pub port: u16,
    pub token: String,
}

impl Refresh {
    /// Exchanges the token for its successor, and says whether an ID token came with it.
    pub async fn rotate(&mut self) -> Result<bool, String> {
        let form = format!(
            "grant_type=refresh_token&client_id={}&refresh_token={}",
            server::PUBLIC,
            self.token
        );
        let request = http::post(self.port, "/oauth/token", "", &form);
        let answer = tokens(&mut self.connection, &request).await?;
        self.token = answer
            .refresh
            .ok_or("a refresh was answered without a refresh token")?;
        Ok(answer.has_id_token)
    }
}

impl Worker for Refresh {
    async fn step(&mut self) -> Result<bool, String> {
        self.rotate().await?;
        Ok(true)
    }
}

/// A whole flow: authorize, the pages if any, the code, the tokens, and user info.
pub struct Flow {
    pub browser: Browser,
    pub person: Person,
    pub port: u16,
    /// Whether each flow begins in a browser that has never been here.
    pub is_fresh: bool,
}

impl Worker for Flow {
    async fn step(&mut self) -> Result<bool, String> {
        if self.is_fresh {
            self.browser.forget();
        }
        let code = self
            .browser
            .authorize(&authorize_path(server::WEB, WEB_SCOPE), &self.person)
            .await?;
        let answer = tokens(
            &mut self.browser.connection,
            &redemption(self.port, server::WEB, &code),
        )
        .await?;
        if !self.is_fresh {
            let request = userinfo(self.port, &answer.access);
            if self.browser.connection.call(&request).await? != 200 {
                return Err(self.browser.connection.shown());
            }
        }
        Ok(true)
    }
}

/// The sign-in page and its form, in a browser that has never been here.
pub struct SignIn {
    pub browser: Browser,
    pub person: Person,
    /// Whether a full queue (503) counts as an answer.
    pub may_be_refused: bool,
}

impl Worker for SignIn {
    async fn step(&mut self) -> Result<bool, String> {
        self.browser.forget();
        match self.browser.sign_in(&self.person).await? {
            302 | 303 => Ok(true),
            503 if self.may_be_refused => Ok(true),
            _ => Err(self.browser.connection.shown()),
        }
    }
}

pub const WEB_SCOPE: &str = "openid profile email";
pub const OFFLINE_SCOPE: &str = "openid profile email offline_access";

/// What the token endpoint answered.
#[derive(Debug)]
pub struct Tokens {
    pub access: String,
    pub refresh: Option<String>,
    pub has_id_token: bool,
}

pub async fn tokens(connection: &mut Connection, request: &[u8]) -> Result<Tokens, String> {
    let status = connection.call(request).await?;
    let body = connection.body();
    match (status, member(body, "access_token")) {
        (200, Some(access)) => Ok(Tokens {
            access: access.to_owned(),
            refresh: member(body, "refresh_token").map(str::to_owned),
            has_id_token: member(body, "id_token").is_some(),
        }),
        _ => Err(connection.shown()),
    }
}

pub fn redemption(port: u16, client_id: &str, code: &str) -> Vec<u8> {
    let mut form = format!(
        "grant_type=authorization_code&code={code}&code_verifier={VERIFIER}&redirect_uri={}",
        http::encode(REDIRECT_URI)
    );
    if client_id == server::WEB {
        return http::post(port, "/oauth/token", &server::basic(client_id), &form);
    }
    form.push_str("&client_id=");
    form.push_str(client_id);
    http::post(port, "/oauth/token", "", &form)
}

pub fn userinfo(port: u16, token: &str) -> Vec<u8> {
    http::get(
        port,
        "/oauth/userinfo",
        &format!("Authorization: Bearer {token}\r\n"),
    )
}

pub fn authorize_path(client_id: &str, scope: &str) -> String {
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER.as_bytes()));
    let prompt = if scope == OFFLINE_SCOPE {
        "&prompt=consent"
    } else {
        ""
    };
    format!(
        "/oauth/authorize?response_type=code&client_id={client_id}&redirect_uri={}&scope={}&state=bench-state-0123456789\
         &nonce=bench-nonce-0123456789&code_challenge={challenge}&code_challenge_method=S256{prompt}",
        http::encode(REDIRECT_URI),
        http::encode(scope)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_begins_with_a_challenge_of_its_verifier() {
        let path = authorize_path(server::WEB, WEB_SCOPE);
        assert!(path.contains("&scope=openid%20profile%20email&"), "{path}");
        assert!((43..=128).contains(&VERIFIER.len()));
        assert!(!path.contains("prompt"));
    }
}
