//! The temporary directory that a demo lives in.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::registry::{N_PORTS, registry_text};
use super::sweeper;
use super::watch::Console;
use crate::host::free_ports;

/// What every home's name begins with: only such a directory is ever removed.
const PREFIX: &str = "provisioning-demo-";

/// How long dropping a home waits for services that were told to stop.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many names are tried before giving up.
const MAX_ATTEMPTS: u32 = 100;

/// A private directory with a registry and an empty services directory, removed on drop.
///
/// Whoever has it stops its services first; dropping waits a few seconds for those that are about to end. If some go on, or if this
/// process is killed before, they end by themselves when this process has, and the sweeper removes the home after them.
#[derive(Debug)]
pub struct Home {
    path: PathBuf,
    sweeper: Child,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// The directory, or something in it.
    #[error("the demo's directory {}", path.display())]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// No free port on the loopback interface.
    #[error("a free port on 127.0.0.1")]
    Port(#[source] io::Error),
    /// This program cannot be started again.
    #[error("starting {} again", program.display())]
    Program {
        /// Where it is.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Home {
    /// Makes a home below the system's temporary directory whose services are `program` (this one: `current_exe()`).
    ///
    /// # Errors
    /// [`HomeError`]; nothing is left behind then.
    pub fn create(program: &Path) -> Result<Self, HomeError> {
        let path = make_directory(&std::env::temp_dir())?;
        match furnish(&path, program) {
            Ok(sweeper) => Ok(Self { path, sweeper }),
            Err(error) => {
                // Ours, and nothing lives in it yet; the first error says more than this one would.
                drop(std::fs::remove_dir_all(&path));
                Err(error)
            }
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The registry, for `--config`.
    pub fn registry_file(&self) -> PathBuf {
        registry_file(&self.path)
    }

    /// Where state and logs go, instead of `~/.provisioning/services`.
    pub fn services_dir(&self) -> PathBuf {
        services_dir(&self.path)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        match sweeper::sweep(&self.path, PATIENCE) {
            Ok(()) => {
                // It has nothing left to do; both fail only when it has ended already.
                drop(self.sweeper.kill());
                drop(self.sweeper.wait());
            }
            Err(error) => tracing::warn!(home = %self.path.display(), %error, "the demo's home is left to its sweeper"),
        }
    }
}

/// Below a home: what `PROVISIONING_SERVICES_DIR` means.
pub(super) fn services_dir(home: &Path) -> PathBuf {
    home.join("services")
}

fn registry_file(home: &Path) -> PathBuf {
    home.join("services.toml")
}

/// Whether `path` is a directory that [`Home::create`] made for this user.
pub(super) fn is_ours(path: &Path) -> bool {
    let named = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(PREFIX));
    named
        && std::fs::symlink_metadata(path)
            .is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::getuid().as_raw())
}

/// Makes a directory that was not there before and that nobody else can enter.
fn make_directory(parent: &Path) -> Result<PathBuf, HomeError> {
    let pid = std::process::id();
    let mut attempt = 0;
    loop {
        // Short, since the console shows it; a second name is needed only where an earlier process of our number left something.
        let path =
            parent.join(if attempt == 0 { format!("{PREFIX}{pid}") } else { format!("{PREFIX}{pid}-{attempt}") });
        // Fails on anything that is there, a symbolic link too: nobody can lay one in our way.
        match DirBuilder::new().mode(0o700).create(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < MAX_ATTEMPTS => attempt += 1,
            Err(source) => return Err(HomeError::Directory { path, source }),
        }
    }
}

fn furnish(home: &Path, program: &Path) -> Result<Child, HomeError> {
    let in_home = |path: PathBuf| move |source| HomeError::Directory { path, source };
    let again = |source| HomeError::Program { program: program.to_owned(), source };
    let services = services_dir(home);
    DirBuilder::new().mode(0o700).create(&services).map_err(in_home(services))?;
    // The registry names the program by a short path of the home's own, whatever and wherever the real one is.
    let link = home.join("provisioning-tui");
    std::os::unix::fs::symlink(program, &link).map_err(in_home(link.clone()))?;
    let console = Console::this().map_err(again)?;
    let ports = free_ports::<N_PORTS>().map_err(HomeError::Port)?;
    let text = registry_text(&link, &ports, console).map_err(|_| {
        again(io::Error::new(io::ErrorKind::InvalidInput, "the temporary directory is not Unicode text"))
    })?;
    let file = registry_file(home);
    std::fs::write(&file, text).map_err(in_home(file))?;
    Command::new(program)
        .arg(super::SWEEPER)
        .arg(home)
        // Its end says that this process has ended: the other end of the pipe is ours alone, and closed on exec.
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(again)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;
    use std::path::Path;

    use super::{Home, HomeError, is_ours};

    #[test]
    fn a_home_is_private_complete_and_gone_after_drop() {
        // Whatever ends when its input does can stand for the sweeper here: dropping sweeps by itself.
        let home = Home::create(Path::new("/bin/true")).unwrap();
        let path = home.path().to_owned();
        assert!(is_ours(&path));
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
        assert!(home.services_dir().is_dir());
        let text = std::fs::read_to_string(home.registry_file()).unwrap();
        let ports: std::collections::BTreeSet<&str> =
            text.lines().filter_map(|line| line.split("\"--port\", \"").nth(1)?.split('"').next()).collect();
        assert_eq!(ports.len(), 7, "{text}");
        drop(home);
        assert!(!path.exists());
    }

    #[test]
    fn a_program_that_cannot_be_started_leaves_nothing_behind() {
        let missing = Path::new("/nonexistent/provisioning-tui");
        let Err(error) = Home::create(missing) else { panic!("there is no such program") };
        assert!(matches!(error, HomeError::Program { .. }), "{error}");
        let marker = format!("{}{}", super::PREFIX, std::process::id());
        let left = std::fs::read_dir(std::env::temp_dir()).unwrap().filter(|entry| {
            let path = entry.as_ref().unwrap().path();
            path.file_name().unwrap().to_string_lossy().starts_with(&marker)
                && std::fs::read_link(path.join("provisioning-tui")).is_ok_and(|target| target == missing)
        });
        assert_eq!(left.count(), 0);
    }

    #[test]
    fn only_directories_of_the_demo_are_swept() {
        let outer = tempfile::tempdir().unwrap();
        assert!(!is_ours(outer.path()));
        let link = outer.path().join("provisioning-demo-1-0");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(!is_ours(&link));
    }
}
