//! How to tell that a service is well (F28 to F40). Tables of checks that are not chosen are not looked at (R16).

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{Check, Code, HealthCheck};

use super::deployment::check_url;
use super::document::quoted;
use super::findings::Finding;
use super::formats;
use super::section::{Reader, Section};
use super::service::Traces;

/// What a check can look at; also the names of the tables, except for `none`.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Http,
    Tcp,
    Command,
    File,
    None,
}

impl Kind {
    const ALL: [Self; 5] = [Self::Http, Self::Tcp, Self::Command, Self::File, Self::None];

    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Command => "command",
            Self::File => "file",
            Self::None => "none",
        }
    }
}

/// Reads `health_check`; `None` when something needed is missing or wrong, which is reported then.
pub(super) fn read(reader: &mut Reader<'_>, parent: &mut Section<'_>, traces: &mut Traces) -> Option<HealthCheck> {
    let mut section = reader.section(parent, "health_check");
    let has_kind = section.has("type");
    let kind = reader.choice(&mut section, "type", &Kind::ALL, Kind::name);
    let interval = reader.seconds(&mut section, "interval").unwrap_or(Duration::from_secs(10));
    let retries = reader.integer(&mut section, "retries", 0..=i64::from(u32::MAX));
    let timeout = reader.seconds(&mut section, "timeout").unwrap_or(Duration::from_secs(5));
    let start_interval = reader.fractional_seconds(&mut section, "start_interval");
    section.allow(&["http", "tcp", "command", "file"]);
    let check = match kind {
        Some(Kind::Http) => http(reader, &mut section, traces),
        Some(Kind::Tcp) => tcp(reader, &mut section, traces),
        Some(Kind::Command) => command(reader, &mut section),
        Some(Kind::File) => file(reader, &mut section),
        Some(Kind::None) => Some(Check::None),
        None if has_kind => None,
        None => Some(Check::None),
    };
    if !has_kind {
        warn_of_unused_table(reader, &section);
    }
    reader.close(section);
    Some(HealthCheck {
        check: check?,
        interval,
        retries: retries.and_then(|(number, _)| u32::try_from(number).ok()).unwrap_or(3),
        timeout,
        start_interval,
    })
}

/// A check that is described but not chosen is probably meant: without `type` nothing is checked.
fn warn_of_unused_table(reader: &mut Reader<'_>, section: &Section<'_>) {
    let described = Kind::ALL.iter().map(|kind| kind.name()).find_map(|name| Some((name, section.span_of(name)?)));
    if let Some((name, span)) = described {
        let message =
            format!("`{}` is described, but no `type` chooses it, so nothing is checked", section.path_of(name));
        reader.warn(span, Finding::warning(Code::MissingKey, message).hint(format!("add type = \"{name}\"")));
    }
}

fn http(reader: &mut Reader<'_>, parent: &mut Section<'_>, traces: &mut Traces) -> Option<Check> {
    let mut section = reader.required_section(parent, "http", "a check of type `http` needs its `endpoint`")?;
    let endpoint = reader.required_text(&mut section, "endpoint");
    let expected_status = reader.integer(&mut section, "expected_status", 100..=599);
    let method = reader.text(&mut section, "method");
    let method = match method {
        None => "GET".to_owned(),
        Some(text) => formats::method(&text.value).unwrap_or_else(|| {
            let message = format!("`{}` is {}, which is no HTTP method", section.path_of("method"), quoted(&text.raw));
            let finding = Finding::error(Code::NotAllowed, message);
            reader.error(text.span, finding.hint("for example \"GET\" or \"HEAD\"".to_owned()));
            String::new()
        }),
    };
    if let Some(text) = &endpoint {
        traces.health = text.span.clone();
        check_url(reader, &section.path_of("endpoint"), text);
    }
    reader.close(section);
    Some(Check::Http {
        endpoint: endpoint?.value,
        expected_status: expected_status.and_then(|(number, _)| u16::try_from(number).ok()).unwrap_or(200),
        method,
    })
}

fn tcp(reader: &mut Reader<'_>, parent: &mut Section<'_>, traces: &mut Traces) -> Option<Check> {
    let mut section = reader.required_section(parent, "tcp", "a check of type `tcp` needs its `port`")?;
    let host = reader.filled_text(&mut section, "host");
    reader.require(&mut section, "port", None);
    let port = reader.integer(&mut section, "port", 1..=65535);
    reader.close(section);
    let (port, span) = port?;
    traces.health = span;
    let host = host.map_or_else(|| "localhost".to_owned(), |text| text.value);
    Some(Check::Tcp { host, port: u16::try_from(port).ok()? })
}

fn command(reader: &mut Reader<'_>, parent: &mut Section<'_>) -> Option<Check> {
    let mut section = reader.required_section(parent, "command", "a check of type `command` needs its `command`")?;
    let command = reader.required_text(&mut section, "command");
    // exit(3): only the low eight bits of a status reach the parent.
    let expected_exit_code = reader.integer(&mut section, "expected_exit_code", 0..=255);
    reader.close(section);
    let expected_exit_code = expected_exit_code.and_then(|(number, _)| i32::try_from(number).ok()).unwrap_or(0);
    Some(Check::Command { command: command?.value, expected_exit_code })
}

fn file(reader: &mut Reader<'_>, parent: &mut Section<'_>) -> Option<Check> {
    let mut section = reader.required_section(parent, "file", "a check of type `file` needs its `path`")?;
    let path = reader.required_text(&mut section, "path");
    let must_exist = reader.flag(&mut section, "must_exist").is_none_or(|(flag, _)| flag);
    reader.close(section);
    Some(Check::File { path: PathBuf::from(path?.value), must_exist })
}
