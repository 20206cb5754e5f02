//! Shifting rotated files: `log` becomes `log.1`, `log.1` becomes `log.2`, and so on.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::store::failpoint::failpoint;

/// Makes `path` free by shifting it and its predecessors up to the first gap, so that a shift that was interrupted at any step is
/// completed by the next one and nothing is lost but the oldest of `n_kept` files.
///
/// # Errors
/// When a rename is refused. What was shifted so far stays shifted, which the next call takes up.
pub(super) fn shift(path: &Path, n_kept: u32) -> io::Result<()> {
    if n_kept == 0 {
        return std::fs::remove_file(path);
    }
    let gap = match (1..=n_kept).find(|&number| numbered(path, number).symlink_metadata().is_err()) {
        Some(gap) => gap,
        None => {
            // Removed, not overwritten: before a rename that overwrites, ext4 writes the new content to the disk
            // (`auto_da_alloc`), and a flood would wait for 10 MiB at each rotation.
            std::fs::remove_file(numbered(path, n_kept))?;
            n_kept
        }
    };
    for number in (1..gap).rev() {
        std::fs::rename(numbered(path, number), numbered(path, number + 1))?;
        failpoint!("rotate-shifting");
    }
    std::fs::rename(path, numbered(path, 1))?;
    failpoint!("rotate-before-create");
    Ok(())
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::{numbered, shift};

    #[test]
    fn the_oldest_is_forgotten_and_a_gap_stops_the_shift() {
        let directory = tempfile::tempdir().expect("directory");
        let log = directory.path().join("a.log");
        let write = |path: &std::path::Path, text: &str| std::fs::write(path, text).expect("write");
        for text in ["one", "two", "three", "four"] {
            write(&log, text);
            shift(&log, 3).expect("shift");
        }
        let read = |number| std::fs::read_to_string(numbered(&log, number)).ok();
        assert_eq!([read(1), read(2), read(3), read(4)].map(Option::unwrap_or_default), ["four", "three", "two", ""]);

        // Interrupted after the first rename: number 1 moved on, the log itself did not.
        std::fs::remove_file(numbered(&log, 3)).expect("remove");
        std::fs::rename(numbered(&log, 2), numbered(&log, 3)).expect("rename");
        write(&log, "five");
        shift(&log, 3).expect("shift");
        assert_eq!([read(1), read(2), read(3)].map(Option::unwrap_or_default), ["five", "four", "three"]);
    }
}
