//! A docs site as its host: pages that know their reader, and readers who get the pages that are for them (seed 000).
//!
//! [`host`] is the way of a request; [`files`] and [`proxy`] are the two places that pages come from; [`rewrite`] and [`listing`]
//! keep out of what is given what the reader may not know of; [`handshake`] learns who reads. What other people's sites are told
//! about our people is [`info`].

mod delivery;
mod files;
mod handshake;
pub(crate) mod host;
pub(crate) mod info;
mod listing;
mod media;
pub(crate) mod pages;
mod proxy;
pub(crate) mod reader;
mod rewrite;
mod view;
