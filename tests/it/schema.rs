//! `config/services.schema.json`, which editors complete and check by, held against every example and against the program itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may fail it")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use provisioning::config::{self, Environment};
use provisioning::model::ServiceId;
use serde_json::{Map, Value};

/// What the schema cannot see: relations between services, files that are read elsewhere, what a lone service lacks.
const BEYOND_THE_SCHEMA: [&str; 4] = ["check-without-type", "cycles", "expansion", "ports"];

fn schema() -> Value {
    serde_json::from_str(config::SCHEMA).unwrap()
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn files(directory: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(path(directory)).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    assert!(paths.len() > 5);
    paths
}

/// The file as an editor's language server sees it; `None` when it is not TOML.
fn read(path: &Path) -> Option<Value> {
    let text = String::from_utf8(std::fs::read(path).unwrap()).ok()?;
    let table: toml::Table = toml::from_str(text.strip_prefix('\u{feff}').unwrap_or(&text)).ok()?;
    Some(json(toml::Value::Table(table)))
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(moment) => serde_json::json!({ "datetime": moment.to_string() }),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(table.into_iter().map(|(key, value)| (key, json(value))).collect()),
    }
}

/// Everything in `value` that the schema forbids, as places. Knows the words of JSON Schema (draft 7) that the schema uses, and fails on
/// others, so that none is silently without meaning.
fn violations(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (word, rule) in schema.as_object().unwrap() {
        let is_fine = match word.as_str() {
            "$schema" | "title" | "description" | "default" | "then" => true,
            "type" => match rule {
                Value::Array(kinds) => kinds.iter().any(|kind| is_of_type(value, kind.as_str().unwrap())),
                kind => is_of_type(value, kind.as_str().unwrap()),
            },
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "minimum" => value.as_f64().is_none_or(|number| number >= rule.as_f64().unwrap()),
            "maximum" => value.as_f64().is_none_or(|number| number <= rule.as_f64().unwrap()),
            "minLength" => value.as_str().is_none_or(|text| text.chars().count() as u64 >= rule.as_u64().unwrap()),
            "pattern" => value.as_str().is_none_or(|text| matches_pattern(rule.as_str().unwrap(), text)),
            "required" => value.as_object().is_none_or(|table| {
                rule.as_array().unwrap().iter().all(|key| table.contains_key(key.as_str().unwrap()))
            }),
            "items" => {
                for (index, element) in value.as_array().into_iter().flatten().enumerate() {
                    violations(rule, element, &format!("{at}[{index}]"), found);
                }
                true
            }
            "propertyNames" => value
                .as_object()
                .is_none_or(|table| table.keys().all(|key| is_valid(rule, &Value::String(key.clone())))),
            "properties" => {
                for (key, value) in value.as_object().into_iter().flatten() {
                    if let Some(rule) = rule.get(key) {
                        violations(rule, value, &format!("{at}.{key}"), found);
                    }
                }
                true
            }
            "additionalProperties" => {
                let none = Map::new();
                let known = schema.get("properties").map_or(&none, |known| known.as_object().unwrap());
                for (key, value) in value.as_object().into_iter().flatten().filter(|(key, _)| !known.contains_key(*key))
                {
                    match rule {
                        Value::Bool(false) => found.push(format!("{at}.{key} is unknown")),
                        rule => violations(rule, value, &format!("{at}.{key}"), found),
                    }
                }
                true
            }
            "allOf" => {
                rule.as_array().unwrap().iter().for_each(|rule| violations(rule, value, at, found));
                true
            }
            "if" => {
                if is_valid(rule, value) {
                    violations(&schema["then"], value, at, found);
                }
                true
            }
            other => panic!("the schema uses `{other}`, which this test does not understand"),
        };
        if !is_fine {
            found.push(format!("{at}: {word} {rule} forbids {value}"));
        }
    }
}

fn is_valid(schema: &Value, value: &Value) -> bool {
    let mut found = Vec::new();
    violations(schema, value, "", &mut found);
    found.is_empty()
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object() && value.get("datetime").is_none(),
        other => panic!("`{other}` is no type of the schema"),
    }
}

/// The patterns of the schema, each by what it means.
fn matches_pattern(pattern: &str, text: &str) -> bool {
    let is_variable = text.contains("${");
    match pattern {
        "^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$" => ServiceId::new(text).is_ok(),
        r"^[Hh][Tt][Tt][Pp][Ss]?://[^\s]+$|\$\{" => {
            let rest = text.split_once("://");
            let is_url = rest.is_some_and(|(scheme, rest)| {
                ["http", "https"].contains(&scheme.to_ascii_lowercase().as_str())
                    && !rest.is_empty()
                    && !rest.contains(char::is_whitespace)
            });
            is_url || is_variable
        }
        r":|\$\{" => text.contains(':') || is_variable,
        r"^(no|always|unless-stopped|on-failure(:[0-9]+)?)$|\$\{" => {
            let times = text.strip_prefix("on-failure:");
            ["no", "always", "unless-stopped", "on-failure"].contains(&text)
                || times.is_some_and(|times| !times.is_empty() && times.bytes().all(|b| b.is_ascii_digit()))
                || is_variable
        }
        r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$|\$\{" => {
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            (!text.is_empty() && text.bytes().all(is_token)) || is_variable
        }
        other => panic!("the schema has a pattern that this test does not know: {other}"),
    }
}

