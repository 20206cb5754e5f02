//! Requests over http and https, for whoever has to ask a service something: health checks, and services that run elsewhere.
//!
//! Owns the clients, what is sent along (a token) and trusted (an authority) for which origin, and the words for what went wrong.
//! Knows nothing of states, and keeps nothing that an answer said. Nothing is followed by itself: a redirect is an answer.

mod access;
pub(crate) mod cause;
mod clients;
mod request;
mod token;
#[cfg(feature = "tls")]
mod trust;

#[cfg(feature = "remote")]
pub(crate) use access::is_same_origin;
pub(crate) use access::{Access, without_credentials};
pub(crate) use clients::Clients;
#[cfg(all(feature = "docker", feature = "tls"))]
pub(crate) use clients::install_tls;
#[cfg(feature = "remote")]
pub(crate) use request::Refused;
pub(crate) use request::read_politely;
#[cfg(any(feature = "docker", feature = "kubernetes"))]
pub(crate) use token::keep_out_of_core_dumps;
