//! Docs sites (seed 000): serving them and knowing who reads; and telling other sites who does.

pub(crate) mod handshake;
pub(crate) mod host;
pub(crate) mod info;
pub(crate) mod pages;
pub(crate) mod reader;
