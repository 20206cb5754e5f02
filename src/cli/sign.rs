//! The sign of life of a command that takes more than a moment: one line on standard error, only on a terminal, erased afterwards.

use std::fmt::Write as _;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};
use unicode_width::UnicodeWidthChar as _;

use super::session::Face;
use crate::engine::operation::Progress;
use crate::model::{ServiceId, Snapshot};
use crate::report::{Style, safe};

/// What is done sooner needs no sign: it would only flicker.
const PATIENCE: Duration = Duration::from_millis(400);

/// From one picture to the next.
const PACE: Duration = Duration::from_millis(120);

/// The pictures, in the order in which they are shown.
const FRAMES: [char; 10] = ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'];

/// The same for terminals without Unicode.
const ASCII_FRAMES: [char; 4] = ['|', '/', '-', '\\'];

/// Turns with the time.
#[derive(Debug)]
pub(super) struct Sign {
    begun: Instant,
    ticks: tokio::time::Interval,
    n_ticks: usize,
    style: Style,
}

impl Sign {
    /// A sign that appears when patience has ended.
    pub(super) fn new(style: Style) -> Self {
        let begun = Instant::now();
        let mut ticks = interval_at(begun + PATIENCE, PACE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { begun, ticks, n_ticks: 0, style }
    }

    /// Waits until it should be drawn. Cancel safe.
    pub(super) async fn due(&mut self) {
        self.ticks.tick().await;
    }

    /// The next picture: what goes on, and for how long already. At most `width` columns wide.
    pub(super) fn draw(&mut self, what: &str, width: usize) -> String {
        let frames: &[char] = match self.style {
            Style::Emoji => &FRAMES,
            Style::Ascii => &ASCII_FRAMES,
        };
        let frame = frames.get(self.n_ticks % frames.len()).copied().unwrap_or(' ');
        self.n_ticks += 1;
        cut(&format!("{frame} {} ({}s)", safe(what), self.begun.elapsed().as_secs()), width)
    }
}

/// As much of the beginning as fits.
fn cut(text: &str, width: usize) -> String {
    let mut left = width;
    text.chars()
        .take_while(|c| {
            let needed = c.width().unwrap_or(0);
            let fits = needed <= left;
            left = left.saturating_sub(needed);
            fits
        })
        .collect()
}

impl Face {
    /// Waits for `work`, with a sign where somebody would see it.
    pub(super) async fn while_waiting<T>(&mut self, what: &str, work: impl Future<Output = T>) -> T {
        let Some(width) = self.out.sign_width() else { return work.await };
        let mut sign = Sign::new(self.style);
        let mut work = std::pin::pin!(work);
        let result = loop {
            tokio::select! {
                result = &mut work => break result,
                () = sign.due() => self.out.show_sign(&sign.draw(what, width)),
            }
        };
        self.out.erase_sign();
        result
    }
}

/// What an operation is at just now.
#[derive(Debug, Default)]
pub(super) struct Busy {
    starting: Vec<ServiceId>,
    stopping: Vec<ServiceId>,
}

impl Busy {
    /// Takes note of what happened.
    pub(super) fn note(&mut self, progress: &Progress) {
        match progress {
            Progress::Starting { service, .. } => self.starting.push(service.clone()),
            Progress::Stopping(service) => self.stopping.push(service.clone()),
            Progress::Stopped(service) | Progress::NotRunning(service) => self.stopping.retain(|id| id != service),
            Progress::Ready { service, .. }
            | Progress::AlreadyRunning { service, .. }
            | Progress::Skipped { service, .. } => self.starting.retain(|id| id != service),
            Progress::Failed { service, .. } => {
                self.starting.retain(|id| id != service);
                self.stopping.retain(|id| id != service);
            }
            Progress::Checking(_)
            | Progress::Checked { .. }
            | Progress::Preparing { .. }
            | Progress::Started { .. }
            | Progress::WaitingForHealth(_)
            | Progress::DependentsLeftRunning { .. }
            | Progress::Finished(_) => {}
        }
    }

    /// In words, with what the snapshot says of how far a start is.
    pub(super) fn text(&self, snapshot: &Snapshot) -> String {
        let preparing = |id: &ServiceId| snapshot.service(id.as_str()).and_then(|service| service.preparing.clone());
        if let Some(words) = self.starting.iter().find_map(preparing) {
            return words;
        }
        let mut text = String::new();
        for (word, services) in [("starting", &self.starting), ("stopping", &self.stopping)] {
            if !services.is_empty() {
                let names: Vec<&str> = services.iter().map(ServiceId::as_str).collect();
                let comma = if text.is_empty() { "" } else { ", " };
                // Writing to a string cannot fail.
                let _ = write!(text, "{comma}{word} {}", names.join(", "));
            }
        }
        if text.is_empty() { "checking".to_owned() } else { text }
    }
}

#[cfg(test)]
mod tests {
    use super::{Busy, cut};
    use crate::engine::operation::{Progress, Role};
    use crate::model::Snapshot;
    use crate::testkit::builders::{id, registry};

    #[test]
    fn a_sign_never_needs_a_second_line() {
        assert_eq!(cut("⠋ starting orchestrator", 8), "⠋ starti");
        assert_eq!(cut("🟢🟢", 3), "🟢");
        assert_eq!(cut("ab", 10), "ab");
    }

    #[test]
    fn it_names_what_is_not_done_yet() {
        let snapshot = Snapshot {
            generation: 0,
            registry: std::sync::Arc::new(registry(Vec::new())),
            services: Vec::new(),
            role: crate::model::Role::Follower,
        };
        let mut busy = Busy::default();
        assert_eq!(busy.text(&snapshot), "checking");
        for name in ["a", "b"] {
            busy.note(&Progress::Starting { service: id(name), role: Role::Target });
        }
        assert_eq!(busy.text(&snapshot), "starting a, b");
        busy.note(&Progress::Skipped { service: id("a"), because: id("x") });
        busy.note(&Progress::Stopping(id("c")));
        assert_eq!(busy.text(&snapshot), "starting b, stopping c");
    }
}
