//! The exit codes, in one documented list (R203).

use std::process::ExitCode;

/// How a command ends.
///
/// | Code | Meaning |
/// |---|---|
/// | 0 | done, or healthy |
/// | 1 | what was asked for failed: not started, not stopped, refused, invalid, unhealthy, not done within `--timeout` |
/// | 2 | usage or configuration error: nothing was begun |
/// | 130 | Ctrl+C while waiting, as shells expect of SIGINT; what was started keeps running |
///
/// An operation of the platform (`provisioning server …`) ends with the code of its own program. `--help` prints the same table.
///
/// A reader that has gone (`… | head`) ends a report quietly and changes no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// 0.
    Done,
    /// 1.
    Failed,
    /// 2.
    Usage,
    /// 130.
    Interrupted,
}

impl Exit {
    /// [`Exit::Done`] when `is_done`, [`Exit::Failed`] otherwise.
    pub fn done_if(is_done: bool) -> Self {
        if is_done { Self::Done } else { Self::Failed }
    }

    /// The number.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
