//! Making the service's process.

use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::fs::Mode;
use rustix::io::FdFlags;

use super::output::Output;
use crate::store::cookie;
use crate::store::handover::Handover;

/// Makes the process and returns its PID. It inherits the lock and its FIFO, and nothing else of ours: no terminal, no other
/// descriptor, no ignored or blocked signal, no odd umask; its process group is its own.
///
/// # Errors
/// The system's reason, with the path that it concerns.
pub(super) fn launch(handover: &Handover, lock: &File, output: &Output) -> Result<u32, String> {
    let stdout = output.open_for_service().map_err(|error| format!("its output: {error}"))?;
    let stderr = stdout.try_clone().map_err(|error| format!("its output: {error}"))?;
    let mut command = Command::new(&handover.program);
    command
        .args(&handover.arguments)
        .envs(handover.environment.iter().map(|(name, value)| (name, value)))
        // After the others: it is nobody else's to say.
        .env(cookie::VARIABLE, cookie::value(&handover.root, &handover.service))
        .current_dir(&handover.directory)
        .stdin(Stdio::null())
        .stdout(Stdio::from(stdout))
        .stderr(Stdio::from(stderr))
        .process_group(0);
    // This process has one thread, so nothing else can be spawned while the lock's descriptor is open to inheritance, and no file
    // of ours is made with the service's umask.
    let inheritable = |flags| rustix::io::fcntl_setfd(lock, flags);
    inheritable(FdFlags::empty()).map_err(|error| format!("its lock: {error}"))?;
    let own_umask = rustix::process::umask(Mode::WGRP | Mode::WOTH);
    let spawned = command.spawn();
    rustix::process::umask(own_umask);
    inheritable(FdFlags::CLOEXEC).map_err(|error| format!("its lock: {error}"))?;
    // The child is waited for by number, like everything else that a subreaper gets.
    spawned.map(|child| child.id()).map_err(|error| explain(handover, &error))
}

/// The system says only what is wrong, not with which of the two paths.
fn explain(handover: &Handover, error: &io::Error) -> String {
    let directory = &handover.directory;
    match std::fs::metadata(directory) {
        Err(cause) => return format!("working directory {}: {cause}", directory.display()),
        Ok(found) if !found.is_dir() => return format!("working directory {}: not a directory", directory.display()),
        Ok(_) => {}
    }
    if let Err(cause) = rustix::fs::access(directory, rustix::fs::Access::EXEC_OK) {
        return format!("working directory {}: {}", directory.display(), io::Error::from(cause));
    }
    let program = &handover.program;
    match interpreter(program) {
        Some(interpreter) if error.kind() == io::ErrorKind::NotFound && program.exists() => {
            format!("{}: its interpreter {interpreter} is missing", program.display())
        }
        Some(_) | None => format!("{}: {error}", program.display()),
    }
}

/// The interpreter that a script names in its first line.
fn interpreter(program: &Path) -> Option<String> {
    use std::io::Read as _;
    let mut head = Vec::new();
    File::open(program).ok()?.take(256).read_to_end(&mut head).ok()?;
    let line = head.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    String::from_utf8_lossy(line).split_ascii_whitespace().next().map(|path| path.escape_default().to_string())
}
