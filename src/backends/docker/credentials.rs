//! Who one is to a registry: what `docker login` left behind, in its file or with the helper that the file names. Nothing of it is
//! ever printed, logged or kept.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bollard::auth::DockerCredentials;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::model::Secret;
use crate::net::keep_out_of_core_dumps;

/// The registry of images that name none.
pub(super) const HUB: &str = "docker.io";
/// Under which its credentials are kept.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// How long a helper may take. It may have to ask a key ring, but no person.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest answer of a helper, in bytes.
const MAX_ANSWER: u64 = 64 * 1024;

/// The registry that an image comes from, by Docker's own rule: what stands before the first slash, where it looks like a host.
pub(super) fn registry_of(image: &str) -> &str {
    match image.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => host,
        Some(_) | None => HUB,
    }
}

/// What to say to a registry.
#[derive(Debug, Default)]
pub(super) struct Login {
    who: Option<Who>,
    problem: Option<String>,
}

/// One account.
#[derive(Debug)]
enum Who {
    Person {
        name: String,
        password: Secret,
    },
    /// Stands for name and password.
    Token(Secret),
}

impl Login {
    /// Why there are no credentials although there should be some.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// As the client sends them. None means that nobody logs in.
    pub(super) fn for_engine(&self) -> Option<DockerCredentials> {
        self.who.as_ref().map(|who| match who {
            Who::Person { name, password } => DockerCredentials {
                username: Some(name.clone()),
                password: Some(password.expose().to_owned()),
                ..DockerCredentials::default()
            },
            Who::Token(token) => {
                DockerCredentials { identitytoken: Some(token.expose().to_owned()), ..DockerCredentials::default() }
            }
        })
    }
}

/// Docker's `config.json`, as far as it is about credentials.
#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Config {
    auths: BTreeMap<String, Entry>,
    creds_store: Option<String>,
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    auth: String,
    username: String,
    password: String,
    identitytoken: String,
}

/// What a helper answers.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// Never fails: without credentials, public images can be had all the same. Cancel safe.
pub(super) async fn find(config_dir: Option<&Path>, registry: &str) -> Login {
    let Some(config_dir) = config_dir else { return Login::default() };
    keep_out_of_core_dumps();
    let path = config_dir.join("config.json");
    let config: Config = match tokio::fs::read(&path).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Login::default(),
        Err(error) => return troubled(format!("{} cannot be read: {error}", path.display())),
        Ok(text) => match serde_json::from_slice(&Zeroizing::new(text)) {
            Ok(config) => config,
            // Its error might quote what the file holds.
            Err(error) => return troubled(format!("{} line {} is not as it should be", path.display(), error.line())),
        },
    };
    let key = if registry == HUB { HUB_KEY } else { registry };
    let helper = config.cred_helpers.get(key).or_else(|| config.cred_helpers.get(registry));
    if let Some(helper) = helper.or(config.creds_store.as_ref()).filter(|helper| !helper.is_empty()) {
        return match ask(helper, key).await {
            Ok(who) => Login { who, problem: None },
            Err(problem) => troubled(problem),
        };
    }
    let is_it = |kept: &str| host_of(kept) == host_of(key);
    let Some((_, entry)) = config.auths.iter().find(|(kept, _)| is_it(kept)) else { return Login::default() };
    match entry.who() {
        Ok(who) => Login { who, problem: None },
        Err(problem) => troubled(format!("{}: {problem} of {registry}", path.display())),
    }
}

fn troubled(problem: String) -> Login {
    tracing::debug!(problem, "no credentials for a registry");
    Login { who: None, problem: Some(problem) }
}

/// Keys are hosts, or addresses that begin with one.
fn host_of(key: &str) -> &str {
    let rest = key.split_once("://").map_or(key, |(_, rest)| rest);
    rest.split('/').next().unwrap_or(rest)
}

impl Entry {
    fn who(&self) -> Result<Option<Who>, &'static str> {
        if !self.identitytoken.is_empty() {
            return Ok(Some(Who::Token(Secret::new(self.identitytoken.clone()))));
        }
        if self.auth.is_empty() {
            let person = || Who::Person { name: self.username.clone(), password: Secret::new(self.password.clone()) };
            return Ok((!self.username.is_empty()).then(person));
        }
        let bytes = Zeroizing::new(base64(&self.auth).ok_or("cannot read `auth`")?);
        let decoded = std::str::from_utf8(&bytes).map_err(|_| "cannot read `auth`")?;
        let (name, password) = decoded.split_once(':').ok_or("there is no password in `auth`")?;
        // Old versions filled up with zeros.
        let password = Secret::new(password.trim_end_matches('\0').to_owned());
        Ok(Some(Who::Person { name: name.to_owned(), password }))
    }
}

/// The standard alphabet, padded or not.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut n_bits) = (0_u32, 0_u32);
    for c in text.trim_end_matches('=').bytes() {
        let value = match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xff_ffff;
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.extend(u8::try_from(bits >> n_bits & 0xff));
        }
    }
    Some(bytes)
}

