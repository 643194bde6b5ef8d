//! What can be seen from outside: logs, metrics, traces.

mod config;
pub mod log;
mod metrics;
pub mod trace;

pub use config::{Config, Format, Otlp};
pub use metrics::{BillingMetrics, Metrics, RequestLabels, Sample};
