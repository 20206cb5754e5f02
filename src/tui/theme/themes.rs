//! Which themes there are: those carried by the program, and the person's own. One that cannot be used is told, and never in the way.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::file::{self, Drawing, Text, ThemeProblem, nearest};
use super::{ColourDepth, Theme};

/// What everything falls back to.
const DEFAULT: &str = "default";

/// The themes carried by the program, in the order in which they are offered.
const SHIPPED: [(&str, &str); 6] = [
    (DEFAULT, include_str!("../../../themes/default.toml")),
    ("light", include_str!("../../../themes/light.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("sixteen", include_str!("../../../themes/sixteen.toml")),
    ("frost", include_str!("../../../themes/frost.toml")),
    ("ember", include_str!("../../../themes/ember.toml")),
];

/// More than any theme has, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// More than anybody has.
const MAX_FILES: usize = 200;

/// Where themes come from, for reading them again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThemeSource {
    /// The directory of the person's own themes; it need not be there.
    pub dir: Option<PathBuf>,
    /// What the terminal can show.
    pub depth: ColourDepth,
    /// The name that was asked for, and by what, as messages name it.
    pub wanted: Option<(String, &'static str)>,
}

/// Every theme that can be used.
#[derive(Debug, Clone, Default)]
pub(crate) struct Themes {
    named: Vec<(String, Theme)>,
    /// What is wrong with others.
    pub(crate) broken: Vec<BrokenTheme>,
}

/// A theme that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BrokenTheme {
    name: String,
    pub(crate) problem: ThemeProblem,
}

impl ThemeSource {
    /// Reads all themes. Blocks on the file system where there is a directory of own ones.
    pub(crate) fn load(&self) -> Themes {
        let mut broken = Vec::new();
        let own = self.dir.as_deref().map(|dir| read_dir(dir, &mut broken)).unwrap_or_default();
        let mut names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        names.extend(own.keys().map(String::as_str).filter(|name| !SHIPPED.iter().any(|(shipped, _)| shipped == name)));
        let mut themes = Themes { named: Vec::with_capacity(names.len()), broken };
        for name in names {
            match resolve(name, &own, &mut Vec::new()) {
                Ok(drawing) => themes.named.push((name.to_owned(), drawing.at(self.depth))),
                Err(problem) => {
                    themes.broken.push(BrokenTheme { name: name.to_owned(), problem });
                    // One's own variant that is wrong leaves the one carried by the program.
                    if let Ok(drawing) = resolve(name, &BTreeMap::new(), &mut Vec::new()) {
                        themes.named.push((name.to_owned(), drawing.at(self.depth)));
                    }
                }
            }
        }
        themes
    }

    /// Where the theme is that was asked for, and what keeps it from being used. The first one where none can be.
    pub(crate) fn choose(&self, themes: &Themes) -> (usize, Option<String>) {
        let Some((name, by)) = &self.wanted else { return (0, None) };
        let broken = themes.broken.iter().find(|broken| broken.name == *name);
        match (themes.place(name), broken) {
            (Some(place), None) => (place, None),
            (place, Some(broken)) => (place.unwrap_or(0), Some(broken.problem.to_string())),
            (None, None) => {
                let names: Vec<&str> = themes.names().collect();
                let hint = nearest(name, names.iter().copied());
                let message = format!("{by}: no theme is called \"{name}\"; {hint}there are {}", names.join(", "));
                (0, Some(message))
            }
        }
    }
}

impl Themes {
    /// Their names, in the order in which they are offered.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.iter().map(|(name, _)| name.as_str())
    }

    pub(crate) fn name(&self, place: usize) -> &str {
        self.named.get(place).map_or(DEFAULT, |(name, _)| name)
    }

    pub(crate) fn place(&self, name: &str) -> Option<usize> {
        self.names().position(|it| it == name)
    }

    pub(crate) fn len(&self) -> usize {
        self.named.len()
    }

    pub(crate) fn theme(&self, place: usize) -> Option<&Theme> {
        self.named.get(place).map(|(_, theme)| theme)
    }
}

/// The default theme as it is carried by the program.
pub(super) fn default_theme(depth: ColourDepth) -> Theme {
    match resolve(DEFAULT, &BTreeMap::new(), &mut Vec::new()) {
        Ok(drawing) => drawing.at(depth),
        Err(problem) => {
            // A test holds that the embedded file parses; a plain screen is better than none should that ever be wrong.
            tracing::error!("failed to use the theme: {problem}");
            Theme::plain()
        }
    }
}

