//! The timeline: what happened to all services, and where the person looks.

use std::collections::VecDeque;

use super::log::Scroll;
use crate::model::ServiceId;
use crate::store::TimelineEntry;
use crate::tui::text;
use crate::tui::timeline_feed::TimelineNews;

/// Entries kept in memory; the file has the others.
const MAX_ENTRIES: usize = 10_000;

/// The longest sentence that is kept whole, in bytes.
const MAX_SENTENCE: usize = 2048;

/// The entries at hand, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EventsState {
    entries: VecDeque<TimelineEntry>,
    /// Whether the first batch has come.
    pub(crate) is_loaded: bool,
    /// Whether the file is followed: from the first look on.
    pub(crate) is_followed: bool,
    /// Why it cannot be read at present.
    pub(crate) problem: Option<String>,
    /// Whether only what happened to the selected service is shown.
    pub(crate) is_of_selected: bool,
    pub(crate) scroll: Scroll,
}

impl Default for EventsState {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            is_loaded: false,
            is_followed: false,
            problem: None,
            is_of_selected: false,
            scroll: Scroll::Following,
        }
    }
}

impl EventsState {
    /// Takes in what came. `selected` is the service under the cursor of the board.
    pub(crate) fn take(&mut self, news: TimelineNews, selected: Option<&ServiceId>) {
        match news {
            TimelineNews::Unreadable(why) => self.problem = Some(text::clean(&why).into_owned()),
            TimelineNews::Entries(entries) => {
                self.is_loaded = true;
                self.problem = None;
                let n_before = self.shown(selected).len();
                self.entries.extend(entries.into_iter().map(cleaned));
                let n_added = self.shown(selected).len() - n_before;
                let surplus = self.entries.len().saturating_sub(MAX_ENTRIES);
                let n_shown = self.shown(selected).len();
                self.entries.drain(..surplus);
                let n_forgotten = n_shown - self.shown(selected).len();
                if let Scroll::Paused { top, n_new } = &mut self.scroll {
                    *n_new += n_added;
                    *top = top.saturating_sub(n_forgotten);
                }
            }
        }
    }

    /// What is shown, oldest first.
    pub(crate) fn shown(&self, selected: Option<&ServiceId>) -> Vec<&TimelineEntry> {
        let only = selected.filter(|_| self.is_of_selected).map(ServiceId::as_str);
        self.entries.iter().filter(|entry| only.is_none_or(|only| only == entry.service)).collect()
    }

    /// The entry at the top, where the last one that can be is `last_top`.
    pub(crate) fn top(&self, last_top: usize) -> usize {
        match self.scroll {
            Scroll::Following => last_top,
            Scroll::Paused { top, .. } => top.min(last_top),
        }
    }

    /// Moves by `n` entries; up pauses, the end follows again.
    pub(crate) fn move_by(&mut self, n: isize, last_top: usize) {
        let there = self.top(last_top).saturating_add_signed(n);
        let n_new = match self.scroll {
            Scroll::Following => 0,
            Scroll::Paused { n_new, .. } => n_new,
        };
        self.scroll = if there >= last_top && n > 0 {
            Scroll::Following
        } else {
            Scroll::Paused { top: there.min(last_top), n_new }
        };
    }
}

/// Fit to be drawn: reasons quote programs and files.
fn cleaned(entry: TimelineEntry) -> TimelineEntry {
    let TimelineEntry { at, service, actor, what } = entry;
    let end = (0..=what.len().min(MAX_SENTENCE)).rev().find(|end| what.is_char_boundary(*end)).unwrap_or(0);
    TimelineEntry {
        at,
        service: text::clean(&service).into_owned(),
        actor: text::clean(&actor).into_owned(),
        what: text::clean(what.get(..end).unwrap_or_default()).into_owned(),
    }
}
