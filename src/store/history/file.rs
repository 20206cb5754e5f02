//! Opening a history: verified to be ours, without following links.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::format::{self, HEADER, Header, LENGTH, N_ROWS, N_SAMPLES};
use super::read::{read_hours, read_samples};
use crate::store::directory;

/// What is in the place of a history.
#[derive(Debug)]
pub(super) enum Opened {
    /// Nothing, or an empty file.
    Nothing,
    /// A history, perhaps damaged here and there.
    History {
        file: File,
        /// Whether its header has to be written again.
        is_header_damaged: bool,
    },
    /// Something that is none, and why.
    Unusable(String),
}

/// Opens what is there. The directory is entered without following a link, and must be ours.
///
/// # Errors
/// When it cannot be looked at.
pub(super) fn open(path: &Path, flags: OFlags) -> io::Result<Opened> {
    let file = match directory::open_regular(path, flags) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Opened::Nothing),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Ok(Opened::Unusable("it is a symbolic link".to_owned()));
        }
        // A directory cannot be opened for writing, and a socket not at all.
        Err(error) if matches!(error.raw_os_error(), Some(code) if is_no_file(code)) => {
            return Ok(Opened::Unusable("it is not a regular file".to_owned()));
        }
        // The file is none, or not ours: the words say which.
        Err(error) if error.kind() == io::ErrorKind::Other => return Ok(Opened::Unusable(error.to_string())),
        Err(error) => return Err(error),
    };
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(Opened::Nothing);
    }
    if length > LENGTH {
        return Ok(Opened::Unusable(format!("it is larger than {} KiB", LENGTH / 1024)));
    }
    let mut bytes = [0; HEADER];
    let n_read = read_up_to(&file, &mut bytes, 0)?;
    match format::read_header(bytes.get(..n_read).unwrap_or_default()) {
        Header::Ours => Ok(Opened::History { file, is_header_damaged: false }),
        Header::Other(version) => {
            Ok(Opened::Unusable(format!("its format {version} is not the one this version knows")))
        }
        Header::Damaged => {
            let has_samples = !read_samples(&file, 0, N_SAMPLES)?.is_empty();
            if has_samples || !read_hours(&file, 0, N_ROWS)?.is_empty() {
                Ok(Opened::History { file, is_header_damaged: true })
            } else {
                Ok(Opened::Unusable("it is no health history".to_owned()))
            }
        }
    }
}

fn is_no_file(code: i32) -> bool {
    use rustix::io::Errno;
    [Errno::ISDIR, Errno::NXIO, Errno::NODEV].iter().any(|errno| errno.raw_os_error() == code)
}

/// Reads until the buffer is full or the file ends.
///
/// # Errors
/// The file's own.
pub(super) fn read_up_to(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut n_read = 0;
    while let Some(rest) = buffer.get_mut(n_read..).filter(|rest| !rest.is_empty()) {
        match file.read_at(rest, offset + n_read as u64) {
            Ok(0) => break,
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(n_read)
}

/// Device and inode, by which a file that was put in place of another one is noticed.
pub(super) fn identity(file: &File) -> io::Result<(u64, u64)> {
    let metadata = file.metadata()?;
    Ok((metadata.dev(), metadata.ino()))
}
