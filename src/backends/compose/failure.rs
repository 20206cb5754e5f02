//! From what Compose says when it fails to an error with what to do about it. Its words are all there is: it has one exit code.

use crate::backends::containers::{PORT_REMEDY, is_port_taken};
use crate::engine::ports::{BackendError, ErrorKind};

/// The longest quotation, in characters.
const MAX_GIST: usize = 400;

/// What a call was about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'a> {
    /// As a fragment: `docker-compose could not start web`.
    pub(super) tried: &'a str,
    /// The Compose file.
    pub(super) file: &'a str,
    /// The service, as the file names it.
    pub(super) service: &'a str,
    /// The program and its options, for a person to go on typing: `docker-compose -p a -f b`.
    pub(super) typed: &'a str,
}

/// Kinds of failure, each with words that tell it, in lower case. The first that matches counts: causes before consequences.
const KINDS: &[(Kind, &[&str])] = &[
    (
        Kind::Permission,
        &[
            "permission denied while trying to connect",
            "permissionerror(13",
            "dial unix /var/run/docker.sock: connect: permission denied",
        ],
    ),
    (
        Kind::Engine,
        &[
            "cannot connect to the docker daemon",
            "couldn't connect to docker daemon",
            "error while fetching server api version",
            "error during connect",
            "failed to connect to the docker api",
        ],
    ),
    (Kind::Service, &["no such service"]),
    (Kind::Build, &["needs to be built", "no such image"]),
    (Kind::Port, &[]),
    (Kind::Name, &["container name \"", "is already in use by container"]),
    (
        Kind::Image,
        &[
            "pull access denied",
            "manifest unknown",
            "manifest for ",
            "failed to resolve reference",
            "error pulling image",
            "pull rate limit",
            "toomanyrequests",
            "/v2/\"",
            "/v1.*/images/create",
        ],
    ),
    (
        Kind::File,
        &[
            "is invalid because",
            "unsupported config option",
            "yaml",
            "validating ",
            "additional propert",
            "missing mandatory value",
            "required variable",
            "invalid interpolation",
            "invalid template",
            "undefined service",
            "undefined network",
            "undefined volume",
            "depends on undefined",
            "refers to undefined",
            "circular dependency",
            "dependency cycle",
            "neither an image nor a build context",
            "has neither an image",
            "filenotfounderror",
            "no configuration file provided",
            "env file ",
            "couldn't find env file",
            "expected a mapping",
            "invalid project name",
            "project name must not be empty",
            "declared as external",
        ],
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Permission,
    Engine,
    Service,
    Build,
    Port,
    Name,
    Image,
    File,
}

/// What Compose's words mean.
pub(super) fn explain(words: &str, attempt: Attempt<'_>) -> BackendError {
    let Attempt { tried, file, service, typed } = attempt;
    let gist = gist(words);
    let error = |kind, message, remedy: String| BackendError { kind, message, remedy: Some(remedy) };
    match kind(words) {
        Some(Kind::Permission) => error(
            ErrorKind::Transient,
            format!("{tried}: {gist}"),
            "join the group docker (sudo usermod -aG docker $USER), then log in again".to_owned(),
        ),
        Some(Kind::Engine) => error(
            ErrorKind::Transient,
            format!("{tried}: the engine cannot be reached: {gist}"),
            "start Docker (sudo systemctl start docker); `docker info` must work".to_owned(),
        ),
        Some(Kind::Service) => error(
            ErrorKind::Misconfigured,
            format!("{tried}: {file} has no service {service}"),
            format!("{typed} config --services lists them; correct `service_name` in the registry"),
        ),
        Some(Kind::Build) => error(
            ErrorKind::Misconfigured,
            format!("{tried}: its image is not here and has to be built first: {gist}"),
            format!("{typed} build {service}"),
        ),
        Some(Kind::Port) => error(ErrorKind::Permanent, format!("{tried}: {gist}"), PORT_REMEDY.to_owned()),
        Some(Kind::Name) => error(
            ErrorKind::Misconfigured,
            format!("{tried}: {gist}"),
            format!("docker rename that container, or change `container_name` in {file}"),
        ),
        Some(Kind::Image) => no_image(&gist, attempt),
        Some(Kind::File) => error(
            ErrorKind::Misconfigured,
            format!("{tried}: {file} cannot be used: {gist}"),
            format!("{typed} config checks it"),
        ),
        None => BackendError { kind: ErrorKind::Permanent, message: format!("{tried}: {gist}"), remedy: None },
    }
}

/// What Compose's words mean after an attempt to pull.
pub(super) fn pull_failed(words: &str, attempt: Attempt<'_>) -> BackendError {
    match kind(words) {
        Some(Kind::Permission | Kind::Engine | Kind::Service | Kind::File) => explain(words, attempt),
        // Whatever a registry says.
        Some(Kind::Build | Kind::Port | Kind::Name | Kind::Image) | None => no_image(&gist(words), attempt),
    }
}

fn no_image(gist: &str, attempt: Attempt<'_>) -> BackendError {
    let Attempt { tried, service, typed, .. } = attempt;
    BackendError {
        kind: ErrorKind::Permanent,
        message: format!("{tried}: its image is not here and cannot be pulled: {gist}"),
        remedy: Some(format!("{typed} pull {service}")),
    }
}

fn kind(words: &str) -> Option<Kind> {
    let lower = words.to_lowercase();
    let is = |(kind, signs): &&(Kind, &[&str])| {
        signs.iter().any(|sign| lower.contains(sign)) || (*kind == Kind::Port && is_port_taken(&lower))
    };
    KINDS.iter().find(is).map(|(kind, _)| *kind)
}

/// What of its words says why, on one line and fit for a terminal.
pub(super) fn gist(words: &str) -> String {
    let clean: Vec<String> = words.lines().map(clean).filter(|line| !line.is_empty()).collect();
    // Of a program's own breakdown, what it ended with.
    let told: Vec<&str> = if clean.iter().any(|line| line.starts_with("Traceback (")) {
        clean.last().map(String::as_str).into_iter().collect()
    } else {
        let told: Vec<&str> = clean.iter().map(String::as_str).filter(|line| !is_progress(line)).collect();
        if told.is_empty() { clean.iter().map(String::as_str).collect() } else { told }
    };
    // The reason comes first in the first generation, and advice after it; the second generation has but one line.
    let mut gist = String::new();
    for line in told {
        if gist.contains(line) {
            continue;
        }
        if !gist.is_empty() {
            gist.push_str(if gist.ends_with(':') { " " } else { "; " });
        }
        gist.push_str(line);
        if gist.chars().count() >= MAX_GIST {
            return gist.chars().take(MAX_GIST).chain(['…']).collect();
        }
    }
    if gist.is_empty() { "it says nothing".to_owned() } else { gist }
}

/// Steps it took, and advice: neither is the reason.
fn is_progress(line: &str) -> bool {
    const STEPS: [&str; 12] = [
        "Creating ",
        "Recreating ",
        "Starting ",
        "Stopping ",
        "Removing ",
        "Pulling ",
        "Container ",
        "Network ",
        "Volume ",
        "WARN",
        "You might be seeing this error",
        "For more on the Compose file format",
    ];
    STEPS.iter().any(|step| line.starts_with(step))
        || line == "Encountered errors while bringing up the project."
        || line.contains("level=warning")
        || line.contains("level=info")
}

/// Without control characters and the sequences they begin, and without what Compose writes before each error.
fn clean(line: &str) -> String {
    let mut clean = String::with_capacity(line.len());
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            if characters.next() == Some('[') {
                let _end = characters.by_ref().find(char::is_ascii_alphabetic);
            }
        } else if !character.is_control() {
            clean.push(character);
        }
    }
    let clean = clean.trim();
    let clean = clean.strip_prefix("ERROR: ").unwrap_or(clean).trim();
    // The first generation says the same of the container and of the service: `for web  Cannot start service web: …`.
    match clean.strip_prefix("for ").and_then(|rest| rest.split_once("  ")) {
        Some((_, reason)) => reason.trim().to_owned(),
        None => clean.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Attempt, explain, gist};
    use crate::engine::ports::ErrorKind;

    #[track_caller]
    fn check(words: &str, kind: ErrorKind, message: &str, remedy: &str) {
        let attempt = Attempt {
            tried: "docker-compose could not start web",
            file: "/p/compose.yaml",
            service: "svc",
            typed: "docker-compose -p a -f /p/compose.yaml",
        };
        let error = explain(words, attempt);
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(error.message.contains(message), "{error:?}");
        assert!(error.remedy.as_deref().unwrap_or_default().contains(remedy), "{error:?}");
    }

    /// Words of both generations, as they print them.
    #[test]
    fn each_failure_has_its_kind_its_words_and_what_to_do() {
        use ErrorKind::{Misconfigured, Permanent, Transient};
        check("No such service: svc\n", Misconfigured, "/p/compose.yaml has no service svc", "config --services");
        check("no such service: svc\n", Misconfigured, "has no service svc", "`service_name`");
        check(
            "Service 'svc' needs to be built, but --no-build was passed.\n",
            Misconfigured,
            "has to be built first",
            "docker-compose -p a -f /p/compose.yaml build svc",
        );
        check(
            "Pulling web (nosuch:1)...\nGet \"https://registry-1.docker.io/v2/\": dial tcp: lookup registry-1.docker.io: no such host\n",
            Permanent,
            "cannot be pulled: Get \"https://registry-1.docker.io/v2/\": dial tcp",
            "pull svc",
        );
        check(
            "Error response from daemon: pull access denied for nosuch, repository does not exist\n",
            Permanent,
            "cannot be pulled",
            "pull svc",
        );
        check(
            "The Compose file './c.yaml' is invalid because:\nUnsupported config option for services.web: 'imagex'\n",
            Misconfigured,
            "cannot be used: The Compose file './c.yaml' is invalid because: Unsupported config option",
            "config checks it",
        );
        check("yaml: line 4: could not find expected ':'\n", Misconfigured, "cannot be used: yaml: line 4", "config");
        check(
            "validating /p/compose.yaml: services.web additional properties 'imagex' not allowed\n",
            Misconfigured,
            "additional properties",
            "config",
        );
        check(
            "Cannot connect to the Docker daemon at unix:///x. Is the docker daemon running?\n",
            Transient,
            "the engine cannot be reached",
            "docker info",
        );
        check(
            "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock\n",
            Transient,
            "permission denied",
            "group docker",
        );
        check(
            "Creating a_web_1 ... error\n\nERROR: for web  Cannot start service web: driver failed programming external \
             connectivity: Bind for 0.0.0.0:80 failed: port is already allocated\nEncountered errors while bringing up the project.\n",
            Permanent,
            "could not start web: Cannot start service web: driver failed programming external connectivity: Bind for 0.0.0.0:80 failed: \
             port is already allocated",
            "free the port",
        );
    }

    #[test]
    fn of_a_breakdown_its_end_is_quoted_and_control_characters_are_not() {
        let words = "Traceback (most recent call last):\n  File \"x\", line 1\ndocker.errors.DockerException: Error \u{1b}[31mred\u{7}\n";
        assert_eq!(gist(words), "docker.errors.DockerException: Error red");
        assert_eq!(gist("\n \n"), "it says nothing");
        assert!(gist(&"x".repeat(10_000)).chars().count() < 500);
    }
}
