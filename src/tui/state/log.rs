//! The followed log: the lines at hand, and where the person looks.

use std::collections::VecDeque;
use std::ops::Range;

use super::log_find::{LogFilter, LogPrompt, LogSearch, Towards};
use crate::model::ServiceId;
use crate::tui::event::LogSession;
use crate::tui::feed::{LogEntry, LogPosition};
use crate::tui::text;

/// Lines kept in memory; the file has the others.
const MAX_ENTRIES: usize = 10_000;
/// Bytes kept in memory.
const MAX_BYTES: usize = 4 << 20;
/// The longest line that is kept whole, in bytes.
const MAX_LINE: usize = 4096;
/// The number of the first entry of a log; earlier ones that are read later have smaller ones.
const FIRST: usize = usize::MAX / 2;

/// The log of one service.
#[derive(Debug, Clone)]
pub(crate) struct LogState {
    pub(crate) service: Option<ServiceId>,
    pub(crate) session: LogSession,
    pub(crate) entries: VecDeque<LogEntry>,
    /// The number of the first entry at hand.
    first: usize,
    n_bytes: usize,
    pub(crate) scroll: Scroll,
    /// The number of the first entry that came since the person paused.
    paused_at: usize,
    pub(crate) is_wrapped: bool,
    /// Whether the time that a service prints in front of its lines is left out.
    pub(crate) hides_times: bool,
    pub(crate) filter: Option<LogFilter>,
    pub(crate) search: Option<LogSearch>,
    /// What is being typed below the log.
    pub(crate) prompt: Option<LogPrompt>,
    /// The number of the entry from which lines are marked.
    pub(crate) mark: Option<usize>,
    /// Whether the first batch has come.
    pub(crate) is_loaded: bool,
    pub(crate) is_loading_earlier: bool,
    /// Whether the first line at hand is the first there is.
    pub(crate) is_at_beginning: bool,
}

/// Where the person looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scroll {
    /// At the newest lines.
    Following,
    /// At this one of what is shown as the top one; `n_new` came since.
    Paused { top: usize, n_new: usize },
}

impl Default for LogState {
    fn default() -> Self {
        Self {
            service: None,
            session: LogSession(0),
            entries: VecDeque::new(),
            first: FIRST,
            n_bytes: 0,
            scroll: Scroll::Following,
            paused_at: FIRST,
            is_wrapped: true,
            hides_times: false,
            filter: None,
            search: None,
            prompt: None,
            mark: None,
            is_loaded: false,
            is_loading_earlier: false,
            is_at_beginning: false,
        }
    }
}

impl LogState {
    /// Begins with another service's log, in a new session. What is looked for and how it is drawn stays.
    pub(crate) fn open(&mut self, service: Option<ServiceId>) {
        let old = std::mem::take(self);
        let again = |text: Option<String>| text.unwrap_or_default();
        *self = Self {
            service,
            session: LogSession(old.session.0 + 1),
            is_wrapped: old.is_wrapped,
            hides_times: old.hides_times,
            filter: LogFilter::parse(&again(old.filter.map(|filter| filter.text()))),
            search: LogSearch::parse(&again(old.search.map(|search| search.pattern.text().to_owned()))),
            ..Self::default()
        };
    }

    /// Adds newer entries at the end.
    pub(crate) fn append(&mut self, entries: Vec<LogEntry>) {
        let mut n_shown = 0;
        for entry in entries {
            let entry = cleaned(entry);
            let number = self.end();
            if self.filter.as_ref().is_none_or(|filter| filter.accepts(&entry)) {
                n_shown += 1;
                if let Some(filter) = &mut self.filter {
                    filter.shown.push_back(number);
                }
                if let Some(search) = self.search.as_mut().filter(|search| search.finds(&entry)) {
                    search.hits.push_back(number);
                }
            }
            self.n_bytes += size(&entry);
            self.entries.push_back(entry);
        }
        if let Scroll::Paused { n_new, .. } = &mut self.scroll {
            *n_new += n_shown;
        }
        self.forget_surplus();
    }

