//! One service: its table to a specification (F1 to F8, F41 to F45).

use std::ops::Range;
use std::time::Duration;

use crate::model::{Category, Code, PublishedPort, RestartOnFailure, ServiceId, ServiceKind, ServiceSpec, Startup};

use super::document::quoted;
use super::findings::Finding;
use super::section::{Reader, Section, Text};
use super::{deployment, health_check};

/// A specification with the places that checks between services point at.
#[derive(Debug)]
pub(super) struct Located {
    pub(super) spec: ServiceSpec,
    pub(super) traces: Traces,
}

/// Where things stand in the file.
#[derive(Debug, Default)]
pub(super) struct Traces {
    /// The service's key.
    pub(super) key: Range<usize>,
    /// One for each dependency of the specification.
    pub(super) dependencies: Vec<Range<usize>>,
    /// Where `start_order` is given.
    pub(super) start_order: Option<Range<usize>>,
    /// The endpoint or port of the health check.
    pub(super) health: Range<usize>,
    /// What is published on this host.
    pub(super) published: Vec<(PublishedPort, Range<usize>)>,
    /// The paths that have to be there for a start, by field.
    pub(super) paths: Vec<(&'static str, Range<usize>)>,
}

/// Reads the service `id`, reporting everything that is wrong with it; `None` when it cannot be used.
pub(super) fn read(
    reader: &mut Reader<'_>,
    id: &ServiceId,
    key: Range<usize>,
    mut section: Section<'_>,
) -> Option<Located> {
    let mut traces = Traces { key, ..Traces::default() };
    check_name(reader, &mut section, id);
    reader.require(&mut section, "type", Some(one_of(ServiceKind::ALL, ServiceKind::as_str)));
    let kind = reader.choice(&mut section, "type", ServiceKind::ALL, ServiceKind::as_str);
    reader.require(&mut section, "category", Some(one_of(Category::ALL, Category::as_str)));
    let category = reader.choice(&mut section, "category", Category::ALL, Category::as_str);
    let description = reader.text(&mut section, "description").map(|text| text.value).unwrap_or_default();
    let required_for = values(reader.texts(&mut section, "required_for"));
    let dependencies = dependencies(reader, &mut section, &mut traces);
    let conflicts = values(reader.texts(&mut section, "conflicts"));
    let deployment = deployment::read(reader, &mut section, id, &mut traces);
    let health_check = health_check::read(reader, &mut section, &mut traces);
    let startup = startup(reader, &mut section, &mut traces);
    reader.close(section);
    if reader.has_failed {
        return None;
    }
    let spec = ServiceSpec {
        id: id.clone(),
        kind: kind?,
        category: category?,
        description,
        required_for,
        dependencies,
        conflicts,
        deployment: deployment?,
        health_check: health_check?,
        startup,
    };
    Some(Located { spec, traces })
}

/// The hint that lists a closed set.
pub(super) fn one_of<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> String {
    let names: Vec<&str> = all.iter().map(|value| name(*value)).collect();
    format!("one of {}", names.join(", "))
}

/// The expanded strings alone.
pub(super) fn values(texts: Vec<Text>) -> Vec<String> {
    texts.into_iter().map(|text| text.value).collect()
}

fn check_name(reader: &mut Reader<'_>, section: &mut Section<'_>, id: &ServiceId) {
    let Some(name) = reader.text(section, "name") else { return };
    if name.value != id.as_str() {
        let message = format!("`{}` is {}, but its key is `{id}`", section.path_of("name"), quoted(&name.raw));
        let finding = Finding::error(Code::BadName, message).hint(format!("write `{id}`, or leave it out"));
        reader.error(name.span, finding);
    }
}

fn dependencies(reader: &mut Reader<'_>, section: &mut Section<'_>, traces: &mut Traces) -> Vec<ServiceId> {
    let mut ids: Vec<ServiceId> = Vec::new();
    for text in reader.texts(section, "dependencies") {
        match ServiceId::new(&text.value) {
            Ok(id) if ids.contains(&id) => {
                let message = format!("`{}` names `{id}` twice", section.path_of("dependencies"));
                reader.warn(text.span, Finding::warning(Code::Duplicate, message));
            }
            Ok(id) => {
                ids.push(id);
                traces.dependencies.push(text.span);
            }
            Err(_) => {
                let message = format!("the dependency {} is not a service name", quoted(&text.raw));
                reader.error(text.span, Finding::error(Code::BadName, message));
            }
        }
    }
    ids
}

fn startup(reader: &mut Reader<'_>, parent: &mut Section<'_>, traces: &mut Traces) -> Startup {
    let mut section = reader.section(parent, "startup");
    let auto_start = reader.flag(&mut section, "auto_start").is_some_and(|(flag, _)| flag);
    let start_timeout = reader.seconds(&mut section, "start_timeout").unwrap_or(Duration::from_secs(30));
    let start_order = reader.integer(&mut section, "start_order", i64::MIN..=i64::MAX);
    let restart = reader.flag(&mut section, "restart_on_failure").is_some_and(|(flag, _)| flag);
    let max_restarts = reader.integer(&mut section, "max_restarts", 0..=i64::from(u32::MAX));
    let max_restarts = max_restarts.and_then(|(number, _)| u32::try_from(number).ok()).unwrap_or(3);
    // A27: a stop takes ten seconds at most before it counts as failed.
    let stop_timeout = reader.seconds(&mut section, "stop_timeout").unwrap_or(Duration::from_secs(10));
    reader.close(section);
    traces.start_order = start_order.clone().map(|(_, span)| span);
    Startup {
        auto_start,
        start_timeout,
        start_order: start_order.map_or(100, |(order, _)| order),
        restart_on_failure: if restart { RestartOnFailure::UpTo { max_restarts } } else { RestartOnFailure::Never },
        stop_timeout,
    }
}
