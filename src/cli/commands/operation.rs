//! `provisioning OPERATION …` (A12, R214): what the operation needs is started, then the operation's own program takes this one's place.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, Mode};

use super::Ended;
use super::services::{Telling, ensure};
use crate::cli::exit::Exit;
use crate::cli::names::{near_command, near_operation};
use crate::cli::session::{Face, Session};
use crate::report::known_operations;

/// What the programs of operations begin with, as `git-` and `cargo-` do.
const PREFIX: &str = "provisioning-";

/// Runs the operation. Returns only when it could not begin.
pub(in crate::cli) async fn run(words: &[OsString], session: &Session, face: &mut Face) -> Ended {
    let Some((name, arguments)) = words.split_first() else { return Ok(Exit::Usage) };
    let shown = name.to_string_lossy();
    let Some(program) = find(name) else {
        say_unknown(&shown, session, face);
        return Ok(Exit::Usage);
    };
    let (exit, _) = ensure(&shown, Telling::Aside, session, face).await?;
    if exit != Exit::Done {
        return Ok(exit);
    }
    face.out.finish();
    // Our umask is stricter than what the operation may expect.
    rustix::process::umask(Mode::from_raw_mode(face.original_umask));
    let error = Command::new(&program).args(arguments).exec();
    face.out.error(&format!("failed to run {}: {error}", program.display()));
    Ok(Exit::Failed)
}

fn say_unknown(name: &str, session: &Session, face: &mut Face) {
    let program = face.program;
    if known_operations(&session.registry).contains(&name) {
        face.out
            .error(&format!("error: the operation {name} has no program here: there is no {PREFIX}{name} on the PATH"));
        face.out
            .error(&format!("  Install it, or start only what it needs: {} services ensure {name}", program.name()));
        return;
    }
    face.out.error(&format!("error: {name} is no command, and there is no program {PREFIX}{name} on the PATH"));
    if let Some(near) = near_command(name, program).or_else(|| near_operation(name, &session.registry)) {
        face.out.error(&format!("  Did you mean {near}?"));
    }
    face.out.error(&format!(
        "  {0} --help lists the commands; {0} services ensure OPERATION starts what an operation needs",
        program.name()
    ));
}

/// The program of an operation: the first of that name on the PATH that we may execute.
pub(in crate::cli) fn find(operation: &OsStr) -> Option<PathBuf> {
    // A name, and never a way to somewhere else.
    let is_name = operation.as_bytes().iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if !is_name || operation.is_empty() {
        return None;
    }
    let mut file = OsString::from(PREFIX);
    file.push(operation);
    let is_program = |path: &Path| path.is_file() && rustix::fs::access(path, Access::EXEC_OK).is_ok();
    let path = std::env::var_os("PATH")?;
    // An empty entry means the current directory to a shell; a program that happens to lie there was not meant.
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(&file))
        .find(|path| is_program(path))
}
