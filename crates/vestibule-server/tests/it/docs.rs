//! The docs handshake (seed 000).

mod aliases;
mod info;
