//! The hosted pages: what a person sees on the way through the door.
//!
//! A page is plain data and a template. Handlers fill in the data; nothing here reads a request, a record or a clock.
//!
//! | file | what it holds |
//! |---|---|
//! | [`pages`] | one struct a page |
//! | [`parts`] | what pages share: the shell around them, form errors, password feedback |
//! | [`words`] | sentences that more than one handler says |
//! | [`href`] | addresses that came from outside, and whether they may become a link |
//! | [`assets`] | stylesheet, script and mark, named by their content |
//!
//! Its law: no inline script or style, nothing loaded from another host but an app's own logo, and every page that a
//! person must pass works with scripts off.

pub(crate) mod assets;
pub(crate) mod href;
pub(crate) mod pages;
pub(crate) mod parts;
pub(crate) mod words;

#[cfg(test)]
mod tests;
