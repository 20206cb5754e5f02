//! Everything known of the selected service, the most important first.

use std::time::SystemTime;

use jiff::Timestamp;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Paint, draw_lines};
use crate::lifecycle::explain::explain;
use crate::model::history::HOUR;
use crate::model::{
    Check, Deployment, Health, ProbeVerdict, RestartOnFailure, ServiceId, ServiceSnapshot, Severity, Window,
};
use crate::report;
use crate::tui::state::State;
use crate::tui::text;
use crate::tui::theme::{ColourDepth, Role, Theme};

/// The column of values.
const LABEL: usize = 13;

/// How many rows the details take at that width, for scrolling.
pub(crate) fn n_rows(state: &State, width: usize) -> usize {
    // Styles do not change how many rows there are.
    let theme = Theme::embedded(ColourDepth::None);
    lines(&Paint { state, theme: &theme, icons: state.icons }, width).len()
}

pub(super) fn draw(paint: &Paint<'_>, outer: Rect, inner: Rect, buffer: &mut Buffer) {
    let lines = lines(paint, usize::from(inner.width));
    let n_lines = lines.len();
    let offset = paint.state.details_scroll.min(n_lines.saturating_sub(usize::from(inner.height)));
    draw_lines(lines.into_iter().skip(offset), inner, buffer);
    paint.scrollbar(outer, n_lines, offset, buffer);
}

/// `CPU 0.3 %` and `42 MiB`, as far as they are known.
fn used(state: &State, service: &ServiceSnapshot) -> Vec<String> {
    let Some(usage) = state.usage.of(service) else { return Vec::new() };
    usage.processor.map(|processor| format!("CPU {processor}")).into_iter().chain([usage.memory]).collect()
}

/// The facts in few words: what runs, the mode, the ports, how healthy, how often restarted.
pub(super) fn facts(paint: &Paint<'_>, service: &ServiceSnapshot) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(instance) = service.state.instance() {
        facts.push(text::clean(&instance.to_string()).into_owned());
        facts.extend(used(paint.state, service));
    }
    facts.push(service.spec.deployment.mode().to_string());
    let ports = ports(service);
    if !ports.is_empty() {
        facts.push(ports);
    }
    facts.extend(health_in_numbers(paint.state, service));
    if service.restarts > 0 {
        facts.push(text::counted(usize::try_from(service.restarts).unwrap_or(0), "restart"));
    }
    if let (None, Some(exit)) = (service.state.instance(), &service.last_exit) {
        facts.push(format!("{} at {}", exit.ending, clock(paint.state, exit.at)));
    }
    facts
}

/// Uptime and latency of a day, as far as something is known.
fn health_in_numbers(state: &State, service: &ServiceSnapshot) -> Vec<String> {
    let numbers = service.history.statistics(Window::DAY, wall_time(state));
    let uptime = numbers.uptime().map(report::percent);
    let p95 = numbers.p95.map(|p95| format!("p95 {}", text::latency(p95)));
    uptime.into_iter().chain(p95).collect()
}

/// A window in words: `24 h`, the uptime, the latency, flaps, restarts, and of how long that speaks where it is not most of it.
fn window_in_numbers(state: &State, service: &ServiceSnapshot, window: Window) -> Option<Vec<String>> {
    let numbers = service.history.statistics(window, wall_time(state));
    let uptime = numbers.uptime()?;
    let mut words = vec![report::percent(uptime)];
    words.extend(numbers.p95.map(|p95| format!("p95 {}", text::latency(p95))));
    let count = |n: u32, what| (n > 0).then(|| text::counted(usize::try_from(n).unwrap_or(usize::MAX), what));
    words.extend(count(numbers.n_flaps, "flap"));
    words.extend(count(numbers.n_restarts, "restart"));
    if numbers.observed() < HOUR * window.n_hours() / 10 * 9 {
        words.push(format!("of {}", text::uptime(numbers.observed())));
    }
    Some(words)
}

fn wall_time(state: &State) -> SystemTime {
    state.moment.wall.timestamp().into()
}

fn ports(service: &ServiceSnapshot) -> String {
    match &service.spec.deployment {
        Deployment::Docker(docker) if !docker.ports.is_empty() => text::clean(&docker.ports.join(", ")).into_owned(),
        Deployment::Docker(_)
        | Deployment::Binary(_)
        | Deployment::DockerCompose(_)
        | Deployment::Kubernetes(_)
        | Deployment::Remote(_) => service.spec.health_port().map(|port| format!(":{port}")).unwrap_or_default(),
    }
}

/// A moment by the clock on the wall: the time today, the date before.
fn clock(state: &State, at: SystemTime) -> String {
    let wall = &state.moment.wall;
    let Ok(at) = Timestamp::try_from(at) else { return "an unknown time".to_owned() };
    let at = at.to_zoned(wall.time_zone().clone());
    let time = format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second());
    if at.date() == wall.date() { time } else { format!("{} {time}", at.date()) }
}

struct Writer<'p, 'a> {
    paint: &'p Paint<'a>,
    width: usize,
    lines: Vec<Line<'a>>,
}

