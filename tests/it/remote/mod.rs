//! Remote mode: the real commands against real servers, plain and behind TLS.

mod reach;
pub(crate) mod server;
mod stops;
mod tls;
mod token;

use std::fmt::Write as _;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::support::home::Home;

/// What nobody may ever see.
const TOKEN: &str = "hunter2-hunter2-hunter2";

/// A remote service of a registry.
#[derive(Debug, Clone, Default)]
struct Remote {
    endpoint: String,
    token: Option<PathBuf>,
    ca: Option<PathBuf>,
    needs: Vec<String>,
    /// An http check of this URL.
    check: Option<String>,
    timeout: Option<u32>,
}

impl Remote {
    fn at(endpoint: impl Into<String>) -> Self {
        Self { endpoint: endpoint.into(), ..Self::default() }
    }

    fn text(&self, name: &str) -> String {
        let Self { endpoint, token, ca, needs, check, timeout } = self;
        let mut text = format!(
            "[services.{name}]\ntype = \"platform\"\ncategory = \"auth\"\ndependencies = {needs:?}\n\
             [services.{name}.deployment]\nmode = \"remote\"\n\
             [services.{name}.deployment.remote]\nendpoint = {endpoint:?}\n"
        );
        for (key, path) in [("auth_token_path", token), ("ca_path", ca)] {
            if let Some(path) = path {
                writeln!(text, "{key} = {path:?}").unwrap();
            }
        }
        writeln!(text, "[services.{name}.health_check]\ninterval = 1\nretries = 0").unwrap();
        writeln!(text, "timeout = {}", timeout.unwrap_or(10)).unwrap();
        if let Some(endpoint) = check {
            writeln!(text, "type = \"http\"\n[services.{name}.health_check.http]\nendpoint = {endpoint:?}").unwrap();
        }
        text
    }
}

/// A home whose registry holds these remote services after its own.
fn home_with(own: &[crate::support::home::Service<'_>], remotes: &[(&str, &Remote)]) -> Home {
    let home = Home::with(own);
    let mut text = fs::read_to_string(home.registry()).unwrap();
    for (name, remote) in remotes {
        text.push_str(&remote.text(name));
    }
    fs::write(home.registry(), text).unwrap();
    home
}

/// A home with one of them, `auth`.
fn home(remote: &Remote) -> Home {
    home_with(&[], &[("auth", remote)])
}

/// Everything a command said.
fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A command that has to fail with these words.
#[track_caller]
fn fails(home: &Home, line: &str, words: &[&str]) -> String {
    let output = home.types(line);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{line}: {said}");
    for word in words {
        assert!(said.contains(word), "{line} does not say {word:?}: {said}");
    }
    said
}

fn write(path: &Path, text: &str, mode: u32) {
    // Aside, then renamed: whoever reads sees the old or the new.
    let aside = path.with_extension("aside");
    fs::write(&aside, text).unwrap();
    fs::set_permissions(&aside, Permissions::from_mode(mode)).unwrap();
    fs::rename(aside, path).unwrap();
}

/// The value of a header of a request, as it was sent.
fn header<'a>(request: &'a str, name: &str) -> Option<&'a str> {
    let is_it = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
    request.lines().find(is_it).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
}
