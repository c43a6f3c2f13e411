//! Vestibule: one binary that lets people sign in.
//!
//! This crate is the wire: HTTP, pages, the command line. What it decides stands in `vestibule-core`, what it remembers in
//! `vestibule-store`. `app.rs` lists every URL.

mod admin;
mod app;
mod broker;
pub mod cli;
mod config;
mod consent;
mod demo;
mod dialects;
mod docs;
mod http;
mod jobs;
mod login;
mod logs;
mod mock_provider;
mod oauth;
mod outbound;
mod serve;
mod setup;
mod ui;

#[doc(hidden)]
pub mod testing;