impl<'a> Writer<'_, 'a> {
    /// A label and its value, broken below itself.
    fn row(&mut self, label: &'static str, value: &str, style: Style) {
        let value = text::clean(value);
        for (i, row) in text::wrap(&value, self.width.saturating_sub(LABEL + 2)).into_iter().enumerate() {
            let label = if i == 0 { label } else { "" };
            self.lines.push(Line::from(vec![
                Span::raw(" "),
                self.paint.span(text::pad(label, LABEL, ""), Role::Label),
                Span::styled(row, style),
            ]));
        }
    }

    fn text(&mut self, label: &'static str, value: &str, role: Role) {
        self.row(label, value, self.paint.style(role));
    }
}

fn lines<'a>(paint: &Paint<'a>, width: usize) -> Vec<Line<'a>> {
    let Some(service) = paint.state.selected() else {
        return vec![Line::from(paint.span(" Nothing is selected", Role::Dim))];
    };
    let mut writer = Writer { paint, width, lines: Vec::new() };
    state_rows(&mut writer, service);
    health_rows(&mut writer, service);
    run_rows(&mut writer, service);
    relation_rows(&mut writer, service);
    for note in &service.notes {
        writer.text("Note", note, Role::Warning);
    }
    for found in paint.state.snapshot.registry.issues_of(service.id().as_str()) {
        let role = if found.severity == Severity::Error { Role::Error } else { Role::Warning };
        writer.text("Registry", &found.to_string(), role);
    }
    writer.lines
}

fn state_rows(writer: &mut Writer<'_, '_>, service: &ServiceSnapshot) {
    let (state, icons) = (writer.paint.state, writer.paint.icons);
    let now = state.moment.now;
    if let Some(why) = explain(service, &state.snapshot, now) {
        writer.text("Why", &why, Role::Why);
    }
    let health = match (service.state.is_alive(), service.health()) {
        (false, _) => String::new(),
        (true, Health::Unknown) if service.spec.health_check.check == Check::None => ", no health check".to_owned(),
        (true, Health::Unknown) => ", health not known yet".to_owned(),
        (true, health) => format!(", {health}"),
    };
    writer.row("State", &format!("{}{health}", service.kind()), writer.paint.theme.state(service));
    if let Some(instance) = service.state.instance() {
        let uptime = service.up_since().map(|since| now.saturating_duration_since(since));
        let uptime = uptime.map(|uptime| format!(" {} up {}", icons.dot(), text::uptime(uptime))).unwrap_or_default();
        writer.text("Runs as", &format!("{instance}{uptime}"), Role::Text);
        let used = used(state, service);
        if !used.is_empty() {
            writer.text("Uses", &used.join(&format!(" {} ", icons.dot())), Role::Text);
        }
    }
    let mut facts = vec![service.spec.deployment.mode().to_string()];
    let ports = ports(service);
    if !ports.is_empty() {
        facts.push(ports);
    }
    let start = if service.spec.startup.auto_start { "auto-start" } else { "on request" };
    facts.push(start.to_owned());
    writer.text("Mode", &facts.join(&format!(" {} ", icons.dot())), Role::Text);
}

fn health_rows(writer: &mut Writer<'_, '_>, service: &ServiceSnapshot) {
    let dot = format!(" {} ", writer.paint.icons.dot());
    let observed = |window| service.history.statistics(window, wall_time(writer.paint.state)).observed();
    // Of a service that is younger than a day, the week says nothing more.
    let week = (observed(Window::WEEK) > observed(Window::DAY)).then_some(("Uptime, 7 d", Window::WEEK));
    for (label, window) in [("Uptime, 24 h", Window::DAY)].into_iter().chain(week) {
        if let Some(numbers) = window_in_numbers(writer.paint.state, service, window) {
            writer.text(label, &numbers.join(&dot), Role::Text);
        }
    }
    if let Some(report) = &service.last_probe {
        let (mark, role) = match report.verdict {
            ProbeVerdict::Passed => (writer.paint.icons.good(), Role::Healthy),
            ProbeVerdict::Failed => (writer.paint.icons.bad(), Role::Unhealthy),
        };
        writer.text("Last probe", &format!("{mark} {}{dot}{}", report.message, text::latency(report.took)), role);
    }
    let check = &service.spec.health_check;
    let what = match &check.check {
        Check::Http { endpoint, expected_status, method } => format!("{method} {endpoint} expects {expected_status}"),
        Check::Tcp { host, port } => format!("connect to {host}:{port}"),
        Check::Command { command, expected_exit_code } => format!("`{command}` exits with {expected_exit_code}"),
        Check::File { path, must_exist: true } => format!("{} exists", path.display()),
        Check::File { path, must_exist: false } => format!("{} does not exist", path.display()),
        Check::None => {
            writer.text("Check", "none", Role::Dim);
            return;
        }
    };
    let pace = format!(
        "every {}, {} in a row",
        text::written(check.interval),
        text::counted(retries(check.retries), "failure")
    );
    writer.text("Check", &format!("{what}{dot}{pace}"), Role::Dim);
}

fn retries(retries: u32) -> usize {
    usize::try_from(retries.max(1)).unwrap_or(1)
}

