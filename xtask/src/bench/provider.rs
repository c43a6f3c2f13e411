//! The provider of the brokered sign-ins: the least that an OpenID provider can be, on a thread of the process that makes the load.
//!
//! There it has the load's core, so its own time, and RS256 takes most of it, is not the server's. It checks nothing and remembers
//! nothing: a code says whom it is for and which nonce their ID token repeats.

use std::net::{Ipv4Addr, TcpListener};
use std::rc::Rc;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::json;

/// Its name in the server's addresses.
pub const ID: &str = "bench";
pub const CLIENT_ID: &str = "bench-broker";
pub const CLIENT_SECRET: &str = "bench-broker-secret-0123456789abcdef";
/// How it signs: what most providers do. The server verifies one such signature a sign-in.
pub const ALGORITHM: &str = "RS256";

/// A running provider; it ends with the process.
#[derive(Clone, Copy, Debug)]
pub struct Provider {
    pub port: u16,
}

impl Provider {
    pub fn start() -> Result<Self, String> {
        let listener =
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        listener
            .set_nonblocking(true)
            .map_err(|error| error.to_string())?;
        let keys = Keys::new(address.port())?;
        std::thread::spawn(move || {
            if let Err(error) = serve(listener, keys) {
                eprintln!("provider: {error}");
            }
        });
        Ok(Self {
            port: address.port(),
        })
    }

    pub fn issuer(self) -> String {
        issuer(self.port)
    }

    /// Where the server sends browsers. Nobody goes there: what a page of the provider would ask is the provider's own time.
    pub fn authorization_endpoint(self) -> String {
        format!("{}/authorize", self.issuer())
    }

    /// The exchange of a code, as a server sends it.
    pub fn exchange(self) -> Vec<u8> {
        let form = format!(
            "grant_type=authorization_code&code={}&client_id={CLIENT_ID}&client_secret={CLIENT_SECRET}",
            code("floor", "n")
        );
        super::http::post(self.port, "/token", "", &form)
    }
}

fn issuer(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// The code of somebody whose ID token is to repeat a nonce.
pub fn code(subject: &str, nonce: &str) -> String {
    format!("{subject}.{nonce}")
}

struct Keys {
    issuer: String,
    rsa: RsaKeyPair,
    random: SystemRandom,
}

impl Keys {
    fn new(port: u16) -> Result<Self, String> {
        Ok(Self {
            issuer: issuer(port),
            rsa: RsaKeyPair::generate(KeySize::Rsa2048)
                .map_err(|_| "a key could not be made".to_owned())?,
            random: SystemRandom::new(),
        })
    }

    fn discovery(&self) -> String {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
        })
        .to_string()
    }

    fn jwks(&self) -> String {
        let public = self.rsa.public_key();
        let text = |number: &[u8]| URL_SAFE_NO_PAD.encode(number);
        json!({ "keys": [{
            "kty": "RSA", "use": "sig", "alg": ALGORITHM, "kid": "bench",
            "n": text(public.modulus().big_endian_without_leading_zero()),
            "e": text(public.exponent().big_endian_without_leading_zero()),
        }] })
        .to_string()
    }

    /// All that the server wants to know stands in the ID token, so user info is not asked.
    fn tokens(&self, form: &str) -> Option<String> {
        let code = form
            .split('&')
            .find_map(|pair| pair.strip_prefix("code="))?;
        let (subject, nonce) = code.split_once('.')?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
        let issuer = &self.issuer;
        let claims = format!(
            r#"{{"iss":"{issuer}","sub":"{subject}","aud":"{CLIENT_ID}","iat":{now},"exp":{},"nonce":"{nonce}","email":"{subject}@people.bench.test","email_verified":true,"name":"Person {subject}"}}"#,
            now + 300
        );
        let mut token = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{ALGORITHM}","kid":"bench"}}"#));
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let mut signature = vec![0; self.rsa.public_modulus_len()];
        self.rsa
            .sign(
                &RSA_PKCS1_SHA256,
                &self.random,
                token.as_bytes(),
                &mut signature,
            )
            .ok()?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Some(format!(
            r#"{{"access_token":"bench-{nonce}","token_type":"Bearer","expires_in":3600,"scope":"openid email profile","id_token":"{token}"}}"#
        ))
    }

    async fn answer(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let text = match head.uri.path() {
            "/.well-known/openid-configuration" => Some(self.discovery()),
            "/jwks" => Some(self.jwks()),
            "/token" => std::str::from_utf8(&body)
                .ok()
                .and_then(|form| self.tokens(form)),
            _ => None,
        };
        let status = if text.is_some() { 200 } else { 400 };
        let mut response = Response::new(Full::new(Bytes::from(
            text.unwrap_or_else(|| r#"{"error":"invalid_request"}"#.to_owned()),
        )));
        *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }
}

fn serve(listener: TcpListener, keys: Keys) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let keys = Rc::new(keys);
        let listener =
            tokio::net::TcpListener::from_std(listener).map_err(|error| error.to_string())?;
        loop {
            let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
            stream
                .set_nodelay(true)
                .map_err(|error| error.to_string())?;
            let keys = Rc::clone(&keys);
            tokio::task::spawn_local(async move {
                let service = service_fn(move |request| Rc::clone(&keys).answer(request));
                let _ = http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_lc_rs::rsa::PublicKeyComponents;
    use aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA256;

    #[test]
    fn a_code_becomes_an_id_token_for_its_subject_and_nonce() {
        let keys = Keys::new(81).unwrap();
        let form = format!("grant_type=authorization_code&code={}", code("s1", "n-1"));
        let answer: serde_json::Value = serde_json::from_str(&keys.tokens(&form).unwrap()).unwrap();
        let token = answer["id_token"].as_str().unwrap();
        let (message, signature) = token.rsplit_once('.').unwrap();
        let public: serde_json::Value = serde_json::from_str(&keys.jwks()).unwrap();
        let part = |name: &str| {
            URL_SAFE_NO_PAD
                .decode(public["keys"][0][name].as_str().unwrap())
                .unwrap()
        };
        PublicKeyComponents {
            n: part("n"),
            e: part("e"),
        }
        .verify(
            &RSA_PKCS1_2048_8192_SHA256,
            message.as_bytes(),
            &URL_SAFE_NO_PAD.decode(signature).unwrap(),
        )
        .unwrap();
        let claims = URL_SAFE_NO_PAD
            .decode(message.split_once('.').unwrap().1)
            .unwrap();
        let claims: serde_json::Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(
            [&claims["sub"], &claims["nonce"], &claims["iss"]],
            ["s1", "n-1", "http://127.0.0.1:81"]
        );
    }

    #[test]
    fn what_is_no_code_of_ours_gets_no_token() {
        let keys = Keys::new(81).unwrap();
        for form in ["", "code=", "code=s1", "grant_type=x&encode=s1.n"] {
            assert_eq!(keys.tokens(form), None, "{form}");
        }
    }
}
