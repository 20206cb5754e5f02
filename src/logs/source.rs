//! Log files of services, behind the engine's port.

use super::{Tabs, file, is_start_marker, sanitize};
use crate::engine::ports::LogSource;
use crate::model::ServiceSpec;
use crate::store::Layout;

/// The files that the shims write.
#[derive(Debug, Clone)]
pub struct FileLogs {
    layout: Layout,
}

impl FileLogs {
    /// Files below `layout`. Nothing is opened before it is asked for.
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }
}

impl LogSource for FileLogs {
    /// What came since the newest start, cleaned for a terminal. A log that cannot be read gives none: the failed start is the news, not that.
    fn last_lines(&self, spec: &ServiceSpec, n_lines: usize) -> Vec<String> {
        let path = self.layout.log_file(&spec.id);
        match file::tail(&path, n_lines) {
            Ok(lines) => {
                let this_run = lines.iter().rposition(is_start_marker).map_or(0, |marker| marker + 1);
                lines.iter().skip(this_run).map(|line| sanitize(&line.bytes, Tabs::Keep).into_owned()).collect()
            }
            Err(error) => {
                tracing::warn!(%error, "cannot read {}", path.display());
                Vec::new()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FileLogs;
    use crate::engine::ports::LogSource;
    use crate::model::ServiceId;
    use crate::store::{Layout, marker};
    use crate::testkit::builders::service;
    use std::time::UNIX_EPOCH;

    #[test]
    fn only_the_newest_start_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let id = ServiceId::new("api").unwrap();
        std::fs::create_dir(layout.logs()).unwrap();
        let start = |pid| marker::started("api", pid, UNIX_EPOCH);
        let log = format!("{}old\n{}\u{1b}[31mbad\u{1b}[0m config\ngiving up\n", start(1), start(2));
        std::fs::write(layout.log_file(&id), log).unwrap();
        let logs = FileLogs::new(layout);
        let spec = service("api", "");
        assert_eq!(logs.last_lines(&spec, 10), ["bad config", "giving up"]);
        assert_eq!(logs.last_lines(&spec, 1), ["giving up"]);
        assert!(logs.last_lines(&service("other", ""), 5).is_empty());
    }
}
