//! The docs-site handshake (seed 000): a site of documentation knows its reader.
//!
//! What a site is ([`site`]), who reads it ([`user`]), what a reader may open ([`access`]), how a site learns who reads
//! ([`handshake`]), and what it believes of what it is told ([`reader_format`]).

pub mod access;
pub mod handshake;
pub mod profile;
pub mod reader_format;
pub mod site;
pub mod user;
