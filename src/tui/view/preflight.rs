//! The preflight page, above everything else.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::{Paint, centred, draw_lines};
use crate::preflight::Verdict;
use crate::report::{Complaint, Diagnosis};
use crate::tui::icons::IconSet;
use crate::tui::keymap::{BINDINGS, Context};
use crate::tui::layout::{Layout, layout};
use crate::tui::state::State;
use crate::tui::text;
use crate::tui::theme::Role;

const WIDTH: u16 = 100;

/// Rows around what is scrolled: two of the border, a blank one, the keys.
const FRAME: u16 = 4;

/// A row before it is drawn.
struct Row {
    role: Role,
    text: String,
}

/// How many rows there are to scroll through.
pub(crate) fn n_rows(state: &State) -> usize {
    rows(state, width(state)).len()
}

/// How many of them are seen at once.
pub(crate) fn visible_rows(state: &State) -> usize {
    match layout(state.size, state) {
        Layout::Screen(areas) => usize::from(areas.body.height.saturating_sub(FRAME)).max(1),
        Layout::TooSmall => 1,
    }
}

/// The columns inside the box.
fn width(state: &State) -> usize {
    usize::from(WIDTH.min(state.size.width).saturating_sub(4))
}

pub(super) fn draw(paint: &Paint<'_>, body: Rect, scroll: usize, buffer: &mut Buffer) {
    let rows = rows(paint.state, width(paint.state));
    let height = u16::try_from(rows.len()).unwrap_or(u16::MAX).saturating_add(FRAME);
    let area = centred(body, WIDTH, height);
    let title = if paint.state.preflight.is_looking { " Preflight: looking " } else { " Preflight " };
    let inner = paint.popup(area, Line::from(paint.span(title, Role::TitleFocused)), buffer);
    let n_rows = rows.len();
    let shown = Rect { height: inner.height.saturating_sub(2), ..inner };
    let scroll = scroll.min(n_rows.saturating_sub(usize::from(shown.height)));
    let lines = rows.into_iter().skip(scroll).map(|row| Line::from(paint.span(row.text, row.role)));
    draw_lines(lines, shown, buffer);
    let keys = Rect { y: inner.bottom().saturating_sub(1), height: inner.height.min(1), ..inner };
    draw_lines([answers(paint)], keys, buffer);
    paint.scrollbar(Rect { height: area.height.saturating_sub(2), ..area }, n_rows, scroll, buffer);
}

fn answers<'a>(paint: &Paint<'a>) -> Line<'a> {
    let mut spans = Vec::new();
    for binding in BINDINGS.iter().filter(|binding| binding.context == Context::Preflight && !binding.hint.is_empty()) {
        if let Some(key) = binding.keys.first() {
            spans.push(paint.span(key.label(), Role::Key));
            spans.push(Span::raw(format!(" {}    ", binding.hint)));
        }
    }
    Line::from(spans)
}

fn rows(state: &State, width: usize) -> Vec<Row> {
    let Some(found) = &state.preflight.found else {
        return vec![Row { role: Role::Text, text: "Looking at the machine and at all services…".to_owned() }];
    };
    let mut page = Page { rows: Vec::new(), width, icons: state.icons };
    page.row(if found.n_failed() == 0 { Role::Healthy } else { Role::Error }, found.summary());
    page.title("Services");
    let selected = state.board.selected.as_ref().map(|id| id.as_str());
    services(&mut page, found, selected);
    if !found.registry.is_empty() {
        page.title("Registry");
        page.complaints("", &found.registry);
    }
    page.title("Machine");
    for finding in &found.host {
        page.finding("", finding.verdict, &finding.message, finding.remedy.as_deref());
    }
    if found.host.is_empty() {
        page.row(Role::Warning, "It could not be looked at.".to_owned());
    }
    page.rows
}

/// What is selected comes first: it is what the person thinks of.
fn services(page: &mut Page, found: &Diagnosis, selected: Option<&str>) {
    let mut unwell: Vec<_> = found.services.iter().filter(|service| !service.complaints.is_empty()).collect();
    unwell.sort_by_key(|service| Some(service.name.as_str()) != selected);
    let n_well = found.services.len() - unwell.len();
    for service in unwell {
        page.row(Role::Strong, text::clean(&service.name).into_owned());
        page.complaints("  ", &service.complaints);
    }
    if n_well > 0 {
        let verb = if n_well == 1 { "runs" } else { "run" };
        let sentence = format!("{} can start, or {verb}", text::counted(n_well, "service"));
        page.finding("", Verdict::Passed, &sentence, None);
    }
}

/// Rows in the making.
struct Page {
    rows: Vec<Row>,
    width: usize,
    icons: IconSet,
}

impl Page {
    fn row(&mut self, role: Role, text: String) {
        self.rows.push(Row { role, text });
    }

    fn title(&mut self, title: &str) {
        self.row(Role::Text, String::new());
        self.row(Role::Heading, title.to_owned());
    }

    fn complaints(&mut self, indent: &str, complaints: &[Complaint]) {
        for complaint in complaints {
            self.finding(indent, complaint.verdict, &complaint.message, complaint.remedy.as_deref());
        }
    }

    /// A mark, the sentence, and below it what to do. The word stands where colour and mark may not be seen.
    fn finding(&mut self, indent: &str, verdict: Verdict, message: &str, remedy: Option<&str>) {
        let (role, mark) = match verdict {
            Verdict::Passed => (Role::Text, self.icons.good()),
            Verdict::Failed => (Role::Error, self.icons.bad()),
            Verdict::Warning => (Role::Warning, self.icons.warning()),
        };
        let word = if verdict == Verdict::Warning { "warning: " } else { "" };
        let mark = format!("{indent}{mark} ");
        let hanging = " ".repeat(text::width(&mark));
        let room = self.width.saturating_sub(hanging.len()).max(1);
        for (index, line) in text::wrap(&format!("{word}{}", text::clean(message)), room).into_iter().enumerate() {
            let start = if index == 0 { &mark } else { &hanging };
            self.rows.push(Row { role, text: format!("{start}{line}") });
        }
        if let Some(remedy) = remedy {
            for line in text::wrap(&format!("Fix: {}", text::clean(remedy)), room) {
                self.rows.push(Row { role: Role::Text, text: format!("{hanging}{line}") });
            }
        }
    }
}
