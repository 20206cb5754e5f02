//! Writing histories: the leader's part.

use std::collections::HashMap;
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;

use super::file::{self, Opened};
use super::format::{HEADER, LAST_SEQUENCE, LENGTH, header, row_at, sample_at, write_row, write_sample};
use super::read::{Past, past, read_hours};
use crate::model::ServiceId;
use crate::model::history::{Hours, Sample, hour_of};
use crate::store::{Layout, directory, state_reader};

/// After how many samples the totals are written.
const SAMPLES_PER_ROW: u32 = 32;

/// Appends to the histories below a layout. For the leader alone: two writers would overwrite each other's samples.
#[derive(Debug)]
pub struct Histories {
    layout: Layout,
    /// A std lock: held for few short writes, never across an await.
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    writers: HashMap<ServiceId, Writer>,
    /// Whether the last sample was lost, which was said once.
    is_failing: bool,
}

/// What has to be known to append to one file. The file itself is opened for each sample: a thousand services would need a thousand
/// descriptors.
#[derive(Debug)]
struct Writer {
    identity: (u64, u64),
    next_sequence: u32,
    last: Option<Sample>,
    /// The hours that changed since they were written, and the newest one.
    hours: Hours,
    changed: Vec<u32>,
    n_since_row: u32,
}

impl Histories {
    /// The histories below `layout`. Nothing is made before the first sample.
    pub fn new(layout: &Layout) -> Self {
        Self { layout: layout.clone(), inner: Mutex::default() }
    }

    /// Appends a sample. `every` is the planned distance of two probes. A failure is told to the own log once, until it works again.
    ///
    /// # Errors
    /// When it could not be kept: the disk is full, or nothing may be written.
    pub fn append(&self, service: &ServiceId, sample: &Sample, every: Duration) -> io::Result<()> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.layout.history_file(service);
        let appended = self.append_to(&path, &mut inner.writers, service, sample, every);
        match &appended {
            Ok(()) if inner.is_failing => {
                inner.is_failing = false;
                tracing::info!("the health history is kept again");
            }
            Ok(()) => {}
            Err(error) => {
                inner.writers.remove(service);
                if !inner.is_failing {
                    inner.is_failing = true;
                    tracing::warn!(%error, path = %path.display(), "the health history cannot be kept; nothing else is affected");
                }
            }
        }
        appended
    }

    fn append_to(
        &self,
        path: &Path,
        writers: &mut HashMap<ServiceId, Writer>,
        service: &ServiceId,
        sample: &Sample,
        every: Duration,
    ) -> io::Result<()> {
        let known = writers.remove(service);
        let (mut file, mut writer) = match (known, directory::open_regular(path, OFlags::RDWR)) {
            // The usual case: the file of the last time.
            (Some(writer), Ok(file)) if writer.identity == file::identity(&file)? => (file, writer),
            (Some(_) | None, _) => self.begin(path, sample.at, every)?,
        };
        if writer.next_sequence >= LAST_SEQUENCE {
            set_aside(path, "its numbers are used up", sample.at)?;
            (file, writer) = self.begin(path, sample.at, every)?;
        }
        writer.append(&file, sample, every)?;
        writers.insert(service.clone(), writer);
        Ok(())
    }

    /// Goes on with what is there, or begins anew.
    fn begin(&self, path: &Path, now: SystemTime, every: Duration) -> io::Result<(File, Writer)> {
        self.make_directory()?;
        let opened = match file::open(path, OFlags::RDWR)? {
            Opened::Unusable(why) => {
                set_aside(path, &why, now)?;
                Opened::Nothing
            }
            opened @ (Opened::Nothing | Opened::History { .. }) => opened,
        };
        let (file, past) = match opened {
            Opened::History { file, is_header_damaged } => {
                if is_header_damaged {
                    write_header(&file)?;
                }
                let past = past(&file, every, now)?;
                (file, past)
            }
            Opened::Nothing | Opened::Unusable(_) => {
                let file = directory::open_regular(path, OFlags::RDWR | OFlags::CREATE)?;
                write_header(&file)?;
                (file, Past::default())
            }
        };
        // Sparse: room is taken as it is needed. A file whose end was cut off gets it back, empty.
        if file.metadata()?.len() < LENGTH {
            file.set_len(LENGTH)?;
        }
        let identity = file::identity(&file)?;
        Ok((file, Writer::going_on_with(past, identity, now)))
    }

    fn make_directory(&self) -> io::Result<()> {
        let path = self.layout.history();
        match directory::open(&path) {
            Ok(_) => return Ok(()),
            Err(unusable) => {
                let error = io::Error::from(unusable);
                if error.kind() != io::ErrorKind::NotFound {
                    return Err(error);
                }
            }
        }
        directory::prepare(&self.layout)?;
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        directory::open(&path)?;
        Ok(())
    }
}

