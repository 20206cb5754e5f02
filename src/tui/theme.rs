//! Colours by role. Themes are files that name roles; what the terminal cannot show is degraded here, once.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;

use crate::model::{Health, ServiceSnapshot, StateKind};

/// The theme carried by the program.
const DEFAULT_THEME: &str = include_str!("../../themes/default.toml");

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

/// Why a theme file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ThemeError {
    #[error("read the theme: {0}")]
    Syntax(String),
    #[error("use the theme: no role is called {0:?}")]
    UnknownRole(String),
    #[error("use the theme: role {role:?} names the colour {colour:?}, which the palette does not have")]
    UnknownColour { role: String, colour: String },
    #[error("use the theme: {0:?} is not a colour")]
    BadColour(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    #[serde(rename = "name")]
    _name: String,
    palette: BTreeMap<String, PaletteEntry>,
    roles: BTreeMap<String, RoleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaletteEntry {
    rgb: String,
    ansi: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct RoleEntry {
    fg: Option<String>,
    bg: Option<String>,
    bold: bool,
    italic: bool,
    underline: bool,
    /// Swaps foreground and background where no colour can be shown.
    reversed_without_colour: bool,
}

impl Theme {
    /// The embedded theme for a terminal of that depth.
    pub(crate) fn embedded(depth: ColourDepth) -> Self {
        // A test holds that the embedded file parses; a plain screen is better than none should that ever be wrong.
        Self::parse(DEFAULT_THEME, depth).unwrap_or_else(|error| {
            tracing::error!("failed to {error}");
            Self { styles: vec![Style::new(); Role::ALL.len()] }
        })
    }

    /// Reads a theme file's text.
    pub(crate) fn parse(text: &str, depth: ColourDepth) -> Result<Self, ThemeError> {
        let file: ThemeFile = toml::from_str(text).map_err(|error| ThemeError::Syntax(error.to_string()))?;
        if let Some(name) = file.roles.keys().find(|name| !Role::ALL.iter().any(|role| role.name() == *name)) {
            return Err(ThemeError::UnknownRole(name.clone()));
        }
        let styles = Role::ALL
            .iter()
            .map(|role| match file.roles.get(role.name()) {
                Some(entry) => entry.style(role.name(), &file.palette, depth),
                None => Ok(Style::new()),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { styles })
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

impl RoleEntry {
    fn style(
        &self,
        role: &str,
        palette: &BTreeMap<String, PaletteEntry>,
        depth: ColourDepth,
    ) -> Result<Style, ThemeError> {
        let colour = |name: &Option<String>| -> Result<Option<Color>, ThemeError> {
            let Some(name) = name else { return Ok(None) };
            let unknown = || ThemeError::UnknownColour { role: role.to_owned(), colour: name.clone() };
            palette.get(name).ok_or_else(unknown)?.at(depth)
        };
        let mut style = Style::new();
        style.fg = colour(&self.fg)?;
        style.bg = colour(&self.bg)?;
        for (is_set, modifier) in [
            (self.bold, Modifier::BOLD),
            (self.italic, Modifier::ITALIC),
            (self.underline, Modifier::UNDERLINED),
            (self.reversed_without_colour && depth == ColourDepth::None, Modifier::REVERSED),
        ] {
            if is_set {
                style = style.add_modifier(modifier);
            }
        }
        Ok(style)
    }
}

impl PaletteEntry {
    fn at(&self, depth: ColourDepth) -> Result<Option<Color>, ThemeError> {
        let bad = |text: &str| ThemeError::BadColour(text.to_owned());
        let Color::Rgb(red, green, blue) = Color::from_str(&self.rgb).map_err(|_| bad(&self.rgb))? else {
            return Err(bad(&self.rgb));
        };
        let ansi = Color::from_str(&self.ansi).map_err(|_| bad(&self.ansi))?;
        Ok(match depth {
            ColourDepth::True => Some(Color::Rgb(red, green, blue)),
            ColourDepth::Indexed => Some(Color::Indexed(nearest_index(red, green, blue))),
            ColourDepth::Sixteen => Some(ansi),
            ColourDepth::None => None,
        })
    }
}

/// The nearest colour of xterm's 6×6×6 cube (16 to 231) or its grey ramp (232 to 255).
fn nearest_index(red: u8, green: u8, blue: u8) -> u8 {
    const LEVELS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let level = |value: u8| (0..6_u8).min_by_key(|i| LEVELS[usize::from(*i)].abs_diff(value)).unwrap_or(0);
    let [r, g, b] = [red, green, blue].map(level);
    let distance = |candidate: [u8; 3]| -> u32 {
        [red, green, blue].iter().zip(candidate).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    let cube = [r, g, b].map(|i| LEVELS[usize::from(i)]);
    let mean = (u16::from(red) + u16::from(green) + u16::from(blue)) / 3;
    let step = u8::try_from(mean.saturating_sub(3) / 10).unwrap_or(23).min(23);
    if distance([8 + 10 * step; 3]) < distance(cube) { 232 + step } else { 16 + 36 * r + 6 * g + b }
}

#[cfg(test)]
mod tests {
    use super::{ColourDepth, DEFAULT_THEME, Role, Theme, ThemeError, nearest_index};
    use ratatui::style::{Color, Modifier};

    #[test]
    fn the_embedded_theme_names_every_role_at_every_depth() {
        for depth in [ColourDepth::None, ColourDepth::Sixteen, ColourDepth::Indexed, ColourDepth::True] {
            let theme = Theme::parse(DEFAULT_THEME, depth).unwrap();
            assert_eq!(theme.styles.len(), Role::ALL.len());
        }
        for role in Role::ALL {
            assert!(DEFAULT_THEME.contains(&format!("\"{}\" ", role.name())), "{}", role.name());
        }
    }

    #[test]
    fn without_colours_the_selected_row_is_still_told_apart() {
        let style = Theme::embedded(ColourDepth::None).style(Role::Selected);
        assert_eq!((style.fg, style.bg), (None, None));
        assert!(style.add_modifier.contains(Modifier::REVERSED));
    }

    #[test]
    fn mistakes_in_a_theme_are_named() {
        let parse = |roles: &str| {
            let text = format!("name='x'\n[palette]\na={{rgb='#010203',ansi='red'}}\n[roles]\n{roles}");
            Theme::parse(&text, ColourDepth::True).unwrap_err()
        };
        assert_eq!(parse("'nope'={}"), ThemeError::UnknownRole("nope".into()));
        assert!(matches!(parse("'text'={fg='b'}"), ThemeError::UnknownColour { .. }));
        assert!(matches!(parse("'text'={colour='b'}"), ThemeError::Syntax(_)));
    }

    #[test]
    fn colours_are_degraded_to_their_neighbours() {
        assert_eq!(nearest_index(255, 0, 0), 196);
        assert_eq!(nearest_index(128, 128, 128), 244);
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
