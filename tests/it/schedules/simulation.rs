//! Thousands of schedules, on every core.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use super::Place;
use super::schedule::Schedule;

/// As many as fit into a minute of a debug build on a small machine.
const SCHEDULES: u64 = 2000;
/// The first seed. The same every time, so that a change that breaks something is known by it.
const SEED: u64 = 1;

#[test]
fn random_schedules_with_faults_and_restarts_end_as_stripe_says() {
    let count = setting("TOLLGATE_SCHEDULES").unwrap_or(SCHEDULES);
    let first = setting("TOLLGATE_SEED").unwrap_or(SEED);
    let begin = Instant::now();
    let next = AtomicU64::new(0);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(number) = take(&next, count) {
                    let _stop = StopAll(&next, count);
                    run(first.wrapping_add(number));
                }
            });
        }
    });
    let seconds = begin.elapsed().as_secs_f64();
    eprintln!("{count} schedules in {seconds:.1} s");
}

fn take(next: &AtomicU64, count: u64) -> Option<u64> {
    let number = next.fetch_add(1, Ordering::SeqCst);
    (number < count).then_some(number)
}

/// When one fails, the others take no more.
struct StopAll<'a>(&'a AtomicU64, u64);

impl Drop for StopAll<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(self.1, Ordering::SeqCst);
        }
    }
}

/// Runs one schedule, on this thread alone: what is drawn by lot in the code under test is then of the seed too.
fn run(seed: u64) {
    let _place = Place(format!(
        "this schedule alone: TOLLGATE_SCHEDULES=1 TOLLGATE_SEED={seed} cargo test --test it random_schedules"
    ));
    fastrand::seed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async { Schedule::draw(seed).await.play().await });
}

#[expect(
    clippy::disallowed_methods,
    reason = "these settings are the tests' own, and no config file's"
)]
fn setting(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| unreachable!("{name}={text} is no number")),
    )
}
