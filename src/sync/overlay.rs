//! What the gate knows of entitlements, in memory: a request reads one snapshot, without a lock.

mod fresh;

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::watch;

use crate::clock::UnixSeconds;
use crate::entitlement::Change;
use crate::store::Entitlement;
use fresh::Freshness;

/// Parts of the map. A change copies one of them, so that readers never wait: of a million users, a thousand.
const SHARDS: usize = 1024;

/// What is known of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The plan's name now.
    pub plan: Option<String>,
    /// A change that tokens in the field may not know of.
    pub change: Option<Change>,
    /// Of the row that this was made of.
    sequence: i64,
    /// When no token from before the change can be valid any more, seconds.
    over_at: Option<UnixSeconds>,
    /// Whether the plan was bought: then it stays here after the change is over.
    paid: bool,
}

type Shard = HashMap<Arc<str>, Arc<Standing>>;

/// The standings of all users who have a plan, or had one lately.
pub struct Overlay {
    shards: Box<[ArcSwap<Shard>]>,
    hasher: RandomState,
    /// How long a token may live, clock differences included.
    horizon: UnixSeconds,
    /// Clock difference that is forgiven.
    leeway: UnixSeconds,
    changes: watch::Sender<u64>,
    freshness: Freshness,
}

impl Overlay {
    /// An empty overlay, for tokens that live `max_token_age` at most.
    #[must_use]
    pub fn new(max_token_age: Duration, leeway: Duration) -> Self {
        let seconds = |d: Duration| UnixSeconds::try_from(d.as_secs()).unwrap_or(UnixSeconds::MAX);
        Self {
            shards: (0..SHARDS).map(|_| ArcSwap::default()).collect(),
            hasher: RandomState::new(),
            // Issued up to one leeway after the change, accepted up to one leeway after its end.
            horizon: seconds(max_token_age).saturating_add(seconds(leeway).saturating_mul(2)),
            leeway: seconds(leeway),
            changes: watch::Sender::default(),
            freshness: Freshness::new(false),
        }
    }

    /// The same for a ledger that other processes write to as well: see [`Overlay::is_old`].
    #[must_use]
    pub fn of_a_fleet(mut self) -> Self {
        self.freshness = Freshness::new(true);
        self
    }

    /// All that the ledger held at `began` is here.
    pub(super) fn was_read(&self, began: Instant) {
        self.freshness.read(began);
    }

    /// The ledger cannot be read.
    pub(super) fn is_on_its_own(&self) {
        self.freshness.away();
    }

    /// Whether the ledger was last read too long ago to go by what is here, and is not known to be away. Then
    /// [`Overlay::renewed`] is to be waited for first.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.freshness.is_old()
    }

    /// Waits until the ledger was read again, for a second at most.
    pub async fn renewed(&self) {
        self.freshness.renewed().await;
    }

    /// What is known of the user.
    #[must_use]
    pub fn standing(&self, user: &str) -> Option<Arc<Standing>> {
        self.shards[self.part_of(user)].load().get(user).cloned()
    }

    /// Clock difference that is forgiven, seconds.
    #[must_use]
    pub fn leeway(&self) -> UnixSeconds {
        self.leeway
    }

    /// Tells of every change from now on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Takes rows over, each unless a later one of the same user is here already. They come from one task, which reads
    /// the ledger in the order of their sequence.
    pub fn apply(&self, rows: &[Entitlement], now: UnixSeconds) {
        // Each part is copied once, however many of its users there are: the first rows are those of all users.
        let mut parts: HashMap<usize, Vec<&Entitlement>> = HashMap::new();
        for row in rows {
            parts.entry(self.part_of(&row.user)).or_default().push(row);
        }
        let mut changed = false;
        for (part, rows) in parts {
            changed |= self.apply_to(&self.shards[part], &rows, now);
        }
        if changed {
            self.changes
                .send_modify(|count| *count = count.wrapping_add(1));
        }
    }

    /// Takes rows of one part over; `false` when that changed nothing.
    fn apply_to(&self, shard: &ArcSwap<Shard>, rows: &[&Entitlement], now: UnixSeconds) -> bool {
        let old = shard.load();
        let mut new: Cow<'_, Shard> = Cow::Borrowed(&**old);
        for row in rows {
            let known = new.get(&*row.user).map(|known| known.sequence);
            if known.is_some_and(|known| known >= row.sequence) {
                continue;
            }
            match self.read(row, now) {
                Some(standing) => {
                    new.to_mut()
                        .insert(row.user.as_str().into(), Arc::new(standing));
                }
                None if known.is_some() => {
                    new.to_mut().remove(&*row.user);
                }
                None => {}
            }
        }
        match new {
            Cow::Borrowed(_) => false,
            Cow::Owned(new) => {
                shard.store(Arc::new(new));
                true
            }
        }
    }

    /// Forgets changes that no token in the field is older than.
    pub fn sweep(&self, now: UnixSeconds) {
        for shard in &self.shards {
            let old = shard.load();
            let is_over = |standing: &Standing| {
                standing.change.is_some() && standing.over_at.is_some_and(|end| end < now)
            };
            if !old.values().any(|standing| is_over(standing)) {
                continue;
            }
            let kept = old.iter().filter_map(|(user, standing)| {
                if !is_over(standing) {
                    return Some((Arc::clone(user), Arc::clone(standing)));
                }
                let rest = Standing {
                    change: None,
                    ..Standing::clone(standing)
                };
                standing.paid.then(|| (Arc::clone(user), Arc::new(rest)))
            });
            shard.store(Arc::new(kept.collect()));
        }
    }

    fn part_of(&self, user: &str) -> usize {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "any part of the hash will do"
        )]
        let hash = self.hasher.hash_one(user) as usize;
        hash % SHARDS
    }

    fn read(&self, row: &Entitlement, now: UnixSeconds) -> Option<Standing> {
        let confirmed_at = row.confirmed_at.map(seconds_up);
        let over_at = confirmed_at.map(|moment| moment.saturating_add(self.horizon));
        let is_young = row.changed_at.is_some() && over_at.is_none_or(|end| end >= now);
        let paid = row.derived.paid;
        let change = is_young.then(|| Change {
            plan: row.derived.plan.clone(),
            confirmed_at,
            other_roles: row.roles.clone().unwrap_or_default(),
        });
        (paid || change.is_some()).then(|| Standing {
            plan: row.derived.plan.clone(),
            change,
            sequence: row.sequence,
            over_at,
            paid,
        })
    }
}

