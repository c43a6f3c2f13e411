//! The docs handshake (seed 000): documentation sites that know their reader.

pub(crate) mod info;
