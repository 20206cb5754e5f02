//! What a key means.

/// What the person asked for, whatever key it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Up,
    Down,
    HalfPageUp,
    HalfPageDown,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Start,
    StartUnchecked,
    Stop,
    StopForced,
    Restart,
    RestartWithDependents,
    StartAll,
    StopAll,
    RestartAll,
    /// Mark the selected service, or take its mark away.
    Mark,
    MarkListed,
    ClearMarks,
    /// Every command by its name.
    Palette,
    /// Do what is chosen in the palette.
    Choose,
    OpenDetails,
    FollowLink,
    NextPane,
    PreviousPane,
    Focus(Pane),
    ToggleOwnLog,
    Zoom,
    Filter,
    Follow,
    /// Events of the selected service alone, or of all.
    OnlySelected,
    Wrap,
    /// Look for something in the log.
    Search,
    NextMatch,
    PreviousMatch,
    /// Show matching lines of the log alone.
    FilterLog,
    /// Leave the time in front of the lines out, or show it.
    Times,
    /// Mark lines of the log from here on.
    MarkLines,
    CopyLines,
    SaveLines,
    ShowOperation,
    CancelOperation,
    Help,
    Back,
    Quit,
    Confirm,
    Force,
    EditRegistry,
    ReloadRegistry,
    /// Look for everything that keeps services from starting or surviving.
    Preflight,
    /// Try themes on.
    Theme,
    /// Restart what the edit that is shown changed.
    ApplyEdit,
}

/// The parts of the screen that can have the focus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Pane {
    Services,
    Dependencies,
    Details,
    Log,
    /// What happened to all services.
    Events,
    /// The log of the program itself.
    OwnLog,
}

impl Pane {
    /// In the order in which Tab goes round. The own log joins in only while it is open.
    pub(crate) const ROUND: [Self; 5] = [Self::Services, Self::Dependencies, Self::Details, Self::Log, Self::Events];

    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Services => "Services",
            Self::Dependencies => "Dependencies",
            Self::Details => "Details",
            Self::Log => "Log",
            Self::Events => "Events",
            Self::OwnLog => "Console log",
        }
    }
}
