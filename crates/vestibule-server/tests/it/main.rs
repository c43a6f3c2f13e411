//! The wire, in one process: every test drives the server as a browser or a client would, on SQLite and on PostgreSQL.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop here"
)]

mod support;

mod broker;
mod docs;
mod mock_provider;
mod oauth;
mod pages;
mod projects;
