//! Every symbol the console draws, in two sets, so that no view holds one of its own.

use std::time::Duration;

use ratatui::symbols::border;

use super::text;
use crate::model::{Health, ServiceSnapshot, StateKind};

/// Which symbols the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IconSet {
    /// Emoji, box drawing and block characters.
    Emoji,
    /// Nothing beyond ASCII.
    Ascii,
}

/// The time between two frames of the spinner.
pub(crate) const SPINNER_STEP: Duration = Duration::from_millis(120);

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

impl IconSet {
    /// What a terminal can show by its environment: plain consoles (`TERM`) and locales that are not UTF-8 (`LC_ALL`, `LC_CTYPE`, `LANG`,
    /// in POSIX order) get ASCII.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        if matches!(variable("TERM").as_deref(), None | Some("" | "dumb" | "linux" | "vt100" | "vt220")) {
            return Self::Ascii;
        }
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
            .into_iter()
            .find_map(|name| variable(name).filter(|value| !value.is_empty()));
        match locale.map(|locale| locale.to_ascii_lowercase()) {
            // Containers and ssh sessions often name no locale, or POSIX, in terminals that all speak UTF-8.
            None => Self::Emoji,
            Some(locale) if locale == "c" || locale == "posix" => Self::Emoji,
            Some(locale) if locale.contains("utf-8") || locale.contains("utf8") => Self::Emoji,
            Some(_) => Self::Ascii,
        }
    }

    fn pick(self, emoji: &'static str, ascii: &'static str) -> &'static str {
        match self {
            Self::Emoji => emoji,
            Self::Ascii => ascii,
        }
    }

    /// The state of a service, two columns wide. `elapsed` moves the spinner of what is in progress.
    pub(crate) fn state(self, kind: StateKind, elapsed: Duration) -> String {
        let icon = match kind {
            StateKind::Running => self.pick("🟢", "*"),
            StateKind::Stopped => self.pick("⚪", "-"),
            StateKind::Failed => self.pick("🔴", "!"),
            StateKind::Backoff => self.pick("🟡", "%"),
            StateKind::Waiting => self.pick("⏳", "."),
            StateKind::Unknown => self.pick("❓", "?"),
            StateKind::Starting | StateKind::Stopping => self.spinner(elapsed),
        };
        text::pad(icon, 2, "")
    }

    /// Health, two columns wide. What does not run has none to show.
    pub(crate) fn health(self, service: &ServiceSnapshot) -> &'static str {
        if !service.state.is_alive() {
            return "  ";
        }
        match service.health() {
            Health::Healthy => self.pick("✅", "ok"),
            Health::Unhealthy => self.pick("❌", "!!"),
            Health::Unknown => self.pick("❓", "??"),
        }
    }

    pub(crate) fn spinner(self, elapsed: Duration) -> &'static str {
        const EMOJI: [&str; 8] = ["⠋", "⠙", "⠸", "⠴", "⠦", "⠧", "⠇", "⠏"];
        const ASCII: [&str; 4] = ["|", "/", "-", "\\"];
        let frame = (elapsed.as_millis() / SPINNER_STEP.as_millis()) as usize;
        match self {
            Self::Emoji => EMOJI[frame % EMOJI.len()],
            Self::Ascii => ASCII[frame % ASCII.len()],
        }
    }

    pub(crate) fn healthy_count(self) -> &'static str {
        self.pick("✅", "ok")
    }
    pub(crate) fn trouble_count(self) -> &'static str {
        self.pick("❌", "!!")
    }
    pub(crate) fn stopped_count(self) -> &'static str {
        self.pick("⚪", "--")
    }
    pub(crate) fn good(self) -> &'static str {
        self.pick("✓", "ok")
    }
    pub(crate) fn bad(self) -> &'static str {
        self.pick("✗", "x")
    }

    /// The mark of a time in which nobody looked, in a sparkline.
    pub(crate) fn gap(self) -> &'static str {
        self.pick("┈", " ")
    }
    pub(crate) fn warning(self) -> &'static str {
        self.pick("⚠", "!")
    }
    pub(crate) fn pending(self) -> &'static str {
        self.pick("○", "o")
    }
    pub(crate) fn cursor(self) -> &'static str {
        self.pick("▌", ">")
    }
    /// Of a service that actions are for.
    pub(crate) fn mark(self) -> &'static str {
        self.pick("●", "+")
    }
    pub(crate) fn arrow(self) -> &'static str {
        self.pick("▸", ">")
    }
    pub(crate) fn left_arrow(self) -> &'static str {
        self.pick("◂", "<")
    }
    pub(crate) fn dot(self) -> &'static str {
        self.pick("·", "-")
    }
    pub(crate) fn none(self) -> &'static str {
        self.pick("–", "-")
    }
    pub(crate) fn ellipsis(self) -> &'static str {
        self.pick("…", "~")
    }
    pub(crate) fn rule(self) -> &'static str {
        self.pick("─", "-")
    }
    pub(crate) fn wrap_mark(self) -> &'static str {
        self.pick("↪", "\\")
    }
    pub(crate) fn pause(self) -> &'static str {
        self.pick("‖", "||")
    }
    pub(crate) fn gauge(self) -> (&'static str, &'static str) {
        match self {
            Self::Emoji => ("━", "─"),
            Self::Ascii => ("#", "."),
        }
    }
    pub(crate) fn scrollbar(self) -> (&'static str, &'static str) {
        match self {
            Self::Emoji => ("│", "┃"),
            Self::Ascii => ("|", "#"),
        }
    }

    /// Tree pieces: a branch with followers, the last branch, a passing line, nothing.
    pub(crate) fn tree(self) -> [&'static str; 4] {
        match self {
            Self::Emoji => ["├─▸ ", "└─▸ ", "│   ", "    "],
            Self::Ascii => ["|-> ", "`-> ", "|   ", "    "],
        }
    }

    pub(crate) fn border(self) -> border::Set<'static> {
        match self {
            Self::Emoji => border::ROUNDED,
            Self::Ascii => ASCII_BORDER,
        }
    }

    /// The eight heights of a sparkline, low to high.
    pub(crate) fn bars(self) -> [&'static str; 8] {
        match self {
            Self::Emoji => ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
            Self::Ascii => ["_", ".", ":", "-", "=", "+", "*", "#"],
        }
    }

    /// A failed probe in a sparkline: told apart by its shape, not by its colour.
    pub(crate) fn failed_probe(self) -> &'static str {
        self.pick("✗", "x")
    }
}

