//! The dependency tree of the selected service: what it needs, and what needs it.

use crate::model::{ServiceId, Snapshot};

/// The rows of the tree and the cursor in it.
#[derive(Debug, Clone, Default)]
pub(crate) struct TreeState {
    pub(crate) rows: Vec<TreeRow>,
    pub(crate) cursor: usize,
}

/// Which half of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Relation {
    /// It needs these.
    Needs,
    /// These need it.
    NeededBy,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TreeRow {
    /// Which half begins, and how many services it has at any depth.
    Heading(Relation, usize),
    /// A service below the selected one.
    Service {
        id: ServiceId,
        /// For each level, whether another branch follows on that level.
        goes_on: Vec<bool>,
        /// Its own branches were shown above already, or it is part of a circle.
        is_repeated: bool,
    },
}

/// Beyond this many rows nobody reads on, and a dense graph would have millions.
const MAX_ROWS: usize = 200;

impl TreeState {
    /// Builds the tree of `selected` from the registry.
    pub(crate) fn rebuild(&mut self, snapshot: &Snapshot, selected: Option<&ServiceId>) {
        self.rows.clear();
        let Some(root) = selected else { return };
        for relation in [Relation::Needs, Relation::NeededBy] {
            let heading = self.rows.len();
            self.rows.push(TreeRow::Heading(relation, 0));
            let mut seen = vec![root.clone()];
            self.grow(snapshot, root, relation, &mut Vec::new(), &mut seen);
            self.rows[heading] = TreeRow::Heading(relation, seen.len() - 1);
        }
        self.cursor = self.cursor.min(self.rows.len().saturating_sub(1));
        if matches!(self.rows.get(self.cursor), Some(TreeRow::Heading(..))) {
            self.cursor = self.rows.iter().position(|row| matches!(row, TreeRow::Service { .. })).unwrap_or(0);
        }
    }

    fn grow(
        &mut self,
        snapshot: &Snapshot,
        of: &ServiceId,
        relation: Relation,
        goes_on: &mut Vec<bool>,
        seen: &mut Vec<ServiceId>,
    ) {
        let related = related(snapshot, of, relation);
        let n_related = related.len();
        for (i, id) in related.into_iter().enumerate() {
            if self.rows.len() >= MAX_ROWS {
                return;
            }
            let is_repeated = seen.contains(&id);
            goes_on.push(i + 1 < n_related);
            self.rows.push(TreeRow::Service { id: id.clone(), goes_on: goes_on.clone(), is_repeated });
            if !is_repeated {
                seen.push(id.clone());
                self.grow(snapshot, &id, relation, goes_on, seen);
            }
            goes_on.pop();
        }
    }

    /// The service under the cursor.
    pub(crate) fn service(&self) -> Option<&ServiceId> {
        match self.rows.get(self.cursor)? {
            TreeRow::Service { id, .. } => Some(id),
            TreeRow::Heading(..) => None,
        }
    }

    /// Moves the cursor by `n` services, over headings.
    pub(crate) fn move_by(&mut self, n: isize) {
        let is_service = |row: &TreeRow| matches!(row, TreeRow::Service { .. });
        let places: Vec<usize> =
            self.rows.iter().enumerate().filter(|(_, row)| is_service(row)).map(|(i, _)| i).collect();
        let here = places.iter().position(|place| *place == self.cursor).unwrap_or(0);
        let there = here.saturating_add_signed(n).min(places.len().saturating_sub(1));
        self.cursor = places.get(there).copied().unwrap_or(0);
    }
}

/// Direct neighbours in the registry's order; names that are not registered are included below.
fn related(snapshot: &Snapshot, of: &ServiceId, relation: Relation) -> Vec<ServiceId> {
    match relation {
        Relation::Needs => snapshot.service(of.as_str()).map(|it| it.spec.dependencies.clone()).unwrap_or_default(),
        Relation::NeededBy => {
            let needs_it = |it: &&std::sync::Arc<crate::model::ServiceSnapshot>| it.spec.dependencies.contains(of);
            snapshot.services.iter().filter(needs_it).map(|it| it.id().clone()).collect()
        }
    }
}
