//! The project API (seed 001), as its published SDKs speak to it.

pub(crate) mod answers;
mod apple;
mod bodies;
mod cli;
mod connected_accounts;
mod cross_domain;
mod declined;
mod linked_providers;
mod oauth;
mod outer_parameters;
mod project;
mod sessions;
mod token;
mod users;
