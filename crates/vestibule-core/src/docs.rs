//! The docs-site handshake (seed 000): a site of documentation knows its reader.
//!
//! What a site is ([`site`]), who reads it ([`user`]), and what a reader may open ([`access`]).

pub mod access;
pub mod profile;
pub mod site;
pub mod user;
