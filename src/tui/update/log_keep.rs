//! Taking lines of the followed log along: to the terminal's clipboard, or to a file.

use std::path::PathBuf;

use super::inner_size;
use crate::tui::action::Pane;
use crate::tui::effect::Effect;
use crate::tui::feed::LogEntry;
use crate::tui::state::{Notice, State};
use crate::tui::text;

/// What terminals take at most for certain: hterm and older xterm take 100,000 bytes, in which three of four are text.
const MAX_COPIED: usize = 74_000;

pub(super) fn toggle_mark(state: &mut State) {
    let (width, height) = inner_size(state, Pane::Log);
    state.log.toggle_mark(width, height);
}

/// The marked lines, or those in the window, whole and without anything around them.
pub(super) fn copy(state: &mut State) -> Vec<Effect> {
    let (width, height) = inner_size(state, Pane::Log);
    let log = &state.log;
    let places = log.marked(width, height).unwrap_or_else(|| log.window(width, height));
    let lines: Vec<String> = log.shown_from(places.start).take(places.len()).filter_map(plain).collect();
    let mut n_bytes = 0;
    let n_fit = lines
        .iter()
        .take_while(|line| {
            n_bytes += line.len() + 1;
            n_bytes <= MAX_COPIED
        })
        .count();
    if n_fit == 0 {
        state.notice = Some(Notice::bad(&state.moment, "no line to copy"));
        return Vec::new();
    }
    let text = lines.iter().take(n_fit).map(|line| format!("{line}\n")).collect();
    let key = crate::tui::keymap::key_of(crate::tui::action::Action::SaveLines);
    let notice = if n_fit < lines.len() {
        format!("first {n_fit} of {} lines copied: a terminal takes no more; {key} saves all", lines.len())
    } else {
        format!("{} sent to the terminal's clipboard (OSC 52)", text::counted(n_fit, "line"))
    };
    state.notice = Some(Notice::good(&state.moment, notice));
    state.log.mark = None;
    vec![Effect::Copy(text)]
}

/// Every line that is shown or would be after scrolling.
pub(super) fn save(state: &mut State) -> Vec<Effect> {
    let log = &state.log;
    let lines: Vec<String> = log.shown_from(0).filter_map(plain).collect();
    let Some(service) = log.service.as_ref().filter(|_| !lines.is_empty()) else {
        state.notice = Some(Notice::bad(&state.moment, "no line to save"));
        return Vec::new();
    };
    let name = format!("{service}-{}", state.moment.wall.strftime("%Y%m%d-%H%M%S"));
    let n_lines = lines.len();
    let text = lines.iter().map(|line| format!("{line}\n")).collect();
    vec![Effect::SaveLines { name, text, n_lines }]
}

/// The lines are in a file, or why not.
pub(super) fn saved(state: &mut State, n_lines: usize, result: Result<PathBuf, String>) {
    let notice = match result {
        Ok(file) => {
            let file = text::clean(&file.to_string_lossy()).into_owned();
            Notice::good(&state.moment, format!("{} saved to {file}", text::counted(n_lines, "line")))
        }
        Err(why) => Notice::bad(&state.moment, format!("not saved: {}", text::clean(&why))),
    };
    state.notice = Some(notice);
    state.wish_redraw(crate::tui::state::Redraw::Now);
}

/// An entry as a line of text; nothing for what stands in no log.
fn plain(entry: &LogEntry) -> Option<String> {
    match entry {
        LogEntry::Line { text, .. } => Some(text.clone()),
        LogEntry::Mark { text, when, .. } => {
            let when = when.and_then(|when| jiff::Timestamp::try_from(when).ok());
            Some(when.map_or_else(|| format!("--- {text} ---"), |when| format!("--- {text}, {when:.0} ---")))
        }
        LogEntry::Note(_) => None,
    }
}
