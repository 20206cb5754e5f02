//! Lines of a log into a new file of the person's own. Nothing that is there is ever changed.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// How many names are tried.
const MAX_NAMES: u32 = 100;

/// Writes `text` to `NAME.log` in `dir`, or `NAME-2.log` where that is taken, readable by its owner alone. Blocks.
///
/// # Errors
/// The file system's own. What was begun is removed again.
pub(super) fn save_new(dir: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    for n in 1..=MAX_NAMES {
        let file = dir.join(if n == 1 { format!("{name}.log") } else { format!("{name}-{n}.log") });
        // Fails for whatever has that name, a symbolic link to nowhere as well.
        let mut open = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&file) {
            Ok(open) => open,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            Err(error) => return Err(error),
        };
        return match open.write_all(text.as_bytes()) {
            Ok(()) => Ok(file),
            Err(error) => {
                fs::remove_file(&file)?;
                Err(error)
            }
        };
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("{MAX_NAMES} files have that name")))
}

#[cfg(test)]
mod tests {
    use super::save_new;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn what_is_there_is_left_alone_and_the_new_file_is_the_owners() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("api.log"), "precious").unwrap();
        symlink("nowhere", dir.path().join("api-2.log")).unwrap();
        let file = save_new(dir.path(), "api", "one\ntwo\n").unwrap();
        assert_eq!(file, dir.path().join("api-3.log"));
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(dir.path().join("api.log")).unwrap(), "precious");
        assert!(!dir.path().join("nowhere").exists());
    }

    #[test]
    fn a_directory_that_is_not_there_is_named_by_the_system() {
        let dir = tempfile::tempdir().unwrap();
        assert!(save_new(&dir.path().join("gone"), "api", "x").is_err());
    }
}