    /// Forgets the oldest entries where there are too many.
    fn forget_surplus(&mut self) {
        let first_before = self.first;
        while self.entries.len() > MAX_ENTRIES || (self.n_bytes > MAX_BYTES && self.entries.len() > 1) {
            if let Some(entry) = self.entries.pop_front() {
                self.n_bytes -= size(&entry);
                self.first += 1;
            }
        }
        if self.first == first_before {
            return;
        }
        self.is_at_beginning = false;
        if let Some(search) = &mut self.search {
            search.forget_before(self.first);
        }
        let n_forgotten = match &mut self.filter {
            Some(filter) => filter.shown.forget_before(self.first),
            None => self.first - first_before,
        };
        if let Scroll::Paused { top, .. } = &mut self.scroll {
            *top = top.saturating_sub(n_forgotten);
        }
    }

    /// Adds older entries at the beginning; what is looked at stays where it is.
    pub(crate) fn prepend(&mut self, entries: Vec<LogEntry>) {
        let mut n_shown = 0;
        for entry in entries.into_iter().rev() {
            let entry = cleaned(entry);
            self.first -= 1;
            if self.filter.as_ref().is_none_or(|filter| filter.accepts(&entry)) {
                n_shown += 1;
                if let Some(filter) = &mut self.filter {
                    filter.shown.push_front(self.first);
                }
                if let Some(search) = self.search.as_mut().filter(|search| search.finds(&entry)) {
                    search.hits.push_front(self.first);
                }
            }
            self.n_bytes += size(&entry);
            self.entries.push_front(entry);
        }
        if let Scroll::Paused { top, .. } = &mut self.scroll {
            *top += n_shown;
        }
    }

    /// The number that the next entry will have.
    fn end(&self) -> usize {
        self.first + self.entries.len()
    }

    /// How many entries are shown.
    pub(crate) fn n_shown(&self) -> usize {
        self.filter.as_ref().map_or(self.entries.len(), |filter| filter.shown.len())
    }

    /// The number of the `place`-th of those that are shown.
    pub(crate) fn number(&self, place: usize) -> usize {
        match &self.filter {
            Some(filter) => filter.shown.get(place).unwrap_or(self.end()),
            None => self.first + place,
        }
    }

    /// The place of the first that is shown with this number or a larger one.
    pub(crate) fn place(&self, number: usize) -> usize {
        match &self.filter {
            Some(filter) => filter.shown.n_before(number),
            None => number.saturating_sub(self.first).min(self.entries.len()),
        }
    }

    fn entry(&self, place: usize) -> Option<&LogEntry> {
        self.entries.get(self.number(place).checked_sub(self.first)?)
    }

    /// What is shown from `place` on.
    pub(crate) fn shown_from(&self, place: usize) -> impl Iterator<Item = &LogEntry> {
        (place..self.n_shown()).map_while(|place| self.entry(place))
    }

    /// Shows matching entries alone; all of them for an empty pattern. What is looked at stays about where it is.
    pub(crate) fn set_filter(&mut self, typed: &str) {
        let top = self.top_number();
        self.filter = LogFilter::parse(typed);
        if let Some(filter) = &mut self.filter {
            let numbered = (self.first..).zip(&self.entries);
            let shown: Vec<usize> =
                numbered.filter(|(_, entry)| filter.accepts(entry)).map(|(number, _)| number).collect();
            shown.into_iter().for_each(|number| filter.shown.push_back(number));
        }
        let search = self.search.as_ref().map(|search| search.pattern.text().to_owned());
        self.set_search(&search.unwrap_or_default());
        self.return_to(top);
    }

    /// Looks for a pattern in what is shown, or for nothing any more. Goes nowhere.
    pub(crate) fn set_search(&mut self, typed: &str) {
        let Some(mut search) = LogSearch::parse(typed) else {
            self.search = None;
            return;
        };
        for (place, entry) in self.shown_from(0).enumerate() {
            if search.finds(entry) {
                search.hits.push_back(self.number(place));
            }
        }
        self.search = Some(search);
    }

    /// The number of the entry at the top; `None` while following.
    pub(crate) fn top_number(&self) -> Option<usize> {
        match self.scroll {
            Scroll::Following => None,
            Scroll::Paused { top, .. } => Some(self.number(top)),
        }
    }

    /// Goes to where that entry is the top one, or on following.
    pub(crate) fn return_to(&mut self, top: Option<usize>) {
        self.scroll = match top {
            None => Scroll::Following,
            Some(number) => {
                let n_new = self.n_shown() - self.place(self.paused_at);
                Scroll::Paused { top: self.place(number), n_new }
            }
        };
    }

