//! When the console wakes by itself: seldom, and never for nothing.

use std::time::Duration;

use super::fixture::{Console, change, demo, running};
use crate::model::{Health, ServiceState};
use crate::tui::icons::IconSet;
use crate::tui::wake::next_change;

fn wait(console: &Console) -> Duration {
    next_change(&console.state).unwrap().saturating_duration_since(console.state.moment.now)
}

/// The guide's platform with every service as `state` says.
fn all(state: impl Fn(std::time::Instant) -> ServiceState) -> Console {
    Console::new((80, 24), IconSet::Emoji, |now| {
        let mut snapshot = demo(now);
        let names: Vec<String> = snapshot.services.iter().map(|it| it.id().to_string()).collect();
        for name in names {
            change(&mut snapshot, &name, |it| it.state = state(now));
        }
        snapshot
    })
}

#[test]
fn a_platform_at_rest_wakes_with_the_minute_of_the_clock() {
    let console = all(|_| ServiceState::Stopped);
    // The fixture's clock stands at five seconds past.
    assert_eq!(wait(&console), Duration::from_secs(55));
}

#[test]
fn minutes_of_uptime_wake_together() {
    let console = all(|now| running(1, now - Duration::from_secs(3_605), Health::Healthy));
    assert_eq!(wait(&console), Duration::from_secs(55));
    let console = all(|now| running(1, now - Duration::from_secs(3_658), Health::Healthy));
    assert_eq!(wait(&console), Duration::from_secs(10), "two seconds to go, drawn with the next ten");
}

#[test]
fn the_first_minute_counts_seconds_and_progress_turns() {
    let console = all(|now| running(1, now - Duration::from_millis(3_400), Health::Healthy));
    assert_eq!(wait(&console), Duration::from_secs(1));
    let console = Console::demo(80, 24);
    assert!(wait(&console) <= Duration::from_millis(120), "something is starting");
}

#[test]
fn what_is_not_on_the_screen_wakes_nobody() {
    let mut console = all(|now| running(1, now - Duration::from_millis(3_400), Health::Healthy));
    console.state.size.height = 5;
    assert_eq!(next_change(&console.state), None);
}
