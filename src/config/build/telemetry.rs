//! `log` and `telemetry`.

use http::{HeaderName, HeaderValue};
use tracing_subscriber::EnvFilter;

use crate::config::raw::Document;
use crate::config::raw::telemetry;
use crate::config::report::{Mistake, Mistakes};
use crate::telemetry::{Config, Otlp};
use crate::types::Secret;

pub(super) fn config(document: &Document, mistakes: &mut Mistakes) -> Option<Config> {
    let log = document.log.get()?;
    if let Some(level) = log.level.get()
        && EnvFilter::try_new(&level.value).is_err()
    {
        let message = format!("`{}` is no log filter", level.value);
        let help = "write `error`, `warn`, `info`, `debug` or `trace`, or a filter such as `info,tollgate::auth=debug`";
        mistakes.add(Mistake::new(level.place, message).help(help));
    }
    let otlp = &document.telemetry.get()?.otlp;
    let otlp = otlp.built(|raw| self::otlp(raw, mistakes));
    Some(Config {
        format: log.format.value()?,
        filter: log.level.value()?,
        access: log.access.value()?,
        otlp: otlp.ok()?,
    })
}

fn otlp(raw: &telemetry::Otlp, mistakes: &mut Mistakes) -> Option<Otlp> {
    if let Some(sample) = raw
        .sample
        .get()
        .filter(|sample| !(0.0..=1.0).contains(&sample.value))
    {
        let message = format!("{} is no share of the whole", sample.value);
        mistakes.add(
            Mistake::new(sample.place, message)
                .help("write a number from 0 to 1: `0.1` traces one in ten"),
        );
    }
    let headers = headers(raw, mistakes);
    Some(Otlp {
        endpoint: raw.endpoint.value()?.text,
        service_name: raw.service_name.value()?,
        sample: raw.sample.value()?,
        headers: headers?,
    })
}

fn headers(raw: &telemetry::Otlp, mistakes: &mut Mistakes) -> Option<Vec<(String, Secret)>> {
    let mut headers = Vec::new();
    for (name, value) in raw
        .headers
        .optional()
        .ok()?
        .map(|named| named.0)
        .unwrap_or_default()
    {
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            // `x-api-key=…` in one word is the value too.
            mistakes.mask(name.place);
            let message = "this is no name of a header";
            mistakes.add(
                Mistake::new(name.place, message)
                    .help("write `name: value`, and letters, digits and `-` in the name"),
            );
        }
        let value = value?;
        if HeaderValue::from_str(value.expose()).is_err() {
            let message = format!("the value of `{}` cannot be sent in a header", name.value);
            mistakes.add(Mistake::new(name.place, message).help("write visible ASCII on one line"));
        }
        headers.push((name.value, value));
    }
    Some(headers)
}