fn run_rows(writer: &mut Writer<'_, '_>, service: &ServiceSnapshot) {
    if let Some(restarts) = restarts(service) {
        let role = if service.restarts > 0 { Role::Warning } else { Role::Text };
        writer.text("Restarts", &restarts, role);
    }
    if let Some(exit) = &service.last_exit {
        writer.text("Last exit", &format!("{} at {}", exit.ending, clock(writer.paint.state, exit.at)), Role::Text);
    }
    deployment_rows(writer, &service.spec.deployment);
    for fact in &service.facts {
        writer.text(fact.label, &fact.value, Role::Text);
    }
}

/// How often it was restarted, and who would do it; `None` where nobody could.
fn restarts(service: &ServiceSnapshot) -> Option<String> {
    let n = service.restarts;
    let by_registry = || match service.spec.startup.restart_on_failure {
        RestartOnFailure::Never => format!("{n}, stays down when it dies"),
        RestartOnFailure::UpTo { max_restarts } => format!("{n} of at most {max_restarts}"),
    };
    match &service.spec.deployment {
        Deployment::Binary(_) => Some(by_registry()),
        Deployment::Docker(docker) => Some(match &docker.restart_policy {
            Some(policy) => format!("{n}, by Docker: {policy}"),
            None => by_registry(),
        }),
        Deployment::DockerCompose(_) => Some(format!("{n}, as its Compose file says")),
        Deployment::Kubernetes(_) => Some(format!("{n}, by Kubernetes")),
        Deployment::Remote(_) => None,
    }
}

/// Where and as what it runs: the words of its mode.
fn deployment_rows(writer: &mut Writer<'_, '_>, deployment: &Deployment) {
    match deployment {
        Deployment::Binary(binary) => {
            let args = binary.args.iter().map(|arg| quoted(arg));
            let words = std::iter::once(binary.binary_path.display().to_string()).chain(args);
            writer.text("Command", &words.collect::<Vec<_>>().join(" "), Role::Command);
            if let Some(directory) = &binary.working_dir {
                writer.text("Directory", &directory.display().to_string(), Role::Text);
            }
            if !binary.env.is_empty() {
                // The values may be secrets.
                let names: Vec<String> = binary.env.keys().map(|name| format!("{name}=***")).collect();
                writer.text("Environment", &names.join(" "), Role::Dim);
            }
        }
        Deployment::Docker(docker) => {
            writer.text("Container", &docker.container_name, Role::Command);
            writer.text("Image", &docker.image, Role::Text);
            if !docker.volumes.is_empty() {
                writer.text("Volumes", &docker.volumes.join(", "), Role::Text);
            }
        }
        Deployment::DockerCompose(compose) => {
            writer.text("Service", &compose.service_name, Role::Command);
            if let Some(project) = &compose.project_name {
                writer.text("Project", project, Role::Text);
            }
            writer.text("File", &compose.compose_file.display().to_string(), Role::Text);
        }
        Deployment::Kubernetes(kubernetes) => {
            writer.text("Deployment", &kubernetes.deployment_name, Role::Command);
            writer.text("Namespace", &kubernetes.namespace, Role::Text);
            if let Some(path) = &kubernetes.manifests_path {
                writer.text("Manifests", &path.display().to_string(), Role::Text);
            }
        }
        Deployment::Remote(remote) => {
            writer.text("Endpoint", &remote.shown_endpoint(), Role::Command);
            if let Some(path) = &remote.auth_token_path {
                writer.text("Token", &format!("in {}, read at each use", path.display()), Role::Dim);
            }
            if let Some(path) = &remote.ca_path {
                writer.text("Authority", &path.display().to_string(), Role::Dim);
            }
        }
    }
}

/// An argument as a shell would need it, so that the line can be copied.
fn quoted(arg: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
    if !arg.is_empty() && arg.chars().all(is_plain) {
        arg.to_owned()
    } else {
        format!("'{}'", arg.replace('\'', r"'\''"))
    }
}

fn relation_rows(writer: &mut Writer<'_, '_>, service: &ServiceSnapshot) {
    let spec = &service.spec;
    let names = |ids: &[ServiceId]| ids.iter().map(ServiceId::as_str).collect::<Vec<_>>().join(", ");
    if !spec.description.is_empty() {
        writer.text("What", &spec.description, Role::Text);
    }
    if !spec.dependencies.is_empty() {
        writer.text("Needs", &names(&spec.dependencies), Role::Text);
    }
    let snapshot = &writer.paint.state.snapshot;
    let needed_by: Vec<ServiceId> = snapshot
        .services
        .iter()
        .filter(|other| other.spec.dependencies.contains(&spec.id))
        .map(|other| other.id().clone())
        .collect();
    if !needed_by.is_empty() {
        writer.text("Needed by", &names(&needed_by), Role::Text);
    }
    if !spec.conflicts.is_empty() {
        writer.text("Conflicts", &spec.conflicts.join(", "), Role::Text);
    }
    if !spec.required_for.is_empty() {
        writer.text("Required for", &spec.required_for.join(", "), Role::Text);
    }
}
