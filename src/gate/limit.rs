//! Rate limits: token buckets by client or subject, in bounded memory.

mod buckets;

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{Quota, RateLimiter};

use buckets::{Buckets, MAX_BUCKETS};

use super::client::Client;
use super::refusal::Refusal;
use super::{Per, RateLimit};
use crate::policy::NormalPath;

/// Requests between two looks at how many there are.
const SWEEP_EVERY: u32 = 4096;

/// All rate limits of one config.
pub(super) struct Limits {
    each: Vec<Arc<Limit>>,
    clock: DefaultClock,
    hasher: RandomState,
}

struct Limit {
    rule: RateLimit,
    buckets: RateLimiter<u128, Buckets, DefaultClock>,
    uses: AtomicU32,
}

impl Limits {
    pub(super) fn new(rules: &[RateLimit]) -> Self {
        Self {
            each: rules.iter().map(Limit::new).map(Arc::new).collect(),
            clock: DefaultClock::default(),
            hasher: RandomState::new(),
        }
    }

    /// The limits of another config. Those that are in this one too keep their buckets: a reload forgives nobody.
    pub(super) fn renewed(&self, rules: &[RateLimit]) -> Self {
        let mut old = self.each.clone();
        let each = rules.iter().map(|rule| {
            // Each is taken once, or two equal rules would count a request twice in one bucket.
            match old.iter().position(|limit| limit.rule == *rule) {
                Some(at) => old.swap_remove(at),
                None => Arc::new(Limit::new(rule)),
            }
        });
        Self {
            each: each.collect(),
            clock: self.clock.clone(),
            hasher: self.hasher.clone(),
        }
    }

    /// Counts a request against every limit by client that fits.
    pub(super) fn check_client(
        &self,
        path: &NormalPath<'_>,
        client: &Client,
    ) -> Result<(), Refusal> {
        self.check(Per::Client, path, client.network())
    }

    /// Counts it against every limit by subject; who has no token is counted by address.
    pub(super) fn check_subject(
        &self,
        path: &NormalPath<'_>,
        client: &Client,
        subject: Option<&str>,
    ) -> Result<(), Refusal> {
        let key = |subject| u128::from(self.hasher.hash_one(subject)) | 1 << 126;
        self.check(
            Per::Subject,
            path,
            subject.map_or_else(|| client.network(), key),
        )
    }

    fn check(&self, per: Per, path: &NormalPath<'_>, key: u128) -> Result<(), Refusal> {
        for limit in self
            .each
            .iter()
            .filter(|limit| limit.rule.per == per && limit.covers(path))
        {
            let wait = limit.wait(key, &self.clock);
            if let Some(wait) = wait {
                return Err(Refusal::RateLimited { retry_after: wait });
            }
        }
        Ok(())
    }
}