/// A theme with all that it inherits. `below` are those that inherit it.
fn resolve(name: &str, own: &BTreeMap<String, Text>, below: &mut Vec<String>) -> Result<Drawing, ThemeProblem> {
    // What inherits its own name means the one carried by the program.
    let is_below = below.iter().any(|it| it == name);
    let text = match own.get(name).filter(|_| !is_below) {
        Some(text) => text.clone(),
        None => match SHIPPED.iter().find(|(shipped, _)| *shipped == name) {
            Some((_, text)) => return file::draw(&shipped(name, text), Drawing::default()),
            None => {
                let names = own.keys().map(String::as_str).chain(SHIPPED.iter().map(|(name, _)| *name));
                let remedy = format!("{}name one of yours or of those carried by the program", nearest(name, names));
                return Err(ThemeProblem {
                    place: name.to_owned(),
                    message: format!("no theme is called \"{name}\""),
                    remedy,
                });
            }
        },
    };
    let inherited = file::inherited(&text)?;
    below.push(name.to_owned());
    let base = match &inherited {
        None => resolve_shipped_default()?,
        Some((base, span)) => {
            let goes_round = below.contains(base) && !SHIPPED.iter().any(|(shipped, _)| shipped == base);
            if goes_round {
                let circle = format!("{} inherit each other", below.join(", "));
                return Err(file::not_inherited(&text, span, circle, "let one of them inherit default".to_owned()));
            }
            resolve(base, own, below).map_err(|problem| {
                // A base that is wrong itself has its own place; one that is missing is missed here.
                if problem.place == *base {
                    file::not_inherited(&text, span, problem.message, problem.remedy)
                } else {
                    problem
                }
            })?
        }
    };
    file::draw(&text, base)
}

fn resolve_shipped_default() -> Result<Drawing, ThemeProblem> {
    let (name, text) = SHIPPED[0];
    file::draw(&shipped(name, text), Drawing::default())
}

fn shipped(name: &str, text: &str) -> Text {
    Text { label: format!("themes/{name}.toml of the program"), text: text.to_owned() }
}

/// The person's own theme files by their names. What is no file, or too large for one, is told.
fn read_dir(dir: &Path, broken: &mut Vec<BrokenTheme>) -> BTreeMap<String, Text> {
    let mut found = BTreeMap::new();
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return found,
        Err(error) => {
            broken.push(unreadable(dir, &error.to_string()));
            return found;
        }
    };
    let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = paths.filter(|path| path.extension().is_some_and(|it| it == "toml")).collect();
    paths.sort();
    for path in paths.into_iter().take(MAX_FILES) {
        let Some(name) = path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned) else { continue };
        match read_file(&path) {
            Ok(text) => {
                found.insert(name, Text { label: path.to_string_lossy().into_owned(), text });
            }
            Err(why) => broken.push(unreadable(&path, &why)),
        }
    }
    found
}

