//! People and how they proved who they are.

pub mod account;
pub mod acr;
pub mod api_key;
pub mod linking;
pub mod session;
pub mod tenant;
pub mod trusted_domain;
pub mod user;
