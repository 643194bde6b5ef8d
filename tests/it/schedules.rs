//! Whatever the order, the delays and the failures: in the end roles say what Stripe says, and on the way nobody who has
//! paid is without access.
//!
//! All orders of a few events, then seeded random schedules of everything together. `TOLLGATE_SCHEDULES` says how many
//! of these there are, `TOLLGATE_SEED` which is the first; one that fails tells its seed, and runs alone with it.

mod buyer;
mod faults;
mod found;
pub(crate) mod oracle;
mod perils;
mod permutations;
mod schedule;
mod simulation;
mod witness;

/// Tells where it was when a test fails.
pub(crate) struct Place(pub(crate) String);

#[expect(
    clippy::print_stderr,
    reason = "who looks for the fault needs to know where it is"
)]
impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}
