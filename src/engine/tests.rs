//! Scenarios with fakes and a paused clock.
