//! The metrics of payments: events, jobs, roles, and the two services they depend on.

use prometheus::{Gauge, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry};

use super::{Named, counters, register};

const WEBHOOK_EVENTS: Named = (
    "tollgate_webhook_events_total",
    "Webhook requests, by the event's type and what became of it.",
);
const ROLE_CHANGES: Named = (
    "tollgate_role_changes_total",
    "Auth0 roles added and removed, by plan, action and result.",
);
const SYNC_LAG_SECONDS: Named = (
    "tollgate_sync_lag_seconds",
    "How long the oldest job that is not dead has waited; 0 when there is none.",
);
const JOBS: Named = ("tollgate_jobs", "Jobs in the ledger, by state.");
const AUTH0_REQUESTS: Named = (
    "tollgate_auth0_requests_total",
    "Requests to Auth0's Management API, by endpoint and status.",
);
const STRIPE_REQUESTS: Named = (
    "tollgate_stripe_requests_total",
    "Requests to Stripe's API, by endpoint and status.",
);
const PREMIUM_USERS: Named = (
    "tollgate_premium_users",
    "Users with a plan that was bought, by plan.",
);
const LEDGER_ERRORS: Named = (
    "tollgate_ledger_errors_total",
    "Uses of the ledger that failed, by who wanted it.",
);
const LEDGER_UP: Named = (
    "tollgate_ledger_up",
    "1 when the ledger could be read at the last try; 0 means tokens alone decide.",
);
const ENTITLEMENT_ODDITIES: Named = (
    "tollgate_entitlement_oddities_total",
    "Things Stripe said that somebody should look at: prices of no plan, words that are not known, customers of several users, roles nobody paid for.",
);

const DRIFT_USERS: Named = (
    "tollgate_drift_users",
    "Users whose roles differ from what Stripe says, as the last look at all of them found, by how.",
);
const RECONCILE_LAST_SUCCESS: Named = (
    "tollgate_reconcile_last_success_timestamp_seconds",
    "When every user had been looked at last.",
);
const RECONCILE_RUNS: Named = (
    "tollgate_reconcile_runs_total",
    "Looks at every user in the background, by result.",
);

const NO_LABELS: &[&str] = &[];

/// What payments are counted under.
pub struct BillingMetrics {
    webhook_events: IntCounterVec,
    role_changes: IntCounterVec,
    sync_lag_seconds: Gauge,
    jobs: IntGaugeVec,
    auth0_requests: IntCounterVec,
    stripe_requests: IntCounterVec,
    premium_users: IntGaugeVec,
    ledger_errors: IntCounterVec,
    /// Without labels, and shown once it is set: a gate alone has no ledger.
    ledger_up: GaugeVec,
    oddities: IntCounterVec,
    drift_users: IntGaugeVec,
    /// Without labels, and shown once there was one.
    reconcile_last_success: GaugeVec,
    reconcile_runs: IntCounterVec,
}

