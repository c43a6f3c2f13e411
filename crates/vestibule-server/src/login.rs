//! Signing in, signing up, choosing an account, and the page at `/`.

pub(crate) mod accounts;
pub(crate) mod home;
pub(crate) mod password;
mod sign_in_with;
pub(crate) mod sign_up;
