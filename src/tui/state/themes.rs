//! The themes at hand, and which one is on.

use crate::tui::text;
use crate::tui::theme::{ColourDepth, Theme, ThemeSource, Themes};

/// What can be tried on.
#[derive(Debug, Clone)]
pub(crate) struct ThemesState {
    all: Themes,
    /// The one that is on.
    pub(crate) place: usize,
    /// Used as long as there are none.
    fallback: Theme,
}

impl Default for ThemesState {
    fn default() -> Self {
        Self { all: Themes::default(), place: 0, fallback: Theme::embedded(ColourDepth::None) }
    }
}

impl ThemesState {
    /// Reads the themes and puts on the one that was asked for. Returns why another one is on.
    pub(crate) fn open(&mut self, source: &ThemeSource) -> Option<String> {
        self.all = source.load();
        let (place, problem) = source.choose(&self.all);
        self.place = place;
        problem.map(|problem| text::clean(&problem).into_owned())
    }

    /// Takes newly read themes; the one of that name stays on.
    pub(crate) fn replace(&mut self, all: Themes) {
        let name = self.name().to_owned();
        self.all = all;
        self.place = self.all.place(&name).unwrap_or(0);
    }

    /// The one that is on.
    pub(crate) fn theme(&self) -> &Theme {
        self.all.theme(self.place).unwrap_or(&self.fallback)
    }

    pub(crate) fn name(&self) -> &str {
        self.all.name(self.place)
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.names()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    /// Puts on the one of that name, where it is still there.
    pub(crate) fn put_on(&mut self, name: &str) {
        self.place = self.all.place(name).unwrap_or(self.place);
    }

    /// What is wrong with those that cannot be used.
    pub(crate) fn problems(&self) -> impl Iterator<Item = String> {
        self.all.broken.iter().map(|broken| text::clean(&broken.problem.to_string()).into_owned())
    }
}