#[test]
fn the_schema_accepts_every_valid_file_and_the_shipped_registry() {
    let schema = schema();
    let shipped = [path("config/services.toml"), path("config/examples/real-stack/services.toml")];
    for path in files("tests/config/valid").into_iter().chain(shipped) {
        let mut found = Vec::new();
        violations(&schema, &read(&path).unwrap(), "", &mut found);
        assert!(found.is_empty(), "{}: {found:#?}", path.display());
    }
}

#[test]
fn the_schema_refuses_every_invalid_file_whose_fault_it_can_see() {
    let schema = schema();
    let mut n_refused = 0;
    for path in files("tests/config/invalid") {
        let Some(value) = read(&path) else { continue };
        let name = path.file_stem().unwrap().to_str().unwrap();
        assert_eq!(is_valid(&schema, &value), BEYOND_THE_SCHEMA.contains(&name), "{name}");
        n_refused += usize::from(!is_valid(&schema, &value));
    }
    assert!(n_refused >= 10, "{n_refused}");
}

/// Every property with its path, `*` for the name of a service.
fn properties<'s>(schema: &'s Value, at: &str, found: &mut Vec<(String, &'s Value)>) {
    for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        found.push((format!("{at}{key}"), property));
        properties(property, &format!("{at}{key}."), found);
    }
    if at == "services."
        && let Some(service) = schema.get("additionalProperties")
    {
        properties(service, "services.*.", found);
    }
}

#[test]
fn every_field_is_documented_with_its_default_or_that_it_is_required() {
    let schema = schema();
    let mut all = Vec::new();
    properties(&schema, "", &mut all);
    assert!(all.len() > 45, "{}", all.len());
    for (field, property) in all {
        let description = property["description"].as_str().unwrap_or_else(|| panic!("{field} is not described"));
        let is_value = property.get("properties").is_none() && field != "services";
        let says = property.get("default").is_some()
            || ["Default:", "Required", "may be left out"].iter().any(|words| description.contains(words));
        assert!(!is_value || says, "{field} neither has a default nor is required: {description}");
        if property["type"] == "integer" && property.get("minimum").is_some() {
            let range = format!("{} to {}", property["minimum"], property["maximum"]);
            assert!(description.contains(&range), "{field} does not say its range {range}: {description}");
        }
    }
}

#[test]
fn the_schema_and_the_program_know_the_same_fields() {
    let schema = schema();
    let mut all = Vec::new();
    properties(&schema, "", &mut all);
    let known: BTreeSet<String> = all.into_iter().map(|(field, _)| field).collect();
    // The program knows what it reads without a word, and the valid files hold every field that it has.
    let mut used = BTreeSet::from(["services".to_owned()]);
    for path in files("tests/config/valid") {
        let file = read(&path).unwrap();
        if let Some(supervise) = file.get("supervise") {
            used.insert("supervise".to_owned());
            fields(supervise, "supervise.", &known, &mut used);
        }
        for service in file["services"].as_object().unwrap().values() {
            fields(service, "services.*.", &known, &mut used);
        }
    }
    assert_eq!(used, known);
}

fn fields(value: &Value, at: &str, known: &BTreeSet<String>, used: &mut BTreeSet<String>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let field = format!("{at}{key}");
        fields(value, &format!("{field}."), known, used);
        // The names in an environment are no fields.
        if known.contains(&field) || !at.ends_with(".env.") {
            used.insert(field);
        }
    }
}

#[test]
fn defaults_of_the_schema_are_those_of_the_program() {
    let text = "[services.a]\ntype='platform'\ncategory='api'\ndeployment={mode='kubernetes'}\n\
                health_check={type='http',http={endpoint='http://h'}}\n";
    let registry = config::parse(text, None, &Environment::default());
    let spec = &registry.services[0];
    let schema = schema();
    let service = &schema["properties"]["services"]["additionalProperties"]["properties"];
    let of = |section: &str, key: &str| service[section]["properties"][key]["default"].as_u64().unwrap();
    assert_eq!(of("health_check", "interval"), spec.health_check.interval.as_secs());
    assert_eq!(of("health_check", "timeout"), spec.health_check.timeout.as_secs());
    assert_eq!(of("health_check", "retries"), u64::from(spec.health_check.retries));
    assert_eq!(of("startup", "start_timeout"), spec.startup.start_timeout.as_secs());
    assert_eq!(of("startup", "stop_timeout"), spec.startup.stop_timeout.as_secs());
    assert_eq!(of("startup", "start_order"), spec.startup.start_order.unsigned_abs());
}

#[test]
fn the_shipped_registry_names_its_schema() {
    assert_eq!(config::BUILT_IN.lines().next(), Some("#:schema ./services.schema.json"));
}
