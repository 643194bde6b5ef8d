//! Whether the ledger can be used, and whether anything in it waits for a person. Nothing of it is changed.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::patience::{CALL, Patience};
use super::report::Check;
use crate::cli::ledger::inspect;
use crate::clock::{Clock, SystemClock};
use crate::config::Store as Place;
use crate::store::{Contents, Inspected, StoreError, UnixMillis};

const NAME: &str = "ledger";
const MEND: &str = "See what `store.url` names, and that Tollgate may read and write there.";

/// How long ago an event may have come that shows that events come.
const LATELY: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// The ledger, looked at once, by whoever asks first.
pub(super) struct Ledger<'a> {
    place: &'a Place,
    patience: Patience,
    /// `None` when it took too long.
    seen: OnceCell<Option<Result<Inspected, StoreError>>>,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(place: &'a Place, patience: Patience) -> Self {
        Self {
            place,
            patience,
            seen: OnceCell::new(),
        }
    }

    async fn seen(&self) -> Option<&Result<Inspected, StoreError>> {
        let look = || self.patience.wait(CALL, inspect(self.place));
        self.seen.get_or_init(look).await.as_ref()
    }

    /// What there is to say of it.
    pub(super) async fn check(&self) -> Vec<Check> {
        let kind = kind(self.place);
        if let Some(path) = file(self.place)
            && !path.exists()
        {
            return vec![not_there_yet(&path)];
        }
        match self.seen().await {
            Some(Ok(Inspected::Empty { writable: true })) => {
                let found = format!("{kind} is empty; `tollgate serve` makes its tables");
                vec![Check::pass(NAME, found)]
            }
            Some(Ok(Inspected::Empty { writable: false })) => {
                let found = format!("{kind} is empty, and no tables may be made there");
                let mend =
                    "Let the user of `store.url` make tables there (GRANT CREATE ON SCHEMA).";
                vec![Check::fail(NAME, found, mend)]
            }
            Some(Ok(Inspected::There(contents))) => {
                vec![state(kind, contents), jobs(contents.dead)]
            }
            Some(Err(error)) => vec![Check::fail(NAME, error.to_string(), mend(error))],
            None => {
                let found = format!("{kind} does not answer in time");
                vec![Check::fail(NAME, found, MEND)]
            }
        }
    }

    /// Whether Stripe's events came here lately.
    pub(super) async fn had_events_lately(&self) -> bool {
        let Some(Ok(Inspected::There(contents))) = self.seen().await else {
            return false;
        };
        let now = SystemClock.since_epoch();
        contents.last_event_at.is_some_and(|at| is_lately(at, now))
    }
}

fn is_lately(at: UnixMillis, now: Duration) -> bool {
    let at = Duration::from_millis(u64::try_from(at).unwrap_or_default());
    now.saturating_sub(at) < LATELY
}

fn mend(error: &StoreError) -> &'static str {
    match error {
        StoreError::Newer { .. } => "Run the newer program, or go back to a backup from before.",
        StoreError::Migration(_) => {
            "Go back to the program that wrote it, or to a backup from before."
        }
        StoreError::Unavailable(_)
        | StoreError::Url(_)
        | StoreError::LeaseLost
        | StoreError::Corrupt(_)
        | StoreError::Refused(_)
        | StoreError::InUse(_)
        | StoreError::File { .. } => MEND,
    }
}

fn kind(store: &Place) -> &'static str {
    match store {
        Place::Sqlite(_) => "the SQLite file",
        Place::Postgres(_) => "the PostgreSQL database",
    }
}

fn state(kind: &str, contents: &Contents) -> Check {
    if !contents.writable {
        let found = format!("{kind} can be read, and not written");
        return Check::fail(NAME, found, MEND);
    }
    if contents.older {
        let found = format!("{kind} is of an earlier version of Tollgate");
        let mend = "`tollgate serve` brings it up to date at its next start, after which earlier versions refuse it; make a backup before.";
        return Check::warn(NAME, found, mend);
    }
    Check::pass(NAME, format!("{kind} can be used"))
}

fn jobs(dead: i64) -> Check {
    match dead {
        0 => Check::pass("jobs", "none was given up"),
        dead => Check::warn(
            "jobs",
            format!("{dead} given up: what was paid for may not be in Auth0"),
            "See why with `tollgate events list`, and have them tried again with `tollgate events replay --dead`.",
        ),
    }
}

/// The file of a ledger in `SQLite`.
fn file(store: &Place) -> Option<PathBuf> {
    match store {
        Place::Sqlite(url) => url.expose().strip_prefix("sqlite://").map(PathBuf::from),
        Place::Postgres(_) => None,
    }
}

fn not_there_yet(path: &Path) -> Check {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    };
    match may_write(folder) {
        Ok(()) => Check::pass(
            NAME,
            format!(
                "{} is not there yet; `tollgate serve` makes it",
                path.display()
            ),
        ),
        Err(error) => Check::fail(
            NAME,
            format!("{} cannot be made: {error}", path.display()),
            "Make its folder, or let Tollgate write there, or write another `store.url`.",
        ),
    }
}

/// Only a file that is made tells: rights come from many places.
fn may_write(folder: &Path) -> io::Result<()> {
    let probe = folder.join(format!(".tollgate-doctor-{}", std::process::id()));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&probe)?;
    std::fs::remove_file(&probe)
}

#[cfg(test)]
mod tests {
    use super::super::report::Status;
    use super::*;

    #[test]
    fn a_ledger_that_is_not_there_yet_is_well_where_it_can_be_made_and_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.db");
        assert_eq!(not_there_yet(&path).status, Status::Pass);
        assert_eq!(folder.path().read_dir().unwrap().count(), 0);
        let nowhere = folder.path().join("none").join("ledger.db");
        assert_eq!(not_there_yet(&nowhere).status, Status::Fail);
    }

    #[test]
    fn an_older_ledger_is_warned_of_and_one_that_cannot_be_written_fails() {
        let of = |older, writable| {
            let contents = Contents {
                older,
                writable,
                dead: 0,
                last_event_at: None,
            };
            state("it", &contents).status
        };
        assert_eq!(of(false, true), Status::Pass);
        assert_eq!(of(true, true), Status::Warn);
        assert_eq!(of(false, false), Status::Fail);
        assert_eq!(of(true, false), Status::Fail);
    }

    #[test]
    fn lately_is_within_seven_days() {
        let day = Duration::from_secs(24 * 60 * 60);
        let now = day * 20_000;
        let at = |days: u32| i64::try_from((day * days).as_millis()).unwrap();
        assert!(is_lately(at(20_000), now) && is_lately(at(19_994), now));
        assert!(!is_lately(at(19_993), now));
        assert!(is_lately(at(20_001), now), "our clock may be late");
    }

    #[test]
    fn jobs_that_were_given_up_are_counted() {
        assert_eq!(jobs(0).status, Status::Pass);
        let check = jobs(3);
        assert_eq!(check.status, Status::Warn);
        assert!(check.found.starts_with("3 given up"));
    }
}
