//! The console's own log, by tui-logger. Its buffer is global by design, so everything that touches it is in this file.

use std::sync::Arc;

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;
use tokio::sync::Notify;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tui_logger::{ExtLogRecord, LogFormatter, TuiLoggerWidget, TuiTracingSubscriberLayer};

use super::text;
use super::theme::{Role, Theme};

/// The way from `tracing` to the pane: its layer goes into the subscriber, the value itself to the console.
#[derive(Debug, Clone, Default)]
pub struct OwnLog {
    grew: Arc<Notify>,
}

impl OwnLog {
    /// Nothing logged yet. Lines up to `debug` are kept.
    pub fn new() -> Self {
        tui_logger::set_default_level(tui_logger::LevelFilter::Debug);
        Self::default()
    }

    /// The layer that fills the pane and wakes the console.
    pub fn layer<S>(&self) -> impl Layer<S> + Send + Sync + 'static
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a>,
    {
        TuiTracingSubscriberLayer.and_then(Waker { grew: Arc::clone(&self.grew) })
    }

    /// Waits until a line was added. Cancel safe: a line that comes between two calls is not missed.
    pub(crate) async fn grew(&self) {
        self.grew.notified().await;
    }
}

struct Waker {
    grew: Arc<Notify>,
}

impl<S: tracing::Subscriber> Layer<S> for Waker {
    fn on_event(&self, _event: &tracing::Event<'_>, _context: Context<'_, S>) {
        self.grew.notify_one();
    }
}

struct Formatter {
    theme: Theme,
}

impl LogFormatter for Formatter {
    fn min_width(&self) -> u16 {
        20
    }

    fn format(&self, width: usize, record: &ExtLogRecord) -> Vec<Line<'_>> {
        let time = format!(
            " {:02}:{:02}:{:02} ",
            record.timestamp.hour(),
            record.timestamp.minute(),
            record.timestamp.second()
        );
        let (level, role) = match record.level.as_str() {
            "ERROR" => ("ERROR ", Role::Error),
            "WARN" => ("WARN  ", Role::Warning),
            "INFO" => ("INFO  ", Role::Link),
            "DEBUG" => ("DEBUG ", Role::Dim),
            _ => ("TRACE ", Role::Dim),
        };
        let indent = time.len() + level.len();
        let message = text::clean(record.msg()).into_owned();
        let rows = text::wrap(&message, width.saturating_sub(indent));
        rows.into_iter()
            .enumerate()
            .map(|(i, row)| {
                if i == 0 {
                    let time = Span::styled(time.clone(), self.theme.style(Role::LogTime));
                    Line::from(vec![time, Span::styled(level, self.theme.style(role)), Span::raw(row)])
                } else {
                    Line::from(vec![Span::raw(" ".repeat(indent)), Span::raw(row)])
                }
            })
            .collect()
    }
}

/// Draws the newest lines.
pub(crate) fn draw(theme: &Theme, area: Rect, buffer: &mut Buffer) {
    tui_logger::move_events();
    let formatter = Box::new(Formatter { theme: theme.clone() });
    TuiLoggerWidget::default().formatter(formatter).render(area, buffer);
}