    /// Goes to a match, by default the first one in the window and from there on; comes round at the ends.
    pub(crate) fn go_to_hit(&mut self, towards: Towards, columns: usize, height: usize) {
        let window = self.window(columns, height);
        let (first, end) = (self.number(window.start), self.number(window.end));
        let Some(search) = &self.search else { return };
        let hits = &search.hits;
        let current = search.current.filter(|current| (first..end).contains(current));
        let newer = match current {
            Some(current) => hits.get(hits.n_before(current + 1)),
            None => hits.get(hits.n_before(first)),
        };
        let older = hits.n_before(current.unwrap_or(end)).checked_sub(1).and_then(|place| hits.get(place));
        let hit = match (towards, current) {
            (Towards::Newer, Some(_)) => newer.or(hits.first()),
            // What was looked for first is nearer above the window than at the beginning of the log.
            (Towards::Newer, None) => newer.or(hits.last()),
            (Towards::Older, _) => older.or(hits.last()),
        };
        if let Some(hit) = hit {
            self.show(hit, columns, height);
            if let Some(search) = &mut self.search {
                search.current = Some(hit);
            }
        }
    }

    /// Pauses with that entry in the window: where it is, if it is inside, or else below a third of it.
    fn show(&mut self, number: usize, columns: usize, height: usize) {
        let window = self.window(columns, height);
        let place = self.place(number);
        let mut top = window.start;
        if !window.contains(&place) {
            let mut n_rows = 0;
            top = place;
            while let Some(entry) = top.checked_sub(1).and_then(|above| self.entry(above)) {
                n_rows += self.n_rows(entry, columns);
                if n_rows > height / 3 {
                    break;
                }
                top -= 1;
            }
        }
        self.pause_at(top, columns, height);
    }

    /// Pauses with this one at the top, as far as there are enough below it.
    pub(crate) fn pause_at(&mut self, top: usize, columns: usize, height: usize) {
        let n_new = match self.scroll {
            Scroll::Following => {
                self.paused_at = self.end();
                0
            }
            Scroll::Paused { n_new, .. } => n_new,
        };
        self.scroll = Scroll::Paused { top: top.min(self.last_top(columns, height)), n_new };
    }

    /// The places of those that are seen, the last of them perhaps in part.
    pub(crate) fn window(&self, columns: usize, height: usize) -> Range<usize> {
        let top = self.top(columns, height);
        let mut n_rows = 0;
        let n_seen = self
            .shown_from(top)
            .take_while(|entry| {
                let begins_inside = n_rows < height;
                n_rows += self.n_rows(entry, columns);
                begins_inside
            })
            .count();
        top..top + n_seen
    }

    /// Marks from the match that was gone to, or else from the top of the window; takes the mark away where there is one.
    pub(crate) fn toggle_mark(&mut self, columns: usize, height: usize) {
        let window = self.window(columns, height);
        if self.mark.take().is_none() && !window.is_empty() {
            let hit = self.search.as_ref().and_then(|search| search.current);
            let hit = hit.filter(|hit| window.contains(&self.place(*hit)));
            self.mark = Some(hit.unwrap_or(self.number(window.start)));
            self.pause_at(window.start, columns, height);
        }
    }

    /// The places that are marked: from the mark to the far end of the window.
    pub(crate) fn marked(&self, columns: usize, height: usize) -> Option<Range<usize>> {
        let mark = self.place(self.mark?);
        let window = self.window(columns, height);
        Some(if mark < window.end { mark..window.end } else { window.start..mark + 1 })
    }

    /// Where the oldest line at hand begins.
    pub(crate) fn first_position(&self) -> Option<LogPosition> {
        self.entries.iter().find_map(|entry| match entry {
            LogEntry::Line { at, .. } | LogEntry::Mark { at, .. } => Some(*at),
            LogEntry::Note(_) => None,
        })
    }

    /// Whether there is room for older lines.
    pub(crate) fn has_room(&self) -> bool {
        self.entries.len() < MAX_ENTRIES && self.n_bytes < MAX_BYTES
    }

    /// How many rows an entry takes at that width.
    pub(crate) fn n_rows(&self, entry: &LogEntry, columns: usize) -> usize {
        match entry {
            LogEntry::Line { text, .. } if self.is_wrapped => rows_of(self.drawn_part(text), columns),
            LogEntry::Line { .. } | LogEntry::Mark { .. } | LogEntry::Note(_) => 1,
        }
    }

