//! What the console shows of the parts that stand above it: the rules in force, and what the last reload came to.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};

use super::billing;
use crate::admin::{Admin, Answer, Console, Question, Reload, RouteLine, Sources, Upstream};
use crate::auth::Keys;
use crate::clock::{Clock, millis};
use crate::config::Config;
use crate::gate;
use crate::policy::Credential;
use crate::telemetry::log::LogGuard;

/// The rules in force, and what the last reload came to.
pub(super) struct Board {
    rules: ArcSwap<Rules>,
    reload: ArcSwapOption<Reloaded>,
}

/// What a reload came to, and when.
struct Reloaded {
    at: Instant,
    why: String,
    error: Option<String>,
}

/// One snapshot of the rules, with the line of each route in the file.
struct Rules {
    config: gate::Config,
    lines: Vec<usize>,
}

impl Rules {
    fn of(shared: &gate::Shared, config: &Config) -> Self {
        Self {
            config: shared.config(),
            lines: config.route_lines.clone(),
        }
    }
}

impl Board {
    /// What the process started with.
    pub(super) fn new(shared: &gate::Shared, config: &Config) -> Self {
        Self {
            rules: ArcSwap::from_pointee(Rules::of(shared, config)),
            reload: ArcSwapOption::empty(),
        }
    }

    /// Shows the rules that `config` has put in force.
    pub(super) fn rules(&self, shared: &gate::Shared, config: &Config) {
        self.rules.store(Arc::new(Rules::of(shared, config)));
    }

    /// Shows what a reload came to.
    pub(super) fn reloaded(&self, why: &str, error: Option<String>) {
        self.reload.store(Some(Arc::new(Reloaded {
            at: Instant::now(),
            why: why.to_owned(),
            error,
        })));
    }

    /// What the last reload came to, and when by the clock of who asks.
    fn last_reload(&self, clock: &dyn Clock) -> Option<Reload> {
        let last = self.reload.load_full()?;
        let at = clock.since_epoch().saturating_sub(last.at.elapsed());
        Some(Reload {
            at: millis(at),
            why: last.why.clone(),
            error: last.error.clone(),
        })
    }

    fn routes(&self) -> Vec<RouteLine> {
        let rules = self.rules.load();
        let lines = gate::route_lines(&rules.config, &rules.lines).into_iter();
        let line = |line: gate::RouteLine| RouteLine {
            path: line.path,
            methods: line.methods,
            requirement: line.requirement,
            line: line.line,
        };
        lines.map(line).collect()
    }

    fn explain(&self, question: &Question) -> Result<Answer, String> {
        let rules = self.rules.load();
        let method = gate::parse_method(&question.method)?;
        let credential = match &question.permissions {
            None => Credential::None,
            Some(names) => {
                gate::check_permissions(names)?;
                gate::made_up(names)
            }
        };
        let verdict = gate::verdict(&rules.config, &method, &question.path, credential);
        let (route, line) = verdict.route(&rules.config, &rules.lines);
        Ok(Answer {
            path: verdict.path,
            route,
            line,
            requirement: verdict.requirement.map(|needs| needs.to_string()),
            missing: verdict.missing,
            upgrade: verdict.upgrade,
            status: verdict.refused.map(|status| status.as_u16()),
            why: verdict.why,
        })
    }
}

/// The admin pages, the console among them.
pub(super) fn page(
    config: &Config,
    board: &Arc<Board>,
    billing: Option<&billing::Running>,
    around: &billing::Surroundings<'_>,
    (keys, log): (Option<Arc<Keys>>, Option<Arc<LogGuard>>),
) -> Admin {
    let sources = sources(config, board, billing, &around.clock);
    let admin = config.admin.as_ref();
    let token = admin.and_then(|admin| admin.token.clone());
    let hosts = admin.map(|admin| admin.hosts.clone());
    let (metrics, clock) = (Arc::clone(&around.metrics), Arc::clone(&around.clock));
    Admin {
        console: Console::new(
            sources,
            token,
            keys.clone(),
            Arc::clone(&metrics),
            Arc::clone(&clock),
        ),
        hosts: hosts.unwrap_or_default(),
        keys,
        metrics,
        stop: around.stop.clone(),
        clock,
        log,
    }
}

/// Where the console looks.
fn sources(
    config: &Config,
    board: &Arc<Board>,
    billing: Option<&billing::Running>,
    clock: &Arc<dyn Clock>,
) -> Sources {
    let (reload, routes, explain) = (Arc::clone(board), Arc::clone(board), Arc::clone(board));
    let clock = Arc::clone(clock);
    let jwks = config.auth.as_ref().map(|auth| auth.jwks.refresh);
    Sources {
        payments: billing.map(billing::Running::payments),
        upstream: upstream(config),
        keys_fresh: jwks.unwrap_or(Duration::MAX / 4),
        file: config.file.display().to_string(),
        reload: Box::new(move || reload.last_reload(&*clock)),
        routes: Box::new(move || routes.routes()),
        explain: Box::new(move |question| explain.explain(question)),
    }
}

fn upstream(config: &Config) -> Upstream {
    let (scheme, authority) = (&config.proxy.scheme, &config.proxy.authority);
    let usual = if *scheme == http::uri::Scheme::HTTPS {
        443
    } else {
        80
    };
    Upstream {
        url: format!("{scheme}://{authority}"),
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(usual),
    }
}
