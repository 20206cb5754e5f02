//! The Compose program: which one this host has, and one call of it.
//!
//! A call has no shell, no terminal and nothing to read, a process group of its own that is killed when its time is over or the call is
//! dropped, and its output goes to memory up to a limit: not to a pipe, since one without a reader would end it half-way when we are killed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};
use tokio::process::Command;

use crate::engine::ports::{BackendError, ErrorKind};
use crate::host::group::Group;

/// How long the program may take to tell its version: it is Python or a plugin, on a machine that may be busy.
const VERSION: Duration = Duration::from_secs(20);

/// How much a call may print, in bytes: the model of a large file fits; a flood fails.
const MAX_OUTPUT: u64 = 8 * 1024 * 1024;

/// What to install.
const INSTALL: &str =
    "install the package docker-compose-plugin (or docker-compose); `docker compose version` must work";

/// Words by which the Docker command line says that it has no such plugin.
const NO_PLUGIN: [&str; 2] = ["is not a docker command", "unknown command: docker compose"];

/// A Compose program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Program {
    path: PathBuf,
    flavour: Flavour,
    version: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    /// `docker compose`.
    Plugin,
    /// `docker-compose`, of any version.
    Standalone,
}

impl Program {
    /// As it is typed, for people.
    pub(super) fn name(&self) -> &'static str {
        match self.flavour {
            Flavour::Plugin => "docker compose",
            Flavour::Standalone => "docker-compose",
        }
    }

    /// Whether it is the first generation, which knows no `name:` in a file.
    pub(super) fn is_first_generation(&self) -> bool {
        self.version.trim_start_matches('v').starts_with("1.")
    }
}

/// What a call printed, and how it ended.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) has_succeeded: bool,
    pub(super) output: String,
    /// Standard error.
    pub(super) words: String,
}

/// Finds the program, remembers it, and calls it.
#[derive(Debug)]
pub(super) struct Compose {
    /// Where programs are looked for: `PATH`.
    search_path: Option<OsString>,
    /// For every call: where the engine is, above all.
    variables: Vec<(&'static str, OsString)>,
    /// Decided once; again when it fails. A std lock: held for moments, never across an await.
    decided: Mutex<Option<Program>>,
}

impl Compose {
    /// `engine` is the address that the program shall speak to, whatever context its own configuration names.
    pub(super) fn new(search_path: Option<OsString>, engine: String) -> Self {
        let variables = [
            ("DOCKER_HOST", engine.as_str()),
            // Never a question, a colour, a menu or a progress bar; strangers in the project are none of our business.
            ("COMPOSE_ANSI", "never"),
            ("COMPOSE_MENU", "false"),
            ("COMPOSE_PROGRESS", "plain"),
            ("COMPOSE_IGNORE_ORPHANS", "true"),
            // Nothing is written for a person: no warning of its own about its age, no advice.
            ("DOCKER_CLI_HINTS", "false"),
        ];
        let variables = variables.map(|(name, value)| (name, OsString::from(value))).to_vec();
        Self { search_path, variables, decided: Mutex::default() }
    }

    /// The program: the plugin where it answers, else the one that stands alone. Cancel safe.
    pub(super) async fn program(&self) -> Result<Program, BackendError> {
        if let Some(program) = self.decided().clone() {
            return Ok(program);
        }
        let mut obstacles = Vec::new();
        for (name, flavour) in [("docker", Flavour::Plugin), ("docker-compose", Flavour::Standalone)] {
            let Some(path) = self.find(name) else { continue };
            let mut program = Program { path, flavour, version: String::new() };
            match self.call_program(&program, &["version", "--short"], None, Path::new("/"), None, VERSION).await {
                Ok(answer) if answer.has_succeeded && is_version(answer.output.trim()) => {
                    program.version = answer.output.trim().to_owned();
                    tracing::debug!(?program, "compose found");
                    *self.decided() = Some(program.clone());
                    return Ok(program);
                }
                // Only the plugin's absence is expected.
                Ok(answer) if NO_PLUGIN.iter().any(|words| answer.words.contains(words)) => {}
                Ok(answer) => obstacles.push(format!(
                    "`{} version` says: {}",
                    program.name(),
                    super::failure::gist(&format!("{}{}", answer.output, answer.words))
                )),
                Err(error) => obstacles.push(error.message),
            }
        }
        let why = if obstacles.is_empty() { String::new() } else { format!(": {}", obstacles.join("; ")) };
        Err(BackendError {
            kind: ErrorKind::Misconfigured,
            message: format!("neither `docker compose` nor `docker-compose` works here{why}"),
            remedy: Some(INSTALL.to_owned()),
        })
    }

