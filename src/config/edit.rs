//! What an editor needs: the line of a service, and a file of one's own where there is none.

use std::fs::{DirBuilder, File};
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags};
use toml::de::{DeTable, DeValue};

use super::discover::IN_HOME;
use super::document::Document;
use super::parse::BUILT_IN;
use super::{Environment, read};

/// What editors know the fields by.
pub const SCHEMA: &str = include_str!("../../config/services.schema.json");

/// The schema's name beside a registry, as the first line of the built-in one says.
const SCHEMA_NAME: &str = "services.schema.json";

/// The line, from 1, at which the service `name` begins in the file; `None` when the file cannot be read or does not have it. Blocks
/// on the file system, briefly.
pub fn line_of(path: &Path, name: &str) -> Option<usize> {
    let text = read::read(path, None, &mut super::findings::Findings::default())?;
    line_in(&text, name)
}

fn line_in(text: &str, name: &str) -> Option<usize> {
    let document = Document::new(text, None);
    // Also of a text with errors the parser keeps what it understood.
    let (root, _) = DeTable::parse_recoverable(document.text);
    let services = match root.get_ref().get("services").map(|services| services.get_ref()) {
        Some(DeValue::Table(services)) => services,
        Some(_) | None => return None,
    };
    let key = services.iter().map(|(key, _)| key).find(|key| key.get_ref() == name)?;
    Some(document.line(key.span().start))
}

/// Writes the built-in registry to the user's own file, which must not be there yet, and the schema beside it. Returns its path.
///
/// # Errors
/// No home is known, or the file cannot be written or is there already; nothing is overwritten then.
pub fn write_built_in(environment: &Environment) -> io::Result<PathBuf> {
    let Some(home) = &environment.home else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "no home directory is known"));
    };
    let path = home.join(IN_HOME);
    let directory = path.parent().unwrap_or(home);
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    match write_new(&directory.join(SCHEMA_NAME), SCHEMA) {
        // An older one still helps.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    write_new(&path, BUILT_IN)?;
    Ok(path)
}

/// Writes a file that is there completely or not at all, and never in place of another.
fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let aside = path.with_file_name(format!(".{}.{}", SCHEMA_NAME, std::process::id()));
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::open(&aside, flags, Mode::RUSR | Mode::WUSR)?);
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| {
        // A link fails where the name is taken, unlike a rename.
        Ok(rustix::fs::linkat(rustix::fs::CWD, &aside, rustix::fs::CWD, path, AtFlags::empty())?)
    });
    std::fs::remove_file(&aside)?;
    written
}

#[cfg(test)]
mod tests {
    use super::{line_in, write_built_in};
    use crate::config::Environment;

    #[test]
    fn the_line_of_a_service_is_found_also_in_a_text_with_errors() {
        let text = "# first\n[services.a]\ntype = 1\n\n[services.\"b\".startup]\n\n[services.c]\ntype = = 2\n";
        assert_eq!([line_in(text, "a"), line_in(text, "b"), line_in(text, "c")], [Some(2), Some(5), Some(7)]);
        assert_eq!(line_in(text, "d"), None);
        assert_eq!(line_in("services = 1", "a"), None);
    }

    #[test]
    fn the_built_in_registry_is_written_once_and_never_over_another_file() {
        let home = tempfile::tempdir().unwrap();
        let environment = Environment { home: Some(home.path().to_owned()), ..Environment::default() };
        let path = write_built_in(&environment).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), crate::config::BUILT_IN);
        std::fs::write(&path, "mine").unwrap();
        assert_eq!(write_built_in(&environment).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let names: Vec<_> =
            std::fs::read_dir(path.parent().unwrap()).unwrap().map(|it| it.unwrap().file_name()).collect();
        assert_eq!(names.len(), 2, "nothing is left behind: {names:?}");
    }
}
