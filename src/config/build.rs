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

use super::Config;
use super::raw::Document;
use super::report::Mistakes;

/// Builds the config; `None` when there are mistakes.
pub(crate) fn config(path: &Path, document: &Document, mistakes: &mut Mistakes) -> Option<Config> {
    let raw_server = document.server.get();
    let server = raw_server.and_then(|raw| server::config(raw, mistakes));
    let admin = server::admin(document, mistakes);
    let raw_upstream = document.upstream.get();
    let proxy = raw_upstream.and_then(|raw| proxy::config(&raw.0, mistakes));
    proxy::not_ourselves(document, mistakes);
    let auth = auth::config(document, mistakes);
    let telemetry = telemetry::config(document, mistakes);
    let sold = plans::plans(document, mistakes);
    let tenant = auth.as_ref().ok().and_then(Option::as_ref);
    let billing = billing::billing(document, tenant, sold.as_ref(), mistakes);
    let routes = routes::routes(document, mistakes);
    let gate = gate::config(document, mistakes);
    let (table, route_lines) = routes?;
    Some(Config {
        file: path.to_path_buf(),
        server: server?,
        proxy: proxy?,
        auth: auth.ok()?.map(|tenant| tenant.auth),
        gate: gate?.with(table, sold?.catalog()),
        route_lines,
        admin: admin.ok()?,
        telemetry: telemetry?,
        tests: routes::tests(document)?,
        billing: billing.ok()?,
    })
}
