//! The script face: arguments in, text and an exit code out.
//!
//! Parses, asks the engine through its handle, and prints what [`crate::report`] says. Decides nothing that the engine decides, and
//! builds nothing: the composition root hands over a [`Session`].

pub mod args;
mod commands;
mod complete;
pub mod exit;
mod man;
mod names;
pub mod print;
mod program;
mod run;
mod session;
mod sign;
#[cfg(test)]
mod tests;

pub use exit::Exit;
pub use names::looked_after_note;
pub use print::Printer;
pub use program::{Program, command};
pub use run::run;
pub use session::{ConsoleKind, HomePlaces, Purpose, Root, Session, Setup, SetupError, Watched};
