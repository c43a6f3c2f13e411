//! A server for one test, a browser that keeps cookies and fills forms, and a client that knows the protocol.

pub(crate) mod app;
pub(crate) mod browser;
pub(crate) mod docs;
pub(crate) mod docs_server;
pub(crate) mod installation;
pub(crate) mod project;
pub(crate) mod project_links;
pub(crate) mod relying_party;
pub(crate) mod upstream;
