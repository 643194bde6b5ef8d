//! What telemetry needs to know.

use crate::types::Secret;

/// Logs and traces.
#[derive(Clone, Debug)]
pub struct Config {
    /// How a line of the log looks.
    pub format: Format,
    /// Which events are logged, in the syntax of `RUST_LOG`; `info` by default.
    pub filter: String,
    /// Whether each request leaves a line.
    pub access: bool,
    /// Where traces go, if anywhere.
    pub otlp: Option<Otlp>,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `Pretty` on a terminal, else `Json`.
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// OpenTelemetry export, OTLP over HTTP with protobuf.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The collector's base URL; `/v1/traces` is added.
    pub endpoint: String,
    /// `service.name` of the resource.
    pub service_name: String,
    /// Share of requests traced, 0 to 1, where the caller has not decided (`traceparent`).
    pub sample: f64,
    /// Headers sent along, an API key say.
    pub headers: Vec<(String, Secret)>,
}
