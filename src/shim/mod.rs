//! The shim: one small process per binary-mode service, and the parent of it.
//!
//! It makes the service's process, moves its output to the log, records its ends, starts it again within `max_restarts`, and stops
//! the whole tree when it is told to. It lives exactly as long as the service is wanted up. Commands are signals, sent through a
//! pidfd; its end is the acknowledgement:
//!
//! | Signal | Effect |
//! |---|---|
//! | TERM | the intent is recorded, the tree gets its stop signal; the shim ends when all of it is gone |
//! | USR1 | the same with SIGKILL, again and again until nothing is left |
//! | USR2 | the state file is written again |
//! | URG | the service is unhealthy: it is stopped, killed when it does not go, and started again as after any other failure |
//! | HUP, INT, QUIT, PIPE and the other ones that would end a program | none |
//!
//! ```text
//!             spawn        dies, leaves processes          gone
//!  Starting --------> Running -------- or URG ---> Clearing ------.
//!     ^                 |  \                                      v
//!     |                 |   `----- dies, leaves nothing ----> decision ---> Failed
//!     |  delay over     | TERM                                    |
//!     `---------------- | ------------- Backoff <-----------------'
//!                       v                  | TERM
//!                    Stopping --- gone --> Stopped
//! ```
//!
//! Killing the shim harms nothing: the service holds its FIFO open for reading and writing, so its output waits there, and it holds
//! the lock, so nothing is started twice. Another shim then takes the orphan over (`orphan`).
//!
//! Std, rustix and signal-hook only, one thread, no periodic wake-up, no large buffer: this exists once per service.

mod entry;
mod launch;
mod log;
mod orphan;
mod output;
mod rotate;
mod signals;
mod supervise;
mod tree;

pub use entry::main;
