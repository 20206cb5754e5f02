//! The sparkline of a service's latencies.

use ratatui::text::Span;

use super::Paint;
use crate::model::HealthHistory;
use crate::model::history::Cell;
use crate::tui::theme::Role;
use std::time::Duration;

/// Latencies below this never fill the line: a millisecond more or less of a fast service is no news.
const SMALLEST_SCALE: Duration = Duration::from_millis(8);

/// The newest `columns` cells, exactly that wide: the height is the latency; failures, and times in which nobody looked, have shapes of
/// their own.
pub(super) fn spans<'a>(paint: &Paint<'a>, history: &HealthHistory, columns: usize) -> Vec<Span<'a>> {
    let mut cells = history.cells();
    cells.drain(..cells.len().saturating_sub(columns));
    let scale = scale(&cells);
    let mut spans = Vec::with_capacity(columns);
    spans.push(Span::raw(" ".repeat(columns - cells.len())));
    for cell in cells {
        spans.push(match cell {
            Cell::Failed | Cell::Down => paint.span(paint.icons.failed_probe(), Role::SparkFailed),
            Cell::Gap => paint.span(paint.icons.gap(), Role::Dim),
            Cell::Passed(latency) => {
                let height = height(latency, scale);
                let role = match height {
                    0..3 => Role::SparkLow,
                    3..6 => Role::SparkMiddle,
                    _ => Role::SparkHigh,
                };
                paint.span(paint.icons.bars()[height], role)
            }
        });
    }
    spans
}

/// What fills the line: the highest latency, but at least five times the usual one, so that a steady service is a low line.
fn scale(cells: &[Cell]) -> Duration {
    let passed = cells.iter().filter_map(|cell| match cell {
        Cell::Passed(latency) => Some(*latency),
        Cell::Failed | Cell::Down | Cell::Gap => None,
    });
    let mut latencies: Vec<Duration> = passed.collect();
    latencies.sort_unstable();
    let usual = latencies.get(latencies.len() / 2).copied().unwrap_or_default();
    let highest = latencies.last().copied().unwrap_or_default();
    highest.max(usual.saturating_mul(5)).max(SMALLEST_SCALE)
}

fn height(latency: Duration, scale: Duration) -> usize {
    let height = latency.as_micros() * 8 / scale.as_micros().max(1);
    usize::try_from(height).unwrap_or(7).min(7)
}
