//! The engine without a face: who leads a home, how it comes to that, and what it does then.
//!
//! ```text
//!   state/.supervise.lock   the one `supervise`, from its beginning to its end
//!   state/.leader.lock      whoever leads: it, or a console or `monitor` while there is no `supervise`
//! ```
//!
//! Any number of engines look at one home. One of them acts on its own: the one that holds the leader's lock. `supervise` takes its own
//! lock first, which tells a console that leads to give way, and then waits for the leader's. Both are `flock`s on files that are never
//! removed, so a leader that is killed leads no longer, whatever it left behind. Killing it at any moment harms nothing: services, their
//! shims and whatever a person asks for do without it.
//!
//! Changes are heard, not polled for: a holder leaves a note in its file, and the kernel tells of the note and of the closing.

mod background;
mod campaign;
mod ear;
mod lead;
mod notify;
mod run;
mod unit;

pub use background::{Background, Ensured, VARIABLE, detach, start};
pub use campaign::campaign;
pub use lead::{Claim, ClaimError, claim, end, leader, running};
pub use notify::Notifier;
pub use run::{Ended, Order, Staying, run};
pub use unit::{UNIT, Unit};
