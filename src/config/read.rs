//! The bytes of the file, taken safely, and their text.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags};

use crate::model::{Code, Severity};

use super::document::{Document, quoted};
use super::findings::{Finding, Findings};
use super::ownership::{Naming, Owner, Users};

/// The largest registry, in bytes.
const MAX_LENGTH: u64 = 16 * 1024 * 1024;

/// The file's text; `None` when there is none, and the findings say why. Never waits for a writer, whatever lies at `path`.
/// With a `naming`, whoever could have written it is looked at too.
pub(super) fn read(path: &Path, naming: Option<Naming>, findings: &mut Findings) -> Option<String> {
    let shown = path.display().to_string();
    let bytes = match bytes(path) {
        Ok((bytes, owner)) => {
            let finding = naming.and_then(|naming| {
                let directory = path.parent().and_then(|directory| rustix::fs::stat(directory).ok());
                let directory = directory.as_ref().map(Owner::of);
                Users::of_this_machine().judge(path, owner, directory, naming)
            });
            let is_refused = finding.as_ref().is_some_and(|finding| finding.severity == Severity::Error);
            if let Some(finding) = finding {
                findings.add_without_place(finding);
            }
            if is_refused {
                return None;
            }
            bytes
        }
        Err(reason) => {
            let message = format!("cannot read {}: {reason}", quoted(&shown));
            findings.add_without_place(Finding::error(Code::Unreadable, message));
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            report_encoding(path, error.as_bytes(), offset, findings);
            None
        }
    }
}

/// The hint for text that was saved in two bytes a character.
pub(super) fn utf16_hint(bytes: &[u8]) -> Option<String> {
    let start = bytes.get(..64).unwrap_or(bytes);
    let n_zero = |parity: usize| start.iter().skip(parity).step_by(2).filter(|byte| **byte == 0).count();
    let many = start.len() / 4;
    let is_utf16 = start.starts_with(&[0xff, 0xfe])
        || start.starts_with(&[0xfe, 0xff])
        || (start.len() >= 4 && (n_zero(0) > many || n_zero(1) > many));
    is_utf16.then(|| "it looks like UTF-16; save it as UTF-8".to_owned())
}

fn bytes(path: &Path) -> Result<(Vec<u8>, Owner), String> {
    // Non-blocking: opening a FIFO must not wait for its writer.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| reason(&errno.into()))?;
    let stat = rustix::fs::fstat(&file).map_err(|errno| reason(&errno.into()))?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return Err("it is a directory".to_owned()),
        FileType::Fifo => return Err("it is a FIFO, not a regular file".to_owned()),
        FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Symlink
        | FileType::Unknown => return Err("it is not a regular file".to_owned()),
    }
    let mut bytes = Vec::new();
    // One byte more than allowed: the size that fstat tells may grow meanwhile, and some file systems tell none.
    let n_read = File::from(file).take(MAX_LENGTH + 1).read_to_end(&mut bytes).map_err(|error| reason(&error))?;
    if n_read as u64 > MAX_LENGTH {
        return Err(format!("it is larger than {} MiB", MAX_LENGTH / 1024 / 1024));
    }
    Ok((bytes, Owner::of(&stat)))
}

/// The system's words, in the middle of a sentence.
fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => error.to_string(),
    }
}

fn report_encoding(path: &Path, bytes: &[u8], offset: usize, findings: &mut Findings) {
    let byte = bytes.get(offset).copied().unwrap_or_default();
    let message = format!("not UTF-8: byte 0x{byte:02X} at byte offset {offset}");
    let hint = utf16_hint(bytes).unwrap_or_else(|| "save the file as UTF-8".to_owned());
    // Bytes that are no text become marks of one character, so the column in that line stays true; the offset is exact.
    let text = String::from_utf8_lossy(bytes);
    let mut document = Document::new(&text, Some(path.to_owned()));
    document.conceal(super::syntax::suspected_secrets(document.text));
    // Up to the first bad byte, the lossy text is the file. A byte order mark is not part of the document's offsets.
    let n_skipped = text.len() - document.text.len();
    let start = offset.saturating_sub(n_skipped);
    findings.add(&document, None, start..start, Finding::error(Code::Syntax, message).hint(hint));
}

#[cfg(test)]
mod tests {
    use super::{Findings, read};
    use crate::model::{Code, Diagnostic};
    use std::path::Path;

    fn refusal(path: &Path) -> Diagnostic {
        let mut findings = Findings::default();
        assert_eq!(read(path, None, &mut findings), None);
        findings.into_sorted().remove(0)
    }

    #[test]
    fn what_is_no_regular_file_is_refused_without_waiting() {
        let home = tempfile::tempdir().unwrap();
        let fifo = home.path().join("services.toml");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        let found = refusal(&fifo);
        assert_eq!(found.code, Code::Unreadable);
        assert!(found.message.contains("FIFO"), "{}", found.message);
        assert!(refusal(home.path()).message.contains("directory"));
        assert!(refusal(&home.path().join("absent")).message.contains("no such file"));
        assert!(refusal(Path::new("/dev/zero")).message.contains("not a regular file"));
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("services.toml");
        std::fs::File::create(&path).unwrap().set_len(super::MAX_LENGTH + 1).unwrap();
        assert!(refusal(&path).message.contains("larger than 16 MiB"));
    }

    #[test]
    fn invalid_text_names_its_byte_and_utf_16_is_recognised() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("services.toml");
        std::fs::write(&path, b"a = 1\nb = 'caf\xe9'\n").unwrap();
        let found = refusal(&path);
        assert!(found.message.contains("0xE9 at byte offset 14"), "{}", found.message);
        let place = found.place.unwrap();
        assert_eq!((place.line, place.column), (2, 9));
        std::fs::write(&path, b"\xff\xfea\x00=\x001\x00").unwrap();
        assert!(refusal(&path).hint.unwrap().contains("UTF-16"));
    }
}