impl Limit {
    fn new(rule: &RateLimit) -> Self {
        let replenish = rule.rate.period / rule.rate.count.get();
        // A rate above one a nanosecond is no limit that could be measured.
        let quota = Quota::with_period(replenish.max(Duration::from_nanos(1)))
            .unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX))
            .allow_burst(rule.burst);
        Self {
            rule: rule.clone(),
            buckets: RateLimiter::new(quota, Buckets::new(), DefaultClock::default()),
            uses: AtomicU32::new(0),
        }
    }

    fn covers(&self, path: &NormalPath<'_>) -> bool {
        self.rule.path.matches(path)
            && !self.rule.except.iter().any(|pattern| pattern.matches(path))
    }

    /// How long until the next request is allowed; `None` when this one is.
    fn wait(&self, key: u128, clock: &DefaultClock) -> Option<Duration> {
        self.sweep();
        self.buckets
            .check_key(&key)
            .err()
            .map(|not_until| not_until.wait_time_from(clock.now()))
    }

    /// Now and then throws full buckets away: they say nothing.
    fn sweep(&self) {
        if !self
            .uses
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SWEEP_EVERY)
        {
            return;
        }
        if self.buckets.len() > MAX_BUCKETS / 2 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{PathRules, Pattern};

    fn limits(per: Per, except: &[&str]) -> Limits {
        Limits::new(&[RateLimit {
            path: Pattern::parse("/{*rest}").unwrap(),
            except: except.iter().map(|p| Pattern::parse(p).unwrap()).collect(),
            per,
            rate: "1/h".parse().unwrap(),
            burst: NonZeroU32::new(2).unwrap(),
        }])
    }

    fn client(text: &str) -> Client {
        Client::identify(text.parse().unwrap(), &http::HeaderMap::new(), &[])
    }

    fn path(text: &str) -> NormalPath<'_> {
        NormalPath::parse(text, &PathRules::default()).unwrap()
    }

    #[test]
    fn each_client_has_a_bucket_and_exceptions_are_not_counted() {
        let limits = limits(Per::Client, &["/stripe/webhook"]);
        let (a, b) = (client("192.0.2.1"), client("192.0.2.2"));
        assert!(limits.check_client(&path("/x"), &a).is_ok());
        assert!(limits.check_client(&path("/y"), &a).is_ok());
        let Err(Refusal::RateLimited { retry_after }) = limits.check_client(&path("/x"), &a) else {
            panic!()
        };
        assert!(retry_after > Duration::from_secs(3_000));
        assert!(limits.check_client(&path("/x"), &b).is_ok());
        assert!(limits.check_client(&path("/stripe/webhook"), &a).is_ok());
        assert!(limits.check_subject(&path("/x"), &a, None).is_ok());
    }

    #[test]
    fn each_subject_has_a_bucket_wherever_it_comes_from() {
        let limits = limits(Per::Subject, &[]);
        for n in 1..=2 {
            assert!(
                limits
                    .check_subject(
                        &path("/x"),
                        &client(&format!("192.0.2.{n}")),
                        Some("auth0|1")
                    )
                    .is_ok()
            );
        }
        assert!(
            limits
                .check_subject(&path("/x"), &client("192.0.2.3"), Some("auth0|1"))
                .is_err()
        );
        assert!(
            limits
                .check_subject(&path("/x"), &client("192.0.2.3"), Some("auth0|2"))
                .is_ok()
        );
        assert!(
            limits
                .check_subject(&path("/x"), &client("192.0.2.3"), None)
                .is_ok()
        );
    }

    #[test]
    fn a_flood_of_clients_keeps_memory_bounded() {
        let limits = limits(Per::Client, &[]);
        for n in 0..300_000_u32 {
            let _ = limits.check_client(
                &path("/x"),
                &client(&std::net::Ipv4Addr::from_bits(n).to_string()),
            );
        }
        let buckets = limits.each[0].buckets.len();
        assert!(buckets <= 2 * MAX_BUCKETS, "{buckets}");
    }

    #[test]
    fn a_reload_forgives_nobody_whose_limit_is_the_same() {
        let (old, a) = (limits(Per::Client, &[]), client("192.0.2.1"));
        for _ in 0..2 {
            assert!(old.check_client(&path("/x"), &a).is_ok());
        }
        let rule = old.each[0].rule.clone();
        let wider = RateLimit {
            burst: NonZeroU32::new(3).unwrap(),
            ..rule.clone()
        };
        let same = old.renewed(&[wider.clone(), rule.clone()]);
        assert!(same.check_client(&path("/x"), &a).is_err());
        assert!(same.check_client(&path("/x"), &client("192.0.2.2")).is_ok());
        assert!(old.renewed(&[wider]).check_client(&path("/x"), &a).is_ok());
        assert!(old.renewed(&[]).check_client(&path("/x"), &a).is_ok());
    }

    #[test]
    fn a_subject_is_the_same_subject_after_a_reload() {
        let (old, a) = (limits(Per::Subject, &[]), client("192.0.2.1"));
        for _ in 0..2 {
            assert!(old.check_subject(&path("/x"), &a, Some("auth0|1")).is_ok());
        }
        let new = old.renewed(&[old.each[0].rule.clone()]);
        assert!(new.check_subject(&path("/x"), &a, Some("auth0|1")).is_err());
    }

    #[test]
    fn of_two_equal_rules_each_counts_for_itself_after_a_reload() {
        let old = limits(Per::Client, &[]);
        let rule = old.each[0].rule.clone();
        let twice = old.renewed(&[rule.clone(), rule]);
        for _ in 0..2 {
            assert!(
                twice
                    .check_client(&path("/x"), &client("192.0.2.1"))
                    .is_ok()
            );
        }
    }
}
