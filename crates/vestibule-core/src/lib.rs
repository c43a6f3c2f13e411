//! The rules of Vestibule.
//!
//! Everything here is a pure function of its arguments: no IO, no async, no clock, no global randomness (the cryptographic
//! library draws the nonces of its own signatures and the keys that it is asked to make; nothing else is drawn here). The
//! server parses a request into a value of this crate, asks one function what follows, and carries the answer out.
//!
//! What is deliberately absent: HTTP, HTML, SQL, settings.

pub mod docs;
pub mod id;
pub mod identity;
pub mod jose;
pub mod oauth;
pub mod relying_party;
pub mod secret;
pub mod time;
pub mod url;
