//! The log: one line an event, JSON for programs or coloured for people.
//!
//! Lines are formatted where the event happens and written by a thread of their own, so that a slow terminal
//! or a full pipe never holds up a request; what nobody takes is dropped and counted.

mod line;
mod sink;

use std::io::IsTerminal;
use std::sync::Arc;

use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry};

use super::{Config, Format};
use sink::Sink;

/// Target of the one event that each request leaves; `log.access: false` switches it off.
pub const ACCESS: &str = "tollgate::access";

/// Keeps the log going; dropping it writes what is still held back.
pub struct LogGuard(Arc<Sink>);

impl LogGuard {
    /// Lines that were dropped so far.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.dropped()
    }
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is no `RUST_LOG` expression.
    #[error("log.level: {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody set up logging before.
    #[error("logging is set up already")]
    Twice(#[from] tracing_subscriber::util::TryInitError),
    /// The writing thread cannot be started.
    #[error("the log's thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

/// Sends this process's events to standard output.
///
/// # Errors
///
/// See [`LogError`].
pub fn init(config: &Config) -> Result<LogGuard, LogError> {
    let terminal = std::io::stdout().is_terminal();
    let pretty = match config.format {
        Format::Auto => terminal,
        Format::Json => false,
        Format::Pretty => true,
    };
    let mut filter = EnvFilter::try_new(&config.filter)?;
    if !config.access {
        filter = filter.add_directive(format!("{ACCESS}=off").parse()?);
    }
    let sink = Sink::start(Box::new(std::io::stdout()))?;
    let lines = Lines {
        sink: Arc::clone(&sink),
        pretty,
        colour: terminal,
    };
    Registry::default()
        .with(lines.with_filter(filter))
        .try_init()?;
    Ok(LogGuard(sink))
}

/// Formats events and hands them to the sink.
struct Lines {
    sink: Arc<Sink>,
    pretty: bool,
    colour: bool,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // Access lines are many and may wait a moment; everything else is wanted at once.
        let urgent = event.metadata().target() != ACCESS;
        line::with_line(event, self.pretty, self.colour, |line| {
            self.sink.write(line, urgent);
        });
    }
}
