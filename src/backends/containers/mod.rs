//! What the modes whose services are containers share: the way to the engine, its events, what a container's state means, what was asked
//! of a service, and what a container prints. Which containers a service has, and how they are made, is each mode's own.

mod address;
mod clock;
mod container;
#[cfg(feature = "tls")]
mod distrust;
mod engine;
mod output;
mod patience;
mod presence;
mod records;
mod stop;
mod usage;
mod watch;

pub(crate) use address::Address;
pub(crate) use clock::{Clock, event_time, moment};
pub(crate) use container::Container;
pub(crate) use engine::{Engine, PORT_REMEDY, Refusal, is_port_taken};
pub(crate) use output::{Heard, NoContainer, Origin, read_output, read_timed_output};
pub(crate) use presence::{entered, is_told_to_stop, presence};
pub(crate) use records::{Records, Run};
pub(crate) use stop::NotGone;
pub(crate) use watch::{Signature, Watch, subscribe};
