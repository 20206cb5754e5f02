//! What a Compose file says, as Compose itself reads it: with its interpolation, its includes and its environment.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::failure::{self, Attempt};
use super::program::Compose;
use crate::engine::ports::{BackendError, ErrorKind};
use crate::model::{HostPort, Protocol};

/// How long it may take to read a file.
const LIMIT: Duration = Duration::from_secs(30);

/// Marks all profiles as active, so that a service of any profile is seen; one that is named is started whatever profile it has.
const ALL_PROFILES: [&str; 2] = ["--profile", "*"];

/// A Compose file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ComposeFile {
    /// What Compose would call the project; the first generation does not tell.
    pub(super) project: Option<String>,
    services: HashMap<String, ComposeService>,
}

/// A service of the file, as far as it matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ComposeService {
    /// Other services of the file that it names, sorted.
    pub(super) depends_on: Vec<String>,
    /// Ports of this host that it publishes; those that the engine chooses are left out.
    pub(super) published: Vec<HostPort>,
    /// The image, where one is named.
    pub(super) image: Option<String>,
    /// It has to be built where its image is not here.
    pub(super) is_built: bool,
}

impl ComposeFile {
    pub(super) fn service(&self, name: &str) -> Option<&ComposeService> {
        self.services.get(name)
    }

    /// Sorted.
    pub(super) fn service_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.services.keys().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    /// From what `config` prints. Extra keys are of no interest, and what is odd is left out: Compose has judged the file.
    fn parse(text: &str) -> Option<Self> {
        let model: Value = serde_saphyr::from_str(text).ok()?;
        let services = model.get("services").and_then(Value::as_object);
        Some(Self {
            project: model.get("name").and_then(Value::as_str).map(str::to_owned),
            services: services
                .into_iter()
                .flatten()
                .map(|(name, service)| (name.clone(), ComposeService::from(service)))
                .collect(),
        })
    }
}

impl From<&Value> for ComposeService {
    fn from(service: &Value) -> Self {
        let mut depends_on: Vec<String> = match service.get("depends_on") {
            Some(Value::Object(named)) => named.keys().cloned().collect(),
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        };
        depends_on.sort_unstable();
        let ports = service.get("ports").and_then(Value::as_array).into_iter().flatten();
        Self {
            depends_on,
            published: ports.flat_map(published).collect(),
            image: service.get("image").and_then(Value::as_str).map(str::to_owned),
            is_built: service.get("build").is_some(),
        }
    }
}

/// The host's side of a published port: the first generation writes the short form for TCP, and the long one.
fn published(port: &Value) -> Vec<HostPort> {
    let (published, protocol) = match port {
        Value::String(text) => {
            let (ports, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
            // `[ip:]host:container`; a container's port alone is published where the engine likes.
            let host = ports.rsplit_once(':').map(|(before, _)| before.rsplit(':').next().unwrap_or(before));
            (host.unwrap_or_default().to_owned(), protocol)
        }
        Value::Object(_) => {
            let published = match port.get("published") {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Number(number)) => number.to_string(),
                _ => String::new(),
            };
            (published, port.get("protocol").and_then(Value::as_str).unwrap_or("tcp"))
        }
        _ => return Vec::new(),
    };
    let protocol = match protocol {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Vec::new(),
    };
    let (first, last) = published.split_once('-').unwrap_or((&published, &published));
    match (first.parse::<u16>(), last.parse::<u16>()) {
        (Ok(first), Ok(last)) if first > 0 => (first..=last).map(|number| HostPort { protocol, number }).collect(),
        _ => Vec::new(),
    }
}

/// What a file and its environment looked like when it was read.
type Stamp = [Option<(SystemTime, u64)>; 2];

/// What was read, and of which state of the file.
type Known = (Stamp, Arc<ComposeFile>);

/// A file that was read for a project.
type Key = (PathBuf, Option<String>);

/// The files that were read, each until it changes: the first generation takes half a second for one.
#[derive(Debug, Default)]
pub(super) struct ComposeFiles {
    /// Held while Compose reads, so that services of one file ask once.
    read: tokio::sync::Mutex<HashMap<Key, Known>>,
}

