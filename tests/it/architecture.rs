//! The arrows between modules point one way: the table of `ARCHITECTURE.md`, held to the `use crate::` lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What each module may use of the others.
const MAY_USE: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("graph", &["model"]),
    ("lifecycle", &["model", "graph"]),
    ("preflight", &["model", "graph"]),
    ("config", &["model", "graph"]),
    ("report", &["model", "graph", "lifecycle", "preflight", "engine", "logs"]),
    ("engine", &["model", "graph", "lifecycle", "preflight"]),
    ("store", &["model", "engine"]),
    ("host", &["model", "engine", "preflight", "store"]),
    ("shim", &["model", "lifecycle", "store", "host"]),
    ("backends", &["model", "engine", "preflight", "store", "host", "shim", "net"]),
    ("health", &["model", "engine", "host", "net"]),
    ("net", &["model"]),
    ("logs", &["model", "engine", "store"]),
    ("demo", &["model", "host", "store"]),
    ("supervise", &["model", "engine", "store", "host"]),
    ("tui", &["model", "report", "lifecycle", "preflight", "engine", "logs", "store"]),
    (
        "cli",
        &[
            "model",
            "report",
            "lifecycle",
            "preflight",
            "config",
            "engine",
            "logs",
            "store",
            "app",
            "tui",
            "demo",
            "shim",
            "supervise",
        ],
    ),
];

/// Of the engine, the world outside uses these alone.
const ENGINE_FACE: &[&str] = &["handle", "operation", "ports"];

fn sources(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

/// Every `crate::a::b` of a file's code outside its tests, as `(a, b)`.
fn uses(text: &str) -> Vec<(String, String)> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(text);
    code.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1))
        .filter_map(|path| {
            let mut words = path.split(|c: char| !(c.is_alphanumeric() || c == '_')).filter(|word| !word.is_empty());
            let first = words.next()?.to_owned();
            Some((first, words.next().unwrap_or_default().to_owned()))
        })
        .collect()
}

fn is_test_file(path: &Path) -> bool {
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    name == "tests"
        || name.ends_with("_test")
        || name == "fixture"
        || path.components().any(|part| part.as_os_str() == "tests")
}

#[test]
fn modules_only_use_what_the_architecture_allows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let allowed: BTreeMap<&str, &[&str]> = MAY_USE.iter().copied().collect();
    let mut violations = Vec::new();
    for (module, may_use) in &allowed {
        let dir = root.join(module);
        for path in sources(&dir).into_iter().filter(|path| !is_test_file(path.strip_prefix(&root).unwrap())) {
            for (used, inner) in uses(&fs::read_to_string(&path).unwrap()) {
                let is_known = allowed.contains_key(used.as_str()) || used == "app";
                let is_own = used == *module;
                let is_engine_inside = used == "engine"
                    && !is_own
                    && inner.chars().next().is_some_and(char::is_lowercase)
                    && !ENGINE_FACE.contains(&inner.as_str());
                if is_known && !is_own && (!may_use.contains(&used.as_str()) || is_engine_inside) {
                    let file = path.strip_prefix(&root).unwrap().display();
                    violations.push(format!("{file} uses crate::{used}::{inner}"));
                }
            }
        }
    }
    assert!(violations.is_empty(), "{}", violations.join("\n"));
}

#[test]
fn every_module_stands_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut modules: Vec<String> = fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        // The composition root and the tests' kit may use everything.
        .filter(|name| !["app", "bin", "testkit"].contains(&name.as_str()))
        .collect();
    modules.sort();
    let mut table: Vec<&str> = MAY_USE.iter().map(|(module, _)| *module).collect();
    table.sort_unstable();
    assert_eq!(modules, table);
}

#[test]
fn the_shim_stays_free_of_everything_heavy() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shim");
    for path in sources(&root) {
        let text = fs::read_to_string(&path).unwrap();
        for heavy in ["tokio::", "clap::", "toml::", "serde_json::", "reqwest::", "tracing::"] {
            assert!(!text.contains(heavy), "{} uses {heavy}", path.display());
        }
    }
}
