//! The docs-site handshake (seed 000): a site of documentation knows its reader.
//!
//! What a site is ([`site`]), who reads it ([`user`]), what a reader may open ([`access`]), what a page says of itself
//! ([`front_matter`]), what a request's path means ([`path`]), how a site learns who reads ([`handshake`]), and what it believes of
//! what it is told ([`reader_format`]). What other sites are told about our people is [`profile`].

pub mod access;
pub mod front_matter;
pub mod handshake;
pub mod path;
pub mod profile;
pub mod reader_format;
pub mod site;
pub mod user;
