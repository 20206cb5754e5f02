//! The screen, drawn from the state and nothing else. Changes nothing; builds only the rows that are seen.

mod board;
pub(crate) mod details;
mod dialog;
pub(crate) mod events;
mod footer;
mod header;
pub(crate) mod help;
mod log;
mod operations;
pub(crate) mod palette;
pub(crate) mod preflight;
pub(crate) mod registry;
mod spark;
mod summary;
mod themes;
pub(crate) mod tree;

use ratatui::Frame;
use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Widget as _};

use super::action::Pane;
use super::icons::IconSet;
use super::keymap;
use super::layout::{Areas, Layout, SMALLEST, layout};
use super::own_log;
use super::state::{Dialog, State};
use super::text;
use super::theme::{Role, Theme};

/// What every part of the drawing needs.
#[derive(Clone, Copy)]
pub(crate) struct Paint<'a> {
    pub(crate) state: &'a State,
    pub(crate) theme: &'a Theme,
    pub(crate) icons: IconSet,
}

/// Draws everything.
pub(crate) fn view(state: &State, theme: &Theme, frame: &mut Frame<'_>) {
    let paint = Paint { state, theme, icons: state.icons };
    let area = frame.area();
    let buffer = frame.buffer_mut();
    buffer.set_style(area, paint.style(Role::Screen));
    match layout(area.as_size(), state) {
        Layout::TooSmall => paint.too_small(area, buffer),
        Layout::Screen(areas) => paint.screen(&areas, buffer),
    }
}

impl<'a> Paint<'a> {
    fn screen(&self, areas: &Areas, buffer: &mut Buffer) {
        header::draw(self, areas.header, buffer);
        for &(pane, area) in &areas.panes {
            let inner = self.frame(pane, area, areas, buffer);
            match pane {
                Pane::Services => board::draw(self, areas, inner, buffer),
                Pane::Dependencies => tree::draw(self, inner, buffer),
                Pane::Details => details::draw(self, area, inner, buffer),
                Pane::Log => log::draw(self, inner, buffer),
                Pane::Events => events::draw(self, area, inner, buffer),
                Pane::OwnLog => own_log::draw(self.theme, inner, buffer),
            }
        }
        if let Some(area) = areas.summary {
            summary::draw(self, area, buffer);
        }
        operations::draw_strip(self, areas.operations, buffer);
        footer::draw(self, areas.footer, buffer);
        if self.state.operations.is_panel_open {
            operations::draw_panel(self, areas.body, buffer);
        }
        match self.state.dialogs.last() {
            Some(Dialog::Help { scroll }) => help::draw(self, areas.body, *scroll, buffer),
            Some(Dialog::Message { title, lines }) => dialog::draw_message(self, areas.body, title, lines, buffer),
            Some(Dialog::Question(question)) => dialog::draw_question(self, areas.body, question, buffer),
            Some(Dialog::Registry { scroll }) => registry::draw(self, areas.body, *scroll, buffer),
            Some(Dialog::Palette(palette)) => palette::draw(self, areas.body, palette, buffer),
            Some(Dialog::Themes { .. }) => themes::draw(self, areas.body, buffer),
            Some(Dialog::Preflight { scroll }) => preflight::draw(self, areas.body, *scroll, buffer),
            None => {}
        }
    }

    fn too_small(&self, area: Rect, buffer: &mut Buffer) {
        let lines = vec![
            Line::from(Span::styled("The terminal is too small", self.style(Role::Warning))),
            Line::from(format!(
                "{}x{} needed, this is {}x{}",
                SMALLEST.width, SMALLEST.height, area.width, area.height
            )),
        ];
        let y = area.y + area.height.saturating_sub(2) / 2;
        let middle = Rect { y, height: area.height.min(2), ..area };
        Paragraph::new(lines).alignment(Alignment::Center).render(middle.intersection(area), buffer);
    }

    pub(crate) fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    pub(crate) fn span<T: Into<std::borrow::Cow<'a, str>>>(&self, text: T, role: Role) -> Span<'a> {
        Span::styled(text, self.style(role))
    }

    /// Draws the border of a pane and returns what is inside.
    fn frame(&self, pane: Pane, area: Rect, areas: &Areas, buffer: &mut Buffer) -> Rect {
        let is_focused = self.state.focus == pane;
        let mut block = Block::new()
            .borders(Borders::ALL)
            .border_set(self.icons.border())
            .border_style(self.style(if is_focused { Role::BorderFocused } else { Role::Border }));
        let is_tabbed = areas.has_tabs && pane != Pane::Services;
        block = block.title_top(if is_tabbed { self.tabs(pane) } else { self.title(pane, is_focused) });
        if let Some(note) = self.note(pane) {
            block = block.title_top(note.right_aligned());
        }
        if pane == Pane::Log
            && let Some(note) = log::finding_note(self, usize::from(area.width))
        {
            block = block.title_bottom(note);
        }
        if let Some(note) = self.bottom_note(pane) {
            block = block.title_bottom(note.right_aligned());
        }
        let inner = block.inner(area);
        block.render(area, buffer);
        inner
    }

