//! How a service runs (F9 to F27). Tables of modes that are not chosen are not looked at (R16).

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::{
    BinarySpec, Code, ComposeSpec, Deployment, DockerSpec, KubernetesSpec, Mode, OnFull, PublishedPort, RemoteSpec,
    Secret, ServiceId, is_loopback_url,
};

use super::document::quoted;
use super::findings::Finding;
use super::formats::{self, Scheme};
use super::near::did_you_mean;
use super::section::{Reader, Section, Text};
use super::service::{Traces, one_of, values};

/// The tables of the modes, as the registry writes them: underscore where the mode has a hyphen.
const TABLES: [&str; 5] = ["binary", "docker", "docker_compose", "kubernetes", "remote"];

/// Reads `deployment`; `None` when something needed is missing or wrong, which is reported then.
pub(super) fn read(
    reader: &mut Reader<'_>,
    parent: &mut Section<'_>,
    id: &ServiceId,
    traces: &mut Traces,
) -> Option<Deployment> {
    let mut section =
        reader.required_section(parent, "deployment", "it says how the service runs: give at least `mode`")?;
    reader.require(&mut section, "mode", Some(one_of(Mode::ALL, Mode::as_str)));
    let mode = reader.choice(&mut section, "mode", Mode::ALL, Mode::as_str);
    section.allow(&TABLES);
    let deployment = mode.and_then(|mode| match mode {
        Mode::Binary => binary(reader, &mut section, traces).map(Deployment::Binary),
        Mode::Docker => docker(reader, &mut section, id, traces).map(Deployment::Docker),
        Mode::DockerCompose => compose(reader, &mut section, id, traces).map(Deployment::DockerCompose),
        Mode::Kubernetes => Some(Deployment::Kubernetes(kubernetes(reader, &mut section, id, traces))),
        Mode::Remote => remote(reader, &mut section, traces).map(Deployment::Remote),
    });
    reader.close(section);
    deployment
}

/// A path, whose place is kept so that it can be pointed at when nothing is there.
fn path(traces: &mut Traces, key: &'static str, text: Option<Text>) -> Option<PathBuf> {
    let text = text?;
    traces.paths.push((key, text.span));
    Some(PathBuf::from(text.value))
}

fn binary(reader: &mut Reader<'_>, parent: &mut Section<'_>, traces: &mut Traces) -> Option<BinarySpec> {
    let mut section = reader.required_section(parent, "binary", "mode `binary` needs its `binary_path`")?;
    let binary_path = path(traces, "binary_path", reader.required_text(&mut section, "binary_path"));
    let args = values(reader.texts(&mut section, "args"));
    let working_dir = path(traces, "working_dir", reader.filled_text(&mut section, "working_dir"));
    let env = environment(reader, &mut section);
    let env_file = path(traces, "env_file", reader.filled_text(&mut section, "env_file"));
    let stop_signal = stop_signal(reader, &mut section);
    let log_on_full = reader.choice(&mut section, "log_on_full", OnFull::ALL, OnFull::as_str).unwrap_or(OnFull::Drop);
    reader.close(section);
    Some(BinarySpec { binary_path: binary_path?, args, working_dir, env, env_file, stop_signal, log_on_full })
}

fn environment(reader: &mut Reader<'_>, section: &mut Section<'_>) -> BTreeMap<String, Secret> {
    let mut env = BTreeMap::new();
    for (name, span, value) in reader.secrets(section, "env") {
        if name.is_empty() || name.contains(['=', '\0']) {
            let message =
                format!("{} in `{}` cannot name an environment variable", quoted(&name), section.path_of("env"));
            reader.error(span, Finding::error(Code::BadName, message));
        }
        env.insert(name, Secret::new(value.value));
    }
    env
}