    /// Calls the program in `directory` and waits for its end. The group inherits `lock`, so that it stays taken as long as any process
    /// of the group lives, whatever becomes of us; reading from it gives an end of file at once.
    ///
    /// Dropping the call ends the group.
    pub(super) async fn call<S: AsRef<OsStr>>(
        &self,
        arguments: &[S],
        lock: Option<&File>,
        directory: &Path,
        project: Option<&str>,
        limit: Duration,
    ) -> Result<Answer, BackendError> {
        let mut program = self.program().await?;
        let mut is_second_try = false;
        loop {
            let answer = self.call_program(&program, arguments, lock, directory, project, limit).await;
            // Replaced or removed since it was found: then it is looked for again, once.
            let has_vanished = match &answer {
                Ok(answer) => !answer.has_succeeded && NO_PLUGIN.iter().any(|words| answer.words.contains(words)),
                Err(_) => !program.path.exists(),
            };
            if !has_vanished || is_second_try {
                return answer;
            }
            *self.decided() = None;
            program = self.program().await?;
            is_second_try = true;
        }
    }

    async fn call_program<S: AsRef<OsStr>>(
        &self,
        program: &Program,
        arguments: &[S],
        lock: Option<&File>,
        directory: &Path,
        project: Option<&str>,
        limit: Duration,
    ) -> Result<Answer, BackendError> {
        let typed = || {
            let words: Vec<_> = arguments.iter().map(|word| word.as_ref().to_string_lossy()).collect();
            format!("{} {}", program.name(), words.join(" "))
        };
        let unusable = |error: &io::Error| BackendError {
            kind: ErrorKind::Misconfigured,
            message: format!("{} cannot be executed: {error}", program.path.display()),
            remedy: Some(INSTALL.to_owned()),
        };
        let stdin = match lock.map(File::try_clone).transpose() {
            Ok(lock) => lock.map_or_else(Stdio::null, Stdio::from),
            Err(error) => return Err(unusable(&error)),
        };
        let mut command = Command::new(&program.path);
        if program.flavour == Flavour::Plugin {
            command.arg("compose");
        }
        if let Some(project) = project {
            command.arg("-p").arg(project);
        }
        let captured = Captured::new().and_then(|output| Ok((output, Captured::new()?)));
        let (output, words) = captured.map_err(|error| unusable(&error))?;
        let (to_output, to_words) =
            output.writer().and_then(|to| Ok((to, words.writer()?))).map_err(|error| unusable(&error))?;
        command.args(arguments).current_dir(directory).stdin(stdin).stdout(to_output).stderr(to_words);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if self.search_path.as_deref() != std::env::var_os("PATH").as_deref()
            && let Some(path) = &self.search_path
        {
            command.env("PATH", path);
        }
        let mut group = Group::spawn(&mut command).map_err(|error| unusable(&error))?;
        // Of the child alone from here on.
        drop(command);
        let ended = tokio::time::timeout(limit, group.wait()).await;
        match ended {
            Ok(Ok(status)) => {
                Ok(Answer { has_succeeded: status.success(), output: output.text(), words: words.text() })
            }
            Ok(Err(error)) => Err(unusable(&error)),
            Err(_) => Err(BackendError {
                kind: ErrorKind::Transient,
                message: format!("`{}` did not end within {} s and was ended", typed(), limit.as_secs()),
                remedy: Some(format!("type it to see what it waits for: {}", typed())),
            }),
        }
    }

    fn find(&self, name: &str) -> Option<PathBuf> {
        let path = self.search_path.as_ref()?;
        // Looked for here, so that the words can name the file, and a program that comes later in the path is not tried when the first fails.
        std::env::split_paths(path)
            .filter(|dir| dir.is_absolute())
            .map(|dir| dir.join(name))
            .find(|file| file.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0))
    }

    fn decided(&self) -> MutexGuard<'_, Option<Program>> {
        // Whole at any moment, so a panic elsewhere does not spoil it.
        self.decided.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_version(text: &str) -> bool {
    text.trim_start_matches('v').starts_with(|first: char| first.is_ascii_digit())
}

/// What one of a program's outputs is written to: anonymous memory of a fixed size.
struct Captured(File);

impl Captured {
    fn new() -> io::Result<Self> {
        let memory = memfd_create("compose", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        ftruncate(&memory, MAX_OUTPUT)?;
        fcntl_add_seals(&memory, SealFlags::GROW | SealFlags::SHRINK)?;
        Ok(Self(memory.into()))
    }

    fn writer(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.0.try_clone()?))
    }

    /// What was written: up to where it was written, since the program's descriptor is a copy of ours and moves its position.
    fn text(&self) -> String {
        let mut text = Vec::new();
        let read = (&self.0).stream_position().and_then(|end| {
            (&self.0).rewind()?;
            (&self.0).take(end).read_to_end(&mut text)
        });
        if let Err(error) = read {
            tracing::warn!(%error, "cannot read what compose printed");
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}