    /// `1 Services`, the key in front.
    fn title(&self, pane: Pane, is_focused: bool) -> Line<'a> {
        let key = match pane {
            Pane::OwnLog => keymap::key_of(super::action::Action::ToggleOwnLog),
            other => keymap::key_of(super::action::Action::Focus(other)),
        };
        let role = if is_focused { Role::TitleFocused } else { Role::Title };
        let mut spans = vec![Span::raw(" "), self.span(key, Role::Key), Span::raw(" "), self.span(pane.title(), role)];
        if matches!(pane, Pane::Log | Pane::Details | Pane::Dependencies)
            && let Some(id) = &self.state.board.selected
        {
            spans.push(self.span(format!(" {} ", self.icons.dot()), Role::Dim));
            spans.push(self.span(text::cut(id.as_str(), 32, self.icons.ellipsis()), role));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    /// The panes that share the lower place of a narrow screen.
    fn tabs(&self, shown: Pane) -> Line<'a> {
        let mut spans = vec![Span::raw(" ")];
        // The own log is there for who asks for it; its tab would leave no room for the note beside.
        let own_log = (shown == Pane::OwnLog).then_some(Pane::OwnLog);
        for pane in [Pane::Dependencies, Pane::Details, Pane::Log, Pane::Events].into_iter().chain(own_log) {
            let key = match pane {
                Pane::OwnLog => keymap::key_of(super::action::Action::ToggleOwnLog),
                other => keymap::key_of(super::action::Action::Focus(other)),
            };
            let role = match (pane == shown, self.state.focus == pane) {
                (true, true) => Role::TitleFocused,
                (true, false) => Role::Strong,
                (false, _) => Role::Title,
            };
            if spans.len() > 1 {
                spans.push(self.span(format!(" {} ", self.icons.dot()), Role::Border));
            }
            spans.push(self.span(key, Role::Key));
            spans.push(Span::raw(" "));
            // Which one is open must be plain without colour.
            let title = pane.title();
            let title = if pane == shown { format!("[{title}]") } else { title.to_owned() };
            spans.push(self.span(title, role));
        }
        spans.push(Span::raw(" "));
        Line::from(spans)
    }

    /// What stands at the right of a pane's upper border.
    fn note(&self, pane: Pane) -> Option<Line<'a>> {
        match pane {
            Pane::Services => board::note(self),
            Pane::Log => Some(log::note(self)),
            Pane::Events => Some(events::note(self)),
            Pane::Dependencies | Pane::Details | Pane::OwnLog => None,
        }
    }

    fn bottom_note(&self, pane: Pane) -> Option<Line<'a>> {
        match pane {
            Pane::Log => log::bottom_note(self),
            Pane::Events => events::bottom_note(self),
            Pane::Services | Pane::Dependencies | Pane::Details | Pane::OwnLog => None,
        }
    }

    /// Shows on the right border which part of `total` rows is seen; nothing when all are.
    pub(crate) fn scrollbar(&self, area: Rect, total: usize, offset: usize, buffer: &mut Buffer) {
        let height = usize::from(area.height.saturating_sub(2));
        if total <= height || height == 0 || area.width == 0 {
            return;
        }
        let length = (height * height / total).max(1);
        let start = (offset * (height - length)).checked_div(total - height).unwrap_or(0);
        let (_, thumb) = self.icons.scrollbar();
        for row in start..(start + length).min(height) {
            let y = area.y + 1 + u16::try_from(row).unwrap_or(0);
            if let Some(cell) = buffer.cell_mut((area.right() - 1, y)) {
                cell.set_symbol(thumb).set_style(self.style(Role::BorderFocused));
            }
        }
    }

    /// Opens a box above everything, as large as its lines need, and returns what is inside.
    pub(crate) fn popup(&self, area: Rect, title: Line<'a>, buffer: &mut Buffer) -> Rect {
        Clear.render(area, buffer);
        buffer.set_style(area, self.style(Role::Screen));
        let block = Block::new()
            .borders(Borders::ALL)
            .border_set(self.icons.border())
            .border_style(self.style(Role::BorderFocused))
            .title_top(title);
        let inner = block.inner(area);
        block.render(area, buffer);
        Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
    }
}

/// Draws lines from the top of an area; what does not fit is left out.
pub(crate) fn draw_lines<'a>(lines: impl IntoIterator<Item = Line<'a>>, area: Rect, buffer: &mut Buffer) {
    for (row, line) in area.rows().zip(lines) {
        line.render(row, buffer);
    }
}

/// A box of that size in the middle of `area`.
pub(crate) fn centred(area: Rect, width: u16, height: u16) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
