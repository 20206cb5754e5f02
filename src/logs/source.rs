//! Log files of services, and the output of those that have none, behind the engine's port.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};

use super::{Tabs, file, is_start_marker, sanitize};
use crate::engine::ports::{Following, LogSource, Output, OutputSource};
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

/// Files where there are files, streams where there are none.
#[derive(Debug, Clone)]
pub struct AllLogs {
    files: FileLogs,
    streams: Arc<dyn OutputSource>,
}

impl AllLogs {
    /// Files of `files`, and `streams` for the services that have one there.
    pub fn new(files: FileLogs, streams: Arc<dyn OutputSource>) -> Self {
        Self { files, streams }
    }
}

impl LogSource for AllLogs {
    /// As [`FileLogs`] does it.
    fn last_lines<'a>(&'a self, spec: &'a ServiceSpec, n_lines: usize) -> BoxFuture<'a, Vec<String>> {
        let Some(mut stream) = self.streams.output(spec, n_lines, Following::No) else {
            return self.files.last_lines(spec, n_lines);
        };
        async move {
            let mut lines = Vec::new();
            while let Some(batch) = stream.recv().await {
                for piece in batch {
                    match piece {
                        Output::Line(bytes) => lines.push(sanitize(&bytes, Tabs::Keep).into_owned()),
                        // What came before is of another run.
                        Output::Started { .. } => lines.clear(),
                        Output::NoneYet(_) => {}
                        Output::Problem(why) => tracing::warn!(service = %spec.id, why, "cannot read its output"),
                    }
                }
            }
            lines
        }
        .boxed()
    }
}

impl LogSource for FileLogs {
    fn last_lines<'a>(&'a self, spec: &'a ServiceSpec, n_lines: usize) -> BoxFuture<'a, Vec<String>> {
        std::future::ready(self.tail(spec, n_lines)).boxed()
    }
}

impl FileLogs {
    /// What came since the newest start, cleaned for a terminal. A log that cannot be read gives none: the failed start is the news, not that.
    fn tail(&self, spec: &ServiceSpec, n_lines: usize) -> Vec<String> {
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
        assert_eq!(logs.tail(&spec, 10), ["bad config", "giving up"]);
        assert_eq!(logs.tail(&spec, 1), ["giving up"]);
        assert!(logs.tail(&service("other", ""), 5).is_empty());
    }
}