fn read_file(path: &Path) -> Result<String, String> {
    // A FIFO would be waited for.
    if !fs::metadata(path).map_err(|error| error.to_string())?.is_file() {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    let mut file = fs::File::open(path).map_err(|error| error.to_string())?.take(MAX_FILE);
    file.read_to_string(&mut text).map_err(|error| error.to_string())?;
    Ok(text)
}

fn unreadable(path: &Path, why: &str) -> BrokenTheme {
    let problem = ThemeProblem {
        place: path.to_string_lossy().into_owned(),
        message: format!("it cannot be read: {why}"),
        remedy: "make it readable, or remove it".to_owned(),
    };
    BrokenTheme { name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::{SHIPPED, ThemeSource, file, shipped};
    use crate::tui::theme::file::Drawing;
    use crate::tui::theme::{ColourDepth, Role, Theme};
    use ratatui::style::{Color, Modifier, Style};
    use std::fs;
    use std::path::Path;

    const DEPTHS: [ColourDepth; 4] = [ColourDepth::None, ColourDepth::Sixteen, ColourDepth::Indexed, ColourDepth::True];

    fn source(dir: Option<&Path>, depth: ColourDepth) -> ThemeSource {
        ThemeSource { dir: dir.map(Path::to_owned), depth, wanted: None }
    }

    fn each_shipped(depth: ColourDepth) -> Vec<(String, Theme)> {
        source(None, depth).load().named
    }

    #[test]
    fn every_shipped_theme_sets_every_role_itself_and_can_be_used_at_every_depth() {
        for (name, text) in SHIPPED {
            let drawing = file::draw(&shipped(name, text), Drawing::default()).unwrap_or_else(|it| panic!("{it}"));
            let missing: Vec<&str> = Role::ALL
                .iter()
                .map(|it| it.name())
                .filter(|name| !drawing.roles().any(|role| role == *name))
                .collect();
            assert!(missing.is_empty(), "{name}: {missing:?}");
            assert!(text.contains(&format!("\nname = \"{name}\"\n")), "{name}");
        }
        for depth in DEPTHS {
            let themes = source(None, depth).load();
            assert_eq!((themes.len(), themes.broken.len()), (SHIPPED.len(), 0));
        }
    }

    #[test]
    fn nothing_rests_on_colour_alone() {
        for (name, theme) in each_shipped(ColourDepth::None) {
            let look = |role: Role| theme.style(role);
            for role in Role::ALL {
                assert_eq!((look(*role).fg, look(*role).bg), (None, None), "{name}: {}", role.name());
            }
            // What is told apart by its style and not by its words.
            for (one, other) in [
                (Role::Border, Role::BorderFocused),
                (Role::Title, Role::TitleFocused),
                (Role::Text, Role::Selected),
                (Role::Text, Role::SelectedIdle),
                (Role::Text, Role::Brand),
                (Role::Text, Role::Match),
                (Role::Match, Role::MatchCurrent),
                (Role::Text, Role::Error),
                (Role::Text, Role::Warning),
                (Role::Label, Role::Key),
                (Role::Running, Role::Failed),
                (Role::Healthy, Role::Unhealthy),
            ] {
                assert_ne!(look(one), look(other), "{name}: {} and {}", one.name(), other.name());
            }
            for role in [Role::Selected, Role::SelectedIdle, Role::MatchCurrent] {
                assert!(look(role).add_modifier.contains(Modifier::REVERSED), "{name}: {}", role.name());
            }
        }
    }

    /// How far two colours are apart, by the Web Content Accessibility Guidelines (1 to 21).
    fn contrast(one: Color, other: Color) -> f64 {
        let luminance = |colour: Color| {
            let Color::Rgb(red, green, blue) = colour else { panic!("{colour:?}") };
            let linear = |value: u8| {
                let value = f64::from(value) / 255.0;
                if value <= 0.039_28 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
            };
            0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue)
        };
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn every_shipped_theme_can_be_read() {
        for (name, theme) in each_shipped(ColourDepth::True) {
            let screen = theme.style(Role::Screen);
            let selected = theme.style(Role::Selected);
            for role in Role::ALL {
                let style = Style { bg: theme.style(*role).bg.or(screen.bg), ..theme.style(*role) };
                let least = match (name.as_str(), role) {
                    (_, Role::Border) => 2.5,
                    ("high-contrast", _) => 7.0,
                    _ => 4.5,
                };
                if let (Some(fg @ Color::Rgb(..)), Some(bg)) = (style.fg.or(screen.fg), style.bg) {
                    let contrast = contrast(fg, bg);
                    assert!(contrast >= least, "{name}: {} has a contrast of {contrast:.1}", role.name());
                }
            }
            for role in [Role::Running, Role::Progress, Role::Failed, Role::Healthy, Role::Unhealthy, Role::SparkHigh] {
                if let (Some(fg @ Color::Rgb(..)), Some(bg)) = (theme.style(role).fg, selected.bg) {
                    assert!(contrast(fg, bg) >= 2.7, "{name}: {} on the selected row", role.name());
                }
            }
        }
    }

    /// Themes of one's own by their names.
    fn own(files: &[(&str, &str)]) -> (tempfile::TempDir, ThemeSource) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(dir.path().join(format!("{name}.toml")), text).unwrap();
        }
        let source = source(Some(dir.path()), ColourDepth::True);
        (dir, source)
    }

    #[test]
    fn a_theme_of_ones_own_changes_what_it_names_and_inherits_the_rest() {
        let (_dir, source) = own(&[
            ("mine", "inherit = 'frost'\n[palette]\ngreen = { rgb = '#010203' }\n[roles]\n'why' = { fg = 'red' }\n"),
            ("plain", "[roles]\n'why' = { italic = true }\n"),
            ("ember", "inherit = 'ember'\n[roles]\n'why' = { bold = true }\n"),
        ]);
        let themes = source.load();
        assert!(themes.broken.is_empty(), "{:?}", themes.broken);
        let theme = |name: &str| themes.theme(themes.place(name).unwrap()).unwrap();
        assert_eq!(theme("mine").style(Role::Running).fg, Some(Color::Rgb(1, 2, 3)));
        assert_eq!(theme("mine").style(Role::Why).fg, theme("frost").style(Role::Failed).fg);
        assert_eq!(theme("mine").style(Role::Key), theme("frost").style(Role::Key));
        assert_eq!(theme("plain").style(Role::Key), theme("default").style(Role::Key));
        assert_eq!(theme("ember").style(Role::Why), Style::new().bold(), "one's own goes before the program's");
        assert_eq!(themes.names().filter(|name| *name == "ember").count(), 1);
    }

    #[test]
    fn a_mistake_names_file_line_column_and_remedy_and_leaves_the_default() {
        for (text, place, words) in [
            ("[roles]\n'state.runing' = {}\n", ":2:1", "did you mean \"state.running\"?"),
            ("[roles]\n'kye' = {}\n", ":2:1", "did you mean \"key\"?"),
            ("[roles]\n'why' = { fg = 'gren' }\n", ":2:16", "did you mean \"green\"?"),
            ("[palette]\nx = { rgb = 'blueish' }\n", ":2:13", "is no true colour; write it as \"#1f2733\""),
            ("[palette]\nx = { ansi = 'pink' }\n", ":2:14", "none of the sixteen"),
            ("[palette]\nx = {}\n", ":2:5", "give it `rgb`"),
            ("inherit = 'frst'\n", ":1:11", "did you mean \"frost\"?"),
            ("inherit = 'mine'\n", ":1:11", "let one of them inherit default"),
            ("[roles]\n'why' = { colour = 'red' }\n", ":2:11", "unknown field `colour`"),
            ("[roles\n", ":1:7", "themes/default.toml shows how"),
        ] {
            let (dir, mut source) = own(&[("mine", text)]);
            source.wanted = Some(("mine".to_owned(), "--theme"));
            let themes = source.load();
            let (place_of_default, problem) = source.choose(&themes);
            let problem = problem.expect(text);
            let file = dir.path().join("mine.toml");
            assert!(problem.starts_with(&format!("{}{place}: ", file.display())), "{text:?}: {problem}");
            assert!(problem.contains(words), "{text:?}: {problem}");
            assert_eq!(themes.name(place_of_default), "default");
        }
    }

    #[test]
    fn themes_that_inherit_each_other_are_told() {
        let (_dir, source) = own(&[("a", "inherit = 'b'"), ("b", "inherit = 'a'")]);
        let themes = source.load();
        assert_eq!(themes.broken.len(), 2);
        assert!(themes.broken[0].problem.to_string().contains("a, b inherit each other"), "{:?}", themes.broken);
    }

    #[test]
    fn what_is_no_file_is_never_waited_for() {
        let (dir, source) = own(&[]);
        fs::create_dir(dir.path().join("odd.toml")).unwrap();
        let themes = source.load();
        assert_eq!((themes.len(), themes.broken.len()), (SHIPPED.len(), 1));
        assert!(themes.broken[0].problem.to_string().contains("odd.toml: it cannot be read"));
    }

    #[test]
    fn a_name_that_no_theme_has_falls_back_and_says_which_there_are() {
        let mut source = source(None, ColourDepth::True);
        source.wanted = Some(("ligt".to_owned(), "PROVISIONING_THEME"));
        let (place, problem) = source.choose(&source.load());
        assert_eq!(place, 0);
        let expected =
            "PROVISIONING_THEME: no theme is called \"ligt\"; did you mean \"light\"? there are default, light, ";
        assert!(problem.as_deref().unwrap_or_default().starts_with(expected), "{problem:?}");
        source.wanted = Some(("light".to_owned(), "--theme"));
        assert_eq!(source.choose(&source.load()), (1, None));
    }
}