/// Whole seconds, rounded up: a token of the same second may be from before.
fn seconds_up(millis: i64) -> UnixSeconds {
    millis.div_euclid(1000) + i64::from(millis.rem_euclid(1000) > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Derived;

    const USER: &str = "auth0|1";
    /// An hour and twice half a minute.
    const HORIZON: UnixSeconds = 3660;

    fn overlay() -> Overlay {
        Overlay::new(Duration::from_secs(3600), Duration::from_secs(30))
    }

    /// A row of a change that began at second 1000; `confirmed_at` in milliseconds.
    fn row(sequence: i64, plan: &str, confirmed_at: Option<i64>) -> Entitlement {
        Entitlement {
            user: USER.to_owned(),
            derived: Derived {
                plan: Some(plan.to_owned()),
                paid: plan != "free",
                ..Derived::default()
            },
            sequence,
            changed_at: Some(1_000_000),
            confirmed_at,
            roles: Some(vec!["admin".to_owned()]),
            ..Entitlement::default()
        }
    }

    /// The plan, and whether there is a change.
    fn seen(overlay: &Overlay, user: &str) -> Option<(String, bool)> {
        let standing = overlay.standing(user)?;
        Some((standing.plan.clone()?, standing.change.is_some()))
    }

    fn change(overlay: &Overlay) -> Option<Change> {
        overlay.standing(USER)?.change.clone()
    }

    #[test]
    fn a_row_gives_way_to_a_later_one_alone() {
        let overlay = overlay();
        let plan = || seen(&overlay, USER).map(|(plan, _)| plan);
        assert_eq!(plan(), None);
        overlay.apply(&[row(5, "monthly", None)], 1000);
        assert_eq!(plan().as_deref(), Some("monthly"));
        overlay.apply(&[row(4, "free", None), row(5, "free", None)], 1000);
        assert_eq!(plan().as_deref(), Some("monthly"));
        overlay.apply(&[row(6, "lifetime", None), row(7, "free", None)], 1000);
        assert_eq!(plan().as_deref(), Some("free"));
        overlay.apply(&[row(9, "monthly", None), row(8, "free", None)], 1000);
        assert_eq!(plan().as_deref(), Some("monthly"));
    }

    #[test]
    fn a_new_change_replaces_the_one_before_with_all_that_was_known() {
        let overlay = overlay();
        overlay.apply(&[row(1, "monthly", Some(1_002_000))], 1002);
        let expected = Change {
            plan: Some("monthly".to_owned()),
            confirmed_at: Some(1002),
            other_roles: vec!["admin".to_owned()],
        };
        assert_eq!(change(&overlay), Some(expected));
        let mut refunded = row(2, "free", None);
        refunded.roles = None;
        overlay.apply(&[refunded], 1003);
        let expected = Change {
            plan: Some("free".to_owned()),
            confirmed_at: None,
            other_roles: Vec::new(),
        };
        assert_eq!(change(&overlay), Some(expected));
    }

    #[test]
    fn a_moment_of_confirmation_is_rounded_up_to_seconds() {
        let cases = [
            (1_002_000, 1002),
            (1_002_001, 1003),
            (1_002_999, 1003),
            (0, 0),
            (-1, 0),
            (-1000, -1),
        ];
        for (millis, expected) in cases {
            let overlay = overlay();
            overlay.apply(&[row(1, "free", Some(millis))], 1002);
            let confirmed_at = change(&overlay).and_then(|change| change.confirmed_at);
            assert_eq!(confirmed_at, Some(expected), "{millis}");
        }
    }

    #[test]
    fn a_change_is_over_when_no_token_from_before_it_can_be_valid() {
        let over_at = 1002 + HORIZON;
        for (plan, after) in [
            ("free", None),
            ("monthly", Some(("monthly".to_owned(), false))),
        ] {
            let swept = overlay();
            swept.apply(&[row(1, plan, Some(1_002_000))], 1002);
            let before = Some((plan.to_owned(), true));
            for now in [0, 1002, over_at] {
                swept.sweep(now);
                assert_eq!(seen(&swept, USER), before, "{plan} swept at {now}");
            }
            swept.sweep(over_at + 1);
            assert_eq!(seen(&swept, USER), after, "{plan} swept");

            // A replica that starts later reads the same rows, and comes to the same.
            for (now, expected) in [(over_at, &before), (over_at + 1, &after)] {
                let started = overlay();
                started.apply(&[row(1, plan, Some(1_002_000))], now);
                assert_eq!(&seen(&started, USER), expected, "{plan} read at {now}");
            }
        }
    }

    #[test]
    fn a_change_that_is_not_confirmed_is_never_swept() {
        let overlay = overlay();
        overlay.apply(&[row(1, "free", None)], i64::MAX);
        overlay.sweep(i64::MAX);
        assert_eq!(seen(&overlay, USER), Some(("free".to_owned(), true)));
    }

    #[test]
    fn who_never_changed_stands_here_while_the_plan_is_bought() {
        let overlay = overlay();
        let unchanged = |sequence, plan| Entitlement {
            changed_at: None,
            ..row(sequence, plan, Some(1_002_000))
        };
        overlay.apply(&[unchanged(1, "free")], 1002);
        assert_eq!(seen(&overlay, USER), None);
        overlay.apply(&[unchanged(2, "monthly")], 1002);
        assert_eq!(seen(&overlay, USER), Some(("monthly".to_owned(), false)));
        overlay.apply(&[unchanged(3, "free")], 1002);
        assert_eq!(seen(&overlay, USER), None);
    }

    #[test]
    fn a_plan_that_was_bought_still_gives_way_after_its_change_was_swept() {
        let overlay = overlay();
        overlay.apply(&[row(5, "monthly", Some(1_002_000))], 1002);
        overlay.sweep(1_000_000);
        overlay.apply(&[row(5, "free", None), row(4, "free", None)], 1_000_000);
        assert_eq!(seen(&overlay, USER), Some(("monthly".to_owned(), false)));
        overlay.apply(&[row(6, "free", None)], 1_000_000);
        assert_eq!(seen(&overlay, USER), Some(("free".to_owned(), true)));
    }

    #[test]
    fn every_user_is_kept_apart_however_many_come_at_once() {
        let overlay = overlay();
        let rows = |sequence: i64, plan: fn(usize) -> &'static str| {
            let row = move |at| Entitlement {
                user: format!("auth0|{at}"),
                ..row(sequence, plan(at), None)
            };
            (0..5 * SHARDS).map(row).collect::<Vec<_>>()
        };
        overlay.apply(&rows(1, |_| "free"), 1000);
        overlay.apply(
            &rows(2, |at| if at % 3 == 0 { "monthly" } else { "free" }),
            1000,
        );
        for at in 0..5 * SHARDS {
            let expected = if at % 3 == 0 { "monthly" } else { "free" };
            let seen = seen(&overlay, &format!("auth0|{at}"));
            assert_eq!(seen, Some((expected.to_owned(), true)), "{at}");
        }
    }

    #[test]
    fn those_who_listen_are_told_of_what_changed_and_of_nothing_else() {
        let overlay = overlay();
        let mut changes = overlay.changes();
        let mut told = |rows: &[Entitlement]| {
            overlay.apply(rows, 1_000_000);
            let told = changes.has_changed().unwrap();
            changes.borrow_and_update();
            told
        };
        assert!(told(&[row(2, "monthly", None)]));
        assert!(!told(&[row(2, "monthly", None), row(1, "free", None)]));
        assert!(!told(&[]));
        assert!(told(&[row(3, "free", Some(1_002_000))]));
        // Nothing is known of the user by now, and nothing follows from the row.
        assert!(!told(&[row(4, "free", Some(1_002_000))]));
    }

    #[test]
    fn what_was_read_stays_as_it_was_for_who_holds_it() {
        let overlay = overlay();
        overlay.apply(&[row(1, "monthly", None)], 1000);
        let held = overlay.standing(USER).unwrap();
        overlay.apply(&[row(2, "free", None)], 1000);
        assert_eq!(held.plan.as_deref(), Some("monthly"));
    }

    #[test]
    fn times_without_end_do_not_overflow() {
        let overlay = Overlay::new(Duration::MAX, Duration::MAX);
        overlay.apply(&[row(1, "monthly", Some(i64::MAX))], i64::MAX);
        overlay.sweep(i64::MAX);
        assert_eq!(seen(&overlay, USER), Some(("monthly".to_owned(), true)));
    }
}
