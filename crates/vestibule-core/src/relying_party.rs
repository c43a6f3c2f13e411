//! Us as somebody's client: what a provider is, what we send it, what we accept from it, and whom it says a person is.
//!
//! The way of a sign-in: [`request`] makes the address that the browser is sent to, [`callback`] reads what it brings back,
//! [`tokens`] says what to send to the token endpoint and reads its answer, [`id_token`] checks the statement about the person,
//! and [`identity`] makes of all this one person as the provider knows them. [`fault`] is every way in which that can fail.
//!
//! What it does not do: it calls nobody. The server does, through its one outgoing door.

pub mod callback;
pub mod fault;
pub mod id_token;
pub mod identity;
pub mod jwks;
pub mod metadata;
pub mod presets;
pub mod provider;
pub mod request;
pub mod tokens;
