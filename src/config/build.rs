//! From the file as written to the config as used: what the values mean together, checked part by part.
//!
//! A part answers `None` when something in it is wrong; the mistake stands in the list then. Every part is
//! looked at before any is given up, so that all mistakes are reported at once.

mod auth;
mod billing;
mod gate;
mod plans;
mod proxy;
mod routes;
mod server;
mod telemetry;

use std::path::Path;
use std::sync::Arc;

use super::Config;
use super::raw::Document;
use super::report::Mistakes;

/// Builds the config; `None` when there are mistakes.
pub(crate) fn config(path: &Path, document: &Document, mistakes: &mut Mistakes) -> Option<Config> {
    let raw_server = document.server.get();
    let server = raw_server.and_then(|raw| server::config(raw, mistakes));
    let admin = server::admin(document, mistakes);
    let proxy = document.upstream.get().and_then(|raw| proxy::config(&raw.0, mistakes));
    proxy::not_ourselves(document, mistakes);
    let auth = auth::config(document, mistakes);
    let cors = gate::cors(document, mistakes);
    let rate_limits = gate::rate_limits(document, mistakes);
    let routes = routes::routes(document, mistakes);
    let tests = routes::tests(document);
    let telemetry = telemetry::config(document, mistakes);
    let sold = plans::plans(document, mistakes);
    let billing = billing::billing(document, auth.as_ref(), sold.as_ref(), mistakes);

    let (table, route_lines) = routes?;
    let gate = crate::gate::Config {
        paths: gate::paths(document)?,
        trusted_proxies: raw_server?.trusted_proxies.get()?.values().copied().collect(),
        max_body: raw_server?.max_body.value()?.0.0,
        cors: cors?,
        table: Arc::new(table),
        rate_limits: rate_limits?,
        catalog: Arc::new(sold?.catalog()),
        billing: !document.stripe.is_absent(),
    };
    Some(Config {
        file: path.to_path_buf(),
        server: server?,
        proxy: proxy?,
        auth: auth?.map(|tenant| tenant.auth),
        gate,
        route_lines,
        admin: admin?,
        telemetry: telemetry?,
        tests: tests?,
        billing: billing?,
    })
}
