//! What a start needs, with what is there.

use std::io;
use std::path::Path;

use rustix::fs::Access;

use super::Settings;
use crate::model::BinarySpec;
use crate::preflight::{FileFact, Requirement};
use crate::store::directory;

/// Looks at everything a start of `binary` needs. Makes and changes nothing.
pub(super) fn gather(settings: &Settings, binary: &BinarySpec) -> Vec<Requirement> {
    let mut requirements =
        vec![Requirement::Binary { path: binary.binary_path.clone(), found: file_fact(&binary.binary_path) }];
    if let Some(path) = &binary.working_dir {
        requirements.push(Requirement::WorkingDirectory { path: path.clone(), found: file_fact(path) });
    }
    if let Some(path) = &binary.env_file {
        let found = match super::env_file::read(path) {
            Ok(_) => file_fact(path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => FileFact::Missing,
            Err(error) => FileFact::Unreadable(error.to_string()),
        };
        requirements.push(Requirement::File { path: path.clone(), field: "env_file", found });
    }
    requirements.push(Requirement::StateDirectory {
        path: settings.layout.root().to_owned(),
        problem: directory::inspect(&settings.layout).err().map(|unusable| (unusable.to_string(), unusable.remedy())),
    });
    requirements
}

/// What stands at a path; symbolic links are followed, as the kernel does when it executes.
fn file_fact(path: &Path) -> FileFact {
    match std::fs::metadata(path) {
        Ok(found) if found.is_dir() => FileFact::Directory,
        Ok(found) if !found.is_file() => FileFact::Other,
        Ok(_) if rustix::fs::access(path, Access::EXEC_OK).is_ok() => FileFact::Executable,
        Ok(_) => FileFact::NotExecutable,
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileFact::Missing,
        Err(error) => FileFact::Unreadable(error.to_string()),
    }
}
