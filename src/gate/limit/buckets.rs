//! Where the buckets are: a map that cannot grow beyond its bounds, whoever comes.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::state::keyed::ShrinkableKeyedStateStore;

/// Buckets that clients have for themselves, a limit; as many again are shared by neighbours. At some 50 bytes each
/// that is 10 MB at most.
pub(super) const MAX_BUCKETS: usize = 100_000;
/// Locks, so that threads seldom wait for each other.
const SHARDS: usize = 64;
const MAX_IN_SHARD: usize = MAX_BUCKETS / SHARDS;

type Shard = HashMap<u128, Nanos>;

/// The buckets of one limit.
///
/// Whoever has a bucket keeps it while it says something. Who is new when there are too many shares one with its
/// neighbours, and in the end with everybody else who is new.
pub(super) struct Buckets {
    shards: Vec<Mutex<Shard>>,
    /// Shared by everybody for whom there is no place.
    common: Mutex<Option<Nanos>>,
    hasher: RandomState,
}

impl Buckets {
    pub(super) fn new() -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default)
                .take(SHARDS)
                .collect(),
            common: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    fn shard(&self, key: u128) -> MutexGuard<'_, Shard> {
        // The remainder is below the number of shards, so nothing is cut off.
        let at = self.hasher.hash_one(key) % SHARDS as u64;
        lock(&self.shards[usize::try_from(at).unwrap_or_default()])
    }
}

impl StateStore for Buckets {
    type Key = u128;

    fn measure_and_replace<T, F, E>(&self, key: &u128, measure: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        // An address keeps its /24 and a /64 its /56; subjects are hashes and fall together at random.
        for (key, bound) in [(*key, MAX_IN_SHARD), (*key >> 8, 2 * MAX_IN_SHARD)] {
            let mut shard = self.shard(key);
            let old = shard.get(&key).copied();
            if old.is_some() || shard.len() < bound {
                let (outcome, new) = measure(old)?;
                shard.insert(key, new);
                return Ok(outcome);
            }
        }
        let mut common = lock(&self.common);
        let (outcome, new) = measure(*common)?;
        *common = Some(new);
        Ok(outcome)
    }
}

impl ShrinkableKeyedStateStore<u128> for Buckets {
    fn retain_recent(&self, drop_below: Nanos) {
        for shard in &self.shards {
            lock(shard).retain(|_, state| *state > drop_below);
        }
    }

    fn shrink_to_fit(&self) {
        for shard in &self.shards {
            lock(shard).shrink_to_fit();
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A panic in between leaves every bucket as it was or as it shall be.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the bucket of `key` held before; a use leaves one more in it.
    fn uses(buckets: &Buckets, key: u128) -> u64 {
        let more = |old: Option<Nanos>| {
            let old = old.map_or(0, Nanos::as_u64);
            Ok::<_, ()>((old, Nanos::new(old + 1)))
        };
        buckets.measure_and_replace(&key, more).unwrap()
    }

    /// Clients that are no neighbours.
    fn strangers() -> impl Iterator<Item = u128> {
        (0..).map(|n: u128| n << 8 | 1 << 100)
    }

    #[test]
    fn beyond_twice_the_bound_everybody_new_shares_one_bucket() {
        let buckets = Buckets::new();
        let fresh = |key: &u128| uses(&buckets, *key) == 0;
        let known = strangers().take_while(fresh).count();
        assert!(known > MAX_BUCKETS, "{known}");
        for key in strangers().skip(known).take(3 * MAX_BUCKETS) {
            uses(&buckets, key);
        }
        assert!(buckets.len() <= 2 * MAX_BUCKETS, "{}", buckets.len());
        let shared = uses(&buckets, u128::MAX);
        assert!(shared > 0);
        assert_eq!(uses(&buckets, u128::MAX << 64), shared + 1);
    }

    #[test]
    fn who_has_a_bucket_keeps_it_in_a_crowd() {
        let buckets = Buckets::new();
        assert_eq!(uses(&buckets, 7), 0);
        for key in strangers().skip(1).take(2 * MAX_BUCKETS) {
            uses(&buckets, key);
        }
        assert_eq!(uses(&buckets, 7), 1);
    }

    #[test]
    fn what_says_nothing_is_thrown_away() {
        let buckets = Buckets::new();
        for key in [1, 1, 2] {
            uses(&buckets, key);
        }
        buckets.retain_recent(Nanos::new(1));
        assert_eq!(buckets.len(), 1);
        assert_eq!((uses(&buckets, 1), uses(&buckets, 2)), (2, 0));
    }
}
