//! The registry file: where it is, its text to services, and everything that is wrong with it.
//!
//! Owns `services.toml`: discovery ([`discover()`]), reading ([`load`]), and the way from text to a [`Registry`](crate::model::Registry) ([`parse()`]), which is a
//! pure function of the text and an [`Environment`]. Nothing here fails: what can be used is used, and every problem becomes a
//! diagnostic with its place. Starts nothing, and asks the system about nothing but the file itself: whose it is ([`Found::load`]), and
//! when it changes ([`watch()`]). What it names is looked for only when that is asked for ([`Found::load_and_check_files`]).
//!
//! ```text
//! bytes -read-> text -toml-> tables with spans -section, service-> specs, one by one -validate-> what holds between them
//! ```

mod deployment;
mod discover;
mod document;
mod edit;
mod environment;
mod expand;
mod files;
mod findings;
mod formats;
mod found;
mod health_check;
mod near;
mod ownership;
mod parse;
mod read;
mod section;
mod service;
mod supervise;
mod syntax;
mod validate;
mod watch;

pub use discover::{CONFIG_VARIABLE, discover};
pub use edit::{SCHEMA, line_of, write_built_in};
pub use environment::Environment;
pub use found::{Fingerprint, Found};
pub use ownership::Naming;
pub use parse::{BUILT_IN, load, parse};
pub use watch::{Watch, watch};