fn stop_signal(reader: &mut Reader<'_>, section: &mut Section<'_>) -> i32 {
    let default = formats::default_stop_signal();
    if section.is_integer("stop_signal") {
        let Some((number, span)) = reader.integer(section, "stop_signal", 1..=64) else { return default };
        if !formats::is_stop_signal(number) {
            let message =
                format!("`{}` is {number}, which cannot ask a process to stop", section.path_of("stop_signal"));
            reader.error(span, Finding::error(Code::NotAllowed, message).hint("`--force` kills".to_owned()));
        }
        return i32::try_from(number).unwrap_or(default);
    }
    let Some(text) = reader.text(section, "stop_signal") else { return default };
    if let Some(number) = formats::stop_signal(&text.value) {
        return number;
    }
    let path = section.path_of("stop_signal");
    let message = format!("`{path}` is {}, which is no signal that can ask for a stop", quoted(&text.raw));
    let typed = text.raw.to_ascii_uppercase();
    let hint = did_you_mean(typed.strip_prefix("SIG").unwrap_or(&typed), formats::stop_signal_names());
    let hint = hint.unwrap_or_else(|| "for example \"SIGTERM\", \"INT\" or 15".to_owned());
    reader.error(text.span, Finding::error(Code::NotAllowed, message).hint(hint));
    default
}

fn docker(
    reader: &mut Reader<'_>,
    parent: &mut Section<'_>,
    id: &ServiceId,
    traces: &mut Traces,
) -> Option<DockerSpec> {
    let mut section = reader.required_section(parent, "docker", "mode `docker` needs its `image`")?;
    let image = reader.required_text(&mut section, "image");
    let container_name = reader.filled_text(&mut section, "container_name");
    let ports = reader.texts(&mut section, "ports");
    for text in &ports {
        match PublishedPort::parse(&text.value) {
            Ok(port) => traces.published.push((port, text.span.clone())),
            Err(reason) => {
                let message = format!("the port {}: {reason}", quoted(&text.raw));
                let finding = Finding::error(Code::NotAllowed, message);
                reader.error(text.span.clone(), finding.hint("write `[ip:]host:container[/protocol]`".to_owned()));
            }
        }
    }
    let volumes = reader.texts(&mut section, "volumes");
    for text in &volumes {
        if let Err(reason) = formats::volume(&text.value) {
            let message = format!("the volume {}: {reason}", quoted(&text.raw));
            let finding = Finding::error(Code::NotAllowed, message);
            reader.error(text.span.clone(), finding.hint("write `host:container[:options]`".to_owned()));
        }
    }
    let restart_policy = reader.text(&mut section, "restart_policy");
    if let Some(policy) = restart_policy.as_ref().filter(|policy| !formats::is_restart_policy(&policy.value)) {
        let names = formats::RESTART_POLICIES;
        let path = section.path_of("restart_policy");
        let message = format!("`{path}` is {}, but must be one of {}", quoted(&policy.raw), names.join(", "));
        let finding = Finding::error(Code::NotAllowed, message).hint(did_you_mean(&policy.raw, names));
        reader.error(policy.span.clone(), finding);
    }
    reader.close(section);
    Some(DockerSpec {
        image: image?.value,
        container_name: container_name.map_or_else(|| format!("provisioning-{id}"), |text| text.value),
        ports: values(ports),
        volumes: values(volumes),
        restart_policy: restart_policy.map(|text| text.value),
    })
}

fn compose(
    reader: &mut Reader<'_>,
    parent: &mut Section<'_>,
    id: &ServiceId,
    traces: &mut Traces,
) -> Option<ComposeSpec> {
    let needs = "mode `docker-compose` needs its `compose_file`";
    let mut section = reader.required_section(parent, "docker_compose", needs)?;
    let compose_file = path(traces, "compose_file", reader.required_text(&mut section, "compose_file"));
    let service_name = reader.filled_text(&mut section, "service_name");
    let project_name = reader.filled_text(&mut section, "project_name").map(|text| text.value);
    reader.close(section);
    Some(ComposeSpec {
        compose_file: compose_file?,
        service_name: service_name.map_or_else(|| id.to_string(), |text| text.value),
        project_name,
    })
}

