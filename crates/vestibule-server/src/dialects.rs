//! The envelopes of the seed APIs over the same functions: no rule is written twice.

pub(crate) mod projects;
pub(crate) mod strict;
