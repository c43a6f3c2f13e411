//! People and how they proved who they are.

pub mod acr;
pub mod session;
pub mod tenant;
pub mod user;