    /// A line without the time in front, where that is left out and something is left.
    pub(crate) fn drawn_part<'t>(&self, line: &'t str) -> &'t str {
        if !self.hides_times {
            return line;
        }
        line.get(time_length(line)..).filter(|rest| !rest.is_empty()).unwrap_or(line)
    }

    /// The first of the last screenful: what is at the top while following.
    pub(crate) fn last_top(&self, columns: usize, height: usize) -> usize {
        let n_shown = self.n_shown();
        let mut n_rows = 0;
        for place in (0..n_shown).rev() {
            n_rows += self.entry(place).map_or(0, |entry| self.n_rows(entry, columns));
            if n_rows > height {
                return (place + 1).min(n_shown.saturating_sub(1));
            }
        }
        0
    }

    /// The place of the entry at the top of the window.
    pub(crate) fn top(&self, columns: usize, height: usize) -> usize {
        match self.scroll {
            Scroll::Following => self.last_top(columns, height),
            Scroll::Paused { top, .. } => top.min(self.last_top(columns, height)),
        }
    }

    /// Moves by `n` entries; up pauses, the end follows again.
    pub(crate) fn move_by(&mut self, n: isize, columns: usize, height: usize) {
        let last_top = self.last_top(columns, height);
        let there = self.top(columns, height).saturating_add_signed(n);
        if there >= last_top && n > 0 {
            self.scroll = Scroll::Following;
        } else {
            self.pause_at(there, columns, height);
        }
    }
}

/// The bytes of a leading time and the spaces behind it: `2025-01-31T14:30:05Z`, `14:30:05.123`, `[2025/01/31 14:30:05]`.
pub(crate) fn time_length(line: &str) -> usize {
    let is_time = |c: char| c.is_ascii_digit() || "-:.,TZ+/[]".contains(c);
    let mut end = 0;
    // A date and a time at most.
    for word in line.split_inclusive(' ').take(2) {
        let bare = word.trim_end();
        if bare.is_empty() || !bare.chars().all(is_time) {
            return 0;
        }
        end += word.len();
        if bare.matches(':').count() >= 2 && bare.chars().filter(char::is_ascii_digit).count() >= 4 {
            let rest = line.get(end..).unwrap_or_default();
            return end + rest.len() - rest.trim_start_matches(' ').len();
        }
    }
    0
}

/// The rows of a wrapped line, the mark of continued rows included.
fn rows_of(text: &str, columns: usize) -> usize {
    if text::width(text) <= columns { 1 } else { wrapped(text, columns).len() }
}

/// The pieces of a wrapped line: rows after the first are two columns shorter, for the mark.
pub(crate) fn wrapped(text: &str, columns: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let room = if pieces.is_empty() { columns } else { columns.saturating_sub(2) }.max(2);
        let piece = match text::head(rest, room) {
            "" => rest,
            piece => piece,
        };
        pieces.push(piece);
        rest = rest.get(piece.len()..).unwrap_or_default();
    }
    if pieces.is_empty() {
        pieces.push("");
    }
    pieces
}

fn cleaned(entry: LogEntry) -> LogEntry {
    match entry {
        LogEntry::Line { at, text } => {
            let end = (0..=text.len().min(MAX_LINE)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
            let mut clean = text::clean(text.get(..end).unwrap_or_default()).into_owned();
            if end < text.len() {
                clean.push_str(&format!(" [{} more bytes]", text.len() - end));
            }
            LogEntry::Line { at, text: clean }
        }
        LogEntry::Note(text) => LogEntry::Note(text::clean(&text).into_owned()),
        LogEntry::Mark { at, text, when } => LogEntry::Mark { at, text: text::clean(&text).into_owned(), when },
    }
}

fn size(entry: &LogEntry) -> usize {
    match entry {
        LogEntry::Line { text, .. } | LogEntry::Mark { text, .. } | LogEntry::Note(text) => text.len() + 40,
    }
}

#[cfg(test)]
mod tests {
    use super::time_length;

    #[test]
    fn the_time_in_front_of_a_line_ends_before_its_words() {
        for (time, rest) in [
            ("2025-01-31T14:30:05Z ", "INFO up"),
            ("2025-01-31 14:30:05,123  ", "TRACE x"),
            ("[14:30:05.1] ", "[INFO] x"),
            ("14:30:05 ", "3 items"),
            ("", "::1 connected"),
            ("", "10 items at 14:30:05"),
            ("", "INFO 14:30:05"),
            ("", "  14:30:05"),
            ("", ""),
        ] {
            assert_eq!(time_length(&format!("{time}{rest}")), time.len(), "{time}{rest}");
        }
    }
}