/// Asks `docker-credential-<helper>`, without a terminal to write to or read from, and kills whatever is left of it afterwards.
async fn ask(helper: &str, key: &str) -> Result<Option<Who>, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if !helper.chars().all(is_name) {
        return Err("the credential helper has an impossible name".to_owned());
    }
    let program = format!("docker-credential-{helper}");
    let mut child = Command::new(&program)
        .arg("get")
        // In the background for the terminal: who reads from it or changes it there is stopped, and killed when the time is over.
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("{program}: {error}"))?;
    let _group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw).map(Group);
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(format!("{program} cannot be spoken to"));
    };
    let talk = async {
        // One that does not listen may answer all the same.
        drop(stdin.write_all(format!("{key}\n").as_bytes()).await);
        drop(stdin);
        let mut answer = Zeroizing::new(Vec::new());
        let read = stdout.take(MAX_ANSWER).read_to_end(&mut answer).await;
        let status = child.wait().await;
        read.and(status).map(|status| (status, answer))
    };
    let (status, answer) = tokio::time::timeout(PATIENCE, talk)
        .await
        .map_err(|_| format!("{program} did not answer within {} s", PATIENCE.as_secs()))?
        .map_err(|error| format!("{program}: {error}"))?;
    if !status.success() {
        // The words of the protocol for "none are kept"; anything else it said is not repeated.
        let has_none = String::from_utf8_lossy(&answer).contains("credentials not found");
        return if has_none { Ok(None) } else { Err(format!("{program} failed ({status})")) };
    }
    let answer: Answer =
        serde_json::from_slice(&answer).map_err(|_| format!("{program} did not answer as it should"))?;
    let secret = Secret::new(answer.secret);
    Ok(Some(if answer.username == "<token>" {
        Who::Token(secret)
    } else {
        Who::Person { name: answer.username, password: secret }
    }))
}

/// A process group that is killed with this.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // Mostly there is nobody left in it.
        let _gone = kill_process_group(self.0, Signal::KILL);
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{Login, base64, find, registry_of};

    #[test]
    fn what_stands_before_the_slash_is_a_registry_only_when_it_looks_like_a_host() {
        for (image, registry) in [
            ("nginx", "docker.io"),
            ("library/nginx:1", "docker.io"),
            ("localhost/a", "localhost"),
            ("localhost:5000/a:1", "localhost:5000"),
            ("ghcr.io/a/b@sha256:00", "ghcr.io"),
        ] {
            assert_eq!(registry_of(image), registry, "{image}");
        }
    }

    #[test]
    fn base64_is_read_padded_or_not_and_nothing_else_is() {
        assert_eq!(base64("Ym9iOnPDpGNyZXQ=").unwrap(), "bob:säcret".as_bytes());
        assert_eq!(base64("Ym9iOnPDpGNyZXQ").unwrap(), "bob:säcret".as_bytes());
        assert_eq!(base64(""), Some(Vec::new()));
        assert_eq!(base64("a b"), None);
    }

    async fn login(config: &str, registry: &str) -> Login {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.json"), config).unwrap();
        find(Some(dir.path()), registry).await
    }

    fn person(login: &Login) -> Option<(String, String)> {
        let sent = login.for_engine()?;
        Some((sent.username?, sent.password?))
    }

    #[tokio::test]
    async fn what_docker_login_left_in_the_file_is_used_for_that_registry_alone() {
        let config = r#"{"auths": {"https://index.docker.io/v1/": {"auth": "aHViOmE6Yg=="}, "http://reg.example": {"auth": "Ym9iOmM="},
            "token.example": {"identitytoken": "t"}}, "detachKeys": "x"}"#;
        let pair = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(person(&login(config, "docker.io").await), pair("hub", "a:b"));
        assert_eq!(person(&login(config, "reg.example").await), pair("bob", "c"));
        assert_eq!(login(config, "token.example").await.for_engine().unwrap().identitytoken.as_deref(), Some("t"));
        assert!(login(config, "other.example").await.for_engine().is_none());
        assert!(find(None, "docker.io").await.for_engine().is_none());
    }

    #[tokio::test]
    async fn a_file_that_cannot_be_used_is_named_and_its_content_is_not() {
        for config in ["{\"auths\": {\"reg.example\": {\"auth\": \"s3cret!\"}}}", "{\"auths\": \"s3cret\"}", "s3cret"] {
            let login = login(config, "reg.example").await;
            let problem = login.problem().unwrap().to_owned();
            assert!(problem.contains("config.json") && !problem.contains("s3cret"), "{problem}");
            assert!(!format!("{login:?}").contains("s3cret"));
        }
    }

    #[tokio::test]
    async fn a_helper_with_an_impossible_name_or_that_is_not_there_is_a_problem_that_is_told() {
        for (helper, told) in
            [("../x", "impossible name"), ("none-of-that-name", "docker-credential-none-of-that-name")]
        {
            let login = login(&format!("{{\"credsStore\": {helper:?}}}"), "reg.example").await;
            assert!(login.for_engine().is_none());
            assert!(login.problem().unwrap().contains(told), "{login:?}");
        }
    }
}
