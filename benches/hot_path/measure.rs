//! How an operation is timed.

use std::hint::black_box;
use std::io::{Write as _, stdout};
use std::time::{Duration, Instant};

/// Long enough that the clock's own cost does not show.
const BATCH: Duration = Duration::from_millis(10);
/// An odd number, so that there is a middle one.
const BATCHES: usize = 41;

/// Which operations are measured, and how.
pub(crate) struct Measure {
    filter: String,
    mode: Mode,
}

enum Mode {
    /// By time.
    Time,
    /// So many times, for somebody else who counts.
    Repeat(u64),
    /// Once, to see that it works: what `cargo test --benches` asks for.
    Once,
    /// Not at all: only the names.
    List,
}

impl Measure {
    /// `[FILTER] [--list | --iterations N]`; cargo adds `--bench` when it is to measure.
    pub(crate) fn from_arguments(arguments: impl Iterator<Item = String>) -> Self {
        let mut measure = Self {
            filter: String::new(),
            mode: Mode::Once,
        };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--bench" => measure.mode = Mode::Time,
                "--list" => measure.mode = Mode::List,
                "--iterations" => {
                    let count = arguments.next().and_then(|text| text.parse().ok());
                    measure.mode = Mode::Repeat(count.expect("`--iterations` and a number"));
                }
                filter => filter.clone_into(&mut measure.filter),
            }
        }
        measure
    }

    /// Measures `operation`, if its name is asked for.
    pub(crate) fn run<T>(
        &mut self,
        name: &str,
        mut operation: impl FnMut() -> T,
    ) -> std::io::Result<()> {
        if !name.contains(&self.filter) {
            return Ok(());
        }
        let mut repeat = |count: u64| {
            for _ in 0..count {
                black_box(operation());
            }
        };
        match self.mode {
            Mode::List => writeln!(stdout(), "{name}"),
            Mode::Once => {
                repeat(1);
                writeln!(stdout(), "{name}: works")
            }
            Mode::Repeat(count) => {
                repeat(count / 10);
                count_from_here(&mut repeat, count);
                Ok(())
            }
            Mode::Time => {
                let (median, least) = time(repeat);
                writeln!(
                    stdout(),
                    "{name:<42} {median:>12.1} ns   least {least:>12.1} ns"
                )
            }
        }
    }
}

/// Its name tells `benches/instructions` where to begin, so it has to be a function of its own.
#[inline(never)]
fn count_from_here(repeat: &mut dyn FnMut(u64), count: u64) {
    repeat(count);
}

/// Nanoseconds per operation: the median of all batches, and the least.
fn time(mut repeat: impl FnMut(u64)) -> (f64, f64) {
    let mut count = 1;
    // Warms up, too.
    while timed(&mut repeat, count) < BATCH {
        count *= 2;
    }
    let mut batches = [0.0; BATCHES];
    for batch in &mut batches {
        // A batch is far below 2^52 operations and nanoseconds.
        #[expect(clippy::cast_precision_loss, reason = "as the comment says")]
        let per_operation = timed(&mut repeat, count).as_nanos() as f64 / count as f64;
        *batch = per_operation;
    }
    batches.sort_by(f64::total_cmp);
    (batches[BATCHES / 2], batches[0])
}

fn timed(repeat: &mut impl FnMut(u64), count: u64) -> Duration {
    let start = Instant::now();
    repeat(count);
    start.elapsed()
}
