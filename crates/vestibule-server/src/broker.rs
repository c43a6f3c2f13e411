//! Sign-in through upstream providers: the way there, the way back, and the providers' tokens.
//!
//! A brokered sign-in is a spoke. It records who somebody is and returns: to the hub for the hosted pages, to its caller for the
//! project API. What the answer looks like there is the dialect's.

pub(crate) mod arrival;
pub(crate) mod calls;
pub(crate) mod departure;
pub(crate) mod hosted;
pub(crate) mod tokens;