fn kubernetes(
    reader: &mut Reader<'_>,
    parent: &mut Section<'_>,
    id: &ServiceId,
    traces: &mut Traces,
) -> KubernetesSpec {
    let mut section = reader.section(parent, "kubernetes");
    let namespace = reader.filled_text(&mut section, "namespace");
    let deployment_name = reader.filled_text(&mut section, "deployment_name");
    let manifests_path = path(traces, "manifests_path", reader.filled_text(&mut section, "manifests_path"));
    reader.close(section);
    KubernetesSpec {
        namespace: namespace.map_or_else(|| "default".to_owned(), |text| text.value),
        deployment_name: deployment_name.map_or_else(|| id.to_string(), |text| text.value),
        manifests_path,
    }
}

fn remote(reader: &mut Reader<'_>, parent: &mut Section<'_>, traces: &mut Traces) -> Option<RemoteSpec> {
    let mut section = reader.required_section(parent, "remote", "mode `remote` needs its `endpoint`")?;
    let endpoint = reader.required_text(&mut section, "endpoint");
    let tls_enabled = reader.flag(&mut section, "tls_enabled");
    let auth_token_path = reader.filled_text(&mut section, "auth_token_path");
    let token_span = auth_token_path.as_ref().map(|text| text.span.clone());
    let auth_token_path = path(traces, "auth_token_path", auth_token_path);
    let ca_path = reader.filled_text(&mut section, "ca_path");
    let ca_span = ca_path.as_ref().map(|text| text.span.clone());
    let ca_path = path(traces, "ca_path", ca_path);
    let scheme = endpoint.as_ref().and_then(|text| check_url(reader, &section.path_of("endpoint"), text));
    let is_https = scheme == Some(Scheme::Https);
    if let (Some((flag, span)), Some(_)) = (tls_enabled.clone(), scheme)
        && flag != is_https
    {
        let scheme = if is_https { "https://" } else { "http://" };
        let message = format!("`{}` is {flag}, but the endpoint begins with {scheme}", section.path_of("tls_enabled"));
        let finding = Finding::error(Code::Contradiction, message);
        reader.error(span, finding.hint("change one of the two, or leave tls_enabled out".to_owned()));
    }
    if let (Some(span), Some(Scheme::Http)) = (ca_span, scheme) {
        let message = format!("`{}` is given, but the endpoint begins with http://", section.path_of("ca_path"));
        let finding = Finding::error(Code::Contradiction, message);
        reader.error(span, finding.hint("use an https:// endpoint, or leave ca_path out".to_owned()));
    }
    if let (Some(span), Some(Scheme::Http), Some(text)) = (token_span, scheme, &endpoint)
        && !is_loopback_url(&text.value)
    {
        let path = section.path_of("auth_token_path");
        let message =
            format!("`{path}` is given, but the endpoint begins with http://: the token would be sent in the clear");
        let finding = Finding::error(Code::Contradiction, message);
        reader.error(span, finding.hint("use an https:// endpoint, or leave auth_token_path out".to_owned()));
    }
    reader.close(section);
    Some(RemoteSpec {
        endpoint: endpoint?.value,
        tls_enabled: tls_enabled.map_or(is_https, |(flag, _)| flag),
        auth_token_path,
        ca_path,
    })
}

/// The scheme of a URL; `None` when it is none, which is reported.
pub(super) fn check_url(reader: &mut Reader<'_>, path: &str, text: &Text) -> Option<Scheme> {
    match formats::url(&text.value) {
        Ok(scheme) => Some(scheme),
        Err(reason) => {
            let message = format!("`{path}` is {}, which is no http or https URL: {reason}", quoted(&text.raw));
            reader.error(text.span.clone(), Finding::error(Code::NotAllowed, message));
            None
        }
    }
}
