//! A bearer token in a file: read at each use, and only from a file that nobody else can read or could have put there.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Once;

use rustix::fs::OFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::request::Refused;
use crate::model::Secret;

/// The longest token, in bytes.
const MAX_LENGTH: u64 = 16 * 1024;

/// More than is ever read of a file, so that the end of it is seen without growing.
const LARGEST_READ: usize = 16 * 1024 + 64;

/// Reads the token of a file; one newline at its end is no part of it. Blocks on the file system.
///
/// # Errors
/// When the file is a symbolic link or no regular file, belongs to somebody else, can be used by anybody else, is empty, too long, or
/// holds what no header can carry. The error never holds what was read.
pub(crate) fn read(path: &Path) -> Result<Secret, Refused> {
    keep_out_of_core_dumps();
    let refused = |what: &str, remedy: String| Refused {
        message: format!("the token file {} {what}", path.display()),
        remedy: Some(remedy),
    };
    let shown = path.display();
    let elsewhere = || "set `auth_token_path` to the file itself".to_owned();
    let file = open(path).map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => refused("is a symbolic link, which is not followed", elsewhere()),
        Some(Errno::NOENT) => refused("does not exist", format!("put the token into {shown} and chmod 600 it")),
        Some(Errno::ACCESS) => {
            refused("may not be read", format!("make it yours: chown $USER {shown} && chmod 600 {shown}"))
        }
        _ => refused(&format!("cannot be opened: {error}"), "check `auth_token_path` in the registry".to_owned()),
    })?;
    let unreadable = |error: io::Error| refused(&format!("cannot be read: {error}"), format!("check {shown}"));
    let found = file.metadata().map_err(unreadable)?;
    let euid = rustix::process::geteuid().as_raw();
    if !found.is_file() {
        return Err(refused("is no regular file", elsewhere()));
    }
    if found.uid() != euid {
        return Err(refused("belongs to another user", format!("chown $USER {shown} && chmod 600 {shown}")));
    }
    if found.mode() & 0o077 != 0 {
        let mode = found.mode() & 0o7777;
        return Err(refused(&format!("can be used by other users (mode {mode:04o})"), format!("chmod 600 {shown}")));
    }
    // Large enough from the start, so that no part of it is left behind where a smaller one was.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LARGEST_READ));
    file.take(MAX_LENGTH + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LENGTH {
        return Err(refused("is longer than 16 KiB", format!("put nothing but the token into {shown}")));
    }
    let token = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    let token = token.strip_suffix(b"\r").unwrap_or(token);
    if token.is_empty() {
        return Err(refused("is empty", format!("put the token into {shown}")));
    }
    match std::str::from_utf8(token) {
        Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Secret::new(text)),
        Ok(_) | Err(_) => Err(refused(
            "holds more than a token: spaces, several lines, or bytes that cannot be sent",
            format!("put nothing but the token into {shown}"),
        )),
    }
}

/// Follows no link at the end of the path, and does not wait for a writer of a pipe.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    OpenOptions::new().read(true).custom_flags(i32::try_from(flags.bits()).unwrap_or_default()).open(path)
}

/// From here on this process may hold a token or a password. Also keeps other processes of the same user from reading its memory, and from
/// seeing its descriptors, which is why a holder of our locks is also known by the kernel's own list (`host::process::lock_taker`).
pub(crate) fn keep_out_of_core_dumps() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        #[cfg(target_os = "linux")]
        if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
            tracing::warn!(%error, "core dumps of this process cannot be switched off");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::read;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    use std::path::Path;

    fn write(path: &Path, bytes: &[u8], mode: u32) {
        fs::write(path, bytes).expect("write");
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("mode");
    }

    #[test]
    fn one_newline_is_no_part_of_a_token() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("token");
        for bytes in [&b"hunter2"[..], b"hunter2\n", b"hunter2\r\n"] {
            write(&path, bytes, 0o600);
            assert_eq!(read(&path).expect("a token").expose(), "hunter2");
        }
        write(&path, b"hunter2\n", 0o400);
        assert_eq!(read(&path).expect("a token").expose(), "hunter2");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_has_read_a_token_dumps_no_core() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("token");
        write(&path, b"hunter2", 0o600);
        read(&path).expect("a token");
        let behaviour = rustix::process::dumpable_behavior().expect("known");
        assert_eq!(behaviour, rustix::process::DumpableBehavior::NotDumpable);
    }

    #[test]
    fn what_others_could_read_or_have_written_is_refused_with_what_to_do() {
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("token");
        let check = |bytes: &[u8], mode: u32, what: &str, remedy: &str| {
            write(&path, bytes, mode);
            let refused = read(&path).expect_err("refused");
            let told = format!("{}: {}", refused.message, refused.remedy.unwrap_or_default());
            assert!(told.contains(what) && told.contains(remedy) && !told.contains("hunter"), "{told}");
        };
        check(b"hunter2", 0o644, "other users (mode 0644)", "chmod 600 /");
        check(b"hunter2", 0o620, "other users (mode 0620)", "chmod 600 /");
        check(b"", 0o600, "is empty", "put the token into /");
        check(b"\n", 0o600, "is empty", "put the token into /");
        check(b"hunter2\nhunter3\n", 0o600, "more than a token", "nothing but the token");
        check(b"hunter 2", 0o600, "more than a token", "nothing but the token");
        check(b"hunter\xff", 0o600, "more than a token", "nothing but the token");
        check(&vec![b'x'; 16 * 1024 + 1], 0o600, "longer than 16 KiB", "nothing but the token");
    }

    #[test]
    fn what_is_no_file_of_its_own_is_refused_and_nothing_waits() {
        let directory = tempfile::tempdir().expect("directory");
        let at = |name: &str| directory.path().join(name);
        write(&at("token"), b"hunter2", 0o600);
        symlink(at("token"), at("link")).expect("link");
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("pipe");
        fs::create_dir(at("directory")).expect("directory");
        for (name, what) in [
            ("link", "is a symbolic link"),
            ("pipe", "is no regular file"),
            ("directory", "is no regular file"),
            ("missing", "does not exist"),
        ] {
            let refused = read(&at(name)).expect_err("refused");
            assert!(refused.message.contains(what), "{refused:?}");
        }
    }
}
