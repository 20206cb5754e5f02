//! A certificate authority of a service's own: the only one that its servers are verified against.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use reqwest::Certificate;
use rustix::fs::OFlags;

use super::request::Refused;

/// The longest file of certificates, in bytes.
const MAX_LENGTH: u64 = 1024 * 1024;

/// Reads the bytes of a file of certificates. Blocks on the file system.
///
/// # Errors
/// When it cannot be read, is too long, or somebody else could have written it: whoever does decides who is believed.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Refused> {
    let shown = path.display();
    let refused = |what: &str, remedy: String| Refused {
        message: format!("the authority's file {shown} {what}"),
        remedy: Some(remedy),
    };
    let in_registry = || "check `ca_path` in the registry".to_owned();
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => refused("does not exist", in_registry()),
        _ => refused(&format!("cannot be read: {error}"), in_registry()),
    };
    // Does not wait for a writer of a pipe.
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(unreadable)?;
    let found = file.metadata().map_err(unreadable)?;
    let euid = rustix::process::geteuid().as_raw();
    if !found.is_file() {
        return Err(refused("is no regular file", in_registry()));
    }
    if (found.uid() != euid && found.uid() != 0) || found.mode() & 0o022 != 0 {
        let what = "can be changed by other users, who could then pass for the service";
        return Err(refused(what, format!("chown $USER {shown} && chmod 644 {shown}")));
    }
    let mut bytes = Vec::new();
    file.take(MAX_LENGTH + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MAX_LENGTH {
        return Err(refused("is longer than 1 MiB", in_registry()));
    }
    Ok(bytes)
}

/// The certificates in it; at least one.
///
/// # Errors
/// When there are none, or one of them is damaged.
pub(super) fn certificates(bytes: &[u8], path: &Path) -> Result<Vec<Certificate>, Refused> {
    match Certificate::from_pem_bundle(bytes) {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        Ok(_) | Err(_) => Err(Refused {
            message: format!("the authority's file {} holds no certificate", path.display()),
            remedy: Some("`ca_path` names a PEM file: -----BEGIN CERTIFICATE-----".to_owned()),
        }),
    }
}
