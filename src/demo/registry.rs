//! The demo's registry, as a text like any other.

use std::fmt::Write as _;
use std::path::Path;

use super::cast::{CAST, Part, Protocol};
use super::watch::Console;

/// How many ports [`registry_text`] needs.
pub(super) const N_PORTS: usize = CAST.len();

/// A `services.toml` with the guide's seven services, each being `program` under a hidden subcommand that listens on its own of
/// `ports` (loopback) and ends with `console`.
///
/// # Errors
/// When the path of the program is no Unicode text, which a registry cannot hold.
pub fn registry_text(program: &Path, ports: &[u16; N_PORTS], console: Console) -> Result<String, std::fmt::Error> {
    let program = quoted(program.to_str().ok_or(std::fmt::Error)?);
    let mut text = String::from("# The demo's registry. It lives as long as the console.\n");
    for (part, port) in CAST.iter().zip(ports) {
        service(&mut text, part, &program, *port, console)?;
    }
    Ok(text)
}

fn service(out: &mut String, part: &Part, program: &str, port: u16, console: Console) -> std::fmt::Result {
    let Part { name, kind, category, description, start_order, auto_start, .. } = part;
    let required_for = list(part.required_for);
    let dependencies = list(part.dependencies);
    writeln!(
        out,
        r#"
[services.{name}]
name = "{name}"
type = "{kind}"
category = "{category}"
description = "{description}"
required_for = {required_for}
dependencies = {dependencies}

[services.{name}.deployment]
mode = "binary"

[services.{name}.deployment.binary]
binary_path = {program}
args = ["{}", "{name}", "--port", "{port}", "--console", "{console}"]
env = {{ RUST_LOG = "info" }}

[services.{name}.health_check]
interval = 2
retries = 2
timeout = 1"#,
        super::SERVICE
    )?;
    match part.protocol {
        Protocol::Http(path) => writeln!(
            out,
            r#"type = "http"

[services.{name}.health_check.http]
endpoint = "http://127.0.0.1:{port}{path}"
expected_status = 200"#
        )?,
        Protocol::Tcp => writeln!(
            out,
            r#"type = "tcp"

[services.{name}.health_check.tcp]
host = "127.0.0.1"
port = {port}"#
        )?,
    }
    writeln!(
        out,
        r"
[services.{name}.startup]
auto_start = {auto_start}
start_timeout = 15
start_order = {start_order}
restart_on_failure = true
max_restarts = 5"
    )
}

fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| quoted(name)).collect();
    format!("[{}]", quoted.join(", "))
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => out.extend(format!("\\u{:04X}", u32::from(c)).chars()),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{CAST, registry_text};
    use crate::demo::watch::Console;

    #[test]
    fn the_registry_is_toml_with_everybody_in_the_guides_order() {
        let program = Path::new("/tmp/odd \"name\"\\with\ttabs");
        let console = Console::this().unwrap();
        let text = registry_text(program, &[1, 2, 3, 4, 5, 6, 7], console).unwrap();
        let table: toml::Table = text.parse().unwrap();
        let services = table["services"].as_table().unwrap();
        assert_eq!(services.keys().collect::<Vec<_>>(), CAST.iter().map(|part| part.name).collect::<Vec<_>>());
        let gateway = &services["api-gateway"];
        assert_eq!(gateway["dependencies"].as_array().unwrap().len(), 3);
        assert_eq!(gateway["health_check"]["http"]["endpoint"].as_str(), Some("http://127.0.0.1:7/health"));
        let binary = &gateway["deployment"]["binary"];
        assert_eq!(binary["binary_path"].as_str(), program.to_str());
        let arguments: Vec<_> = binary["args"].as_array().unwrap().iter().filter_map(|arg| arg.as_str()).collect();
        let console = console.to_string();
        assert_eq!(arguments, ["__demo-service", "api-gateway", "--port", "7", "--console", &console]);
    }
}
