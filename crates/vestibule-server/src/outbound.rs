//! Work that leaves the request's own thread: password hashing.

pub(crate) mod password_hash;
pub(crate) mod strength;
