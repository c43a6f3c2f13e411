//! The rules of OAuth 2.1 and OpenID Connect.

pub mod alias;
pub mod authorize;
pub mod bearer;
pub mod claims;
pub mod client;
pub mod client_auth;
pub mod code;
pub mod discovery;
pub mod error;
pub mod grant;
pub mod interaction;
pub mod introspection;
pub mod known_error;
pub mod logout;
pub mod mint;
pub mod outer;
pub mod params;
pub mod pkce;
pub mod project;
pub mod project_token;
pub mod refresh;
pub mod scope;
pub mod token;
