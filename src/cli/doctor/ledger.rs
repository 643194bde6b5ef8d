//! Whether the ledger can be opened, and whether anything in it waits for a person.

use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use super::patience::{CALL, Patience};
use super::report::Check;
use crate::config::{Billing, Config, Store as Place};

const NAME: &str = "ledger";

/// Opens it; one that is not there yet is not made.
pub(super) async fn check(config: &Config, billing: &Billing, patience: Patience) -> Vec<Check> {
    if let Some(path) = file(&billing.store)
        && !path.exists()
    {
        return vec![not_there_yet(&path)];
    }
    let mend = "See what `store.url` names, and that Tollgate may read and write there.";
    let looked = async {
        let ledger = super::super::ledger::open(config).await?;
        let totals = ledger.totals().await?;
        anyhow::Ok(totals.dead)
    };
    match patience.wait(CALL, looked).await {
        Some(Ok(dead)) => vec![
            Check::pass(NAME, format!("{} can be used", kind(&billing.store))),
            jobs(dead),
        ],
        Some(Err(error)) => vec![Check::fail(NAME, error.to_string(), mend)],
        None => {
            let found = format!("{} does not answer in time", kind(&billing.store));
            vec![Check::fail(NAME, found, mend)]
        }
    }
}

fn kind(store: &Place) -> &'static str {
    match store {
        Place::Sqlite(_) => "the SQLite file",
        Place::Postgres(_) => "the PostgreSQL database",
    }
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
    fn jobs_that_were_given_up_are_counted() {
        assert_eq!(jobs(0).status, Status::Pass);
        let check = jobs(3);
        assert_eq!(check.status, Status::Warn);
        assert!(check.found.starts_with("3 given up"));
    }
}
