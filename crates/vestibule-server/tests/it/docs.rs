//! Docs sites: what readers see, and who they are; and what other sites are told (seed 000).

mod aliases;
mod handshake;
mod info;
