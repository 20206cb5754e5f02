//! The icons of A7, drawn as emoji or as plain ASCII. An icon never carries meaning alone: the word stands beside it.

use unicode_width::UnicodeWidthStr as _;

use super::text::pad;
use crate::model::{Health, StateKind};

/// How icons are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Style {
    /// As the guide shows them.
    #[default]
    Emoji,
    /// For terminals and logs that have no emoji (`--ascii`).
    Ascii,
}

/// What an icon says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Icon {
    /// It runs.
    Running,
    /// It does not run.
    Stopped,
    /// It is on its way up or down.
    Changing,
    /// It is down although it was wanted.
    Failed,
    /// Healthy, or done.
    Good,
    /// Unhealthy, or refused.
    Bad,
    /// Worth knowing.
    Warning,
    /// Nobody knows.
    Unknown,
}

impl Icon {
    /// Every icon.
    pub const ALL: [Self; 8] = [
        Self::Running,
        Self::Stopped,
        Self::Changing,
        Self::Failed,
        Self::Good,
        Self::Bad,
        Self::Warning,
        Self::Unknown,
    ];

    /// The icon of a state.
    pub fn of_state(kind: StateKind) -> Self {
        match kind {
            StateKind::Unknown => Self::Unknown,
            StateKind::Stopped => Self::Stopped,
            StateKind::Waiting | StateKind::Starting | StateKind::Stopping | StateKind::Backoff => Self::Changing,
            StateKind::Running => Self::Running,
            StateKind::Failed => Self::Failed,
        }
    }

    /// The icon of a health.
    pub fn of_health(health: Health) -> Self {
        match health {
            Health::Unknown => Self::Unknown,
            Health::Healthy => Self::Good,
            Health::Unhealthy => Self::Bad,
        }
    }

    fn symbol(self, style: Style) -> &'static str {
        match (style, self) {
            (Style::Emoji, Self::Running) => "🟢",
            (Style::Emoji, Self::Stopped) => "⚪",
            (Style::Emoji, Self::Changing | Self::Warning) => "🟡",
            (Style::Emoji, Self::Failed) => "🔴",
            (Style::Emoji, Self::Good) => "✅",
            (Style::Emoji, Self::Bad) => "❌",
            (Style::Emoji, Self::Unknown) => "❓",
            (Style::Ascii, Self::Running) => "[up]",
            (Style::Ascii, Self::Stopped) => "[--]",
            (Style::Ascii, Self::Changing) => "[..]",
            (Style::Ascii, Self::Failed | Self::Bad) => "[!!]",
            (Style::Ascii, Self::Warning) => "[! ]",
            (Style::Ascii, Self::Good) => "[ok]",
            (Style::Ascii, Self::Unknown) => "[??]",
        }
    }

    /// The icon, padded to the measured width of the widest of its style, so that what follows stands in one column.
    pub fn draw(self, style: Style) -> String {
        let widest = Self::ALL.iter().map(|icon| icon.symbol(style).width()).max().unwrap_or(0);
        pad(self.symbol(style), widest)
    }
}

#[cfg(test)]
mod tests {
    use super::{Icon, Style};
    use unicode_width::UnicodeWidthStr as _;

    #[test]
    fn every_icon_of_a_style_is_equally_wide() {
        for style in [Style::Emoji, Style::Ascii] {
            let widths: Vec<usize> = Icon::ALL.iter().map(|icon| icon.draw(style).width()).collect();
            assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "{style:?}: {widths:?}");
        }
    }

    #[test]
    fn no_icon_carries_a_variation_selector_and_ascii_is_ascii() {
        for icon in Icon::ALL {
            assert!(!icon.draw(Style::Emoji).contains('\u{fe0f}'));
            assert!(icon.draw(Style::Ascii).is_ascii());
        }
    }
}
