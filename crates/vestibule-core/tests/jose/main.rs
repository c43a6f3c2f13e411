//! Tokens and keys against published vectors, another implementation, and forgeries.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "clippy.toml allows both in tests; clippy does not take the helpers of this binary for tests"
)]

mod forgeries;
mod keys;
mod oracle;
mod random_input;
mod support;
mod tokens;
mod vectors;
