//! Random stories of looks, told to a store and to a model of plain maps: after every step the two agree.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use tollgate::store::{Drift, DriftKind, Look, Sqlite, Store, StoreError, UnixMillis};

use super::looks::drift;
use super::model::run;
use super::{LEASE, START, postgres};

/// One step of a story. Small numbers name subjects, and looks that were begun, the newest first.
#[derive(Clone, Debug)]
enum Step {
    Begin(bool),
    /// The look finds these and clears those.
    On(u8, Vec<u8>, Vec<u8>),
    End(u8),
    Leave(u8),
    Mended(u8),
    Wait(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let some = || proptest::collection::vec(0..5_u8, 0..3);
    let recent = 0..3_u8;
    prop_oneof![
        4 => any::<bool>().prop_map(Step::Begin),
        6 => (recent.clone(), some(), some()).prop_map(|(look, found, cleared)| Step::On(look, found, cleared)),
        2 => recent.clone().prop_map(Step::End),
        1 => recent.prop_map(Step::Leave),
        1 => (0..5_u8).prop_map(Step::Mended),
        3 => (0..40_000_u16).prop_map(Step::Wait),
    ]
}

struct Model {
    now: UnixMillis,
    last: Option<Look>,
    /// When the lease of the last look runs out.
    until: UnixMillis,
    drift: BTreeMap<String, Drift>,
}

impl Model {
    /// Whether this look may be written.
    fn holds(&self, look: &Look) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| last.id == look.id && last.lease == look.lease)
    }

    /// Whether somebody is at the last look.
    fn busy(&self) -> bool {
        let last = self.last.as_ref();
        last.is_some_and(|last| !last.lease.is_empty()) && self.until > self.now
    }

    /// The look that is gone on with, if it is none that is new.
    fn cut_short(&self, restart: bool) -> Option<&Look> {
        let last = self.last.as_ref();
        last.filter(|last| !restart && last.ended_at.is_none())
    }
}

fn subject(number: u8) -> String {
    format!("auth0|{number}")
}

/// A store and its model, and the looks that were begun or gone on with.
struct Pair {
    store: Arc<dyn Store>,
    model: Model,
    begun: Vec<Look>,
}

impl Pair {
    async fn tell(&mut self, step: &Step) {
        match step {
            Step::Begin(restart) => self.begin(*restart).await,
            Step::On(number, found, cleared) => self.look_on(*number, found, cleared).await,
            Step::End(number) => self.end(*number).await,
            Step::Leave(number) => self.leave(*number).await,
            Step::Mended(number) => {
                let gone = self.store.mended(&subject(*number)).await;
                gone.expect("it is gone");
                self.model.drift.remove(&subject(*number));
            }
            Step::Wait(time) => self.model.now += i64::from(*time),
        }
    }

    async fn begin(&mut self, restart: bool) {
        let now = self.model.now;
        let begun = self.store.begin_look(restart, now, LEASE).await;
        let begun = begun.expect("the ledger answers");
        assert_eq!(begun.is_none(), self.model.busy());
        let Some(begun) = begun else { return };
        if let Some(cut_short) = self.model.cut_short(restart) {
            let lease = cut_short.lease.clone();
            let same = Look {
                lease,
                ..begun.clone()
            };
            assert_eq!(&same, cut_short);
        } else {
            let newest = self.begun.iter().map(|look| look.id).max();
            assert!(newest.is_none_or(|newest| newest < begun.id));
            let place = (
                begun.position.as_deref(),
                begun.total,
                begun.checked,
                begun.drifted,
            );
            assert_eq!((begun.started_at, place), (now, (None, 0, 0, 0)));
        }
        self.model.last = Some(begun.clone());
        self.model.until = now + LEASE;
        self.begun.push(begun);
    }

    /// A look that was begun, and whether it may be written.
    fn recent(&self, number: u8) -> Option<(Look, bool)> {
        let look = self.begun.iter().rev().nth(number.into())?;
        Some((look.clone(), self.model.holds(look)))
    }

    async fn look_on(&mut self, number: u8, found: &[u8], cleared: &[u8]) {
        let now = self.model.now;
        let Some((mut look, held)) = self.recent(number) else {
            return;
        };
        (look.position, look.total) = (Some(format!("at {now}")), now);
        (look.checked, look.drifted) = (now + 1, now + 2);
        let found = found.iter().map(|one| {
            let found = drift(&subject(*one), DriftKind::Other, &look);
            Drift {
                found_at: now,
                ..found
            }
        });
        let found: Vec<Drift> = found.collect();
        let cleared: Vec<String> = cleared.iter().copied().map(subject).collect();
        let written = self
            .store
            .look_on(&look, &found, &cleared, now, LEASE)
            .await;
        refused_unless(held, written);
        if held {
            self.model.last = Some(look);
            self.model.until = now + LEASE;
            self.model
                .drift
                .retain(|subject, _| !cleared.contains(subject));
            let found = found
                .into_iter()
                .map(|drift| (drift.subject.clone(), drift));
            self.model.drift.extend(found);
        }
    }

    async fn end(&mut self, number: u8) {
        let now = self.model.now;
        let Some((look, held)) = self.recent(number) else {
            return;
        };
        refused_unless(held, self.store.end_look(&look, now).await);
        if held && let Some(last) = &mut self.model.last {
            last.ended_at = Some(now);
            last.lease.clear();
            self.model.drift.retain(|_, drift| drift.look >= look.id);
        }
    }

    async fn leave(&mut self, number: u8) {
        let Some((look, held)) = self.recent(number) else {
            return;
        };
        refused_unless(held, self.store.leave_look(&look).await);
        if held && let Some(last) = &mut self.model.last {
            last.lease.clear();
        }
    }

    /// Compares all that can be seen.
    async fn agree(&self) {
        let last = self.store.last_look().await.expect("an answer");
        assert_eq!(last, self.model.last);
        let known = self.store.drift(100).await.expect("drift");
        let expected: Vec<Drift> = self.model.drift.values().cloned().collect();
        assert_eq!(known, expected);
        let totals = self.store.totals().await.expect("totals");
        let counted: i64 = totals.drift.iter().map(|(_, count)| count).sum();
        assert_eq!(usize::try_from(counted), Ok(expected.len()));
    }
}

fn refused_unless(held: bool, outcome: Result<(), StoreError>) {
    match outcome {
        Ok(()) => assert!(held, "written without the lease"),
        Err(StoreError::LeaseLost) => assert!(!held, "the lease was there"),
        Err(error) => panic!("{error}"),
    }
}

async fn told_to_both(store: Arc<dyn Store>, steps: &[Step]) {
    let mut pair = Pair {
        store,
        model: Model {
            now: START,
            last: None,
            until: START,
            drift: BTreeMap::new(),
        },
        begun: Vec::new(),
    };
    for step in steps {
        pair.tell(step).await;
        pair.agree().await;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_story_of_looks_ends_as_the_model_says(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        run(async {
            let store = Sqlite::open("sqlite::memory:").await.expect("a ledger");
            told_to_both(Arc::new(store), &steps).await;
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn any_story_of_looks_ends_as_the_model_says_in_postgres_too(
        steps in proptest::collection::vec(step(), 1..60)
    ) {
        run(async {
            if let Some(ledger) = postgres().await {
                told_to_both(Arc::clone(&ledger.store), &steps).await;
            }
        });
    }
}
