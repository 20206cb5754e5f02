//! Colours by role. Themes are files that name roles; what the terminal cannot show is degraded here, once.

mod degrade;
mod file;
mod themes;

use ratatui::style::Style;

use crate::model::{Health, ServiceSnapshot, StateKind};

pub use themes::ThemeSource;
pub(crate) use themes::Themes;

/// How many colours the terminal has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColourDepth {
    /// None: bold, reversed and underlined text only.
    None,
    /// The 16 of the console.
    Sixteen,
    /// The 256 of xterm.
    Indexed,
    /// 24 bits.
    True,
}

impl ColourDepth {
    /// What the environment says: `NO_COLOR`, then `COLORTERM`, then `TERM`. `variable` looks a variable up.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
        let term = variable("TERM").unwrap_or_default();
        let colorterm = variable("COLORTERM").unwrap_or_default();
        if is_set("NO_COLOR") || term == "dumb" {
            Self::None
        } else if matches!(colorterm.as_str(), "truecolor" | "24bit")
            || ["kitty", "alacritty", "ghostty", "wezterm", "foot", "direct"].iter().any(|name| term.contains(name))
        {
            Self::True
        } else if term.contains("256") {
            Self::Indexed
        } else {
            Self::Sixteen
        }
    }
}

macro_rules! roles {
    ($($variant:ident = $name:literal),+ $(,)?) => {
        /// What a piece of the screen is, as themes name it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Role { $($variant),+ }

        impl Role {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(crate) fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }
        }
    };
}

roles! {
    Screen = "screen",
    Text = "text",
    Dim = "text.dim",
    Strong = "text.strong",
    Brand = "brand",
    Border = "border",
    BorderFocused = "border.focused",
    Title = "title",
    TitleFocused = "title.focused",
    Heading = "heading",
    Label = "label",
    Link = "link",
    Selected = "row.selected",
    SelectedIdle = "row.selected.idle",
    Cursor = "row.cursor",
    Running = "state.running",
    Progress = "state.progress",
    Failed = "state.failed",
    Stopped = "state.stopped",
    Unknown = "state.unknown",
    Healthy = "health.good",
    Unhealthy = "health.bad",
    SparkLow = "spark.low",
    SparkMiddle = "spark.middle",
    SparkHigh = "spark.high",
    SparkFailed = "spark.failed",
    Why = "why",
    Warning = "warning",
    Error = "error",
    Key = "key",
    Command = "command",
    LogTime = "log.time",
    LogSeparator = "log.separator",
    Match = "match",
    MatchCurrent = "match.current",
}

/// A style for each role, ready for the terminal at hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Theme {
    styles: Vec<Style>,
}

impl Theme {
    /// The default theme for a terminal of that depth.
    pub(crate) fn embedded(depth: ColourDepth) -> Self {
        themes::default_theme(depth)
    }

    /// A plain screen, for when there is nothing better.
    fn plain() -> Self {
        Self { styles: vec![Style::new(); Role::ALL.len()] }
    }

    /// The style of a role.
    pub(crate) fn style(&self, role: Role) -> Style {
        self.styles.get(role as usize).copied().unwrap_or_default()
    }

    /// The style of a service's state.
    pub(crate) fn state(&self, service: &ServiceSnapshot) -> Style {
        self.style(match service.kind() {
            StateKind::Running if service.health() == Health::Unhealthy => Role::Unhealthy,
            StateKind::Running => Role::Running,
            StateKind::Stopped => Role::Stopped,
            StateKind::Failed => Role::Failed,
            StateKind::Unknown => Role::Unknown,
            StateKind::Waiting | StateKind::Starting | StateKind::Stopping | StateKind::Backoff => Role::Progress,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ColourDepth, Role, Theme};
    use ratatui::style::{Color, Modifier};

    #[test]
    fn without_colours_the_selected_row_is_still_told_apart() {
        let style = Theme::embedded(ColourDepth::None).style(Role::Selected);
        assert_eq!((style.fg, style.bg), (None, None));
        assert!(style.add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn sixteen_colours_are_those_of_the_terminal() {
        let style = Theme::embedded(ColourDepth::Sixteen).style(Role::Running);
        assert_eq!(style.fg, Some(Color::Green));
    }

    #[test]
    fn the_environment_decides_how_many_colours_there_are() {
        let detect = |set: &[(&str, &str)]| {
            ColourDepth::detect(|name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(detect(&[("NO_COLOR", "1"), ("COLORTERM", "truecolor")]), ColourDepth::None);
        assert_eq!(detect(&[("NO_COLOR", ""), ("COLORTERM", "truecolor")]), ColourDepth::True);
        assert_eq!(detect(&[("TERM", "screen-256color")]), ColourDepth::Indexed);
        assert_eq!(detect(&[("TERM", "linux")]), ColourDepth::Sixteen);
        assert_eq!(detect(&[("TERM", "dumb")]), ColourDepth::None);
    }
}