fn write_header(file: &File) -> io::Result<()> {
    let header: [u8; HEADER] = header();
    file.write_all_at(&header, 0)
}

/// Moves it away. What is larger than any history loses its end: it is kept to be looked at, not to fill the disk.
fn set_aside(path: &Path, why: &str, now: SystemTime) -> io::Result<()> {
    let aside: PathBuf = state_reader::set_aside(path, now)?;
    tracing::warn!(path = %path.display(), aside = %aside.display(), why, "a health history was set aside and is begun anew");
    if let Ok(file) = directory::open_regular(&aside, OFlags::WRONLY)
        && let Ok(metadata) = file.metadata()
        && metadata.nlink() == 1
        && metadata.len() > LENGTH
    {
        // Best effort.
        let _shortened = file.set_len(LENGTH);
    }
    Ok(())
}

impl Writer {
    fn going_on_with(past: Past, identity: (u64, u64), now: SystemTime) -> Self {
        let Past { mut hours, recent, next_sequence, behind } = past;
        let newest = hours.iter().next_back().map_or(hour_of(now), |hour| hour.number);
        hours.retain(|hour| hour == newest || behind.contains(&hour));
        Self { identity, next_sequence, last: recent.last().copied(), hours, changed: behind, n_since_row: 0 }
    }

    /// The sample first: totals that count a sample which is not there could not be counted again.
    fn append(&mut self, file: &File, sample: &Sample, every: Duration) -> io::Result<()> {
        file.write_all_at(&write_sample(self.next_sequence, sample), sample_at(self.next_sequence))?;
        self.next_sequence += 1;
        let touched: Vec<u32> = Hours::touched_by(self.last.as_ref(), sample, every).collect();
        for hour in &touched {
            if !self.hours.has(*hour) {
                // A clock that was put back, or a span of many hours.
                let found = read_hours(file, *hour, 1)?.into_iter().map(|(found, _)| found);
                found.filter(|found| found.number == *hour).for_each(|found| self.hours.put(found));
            }
        }
        self.hours.take_in(self.last.as_ref(), sample, every);
        self.last = Some(*sample);
        self.n_since_row += 1;
        for hour in touched {
            if !self.changed.contains(&hour) {
                self.changed.push(hour);
            }
        }
        if self.n_since_row >= SAMPLES_PER_ROW || self.changed.len() > 1 {
            self.write_rows(file)?;
        }
        Ok(())
    }

    /// The newest hour last, for it says up to which sample all are counted.
    fn write_rows(&mut self, file: &File) -> io::Result<()> {
        let through = self.next_sequence - 1;
        for hour in self.hours.iter().filter(|hour| self.changed.contains(&hour.number)) {
            file.write_all_at(&write_row(hour, through), row_at(hour.number))?;
        }
        let newest = self.hours.iter().next_back().map_or(0, |hour| hour.number);
        self.hours.retain(|hour| hour == newest);
        self.changed.clear();
        self.n_since_row = 0;
        Ok(())
    }
}
