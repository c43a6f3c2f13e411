//! The endpoints of OAuth 2.1 and OpenID Connect.

mod authorize;
pub(crate) mod checks;
mod cors;
mod discovery;
mod introspection;
mod logout;
mod refresh;
mod revocation;
mod strict;
mod tenants;
mod token;
mod userinfo;
