//! O3 and the board's table: plain aligned columns (A65).

use std::fmt::Write as _;
use std::time::Instant;

use unicode_width::UnicodeWidthStr as _;

use super::row::Row;
use super::text::{pad, safe, seconds};

/// Two spaces between columns: readable, and still one field per run of spaces for `awk`.
const GAP: &str = "  ";

/// O3: the header, then one line per row. Only the header when there are none (R79).
pub fn services_list(rows: &[Row<'_>]) -> String {
    let header = ["name", "type", "category", "status", "deployment_mode", "auto_start"];
    let body = rows.iter().map(|row| {
        let spec = &row.service.spec;
        [
            row.name().to_owned(),
            spec.kind.to_string(),
            spec.category.to_string(),
            row.status().to_string(),
            spec.deployment.mode().to_string(),
            spec.startup.auto_start.to_string(),
        ]
    });
    table(header, body)
}

/// The board as a table: `--once --format table`. A dash stands where there is nothing to say.
pub fn board_table(rows: &[Row<'_>], now: Instant) -> String {
    let header = ["name", "category", "status", "health", "uptime", "pid", "restarts", "deployment_mode"];
    let dash = || "-".to_owned();
    let body = rows.iter().map(|row| {
        let spec = &row.service.spec;
        let pid = row.service.state.instance().and_then(|instance| instance.pid());
        [
            row.name().to_owned(),
            spec.category.to_string(),
            row.status().to_string(),
            row.health().to_string(),
            row.uptime(now).map_or_else(dash, seconds),
            pid.map_or_else(dash, |pid| pid.to_string()),
            row.service.restarts.to_string(),
            spec.deployment.mode().to_string(),
        ]
    });
    table(header, body)
}

fn table<const N: usize>(header: [&str; N], body: impl Iterator<Item = [String; N]>) -> String {
    let lines: Vec<[String; N]> = std::iter::once(header.map(str::to_owned))
        .chain(body.map(|line| line.map(|cell| safe(&cell).into())))
        .collect();
    let widths: [usize; N] =
        std::array::from_fn(|column| lines.iter().map(|line| line[column].width()).max().unwrap_or(0));
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(widths).map(|(cell, width)| pad(cell, width)).collect();
        let _ = writeln!(text, "{}", cells.join(GAP).trim_end());
    }
    text
}
