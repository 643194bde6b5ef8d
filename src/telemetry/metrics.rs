//! All metrics, with their help texts. Labels come from closed sets: a route's pattern, never a path.

mod billing;

use std::time::Duration;

use http::Method;
use prometheus::{
    Gauge, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

pub use billing::BillingMetrics;

/// A metric's name and help text.
type Named = (&'static str, &'static str);

const REQUESTS: Named = ("tollgate_requests_total", "Requests answered.");
const REQUEST_DURATION_SECONDS: Named = (
    "tollgate_request_duration_seconds",
    "From a request's head to the end of its answer.",
);
const UPSTREAM_DURATION_SECONDS: Named = (
    "tollgate_upstream_duration_seconds",
    "From sending a request's head to having the upstream's answer.",
);
const TOKEN_VERIFICATIONS: Named = (
    "tollgate_token_verifications_total",
    "Tokens verified anew, and cached ones that are refused, by result.",
);
const TOKEN_CACHE_HITS: Named = (
    "tollgate_token_cache_hits_total",
    "Tokens found in the verified-token cache.",
);
const TOKEN_CACHE_MISSES: Named = (
    "tollgate_token_cache_misses_total",
    "Tokens not found in the verified-token cache.",
);
const JWKS_REFRESH: Named = (
    "tollgate_jwks_refresh_total",
    "Fetches of the key set, by result.",
);
const JWKS_AGE_SECONDS: Named = (
    "tollgate_jwks_age_seconds",
    "Age of the key set in force; NaN when there is none.",
);
const CONFIG_RELOADS: Named = (
    "tollgate_config_reloads_total",
    "Reloads of the config file, by result.",
);
const CONNECTIONS: Named = ("tollgate_connections", "Client connections open now.");
const LOG_LINES_DROPPED: Named = (
    "tollgate_log_lines_dropped_total",
    "Log lines lost because nobody took them in time.",
);

/// 0.5 ms to 30 s: from an answer out of memory to the slowest report.
const SECONDS: [f64; 15] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
];

/// The metrics of one process.
pub struct Metrics {
    registry: Registry,
    requests: IntCounterVec,
    request_seconds: HistogramVec,
    /// From sending a request's head to having the upstream's.
    pub upstream_seconds: Histogram,
    token_verifications: IntCounterVec,
    /// Tokens found in the verified-token cache.
    pub token_cache_hits: IntCounter,
    /// Tokens not found in it.
    pub token_cache_misses: IntCounter,
    jwks_refreshes: IntCounterVec,
    jwks_age_seconds: Gauge,
    config_reloads: IntCounterVec,
    /// Client connections open now.
    pub connections: IntGauge,
    log_lines_dropped: IntCounter,
    /// Those of payments.
    pub billing: BillingMetrics,
}

/// What a finished request is counted under.
#[derive(Clone, Copy, Debug)]
pub struct RequestLabels<'a> {
    /// The route's pattern, or a fixed word.
    pub route: &'a str,
    /// The method.
    pub method: &'a Method,
    /// The status sent.
    pub status: http::StatusCode,
    /// `permit` or `refuse`.
    pub decision: &'a str,
}

/// What one counter or gauge shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Sample {
    /// The value of the label `name`.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let found = self.labels.iter().find(|(label, _)| label == name);
        found.map(|(_, value)| value.as_str())
    }
}