impl BillingMetrics {
    pub(super) fn new(r: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            webhook_events: counters(r, WEBHOOK_EVENTS, &["type", "result"])?,
            role_changes: counters(r, ROLE_CHANGES, &["plan", "action", "result"])?,
            sync_lag_seconds: register(r, Gauge::new(SYNC_LAG_SECONDS.0, SYNC_LAG_SECONDS.1)?)?,
            jobs: register(r, IntGaugeVec::new(Opts::new(JOBS.0, JOBS.1), &["state"])?)?,
            auth0_requests: counters(r, AUTH0_REQUESTS, &["endpoint", "status"])?,
            stripe_requests: counters(r, STRIPE_REQUESTS, &["endpoint", "status"])?,
            premium_users: register(
                r,
                IntGaugeVec::new(Opts::new(PREMIUM_USERS.0, PREMIUM_USERS.1), &["plan"])?,
            )?,
            ledger_errors: counters(r, LEDGER_ERRORS, &["user"])?,
            ledger_up: register(r, GaugeVec::new(Opts::new(LEDGER_UP.0, LEDGER_UP.1), &[])?)?,
            oddities: counters(r, ENTITLEMENT_ODDITIES, &["kind"])?,
            drift_users: register(
                r,
                IntGaugeVec::new(Opts::new(DRIFT_USERS.0, DRIFT_USERS.1), &["kind"])?,
            )?,
            reconcile_last_success: register(
                r,
                GaugeVec::new(
                    Opts::new(RECONCILE_LAST_SUCCESS.0, RECONCILE_LAST_SUCCESS.1),
                    &[],
                )?,
            )?,
            reconcile_runs: counters(r, RECONCILE_RUNS, &["result"])?,
        })
    }

    /// Counts a webhook request. `event_type` is one that is known, or `other`; `result` is `queued`, `duplicate`,
    /// `ignored`, `invalid`, `unverified` or `unavailable`.
    pub fn webhook_event(&self, event_type: &str, result: &str) {
        self.webhook_events
            .with_label_values(&[event_type, result])
            .inc();
    }

    /// Counts a role that was added (`assign`) or taken away (`remove`), or was not (`result` `error`).
    pub fn role_change(&self, plan: &str, action: &str, result: &str) {
        self.role_changes
            .with_label_values(&[plan, action, result])
            .inc();
    }

    /// Sets how long the oldest job has waited.
    pub fn sync_lag(&self, seconds: f64) {
        self.sync_lag_seconds.set(seconds);
    }

    /// Sets how many jobs are in `state`: `queued`, `running`, `dead`.
    pub fn jobs(&self, state: &str, count: i64) {
        self.jobs.with_label_values(&[state]).set(count);
    }

    /// Counts a request to Auth0; `status` is the answer's, or `error` where none came.
    pub fn auth0_request(&self, endpoint: &str, status: &str) {
        self.auth0_requests
            .with_label_values(&[endpoint, status])
            .inc();
    }

    /// Counts a request to Stripe; `status` is the answer's, or `error` where none came.
    pub fn stripe_request(&self, endpoint: &str, status: &str) {
        self.stripe_requests
            .with_label_values(&[endpoint, status])
            .inc();
    }

    /// Sets how many users have the bought plan `plan`.
    pub fn premium_users(&self, plan: &str, count: i64) {
        self.premium_users.with_label_values(&[plan]).set(count);
    }

    /// Counts a use of the ledger that failed; `user` is `webhook`, `sync`, `overlay` or `endpoint`.
    pub fn ledger_error(&self, user: &str) {
        self.ledger_errors.with_label_values(&[user]).inc();
    }

    /// Sets whether the ledger could be read at the last try.
    pub fn ledger_up(&self, up: bool) {
        self.ledger_up
            .with_label_values(NO_LABELS)
            .set(if up { 1.0 } else { 0.0 });
    }

    /// Counts something of Stripe's that somebody should look at: `price`, `status`, `owner`, `role`.
    pub fn oddity(&self, kind: &str) {
        self.oddities.with_label_values(&[kind]).inc();
    }

    /// Sets how many users differ in this way: `missing`, `extra`, `other`, `unmatched`.
    pub fn drift_users(&self, kind: &str, count: i64) {
        self.drift_users.with_label_values(&[kind]).set(count);
    }

    /// Sets when every user had been looked at last, seconds since 1970.
    pub fn reconciled(&self, seconds: i64) {
        // Whole seconds of any date to come are exact.
        #[expect(clippy::cast_precision_loss, reason = "exact for 285 million years")]
        let seconds = seconds as f64;
        self.reconcile_last_success
            .with_label_values(NO_LABELS)
            .set(seconds);
    }

    /// Counts a look at every user; `result` is `ok`, `drift`, `incomplete` or `error`.
    pub fn reconcile_run(&self, result: &str) {
        self.reconcile_runs.with_label_values(&[result]).inc();
    }
}
