//! Signing in, signing up, choosing an account, and the page at `/`.

pub(crate) mod accounts;
pub(crate) mod home;
pub(crate) mod password;
pub(crate) mod sign_up;
