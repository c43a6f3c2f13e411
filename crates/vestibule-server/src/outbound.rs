//! Work that leaves the request's own thread or this machine: password hashing, calls to other servers.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the callers come with the upstream providers")
)]
pub(crate) mod http;
pub(crate) mod password_hash;
pub(crate) mod strength;
pub(crate) mod upstream;