impl Metrics {
    /// Registers every metric.
    ///
    /// # Errors
    ///
    /// When two metrics have one name, which a test would have shown.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let r = &registry;
        let config_reloads = counters(r, CONFIG_RELOADS, &["result"])?;
        // There from the start, so that an alert on an increase sees the first.
        for result in ["ok", "error"] {
            config_reloads.with_label_values(&[result]);
        }
        Ok(Self {
            requests: counters(r, REQUESTS, &["route", "method", "status", "decision"])?,
            request_seconds: register(
                r,
                HistogramVec::new(seconds(REQUEST_DURATION_SECONDS), &["route"])?,
            )?,
            upstream_seconds: register(
                r,
                Histogram::with_opts(seconds(UPSTREAM_DURATION_SECONDS))?,
            )?,
            token_verifications: counters(r, TOKEN_VERIFICATIONS, &["result"])?,
            token_cache_hits: counter(r, TOKEN_CACHE_HITS)?,
            token_cache_misses: counter(r, TOKEN_CACHE_MISSES)?,
            jwks_refreshes: counters(r, JWKS_REFRESH, &["result"])?,
            jwks_age_seconds: register(r, Gauge::new(JWKS_AGE_SECONDS.0, JWKS_AGE_SECONDS.1)?)?,
            config_reloads,
            connections: register(r, IntGauge::new(CONNECTIONS.0, CONNECTIONS.1)?)?,
            log_lines_dropped: counter(r, LOG_LINES_DROPPED)?,
            billing: BillingMetrics::new(r)?,
            registry,
        })
    }

    /// Counts a finished request.
    pub fn request(&self, labels: RequestLabels<'_>, duration: Duration) {
        let method = method_label(labels.method);
        self.requests
            .with_label_values(&[
                labels.route,
                method,
                labels.status.as_str(),
                labels.decision,
            ])
            .inc();
        self.request_seconds
            .with_label_values(&[labels.route])
            .observe(duration.as_secs_f64());
    }

    /// Counts a token that was verified anew, or a cached one that is refused.
    pub fn token_verification(&self, result: &str) {
        self.token_verifications.with_label_values(&[result]).inc();
    }

    /// Counts a fetch of the key set.
    pub fn jwks_refresh(&self, result: &str) {
        self.jwks_refreshes.with_label_values(&[result]).inc();
    }

    /// Counts a reload of the config file.
    pub fn config_reload(&self, result: &str) {
        self.config_reloads.with_label_values(&[result]).inc();
    }

    /// Sets how many log lines were lost so far.
    pub fn log_lines_dropped(&self, lines: u64) {
        self.log_lines_dropped
            .inc_by(lines.saturating_sub(self.log_lines_dropped.get()));
    }

    /// What the counter or gauge `name` shows, in the order of its labels; nothing when there is none of that name.
    #[must_use]
    pub fn samples(&self, name: &str) -> Vec<Sample> {
        let families = self.registry.gather();
        let found = families.iter().find(|family| family.name() == name);
        let metrics = found.map(prometheus::proto::MetricFamily::get_metric);
        let sample = |metric: &prometheus::proto::Metric| Sample {
            labels: metric
                .get_label()
                .iter()
                .map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
                .collect(),
            // One of the two is 0: a metric is of one kind.
            value: metric.get_counter().get_value() + metric.get_gauge().get_value(),
        };
        metrics.unwrap_or_default().iter().map(sample).collect()
    }

    /// All metrics in the Prometheus text format; `jwks_age` is measured at this moment.
    #[must_use]
    pub fn render(&self, jwks_age: Option<Duration>) -> String {
        self.jwks_age_seconds
            .set(jwks_age.map_or(f64::NAN, |age| age.as_secs_f64()));
        // The only error is a metric without a name, which cannot be registered.
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_default()
    }
}

/// Methods are the client's to choose: only the registered ones get a label of their own.
fn method_label(method: &Method) -> &str {
    let known = [
        Method::GET,
        Method::POST,
        Method::PUT,
        Method::PATCH,
        Method::DELETE,
        Method::HEAD,
        Method::OPTIONS,
    ];
    if known.contains(method) {
        method.as_str()
    } else {
        "other"
    }
}

fn seconds((name, help): Named) -> HistogramOpts {
    HistogramOpts::new(name, help).buckets(SECONDS.to_vec())
}

fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: C,
) -> Result<C, prometheus::Error> {
    registry.register(Box::new(metric.clone()))?;
    Ok(metric)
}

fn counter(registry: &Registry, (name, help): Named) -> Result<IntCounter, prometheus::Error> {
    register(registry, IntCounter::new(name, help)?)
}

fn counters(
    registry: &Registry,
    (name, help): Named,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    register(registry, IntCounterVec::new(Opts::new(name, help), labels)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_have_their_names_and_labels() {
        let metrics = Metrics::new().unwrap();
        let method = Method::from_bytes(b"BREW").unwrap();
        let labels = RequestLabels {
            route: "/a/{id}",
            method: &method,
            status: http::StatusCode::OK,
            decision: "permit",
        };
        metrics.request(labels, Duration::from_millis(3));
        metrics.token_verification("ok");
        metrics.jwks_refresh("error");
        metrics.config_reload("ok");
        let refreshes = metrics.samples("tollgate_jwks_refresh_total");
        assert_eq!(refreshes.len(), 1);
        assert_eq!(refreshes[0].label("result"), Some("error"));
        assert!((refreshes[0].value - 1.0).abs() < 0.1);
        assert_eq!(metrics.samples("tollgate_nothing"), []);
        let text = metrics.render(Some(Duration::from_secs(5)));
        for line in [
            "# TYPE tollgate_requests_total counter",
            r#"tollgate_requests_total{decision="permit",method="other",route="/a/{id}",status="200"} 1"#,
            r#"tollgate_request_duration_seconds_count{route="/a/{id}"} 1"#,
            r#"tollgate_request_duration_seconds_bucket{route="/a/{id}",le="0.005"} 1"#,
            "tollgate_upstream_duration_seconds_count 0",
            r#"tollgate_token_verifications_total{result="ok"} 1"#,
            "tollgate_token_cache_hits_total 0",
            "tollgate_token_cache_misses_total 0",
            r#"tollgate_jwks_refresh_total{result="error"} 1"#,
            "tollgate_jwks_age_seconds 5",
            r#"tollgate_config_reloads_total{result="ok"} 1"#,
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in\n{text}"
            );
        }
    }
}
