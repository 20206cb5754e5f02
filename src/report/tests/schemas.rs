//! The JSON Schemas in `config/schema`: made from the report types, and compared with what lies there.
//!
//! After a field was added: `WRITE_SCHEMAS=1 cargo test --lib schemas`.

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

use crate::report::{
    BoardReport, CheckReport, DependenciesReport, DoctorReport, EnsureReport, EventReport, HealthReport, HistoryReport,
    ListReport, LogLineReport, MonitorReport, OperationReport, PlanReport, PlatformHealthReport, ReadinessReport,
    ServiceStatusReport, SuperviseReport, ValidationReport,
};

fn schema<T: JsonSchema>(title: &str) -> Schema {
    // What is written, not what could be read: a field that may be null is there all the same.
    let mut schema = SchemaSettings::draft2020_12().for_serialize().into_generator().into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema
}

/// Each report with its file and the commands that print it.
fn all() -> Vec<(&'static str, Schema)> {
    vec![
        ("board", schema::<BoardReport>("platform status --json, --once --format json")),
        ("list", schema::<ListReport>("services list --json")),
        ("service-status", schema::<ServiceStatusReport>("services status SERVICE --json")),
        ("service-health", schema::<HealthReport>("services health SERVICE --json")),
        ("history", schema::<HistoryReport>("services history SERVICE --json")),
        ("platform-health", schema::<PlatformHealthReport>("platform health --json")),
        ("operation", schema::<OperationReport>("start, stop and restart with --json")),
        ("plan", schema::<PlanReport>("start, stop and restart with --dry-run --json")),
        ("check", schema::<CheckReport>("services check OPERATION --json")),
        ("ensure", schema::<EnsureReport>("services ensure OPERATION --json")),
        ("dependencies", schema::<DependenciesReport>("services dependencies --json")),
        ("validation", schema::<ValidationReport>("services validate --json")),
        ("doctor", schema::<DoctorReport>("doctor --json")),
        ("readiness", schema::<ReadinessReport>("services readiness --json")),
        ("monitor", schema::<MonitorReport>("one line of services monitor --json")),
        ("log-line", schema::<LogLineReport>("one line of platform logs --json, services logs --json")),
        ("supervise", schema::<SuperviseReport>("supervise status --json")),
        ("event", schema::<EventReport>("one line of events --json")),
    ]
}

#[test]
fn the_schemas_in_the_tree_are_those_of_the_types() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/schema");
    let mut different = Vec::new();
    for (name, schema) in all() {
        let file = directory.join(format!("{name}.json"));
        let text = format!("{}\n", serde_json::to_string_pretty(&schema).unwrap());
        if std::env::var_os("WRITE_SCHEMAS").is_some() {
            std::fs::create_dir_all(&directory).unwrap();
            std::fs::write(&file, &text).unwrap();
        }
        if std::fs::read_to_string(&file).ok().as_ref() != Some(&text) {
            different.push(name);
        }
    }
    assert!(different.is_empty(), "run with WRITE_SCHEMAS=1, look at the difference, and commit it: {different:?}");
}
