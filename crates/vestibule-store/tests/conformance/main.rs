//! What the records promise, held to on both engines: every test here runs on each of them.
#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "a test says what is wrong by stopping; the lints know only functions marked as tests"
)]

mod broker;
mod database;
mod facts;
mod gates;
mod lifecycle;
mod overlaps;
mod people;
mod records;
mod statements;
mod support;
mod sweep;
mod tenancy;
mod together;
