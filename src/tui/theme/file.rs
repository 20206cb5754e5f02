//! A theme file: what it says, where that is wrong, and what becomes of it on a terminal of some depth.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::str::FromStr as _;

use ratatui::style::{Color, Modifier, Style};
use serde::Deserialize;
use toml::Spanned;

use super::degrade::{nearest_index, nearest_of_sixteen};
use super::{ColourDepth, Role, Theme};

/// What is wrong with a theme, and what to do. One line, as compilers print them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ThemeProblem {
    /// The file, or what else was named.
    pub(super) place: String,
    pub(super) message: String,
    pub(super) remedy: String,
}

impl fmt::Display for ThemeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.message, self.remedy)
    }
}

/// A file's text with what it is called in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) label: String,
    pub(super) text: String,
}

impl Text {
    fn problem(&self, span: &Range<usize>, message: impl Into<String>, remedy: impl Into<String>) -> ThemeProblem {
        let before = self.text.get(..span.start).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        ThemeProblem {
            place: format!("{}:{line}:{column}", self.label),
            message: message.into(),
            remedy: remedy.into(),
        }
    }
}

/// What a file says.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThemeFile {
    #[serde(default, rename = "name")]
    _name: Option<String>,
    inherit: Option<Spanned<String>>,
    #[serde(default)]
    palette: BTreeMap<String, Spanned<PaletteEntry>>,
    #[serde(default)]
    roles: BTreeMap<Spanned<String>, RoleEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PaletteEntry {
    rgb: Option<Spanned<String>>,
    ansi: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct RoleEntry {
    fg: Option<Spanned<String>>,
    bg: Option<Spanned<String>>,
    bold: bool,
    italic: bool,
    underline: bool,
    /// Swaps foreground and background where no colour can be shown.
    reversed_without_colour: bool,
}

/// A theme before it meets a terminal: every name resolved.
#[derive(Debug, Clone, Default)]
pub(super) struct Drawing {
    palette: BTreeMap<String, Colour>,
    roles: BTreeMap<String, Look>,
}

/// A colour at every depth.
#[derive(Debug, Clone, Copy)]
struct Colour {
    rgb: Option<(u8, u8, u8)>,
    ansi: Color,
}

#[derive(Debug, Clone)]
struct Look {
    fg: Option<String>,
    bg: Option<String>,
    modifiers: Modifier,
    reversed_without_colour: bool,
}

/// Which theme a file begins with; `None` where it does not say.
///
/// # Errors
/// What is wrong with the file.
pub(super) fn inherited(text: &Text) -> Result<Option<(String, Range<usize>)>, ThemeProblem> {
    Ok(read(text)?.inherit.map(|name| (name.get_ref().clone(), name.span())))
}

/// Says at `inherit` why that theme cannot be had.
pub(super) fn not_inherited(text: &Text, span: &Range<usize>, why: String, remedy: String) -> ThemeProblem {
    text.problem(span, why, remedy)
}

/// Lays a file over what it inherits.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn draw(text: &Text, mut drawing: Drawing) -> Result<Drawing, ThemeProblem> {
    let file = read(text)?;
    for (name, entry) in file.palette {
        drawing.palette.insert(name, colour(text, &entry)?);
    }
    for (name, entry) in file.roles {
        if !Role::ALL.iter().any(|role| role.name() == name.get_ref()) {
            let names = Role::ALL.iter().map(|role| role.name());
            let remedy = format!("{}themes/default.toml has all of them", nearest(name.get_ref(), names));
            return Err(text.problem(&name.span(), format!("no role is called \"{}\"", name.get_ref()), remedy));
        }
        for named in [&entry.fg, &entry.bg].into_iter().flatten() {
            if !drawing.palette.contains_key(named.get_ref()) {
                let names = drawing.palette.keys().map(String::as_str);
                let remedy = format!("{}put it below [palette]", nearest(named.get_ref(), names));
                let message = format!("the palette has no colour \"{}\"", named.get_ref());
                return Err(text.problem(&named.span(), message, remedy));
            }
        }
        drawing.roles.insert(name.into_inner(), look(entry));
    }
    Ok(drawing)
}

