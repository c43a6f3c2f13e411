//! What can be written on the command line about what docs sites are told.

use clap::Args;

#[derive(Args)]
pub(in crate::cli) struct DocsProfileFlags {
    /// The scope that opens the Info API of docs sites.
    #[arg(long, value_name = "SCOPE")]
    pub(in crate::cli) docs_scope: Option<String>,
    /// What docs pages may say about their reader, such as `plan=public_metadata.plan`; an empty source takes one away. The first one
    /// replaces the default mapping. Repeatable.
    #[arg(long = "docs-content", value_name = "NAME=SOURCE")]
    pub(in crate::cli) docs_content: Vec<String>,
    /// What an API playground is filled with, such as header.X-Api-Key=private_metadata.docs_key. The kinds are server, header, query,
    /// cookie and path; an empty source takes one away. Repeatable.
    #[arg(long = "docs-input", value_name = "KIND.NAME=SOURCE")]
    pub(in crate::cli) docs_inputs: Vec<String>,
    /// A group that docs sites are told of; those that are given replace the present ones. Repeatable.
    #[arg(long = "docs-group", value_name = "GROUP")]
    pub(in crate::cli) docs_groups: Vec<String>,
    /// How long a docs site may keep what it is told, such as 1d.
    #[arg(long, value_name = "SPAN")]
    pub(in crate::cli) docs_expires_in: Option<String>,
    /// An origin of the issuer's own site whose scripts may ask with the sign-in cookie; those that are given replace the present ones.
    /// Repeatable.
    #[arg(long = "shared-session-origin", value_name = "ORIGIN")]
    pub(in crate::cli) shared_session_origins: Vec<String>,
    /// Where an endpoint answers too, such as token=/exchange; an empty path takes the alias away. The endpoints are authorization, token,
    /// userinfo, revocation, introspection, logout and `docs_user_info`. Repeatable.
    #[arg(long = "endpoint-alias", value_name = "ENDPOINT=PATH")]
    pub(in crate::cli) endpoint_aliases: Vec<String>,
}
