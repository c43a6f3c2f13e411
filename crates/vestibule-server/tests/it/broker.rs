//! Sign-in through a provider, honest or not: what comes of it, and what is written.

mod arrival;
mod faults;
mod freshness;
mod hosted;
mod linking;
