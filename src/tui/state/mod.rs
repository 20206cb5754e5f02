//! Everything the screen depends on: the newest snapshot, and what the person did to look at it. No second truth about services.

mod board;
mod dialog;
mod events;
mod filter;
mod log;
mod log_find;
mod notice;
mod operations;
mod palette;
mod preflight;
mod registry;
mod themes;
mod tree;
mod usage;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ratatui::layout::Size;

pub(crate) use board::{BoardRow, BoardState};
pub(crate) use dialog::{Answer, Dialog, Question};
pub(crate) use events::EventsState;
pub(crate) use filter::Filter;
pub(crate) use log::{LogState, Scroll, time_length, wrapped};
pub(crate) use log_find::{LogPrompt, LogSearch, PromptKind, Towards};
pub(crate) use notice::Notice;
pub(crate) use operations::{Operation, OperationsState, Phase, StepStatus, StepView, title_of};
pub(crate) use palette::{Choice, Command, PaletteState, commands};
pub(crate) use preflight::PreflightState;
pub(crate) use registry::{RegistryState, alive};
pub(crate) use themes::ThemesState;
pub(crate) use tree::{Relation, TreeRow, TreeState};
pub(crate) use usage::UsageState;

use super::action::Pane;
use super::event::Moment;
use super::icons::IconSet;
use crate::engine::operation::Targets;
use crate::model::{Leadership, ServiceSnapshot, Snapshot, StateKind};

/// How soon the screen has to be drawn again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Redraw {
    /// Nothing that is shown changed.
    No,
    /// Something small changed, such as a latency: within a second.
    Soon,
    /// Something changed by itself: with the next frame.
    Now,
    /// The person did something: at once.
    AtOnce,
}

/// The state of the console.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) moment: Moment,
    /// What spinners and coarse times count from.
    pub(crate) epoch: Instant,
    pub(crate) size: Size,
    pub(crate) icons: IconSet,
    /// What the equivalent command lines end with.
    pub(crate) flags: String,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) board: BoardState,
    pub(crate) tree: TreeState,
    /// The first line of the details that is shown.
    pub(crate) details_scroll: usize,
    pub(crate) log: LogState,
    pub(crate) operations: OperationsState,
    pub(crate) registry: RegistryState,
    /// Who leads, once that is known.
    pub(crate) leadership: Option<Leadership>,
    pub(crate) preflight: PreflightState,
    pub(crate) usage: UsageState,
    pub(crate) themes: ThemesState,
    /// The topmost is the last.
    pub(crate) dialogs: Vec<Dialog>,
    pub(crate) focus: Pane,
    /// What the lower part of a narrow screen shows, never the services.
    pub(crate) lower: Pane,
    pub(crate) events: EventsState,
    pub(crate) log_place: LogPlace,
    /// What answers the last key, for a while.
    pub(crate) notice: Option<Notice>,
    pub(crate) is_zoomed: bool,
    pub(crate) redraw: Redraw,
}

impl State {
    pub(crate) fn new(
        moment: Moment,
        size: Size,
        icons: IconSet,
        flags: impl Into<String>,
        snapshot: Arc<Snapshot>,
    ) -> Self {
        let mut state = Self {
            epoch: moment.now,
            moment,
            size,
            icons,
            flags: flags.into(),
            board: BoardState::default(),
            tree: TreeState::default(),
            details_scroll: 0,
            log: LogState::default(),
            operations: OperationsState::default(),
            registry: RegistryState::new(&snapshot.registry),
            leadership: None,
            preflight: PreflightState::default(),
            usage: UsageState::default(),
            themes: ThemesState::default(),
            dialogs: Vec::new(),
            focus: Pane::Services,
            lower: Pane::Log,
            events: EventsState::default(),
            log_place: LogPlace::Service,
            notice: None,
            is_zoomed: false,
            redraw: Redraw::AtOnce,
            snapshot,
        };
        state.board.refresh(&state.snapshot);
        state.tree.rebuild(&state.snapshot, state.board.selected.as_ref());
        state
    }

    /// The service under the cursor of the board.
    pub(crate) fn selected(&self) -> Option<&Arc<ServiceSnapshot>> {
        self.snapshot.service(self.board.selected.as_ref()?.as_str())
    }

    /// What a key that acts on services acts on: those that are marked, or else the selected one.
    pub(crate) fn targets(&self) -> Option<Targets> {
        if self.board.marked.is_empty() {
            return self.board.selected.clone().map(|id| Targets::Named(vec![id]));
        }
        let ids = self.snapshot.services.iter().map(|service| service.id());
        Some(Targets::Named(ids.filter(|id| self.board.marked.contains(*id)).cloned().collect()))
    }

    /// Asks for a redraw; the most urgent wish wins.
    pub(crate) fn wish_redraw(&mut self, redraw: Redraw) {
        self.redraw = self.redraw.max(redraw);
    }

    /// How long the console has been open, for spinners.
    pub(crate) fn elapsed(&self) -> Duration {
        self.moment.now.saturating_duration_since(self.epoch)
    }

    /// The panes that Tab goes round.
    pub(crate) fn round(&self) -> Vec<Pane> {
        let own_log = (self.log_place == LogPlace::Own).then_some(Pane::OwnLog);
        Pane::ROUND.into_iter().chain(own_log).collect()
    }
}

/// What the place of the log shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogPlace {
    /// The log of the selected service.
    Service,
    /// The timeline.
    Events,
    /// The console's own log.
    Own,
}

impl LogPlace {
    pub(crate) fn pane(self) -> Pane {
        match self {
            Self::Service => Pane::Log,
            Self::Events => Pane::Events,
            Self::Own => Pane::OwnLog,
        }
    }
}

/// Whether something about a service is moving, so that its icon turns.
pub(crate) fn is_in_progress(kind: StateKind) -> bool {
    matches!(kind, StateKind::Starting | StateKind::Stopping)
}
