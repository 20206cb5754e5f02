//! The logs of all services as the console's feed: files where there are files, streams where there are none.

use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt as _};
use tokio::sync::mpsc;

use super::feed::{LogEntry, LogFeed, LogPosition};
use super::file_feed::FileFeed;
use crate::engine::handle::Handle;
use crate::engine::ports::{Following, Output, OutputSource};
use crate::logs::{Tabs, sanitize};
use crate::model::{Deployment, Mode, ServiceId};
use crate::store::Layout;

/// Batches on their way to the console.
const BATCHES: usize = 8;

/// Picks by the mode of the service.
#[derive(Debug)]
pub struct LogsByMode {
    files: FileFeed,
    handle: Handle,
    streams: Arc<dyn OutputSource>,
}

impl LogsByMode {
    /// Files below `layout`, and `streams` for the services of `handle` that have one there, also those that are registered later.
    pub fn new(layout: Layout, handle: Handle, streams: Arc<dyn OutputSource>) -> Self {
        Self { files: FileFeed::new(layout), handle, streams }
    }
}

impl LogFeed for LogsByMode {
    /// Must be called on a runtime with I/O and time.
    fn follow(&self, service: &ServiceId, n_lines: usize) -> mpsc::Receiver<Vec<LogEntry>> {
        let snapshot = self.handle.snapshot();
        let service_now = snapshot.service(service.as_str());
        if let Some(Deployment::Remote(remote)) = service_now.map(|it| &it.spec.deployment) {
            return only(format!("what it prints is kept where it runs: {}", remote.shown_endpoint()));
        }
        let Some(mut stream) = service_now.and_then(|it| self.streams.output(&it.spec, n_lines, Following::Yes)) else {
            return self.files.follow(service, n_lines);
        };
        let (batches, receiver) = mpsc::channel(BATCHES);
        let service = service.clone();
        tokio::spawn(async move {
            let mut n_entries = 0;
            let gone = batches.clone();
            loop {
                let pieces = tokio::select! {
                    pieces = stream.recv() => pieces,
                    () = gone.closed() => None,
                };
                let Some(pieces) = pieces else { return };
                let entries = pieces
                    .into_iter()
                    .map(|piece| {
                        n_entries += 1;
                        entry(&service, piece, n_entries)
                    })
                    .collect();
                if batches.send(entries).await.is_err() {
                    return;
                }
            }
        });
        receiver
    }

    /// A stream cannot be read backwards: what came before its newest lines is not shown.
    fn earlier(
        &self,
        service: &ServiceId,
        before: LogPosition,
        n_lines: usize,
    ) -> BoxFuture<'static, Result<Vec<LogEntry>, String>> {
        match self.handle.snapshot().service(service.as_str()).map(|it| it.spec.deployment.mode()) {
            Some(Mode::Docker | Mode::DockerCompose | Mode::Kubernetes | Mode::Remote) => {
                std::future::ready(Ok(Vec::new())).boxed()
            }
            Some(Mode::Binary) | None => self.files.earlier(service, before, n_lines),
        }
    }
}

/// A feed of one note.
fn only(note: String) -> mpsc::Receiver<Vec<LogEntry>> {
    let (batches, receiver) = mpsc::channel(1);
    // There is room for it.
    let _ = batches.try_send(vec![LogEntry::Note(sanitize(note.as_bytes(), Tabs::Expand).into_owned())]);
    receiver
}

/// `number` counts the entries of one stream, from 1.
fn entry(service: &ServiceId, piece: Output, number: u64) -> LogEntry {
    let at = LogPosition { file: 0, offset: number };
    match piece {
        Output::Line(bytes) => LogEntry::Line { at, text: sanitize(&bytes, Tabs::Expand).into_owned() },
        Output::Started { instance, at: when } => {
            LogEntry::Mark { at, text: format!("{service} started, {instance}"), when }
        }
        Output::NoneYet(why) | Output::Problem(why) => {
            LogEntry::Note(sanitize(why.as_bytes(), Tabs::Expand).into_owned())
        }
    }
}