fn read(text: &Text) -> Result<ThemeFile, ThemeProblem> {
    toml::from_str(&text.text).map_err(|error| {
        let message = error.message().lines().collect::<Vec<_>>().join(", ");
        text.problem(&error.span().unwrap_or_default(), message, "themes/default.toml shows how it is written")
    })
}

fn colour(text: &Text, entry: &Spanned<PaletteEntry>) -> Result<Colour, ThemeProblem> {
    let rgb = match &entry.get_ref().rgb {
        None => None,
        Some(written) => match Color::from_str(written.get_ref()) {
            Ok(Color::Rgb(red, green, blue)) => Some((red, green, blue)),
            Ok(_) | Err(_) => {
                let message = format!("\"{}\" is no true colour", written.get_ref());
                return Err(text.problem(&written.span(), message, "write it as \"#1f2733\""));
            }
        },
    };
    let ansi = match (&entry.get_ref().ansi, rgb) {
        (None, None) => {
            return Err(text.problem(&entry.span(), "this colour says nothing", "give it `rgb`, `ansi` or both"));
        }
        (None, Some((red, green, blue))) => nearest_of_sixteen(red, green, blue),
        (Some(written), _) => match Color::from_str(written.get_ref()) {
            Ok(colour) if !matches!(colour, Color::Rgb(..) | Color::Indexed(_)) => colour,
            Ok(_) | Err(_) => {
                let message = format!("\"{}\" is none of the sixteen colours", written.get_ref());
                let remedy = "use black, red, green, yellow, blue, magenta, cyan, gray, dark-gray, light-red and so on";
                return Err(text.problem(&written.span(), message, remedy));
            }
        },
    };
    Ok(Colour { rgb, ansi })
}

fn look(entry: RoleEntry) -> Look {
    let modifiers =
        [(entry.bold, Modifier::BOLD), (entry.italic, Modifier::ITALIC), (entry.underline, Modifier::UNDERLINED)];
    Look {
        fg: entry.fg.map(Spanned::into_inner),
        bg: entry.bg.map(Spanned::into_inner),
        modifiers: modifiers.into_iter().filter(|(is_set, _)| *is_set).map(|(_, modifier)| modifier).collect(),
        reversed_without_colour: entry.reversed_without_colour,
    }
}

/// `did you mean "x"? `, where something is near.
pub(super) fn nearest<'n>(wanted: &str, names: impl Iterator<Item = &'n str>) -> String {
    let far = 1 + wanted.len() / 4;
    let near = names.map(|name| (strsim::osa_distance(wanted, name), name)).filter(|(distance, _)| *distance <= far);
    let nearest = near.min_by_key(|(distance, _)| *distance);
    nearest.map(|(_, name)| format!("did you mean \"{name}\"? ")).unwrap_or_default()
}

impl Drawing {
    /// The styles for a terminal of that depth.
    pub(super) fn at(&self, depth: ColourDepth) -> Theme {
        Theme { styles: Role::ALL.iter().map(|role| self.style(role.name(), depth)).collect() }
    }

    fn style(&self, role: &str, depth: ColourDepth) -> Style {
        let Some(look) = self.roles.get(role) else { return Style::new() };
        let colour = |name: &Option<String>| self.palette.get(name.as_ref()?)?.at(depth);
        let mut style = Style::new().add_modifier(look.modifiers);
        style.fg = colour(&look.fg);
        style.bg = colour(&look.bg);
        if look.reversed_without_colour && depth == ColourDepth::None {
            style = style.add_modifier(Modifier::REVERSED);
        }
        style
    }

    /// The roles that are set.
    #[cfg(test)]
    pub(super) fn roles(&self) -> impl Iterator<Item = &str> {
        self.roles.keys().map(String::as_str)
    }
}

impl Colour {
    fn at(self, depth: ColourDepth) -> Option<Color> {
        match (depth, self.rgb) {
            (ColourDepth::None, _) => None,
            (ColourDepth::Sixteen, _) | (_, None) => Some(self.ansi),
            (ColourDepth::Indexed, Some((red, green, blue))) => Some(Color::Indexed(nearest_index(red, green, blue))),
            (ColourDepth::True, Some((red, green, blue))) => Some(Color::Rgb(red, green, blue)),
        }
    }
}
