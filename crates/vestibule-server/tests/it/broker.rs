//! Sign-in through a provider, honest or not: what comes of it, and what is written.

mod arrival;
mod hosted;
mod linking;
