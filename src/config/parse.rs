//! The text of a registry to its services, one at a time, in the file's order.

use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::model::{AutoSupervise, Code, Registry, RegistrySource, ServiceId};

use super::document::{Document, quoted};
use super::findings::{Finding, Findings};
use super::near::nearest;
use super::section::{Reader, Section, shown_key};
use super::service::{self, Located};
use super::{Environment, files, read, supervise, syntax, validate};

/// The registry that the program carries (R34).
pub const BUILT_IN: &str = include_str!("../../config/services.toml");

/// Reads and parses the registry of `source`, whoever could have written it. Blocks on the file system, briefly; never on a FIFO.
/// Whatever is wrong is in the registry's diagnostics. What was not named by a person is loaded by
/// [`Found::load`](super::Found::load).
pub fn load(source: &RegistrySource, environment: &Environment) -> Registry {
    let path = match source {
        RegistrySource::BuiltIn => return parse(BUILT_IN, None, environment),
        RegistrySource::File(path) => path,
    };
    let mut findings = Findings::default();
    match read::read(path, None, &mut findings) {
        Some(text) => parse(&text, Some(path.clone()), environment),
        None => Registry {
            source: source.clone(),
            services: Vec::new(),
            set_aside: Vec::new(),
            auto_supervise: AutoSupervise::On,
            diagnostics: findings.into_sorted(),
        },
    }
}

/// How far the checks go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// The text alone.
    Text,
    /// Whether the files that it names are there, too.
    Files,
}

/// Parses the text of `file`, or of the built-in registry. Pure.
///
/// A text that is not TOML gives no services at all: what a half-written file seems to say is nothing to act on.
pub fn parse(text: &str, file: Option<PathBuf>, environment: &Environment) -> Registry {
    parse_with(text, file, environment, Depth::Text)
}

pub(super) fn parse_with(text: &str, file: Option<PathBuf>, environment: &Environment, depth: Depth) -> Registry {
    let source = file.clone().map_or(RegistrySource::BuiltIn, RegistrySource::File);
    let mut document = Document::new(text, file);
    let mut findings = Findings::default();
    let mut names = Names::default();
    let mut auto_supervise = AutoSupervise::On;
    if let Some(at) = document.text.find('\0') {
        document.conceal(syntax::suspected_secrets(document.text));
        let message = format!("a NUL character at byte offset {}", document.place(at..at).span.start);
        let finding = Finding::error(Code::Syntax, message).hint(read::utf16_hint(text.as_bytes()));
        findings.add(&document, None, at..at + 1, finding);
    } else {
        // The parser itself bounds how deep tables and arrays may nest (80), so no stack can overflow here.
        let (root, errors) = DeTable::parse_recoverable(document.text);
        document.conceal(syntax::secrets(root.get_ref()));
        if errors.is_empty() {
            auto_supervise = supervise::read(&document, root.get_ref(), &mut findings);
            read_services(&document, root.get_ref(), environment, &mut findings, &mut names);
            validate::check(&document, &names.services, &names.set_aside, &mut findings);
            if depth == Depth::Files {
                files::check(&document, &names.services, &mut findings);
            }
        } else {
            document.conceal(syntax::suspected_secrets(document.text));
            syntax::report(&document, &errors, &mut findings);
        }
    }
    Registry {
        source,
        services: names.services.into_iter().map(|located| Arc::new(located.spec)).collect(),
        set_aside: names.set_aside,
        auto_supervise,
        diagnostics: findings.into_sorted(),
    }
}

/// What became of the keys so far.
#[derive(Debug, Default)]
struct Names {
    services: Vec<Located>,
    set_aside: Vec<String>,
    /// Every name in lower case, with the place where it stands first: files of two services must not meet on a file system that
    /// ignores case.
    folded: HashMap<String, (String, Range<usize>)>,
}

fn read_services(
    document: &Document<'_>,
    root: &DeTable<'_>,
    environment: &Environment,
    findings: &mut Findings,
    names: &mut Names,
) {
    for (key, value) in root.iter() {
        if key.get_ref() == "services" || key.get_ref() == "supervise" {
            continue;
        }
        let finding = Finding::warning(Code::UnknownKey, format!("unknown key `{}`", shown_key(key.get_ref())));
        let near = nearest(key.get_ref(), ["services", "supervise"]).filter(|_| value.get_ref().is_table());
        let hint = near.map(|near| match near {
            "services" => "did you mean `services`? the services below it are not read".to_owned(),
            other => format!("did you mean `{other}`?"),
        });
        findings.add(document, None, key.span(), finding.hint(hint));
    }
    let Some(services) = root.get("services") else { return };
    let DeValue::Table(services_table) = services.get_ref() else {
        let finding = Finding::error(Code::WrongType, "`services` must be a table of services");
        findings.add(document, None, services.span(), finding.hint("write [services.<name>]".to_owned()));
        return;
    };
    for (key, value) in services_table.iter() {
        match read_service(document, key, value, environment, findings, &mut names.folded) {
            Some(located) => names.services.push(located),
            None => names.set_aside.push(key.get_ref().clone().into_owned()),
        }
    }
}

fn read_service(
    document: &Document<'_>,
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    environment: &Environment,
    findings: &mut Findings,
    folded: &mut HashMap<String, (String, Range<usize>)>,
) -> Option<Located> {
    let name: &str = key.get_ref();
    let mut reader = Reader { document, environment, findings, service: name, has_failed: false };
    let id = match ServiceId::new(name) {
        Ok(id) => id,
        Err(_) => {
            let message = format!("{} is not a service name", quoted(name));
            let rule = "use 1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', beginning with a letter or digit";
            reader.error(key.span(), Finding::error(Code::BadName, message).hint(rule.to_owned()));
            return None;
        }
    };
    if let Some((other, span)) = folded.get(&name.to_ascii_lowercase()) {
        let line = document.line(span.start);
        let message = format!("`{name}` differs only by case from `{other}` in line {line}");
        let finding = Finding::error(Code::Duplicate, message)
            .label("differs only by case")
            .also(span.clone(), format!("`{other}` is here"));
        reader.error(key.span(), finding.hint("some file systems could not tell their files apart".to_owned()));
    } else {
        folded.insert(name.to_ascii_lowercase(), (name.to_owned(), key.span()));
    }
    let path = format!("services.{}", shown_key(name));
    match value.get_ref() {
        DeValue::Table(table) => service::read(&mut reader, &id, key.span(), Section::new(table, path, key.span())),
        other => {
            reader.wrong_type(&path, "a table", other, value.span());
            None
        }
    }
}
