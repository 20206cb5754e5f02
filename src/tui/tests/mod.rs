//! Tests of the console as a whole: behaviour as (state, keys, expectation), what is drawn as pictures, the loop with a real engine.

mod events;
mod fixture;
mod log;
mod palette;
mod preflight;
mod registry;
mod run;
mod themes;
mod update;
mod usage;
mod view;
mod wake;
