//! What `--json` really prints, held to the schemas in `config/schema` (R204).

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use super::{Home, b10, ready, service};

/// Checks `value` against `schema`, and refuses every property that the schema does not describe. Knows the keywords that our schemas use
/// and panics at any other, so that nothing is passed over.
fn faults(schema: &Value, value: &Value, root: &Value, at: &str, found: &mut Vec<String>) {
    let Value::Object(keywords) = schema else { return assert_eq!(schema, true, "{at}: no schema") };
    let mut own = Vec::new();
    let mut wrong = |what: String| own.push(format!("{at}: {what}: {value}"));
    for (keyword, wanted) in keywords {
        match keyword.as_str() {
            "$schema" | "$defs" | "title" | "description" | "format" => {}
            "type" => {
                let types: Vec<&Value> = wanted.as_array().map_or(vec![wanted], |types| types.iter().collect());
                let is_of = |name: &str| match name {
                    "null" => value.is_null(),
                    "boolean" => value.is_boolean(),
                    "integer" => value.is_u64() || value.is_i64(),
                    "number" => value.is_number(),
                    "string" => value.is_string(),
                    "array" => value.is_array(),
                    "object" => value.is_object(),
                    other => panic!("{at}: no such type: {other}"),
                };
                if !types.iter().any(|name| is_of(name.as_str().unwrap())) {
                    wrong(format!("not of type {wanted}"));
                }
            }
            "const" if wanted != value => wrong(format!("not {wanted}")),
            "const" => {}
            "minimum" => {
                if value.as_i64().is_some_and(|number| number < wanted.as_i64().unwrap()) {
                    wrong(format!("below {wanted}"));
                }
            }
            "required" => {
                for name in wanted.as_array().unwrap() {
                    if value.is_object() && value.get(name.as_str().unwrap()).is_none() {
                        wrong(format!("{name} is missing"));
                    }
                }
            }
            "properties" => {}
            "items" => {
                for (place, item) in value.as_array().into_iter().flatten().enumerate() {
                    faults(wanted, item, root, &format!("{at}[{place}]"), found);
                }
                continue;
            }
            "$ref" => {
                let pointer = wanted.as_str().unwrap().strip_prefix('#').unwrap();
                faults(root.pointer(pointer).unwrap(), value, root, at, found);
                continue;
            }
            "anyOf" | "oneOf" => {
                let fits = |one: &&Value| {
                    let mut found = Vec::new();
                    faults(one, value, root, at, &mut found);
                    found.is_empty()
                };
                if !wanted.as_array().unwrap().iter().any(|one| fits(&one)) {
                    wrong("none of the choices".to_owned());
                }
            }
            other => panic!("{at}: the test does not know the keyword {other}"),
        }
    }
    found.extend(own);
    if let (Some(properties), Value::Object(fields)) = (keywords.get("properties"), value) {
        for (name, field) in fields {
            match properties.get(name) {
                Some(schema) => faults(schema, field, root, &format!("{at}.{name}"), found),
                None => found.push(format!("{at}.{name} is in no schema")),
            }
        }
    }
}

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema")
}

fn check(name: &str, printed: &str, checked: &mut BTreeSet<String>) -> Value {
    let schema: Value =
        serde_json::from_str(&fs::read_to_string(directory().join(format!("{name}.json"))).unwrap()).unwrap();
    let value: Value = serde_json::from_str(printed).unwrap_or_else(|error| panic!("{name}: {error}: {printed}"));
    let mut found = Vec::new();
    faults(&schema, &value, &schema, name, &mut found);
    assert!(found.is_empty(), "{found:#?}");
    checked.insert(format!("{name}.json"));
    value
}

/// B10 with a service that cannot start, one that the file gets wrong, and one that needs nobody knows what.
fn home() -> Home {
    let home = b10();
    let path = home.path("config/services.toml");
    let more = [
        service("broken", "utility", "auth", "", "").replace("binary_path = \"", "binary_path = \"/nowhere"),
        service("stray", "utility", "auth", "\"nobody\"", &ready("stray")),
        "[services.bad]\ntype = \"utilty\"\n".to_owned(),
    ];
    let text = fs::read_to_string(&path).unwrap().replacen("type = ", "required_for = [\"server\"]\ntype = ", 1);
    fs::write(path, text + &more.concat()).unwrap();
    home
}

#[test]
fn what_is_printed_is_what_the_schemas_say_and_no_schema_is_left_out() {
    let home = home();
    let mut checked = BTreeSet::new();
    let mut each = |name: &str, line: &str| check(name, &home.types(line).out, &mut checked);
    each("plan", "services start api-gateway --dry-run --json");
    each("plan", "services start broken --dry-run --json");
    each("ensure", "services ensure server --json");
    each("ensure", "services ensure server --json");
    each("operation", "services start control-center --json");
    each("operation", "services start broken --json");
    each("operation", "services stop orchestrator --json");
    each("operation", "platform restart gitea --json");
    each("plan", "platform restart orchestrator --dry-run --json");
    each("board", "platform status --json");
    each("board", "--once --format json");
    each("list", "services list --json");
    each("list", "services list --category git --json");
    each("service-status", "services status broken --json");
    each("service-status", "services status orchestrator --json");
    each("service-health", "services health orchestrator --json");
    each("service-health", "services health coredns --json");
    each("platform-health", "platform health --json");
    each("check", "services check server --json");
    each("check", "services check nothing --json");
    each("dependencies", "services dependencies --json");
    each("dependencies", "services dependencies stray --json");
    let validation = each("validation", "services validate --json");
    assert_eq!(validation["invalid"], 3, "{validation:#}");
    each("doctor", "doctor --json");
    each("readiness", "services readiness --json");

    each("supervise", "supervise status --json");
    each("history", "services history orchestrator --json");

    let events = home.types("events --json").out;
    assert!(events.lines().count() > 3);
    for line in events.lines() {
        check("event", line, &mut checked);
    }
    let logs = home.types("platform logs --json").out;
    assert!(logs.lines().count() >= 2, "each log begins with a line that marks the start");
    for line in logs.lines() {
        check("log-line", line, &mut checked);
    }
    let mut monitor = home.command("services monitor --json").stdout(Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(monitor.stdout.take().unwrap());
    for _ in 0..9 {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        check("monitor", &line, &mut checked);
    }
    monitor.kill().unwrap();
    monitor.wait().unwrap();

    let unusable = Home::with("[services.a\n");
    check("validation", &unusable.types("services validate --json").out, &mut checked);
    let shipped: BTreeSet<String> =
        fs::read_dir(directory()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(checked, shipped, "every schema was held to something real");
}

#[test]
fn the_check_itself_finds_what_is_wrong() {
    let schema: Value = serde_json::from_str(&fs::read_to_string(directory().join("check.json")).unwrap()).unwrap();
    let good = serde_json::json!({
        "operation": "a", "required": [], "all_running": true, "not_running": [], "known_operations": ["a"]
    });
    let n_faults = |change: &dyn Fn(&mut Value)| {
        let mut value = good.clone();
        change(&mut value);
        let mut found = Vec::new();
        faults(&schema, &value, &schema, "check", &mut found);
        found.len()
    };
    assert_eq!(n_faults(&|_| ()), 0);
    assert_eq!(n_faults(&|value| value["operation"] = 1.into()), 1);
    assert_eq!(n_faults(&|value| value["required"] = serde_json::json!(["a", 1])), 1);
    assert_eq!(n_faults(&|value| value["more"] = 1.into()), 1);
    assert_eq!(n_faults(&|value| drop(value.as_object_mut().unwrap().remove("operation"))), 1);
}
