//! The board: which services are listed, in which order, and which one is selected.

use std::collections::HashSet;

use crate::model::{Category, ServiceId, Snapshot};

use super::Filter;

/// What the board shows, and where the cursor is.
#[derive(Debug, Clone, Default)]
pub(crate) struct BoardState {
    /// As typed; empty shows everything.
    pub(crate) filter_text: String,
    /// Whether keys go into the filter.
    pub(crate) is_editing_filter: bool,
    /// Indices into the snapshot's services, by category in order of first appearance, then registry order.
    pub(crate) listed: Vec<usize>,
    pub(crate) selected: Option<ServiceId>,
    /// Whether the person has done anything yet. Until then the first row is selected: services come in as they are looked at, and which of
    /// them came first means nothing.
    pub(crate) is_in_use: bool,
    /// Those that actions are for, when there are any, whether they are listed or not.
    pub(crate) marked: HashSet<ServiceId>,
    /// Where the selected service was last, for when it goes away.
    last_place: usize,
    /// The first row that is shown.
    pub(crate) offset: usize,
}

/// One row of the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BoardRow {
    /// A category.
    Heading(Category),
    /// An index into the snapshot's services, and whether it is the first of its category.
    Service { index: usize, is_first: bool },
    /// The heading of those that cannot be used.
    SetAsideHeading,
    /// An index into the registry's names set aside.
    SetAside(usize),
}

impl BoardState {
    /// Lists the services again, after a new snapshot or filter; keeps the selection where it is still there.
    pub(crate) fn refresh(&mut self, snapshot: &Snapshot) {
        let filter = Filter::parse(&self.filter_text);
        let mut categories: Vec<Category> = Vec::new();
        for service in &snapshot.services {
            if !categories.contains(&service.spec.category) {
                categories.push(service.spec.category);
            }
        }
        self.marked.retain(|id| snapshot.service(id.as_str()).is_some());
        self.listed.clear();
        for category in categories {
            let of_category = snapshot.services.iter().enumerate().filter(|(_, it)| it.spec.category == category);
            self.listed.extend(of_category.filter(|(_, it)| filter.matches(it)).map(|(index, _)| index));
        }
        match self.place(snapshot) {
            _ if !self.is_in_use => self.select_place(0, snapshot),
            Some(place) => self.last_place = place,
            None => self.select_place(self.last_place, snapshot),
        }
    }

    /// The place of the selected service among the listed ones.
    pub(crate) fn place(&self, snapshot: &Snapshot) -> Option<usize> {
        let selected = self.selected.as_ref()?;
        self.listed.iter().position(|index| snapshot.services.get(*index).is_some_and(|it| it.id() == selected))
    }

    /// Selects the listed service at `place`, or the last one.
    pub(crate) fn select_place(&mut self, place: usize, snapshot: &Snapshot) {
        self.last_place = place.min(self.listed.len().saturating_sub(1));
        let index = self.listed.get(place).or(self.listed.last());
        self.selected = index.and_then(|index| snapshot.services.get(*index)).map(|service| service.id().clone());
    }

    /// Marks the selected service, or takes its mark away, and goes on to the next.
    pub(crate) fn toggle_mark(&mut self, snapshot: &Snapshot) {
        let Some(id) = self.selected.clone() else { return };
        if !self.marked.remove(&id) {
            self.marked.insert(id);
        }
        let next = self.place(snapshot).map_or(0, |place| place + 1);
        self.select_place(next, snapshot);
    }

    /// Marks everything that is listed.
    pub(crate) fn mark_listed(&mut self, snapshot: &Snapshot) {
        let listed = self.listed.iter().filter_map(|index| snapshot.services.get(*index));
        self.marked.extend(listed.map(|service| service.id().clone()));
    }

    /// The rows in order: with a heading for each category, or without any.
    pub(crate) fn rows(&self, snapshot: &Snapshot, has_headings: bool) -> Vec<BoardRow> {
        let mut rows = Vec::with_capacity(self.listed.len() + 8);
        let mut category = None;
        for &index in &self.listed {
            let Some(service) = snapshot.services.get(index) else { continue };
            let is_first = category != Some(service.spec.category);
            if is_first && has_headings {
                rows.push(BoardRow::Heading(service.spec.category));
            }
            category = Some(service.spec.category);
            rows.push(BoardRow::Service { index, is_first });
        }
        if self.filter_text.is_empty() && !snapshot.registry.set_aside.is_empty() {
            if has_headings {
                rows.push(BoardRow::SetAsideHeading);
            }
            rows.extend((0..snapshot.registry.set_aside.len()).map(BoardRow::SetAside));
        }
        rows
    }

    /// Moves the window so that the selected row, and its heading where there is room, is inside.
    pub(crate) fn scroll_into_view(&mut self, snapshot: &Snapshot, rows: &[BoardRow], height: usize) {
        let selected = self.place(snapshot).and_then(|place| self.listed.get(place)).copied();
        let row_of = |row: &BoardRow| matches!(row, BoardRow::Service { index, .. } if Some(*index) == selected);
        let at = rows.iter().position(row_of).unwrap_or(0);
        let has_heading = at > 0 && matches!(rows.get(at - 1), Some(BoardRow::Heading(_)));
        let top = if has_heading && height > 1 { at - 1 } else { at };
        let lowest_offset = (at + 1).saturating_sub(height);
        if let Some(place) = self.place(snapshot) {
            self.last_place = place;
        }
        self.offset = self.offset.min(top).max(lowest_offset).min(rows.len().saturating_sub(height));
    }
}
