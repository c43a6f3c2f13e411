//! What every handler stands on: the request in its context, cookies, forms, headers, errors.

pub(crate) mod bearer;
pub(crate) mod configuration;
pub(crate) mod context;
pub(crate) mod cookies;
pub(crate) mod cors;
pub(crate) mod csrf;
pub(crate) mod docs_check;
pub(crate) mod docs_sites;
pub(crate) mod flights;
pub(crate) mod id_token;
pub(crate) mod interaction;
pub(crate) mod listener;
pub(crate) mod new_password;
pub(crate) mod peer;
pub(crate) mod projects;
pub(crate) mod reply;
pub(crate) mod seal;
pub(crate) mod session;
pub(crate) mod signing;
pub(crate) mod throttle;