impl ComposeFiles {
    /// The file as Compose reads it now. An error names the file and what to do. Cancel safe.
    pub(super) async fn read(
        &self,
        compose: &Compose,
        file: &Path,
        project: Option<&str>,
        tried: &str,
    ) -> Result<Arc<ComposeFile>, BackendError> {
        let directory = directory_of(file, tried)?;
        let mut read = self.read.lock().await;
        let key = (file.to_owned(), project.map(str::to_owned));
        let stamp = [file.to_owned(), directory.join(".env")].map(|path| {
            let found = path.metadata().ok()?;
            Some((found.modified().ok()?, found.len()))
        });
        if let Some((of, known)) = read.get(&key)
            && *of == stamp
        {
            return Ok(Arc::clone(known));
        }
        let program = compose.program().await?;
        let shown = file.display().to_string();
        let mut arguments = vec!["-f", shown.as_str()];
        if !program.is_first_generation() {
            arguments.extend(ALL_PROFILES);
        }
        arguments.push("config");
        let answer = compose.call(&arguments, None, &directory, project, LIMIT).await?;
        let typed = format!("{} -f {shown}", program.name());
        let attempt = Attempt { tried, file: &shown, service: "", typed: &typed };
        if !answer.has_succeeded {
            return Err(failure::explain(&answer.words, attempt));
        }
        let Some(parsed) = ComposeFile::parse(&answer.output) else {
            return Err(BackendError {
                kind: ErrorKind::Permanent,
                message: format!("{tried}: what `{typed} config` prints cannot be read"),
                remedy: None,
            });
        };
        let parsed = Arc::new(parsed);
        read.insert(key, (stamp, Arc::clone(&parsed)));
        Ok(parsed)
    }
}

/// Where Compose is called: the file's directory. An error when the file cannot be read.
pub(super) fn directory_of(file: &Path, tried: &str) -> Result<PathBuf, BackendError> {
    let error = |why: String, remedy: String| BackendError {
        kind: ErrorKind::Misconfigured,
        message: format!("{tried}: {why}"),
        remedy: Some(remedy),
    };
    let shown = file.display();
    let in_registry = || "check `compose_file` in the registry".to_owned();
    match std::fs::File::open(file).and_then(|file| file.metadata()) {
        Ok(found) if found.is_dir() => Err(error(format!("{shown} is a directory"), in_registry())),
        Ok(_) => {
            let absolute = std::path::absolute(file).map_err(|why| error(format!("{shown}: {why}"), in_registry()))?;
            Ok(absolute.parent().unwrap_or(Path::new("/")).to_owned())
        }
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => {
            Err(error(format!("the Compose file {shown} does not exist"), in_registry()))
        }
        Err(why) => Err(error(
            format!("the Compose file {shown} cannot be read: {why}"),
            format!("check the permissions of {shown} and of the directories above it"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::ComposeFile;
    use crate::model::{HostPort, Protocol};

    #[test]
    fn the_model_of_both_generations_is_read() {
        let first = "services:\n  db:\n    image: x\n  web:\n    depends_on:\n      db:\n        condition: service_started\n    \
                     ports:\n    - 127.0.0.1:18080:80/tcp\n    - 18082:82/tcp\n    - 83/tcp\n    - protocol: udp\n      published: 18081\n      target: 81\n    \
                     - published: 18083\n      target: 81\nversion: '3.9'\n";
        let file = ComposeFile::parse(first).unwrap();
        assert_eq!(file.project, None);
        assert_eq!(file.service_names(), ["db", "web"]);
        let web = file.service("web").unwrap();
        let udp = HostPort { protocol: Protocol::Udp, number: 18081 };
        assert_eq!(
            (web.depends_on.as_slice(), web.published.as_slice()),
            (&["db".to_owned()][..], &[HostPort::tcp(18080), HostPort::tcp(18082), udp, HostPort::tcp(18083)][..])
        );

        let second = "name: shop\nservices:\n  web:\n    image: x\n    depends_on:\n      - b\n      - a\n    ports:\n      - mode: ingress\n        \
                      host_ip: 127.0.0.1\n        target: 80\n        published: \"8000-8002\"\n        protocol: tcp\n      - mode: ingress\n        target: 9\n        \
                      protocol: tcp\nnetworks:\n  default:\n    name: shop_default\n";
        let file = ComposeFile::parse(second).unwrap();
        assert_eq!(file.project.as_deref(), Some("shop"));
        let web = file.service("web").unwrap();
        assert_eq!(web.depends_on, ["a", "b"]);
        assert_eq!(web.published, [8000, 8001, 8002].map(HostPort::tcp));
        assert_eq!(file.service("db"), None);
    }
}
