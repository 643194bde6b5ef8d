//! `log` and `telemetry`.

use crate::config::read::Named;
use crate::config::section::{default, optional, required, section};
use crate::config::values::HttpUrl;
use crate::config::words::choice;
use crate::telemetry::Format;
use crate::types::Secret;

section! {
    /// The log, on standard output.
    Log {
        /// `json`, `pretty`, or `auto`: pretty on a terminal, else JSON.
        format: Format = default("auto"),
        /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,tollgate::auth=debug`.
        level: String = default("info"),
        /// Whether each request leaves a line.
        access: bool = default("true"),
    }
}

section! {
    /// Traces.
    Telemetry {
        /// OpenTelemetry export.
        otlp: Otlp = optional(),
    }
}

section! {
    /// OTLP over HTTP with protobuf.
    Otlp {
        /// The collector's base URL; `/v1/traces` is added.
        endpoint: HttpUrl = required(),
        /// The name under which this service shows.
        service_name: String = default("tollgate"),
        /// Share of requests traced, 0 to 1, where the caller has not decided.
        sample: f64 = default("1.0"),
        /// Headers sent along, an API key say.
        headers: Named<Secret> = optional(),
    }
}

choice!(Format { "auto" => Format::Auto, "json" => Format::Json, "pretty" => Format::Pretty });
