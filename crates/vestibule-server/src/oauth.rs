//! The endpoints of OAuth 2.1 and OpenID Connect.

pub(crate) mod authorize;
mod caller;
pub(crate) mod discovery;
pub(crate) mod introspection;
pub(crate) mod logout;
pub(crate) mod revocation;
pub(crate) mod token;
pub(crate) mod userinfo;