#[cfg(test)]
mod tests {
    use super::IconSet;
    use crate::model::StateKind;
    use crate::tui::text::width;
    use std::time::Duration;

    const KINDS: [StateKind; 8] = [
        StateKind::Unknown,
        StateKind::Stopped,
        StateKind::Waiting,
        StateKind::Starting,
        StateKind::Running,
        StateKind::Stopping,
        StateKind::Backoff,
        StateKind::Failed,
    ];

    #[test]
    fn every_state_icon_is_two_columns_wide_and_none_needs_an_emoji_selector() {
        for icons in [IconSet::Emoji, IconSet::Ascii] {
            for kind in KINDS {
                for step in 0..9 {
                    let icon = icons.state(kind, Duration::from_millis(120 * step));
                    assert_eq!(width(&icon), 2, "{icon:?}");
                    assert!(!icon.contains('\u{fe0f}'));
                }
            }
        }
    }

    #[test]
    fn the_environment_decides_which_symbols_there_are() {
        let detect = |set: &[(&str, &str)]| {
            IconSet::detect(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(detect(&[("TERM", "xterm-256color"), ("LANG", "en_US.UTF-8")]), IconSet::Emoji);
        assert_eq!(
            detect(&[("TERM", "xterm"), ("LC_ALL", "de_DE.ISO-8859-1"), ("LANG", "en_US.UTF-8")]),
            IconSet::Ascii
        );
        assert_eq!(detect(&[("TERM", "xterm"), ("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]), IconSet::Emoji);
        assert_eq!(detect(&[("TERM", "xterm")]), IconSet::Emoji);
        assert_eq!(detect(&[("TERM", "linux"), ("LANG", "en_US.UTF-8")]), IconSet::Ascii);
        assert_eq!(detect(&[]), IconSet::Ascii);
    }

    #[test]
    fn ascii_means_ascii() {
        for kind in KINDS {
            assert!(IconSet::Ascii.state(kind, Duration::ZERO).is_ascii());
        }
        assert!(IconSet::Ascii.bars().concat().is_ascii() && IconSet::Ascii.tree().concat().is_ascii());
    }

    #[test]
    fn resting_states_differ_without_colour() {
        let resting = KINDS.into_iter().filter(|kind| !matches!(kind, StateKind::Starting | StateKind::Stopping));
        let mut icons: Vec<String> = resting.map(|kind| IconSet::Ascii.state(kind, Duration::ZERO)).collect();
        let n = icons.len();
        icons.sort();
        icons.dedup();
        assert_eq!(icons.len(), n);
    }
}
