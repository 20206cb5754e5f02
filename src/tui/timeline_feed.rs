//! The timeline as the console's feed: everything that is written, then what comes, whoever writes it.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::logs::{Follower, Line};
use crate::store::TimelineEntry;

/// Batches on their way to the console.
const BATCHES: usize = 8;

/// From one attempt to read what cannot be read to the next.
const RETRY: Duration = Duration::from_secs(2);

/// What comes from the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TimelineNews {
    /// Entries, oldest first. The first batch has everything that was there, and may be empty; a later first batch replaces it.
    Entries(Vec<TimelineEntry>),
    /// Why it cannot be read at present.
    Unreadable(String),
}

/// Follows the timeline at `path` until the receiver is dropped. To be called on a runtime with I/O and time.
pub(crate) fn follow(path: PathBuf) -> mpsc::Receiver<TimelineNews> {
    let (batches, receiver) = mpsc::channel(BATCHES);
    tokio::spawn(async move {
        let gone = batches.clone();
        tokio::select! {
            () = gone.closed() => {}
            () = read_on(path, batches) => {}
        }
    });
    receiver
}

async fn read_on(path: PathBuf, batches: mpsc::Sender<TimelineNews>) {
    let mut known: Option<Follower> = None;
    loop {
        let step = match known.take() {
            None => {
                let path = path.clone();
                // The file is bounded, and its lines are parsed: not on the loop's threads.
                let read = move || Follower::with_tail(&path, usize::MAX).map(|(lines, it)| (entries(&lines), it));
                match tokio::task::spawn_blocking(read).await {
                    Ok(opened) => opened.map_err(|error| error.to_string()),
                    Err(panic) => Err(panic.to_string()),
                }
            }
            Some(mut follower) => match follower.next().await {
                Ok(lines) => Ok((entries(&lines), follower)),
                Err(error) => {
                    known = Some(follower);
                    Err(error.to_string())
                }
            },
        };
        let news = match step {
            Ok((entries, follower)) => {
                known = Some(follower);
                TimelineNews::Entries(entries)
            }
            Err(why) => TimelineNews::Unreadable(why),
        };
        let is_bad = matches!(news, TimelineNews::Unreadable(_));
        if batches.send(news).await.is_err() {
            return;
        }
        if is_bad {
            tokio::time::sleep(RETRY).await;
        }
    }
}

fn entries(lines: &[Line]) -> Vec<TimelineEntry> {
    lines.iter().filter_map(|line| TimelineEntry::parse(&line.bytes)).collect()
}
