//! Files below `~/.provisioning/services`: where they are, what is in them, and how they are written (aside, then renamed). No policy.

pub mod cookie;
mod debts;
pub mod directory;
pub(crate) mod failpoint;
pub mod handover;
pub mod history;
mod layout;
pub mod leader;
pub mod lock;
pub mod marker;
mod records;
#[cfg(feature = "kubernetes")]
pub(crate) mod scaled;
pub mod state;
pub mod state_reader;
mod stops;
mod timeline;
mod timeline_reader;

pub use layout::{Layout, SERVICES_DIR_VARIABLE};
pub use records::Records;
pub use stops::SUFFIX as STOPPED_SUFFIX;
pub use timeline::Timeline;
pub use timeline_reader::TimelineEntry;
