//! The console: a full-screen face of the engine.
//!
//! Elm-shaped: `run` turns what happens into events, `update` takes each one into the state and says what has to happen
//! outside, `view` draws the state. `update` and `view` read no clock, wait for nothing and touch nothing; the loop does that for
//! them. The console knows the engine by its handle alone, and the truth about services by snapshots alone.
//!
//! Nothing is drawn while nothing visible changes: there is no tick, only the next moment at which something changes by itself
//! (`wake`).

mod action;
mod columns;
mod commands;
mod desk;
mod editor;
mod effect;
mod event;
mod feed;
mod file_feed;
mod icons;
mod keymap;
mod layout;
mod logs_by_mode;
mod own_log;
mod pattern;
mod run;
mod save;
mod shell;
mod state;
mod terminal;
#[cfg(test)]
mod tests;
mod text;
mod theme;
mod timeline_feed;
mod update;
mod view;
mod wake;

pub use desk::{NoDesk, RegistryDesk};
pub use editor::Editor;
pub use event::Moment;
pub use feed::{EARLIER_LINES, LogEntry, LogFeed, LogPosition, NEWEST_LINES, NoLogs};
pub use file_feed::FileFeed;
pub use icons::IconSet;
pub use logs_by_mode::LogsByMode;
pub use own_log::OwnLog;
pub use run::{ConsoleError, ConsoleOptions, Exit, ExitCause, Opening, run_console};
pub use theme::{ColourDepth, ThemeSource};
