//! The config file: YAML with positions, interpolation, typed sections, checks, and then each module's own config.
//!
//! Every mistake is reported at once, each with its place and its mend; see [`Report`].

mod billing;
mod build;
mod interpolate;
mod raw;
mod read;
mod report;
mod schema;
mod secrets;
mod section;
mod test_case;
mod tree;
mod unfinished;
mod values;
mod watch;
mod within;
mod words;

use std::path::{Path, PathBuf};

pub use billing::{Billing, Cancel, Store};
pub use interpolate::process_env;
pub use report::{Report, Reported};
pub use schema::schema;
pub use test_case::{Expect, TestCase};
pub use watch::{Stamp, watched_files};

use crate::{admin, auth, gate, proxy, server, telemetry};
use read::Read as _;
use report::Mistakes;

/// The config as used: one part for each module.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file it was read from, as it was named.
    pub file: PathBuf,
    /// The public listeners.
    pub server: server::Config,
    /// The upstream.
    pub proxy: proxy::Config,
    /// Token verification; `None` when no route needs a token.
    pub auth: Option<auth::Config>,
    /// The rules in force.
    pub gate: gate::Config,
    /// The line of each route in the file, in the order of the table.
    pub route_lines: Vec<usize>,
    /// The admin listener, unless it is off.
    pub admin: Option<admin::Config>,
    /// Logs and traces.
    pub telemetry: telemetry::Config,
    /// Requests and what must become of them.
    pub tests: Vec<TestCase>,
    /// Payments, when the file has a `stripe` section.
    pub billing: Option<Billing>,
}

/// Reads the config file at `path`; `env` answers for environment variables.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn load(path: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Config, Report> {
    parse(path, &text_of(path)?, env)
}

/// Reads the config file at `path` as [`load`] does, except that signing secrets of the webhook endpoint may not be there
/// yet: an entry of `stripe.webhook.secrets` that is one `${…}`, and whose variable is unset or empty, or whose file does
/// not exist or is empty, is left out, and named in [`Billing::unset_secrets`].
/// [`crate::endpoints::Config::webhook_secrets`] may then be empty.
///
/// # Errors
///
/// Everything else that is wrong with it.
pub fn load_unfinished(
    path: &Path,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Report> {
    let source = text_of(path)?;
    let mut mistakes = Mistakes::default();
    let config = tree::parse(&source, &mut mistakes).and_then(|mut tree| {
        let left_out = unfinished::leave_out(&mut tree, env);
        interpolate::expand(&mut tree, &source, env, &mut mistakes);
        let mut config = built(path, &tree, &mut mistakes)?;
        if let Some(billing) = config.billing.as_mut().filter(|_| !left_out.is_empty()) {
            billing.unset_secrets = left_out;
            billing
                .endpoints
                .webhook_secrets
                .retain(|secret| !unfinished::is_stand_in(secret));
        }
        Some(config)
    });
    finished(config, mistakes, path, &source)
}

fn text_of(path: &Path) -> Result<String, Report> {
    std::fs::read_to_string(path).map_err(|error| {
        let help = "name the file with `-c FILE`, or in the environment variable TOLLGATE_CONFIG";
        Report::without_place(path, format!("cannot be read: {error}"), help.to_owned())
    })
}

/// Reads `source`, the text of the config file named `path`.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn parse(
    path: &Path,
    source: &str,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Report> {
    let mut mistakes = Mistakes::default();
    let config = tree::parse(source, &mut mistakes).and_then(|mut tree| {
        let missing = unfinished::missing(&tree, env);
        interpolate::expand(&mut tree, source, env, &mut mistakes);
        let config = built(path, &tree, &mut mistakes);
        for (place, _) in missing {
            mistakes.advise(place, unfinished::ADVICE);
        }
        config
    });
    finished(config, mistakes, path, source)
}

fn built(path: &Path, tree: &tree::Node, mistakes: &mut Mistakes) -> Option<Config> {
    let document = raw::Document::read(tree, mistakes)?;
    build::config(path, &document, mistakes)
}

fn finished(
    config: Option<Config>,
    mistakes: Mistakes,
    path: &Path,
    source: &str,
) -> Result<Config, Report> {
    match config {
        Some(config) if mistakes.is_empty() => Ok(config),
        _ => Err(mistakes.into_report(path, source)),
    }
}
