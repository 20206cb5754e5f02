//! The registry file: where it is, its text to services, and everything that is wrong with it.
//!
//! Owns `services.toml`: discovery ([`discover()`]), reading ([`load`]), and the way from text to a [`Registry`](crate::model::Registry) ([`parse()`]), which is a
//! pure function of the text and an [`Environment`]. Nothing here fails: what can be used is used, and every problem becomes a
//! diagnostic with its place. Starts nothing, and asks the system about nothing but the file itself.
//!
//! ```text
//! bytes -read-> text -toml-> tables with spans -section, service-> specs, one by one -validate-> what holds between them
//! ```

mod deployment;
mod discover;
mod document;
mod environment;
mod expand;
mod findings;
mod formats;
mod health_check;
mod near;
mod parse;
mod read;
mod section;
mod service;
mod syntax;
mod validate;

pub use discover::{CONFIG_VARIABLE, discover};
pub use environment::Environment;
pub use parse::{BUILT_IN, load, parse};
