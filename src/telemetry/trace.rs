//! Traces: one server span a request, sent to an OpenTelemetry collector when the config names one.
//!
//! Without a collector nothing is made and the caller's `traceparent` passes through untouched.

use std::borrow::Cow;
use std::collections::HashMap;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};

use super::Otlp;

/// W3C Trace Context, section 3.2.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Makes spans and sends them in the background.
pub struct Tracer {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

/// The span of one request.
pub struct RequestSpan(opentelemetry_sdk::trace::Span);

impl Tracer {
    /// A tracer that sends to `config.endpoint`. Call it before any async runtime is entered: the exporter
    /// has a blocking client of its own.
    ///
    /// # Errors
    ///
    /// When the endpoint is no URL.
    pub fn new(config: &Otlp) -> Result<Self, opentelemetry_otlp::ExporterBuildError> {
        let headers: HashMap<String, String> = config
            .headers
            .iter()
            .map(|(name, value)| (name.clone(), value.expose().to_owned()))
            .collect();
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_http()
            .with_endpoint(format!(
                "{}/v1/traces",
                config.endpoint.trim_end_matches('/')
            ))
            .with_headers(headers)
            .build()?;
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(config.sample)));
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(sampler)
            .with_resource(
                Resource::builder()
                    .with_service_name(config.service_name.clone())
                    .build(),
            )
            .build();
        let tracer = provider.tracer("tollgate");
        Ok(Self { provider, tracer })
    }

    /// Starts the span of a request, as a child of the caller's `traceparent` where there is a valid one.
    #[must_use]
    pub fn start(&self, headers: &HeaderMap) -> RequestSpan {
        let parent = headers.get(TRACEPARENT).and_then(parse_traceparent);
        let context = parent.map_or_else(Context::new, |parent| {
            Context::new().with_remote_span_context(parent)
        });
        let builder = self
            .tracer
            .span_builder(Cow::Borrowed("request"))
            .with_kind(SpanKind::Server);
        RequestSpan(self.tracer.build_with_context(builder, &context))
    }

    /// Sends what is held back. Blocks until it is sent or has failed.
    pub fn shutdown(&self) {
        if let Err(error) = self.provider.shutdown() {
            tracing::warn!(error = %error, "the last traces were not sent");
        }
    }
}

impl RequestSpan {
    /// The `traceparent` that makes the upstream's spans children of this one.
    #[must_use]
    pub fn traceparent(&self) -> Option<HeaderValue> {
        let context = self.0.span_context();
        let text = format!(
            "00-{}-{}-{:02x}",
            context.trace_id(),
            context.span_id(),
            context.trace_flags().to_u8() & 1
        );
        HeaderValue::try_from(text).ok()
    }

    /// Ends the span. `attributes` follow OpenTelemetry's semantic conventions for HTTP servers.
    pub fn finish(mut self, method: &str, route: &str, status: u16) {
        self.0.update_name(format!("{method} {route}"));
        self.0
            .set_attribute(KeyValue::new("http.request.method", method.to_owned()));
        self.0
            .set_attribute(KeyValue::new("http.route", route.to_owned()));
        self.0.set_attribute(KeyValue::new(
            "http.response.status_code",
            i64::from(status),
        ));
        if status >= 500 {
            self.0.set_status(Status::error(""));
        }
        self.0.end();
    }
}

/// Reads version 00 of `traceparent`; a later version is read as far as version 00 goes.
fn parse_traceparent(value: &HeaderValue) -> Option<SpanContext> {
    let mut parts = value.to_str().ok()?.split('-');
    let (version, trace, span, flags) =
        (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let lower_hex = |text: &str, length: usize| {
        text.len() == length
            && text
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let formed =
        lower_hex(version, 2) && lower_hex(trace, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    if !formed || version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?);
    let context = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        flags,
        true,
        TraceState::default(),
    );
    context.is_valid().then_some(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_read_as_the_standard_says() {
        let read = |text: &'static str| parse_traceparent(&HeaderValue::from_static(text));
        let good = read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01").unwrap();
        assert!(good.is_sampled() && good.is_remote());
        assert!(
            read("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-is-new").is_some()
        );
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        ] {
            assert!(read(text).is_none(), "{text}");
        }
    }
}
