//! `tollgate store`: a copy of the ledger made while it is in use, and the way from one database to another.

use std::convert::Infallible;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::ledger::{block_on, open};
use super::read_config;
use crate::store;
use crate::types::Secret;

/// What a copy to another database needs, for `--help`.
const COPY: &str = "\
Move a ledger to another database, from SQLite to PostgreSQL or back.

Stop every `tollgate serve` on both first; a ledger that is in use is refused. The target must be empty, and stays so if \
anything goes wrong. Every table is read again from the target and compared before it counts. Then write the new URL as \
`store.url` into the config, and start again. The source is not changed.

A password in an argument can be seen by everybody on the machine: leave it out of the URL, and give it as PGPASSWORD or \
in ~/.pgpass.";

/// What is done with the ledger.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    #[command(
        about = "Write a copy of a ledger in SQLite to a new file, while it is in use or not; for PostgreSQL use pg_dump"
    )]
    Backup {
        /// The new file; one that is there already is not overwritten.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
    #[command(about = "Move a ledger to another database, from SQLite to PostgreSQL or back", long_about = COPY)]
    Copy {
        #[arg(long, value_name = "URL", value_parser = SECRET, help = "The ledger: sqlite://tollgate.db")]
        from: Secret,
        #[arg(long, value_name = "URL", value_parser = SECRET, help = "Where it goes: postgres://user@host/database")]
        to: Secret,
    },
}

/// Refuses nothing: clap would show what it refuses.
const SECRET: fn(&str) -> Result<Secret, Infallible> = |text| Ok(Secret::new(text.to_owned()));

/// 0 done, 1 it did not work, 2 the config is wrong.
pub(super) fn run(path: &Path, action: &Action, out: &mut dyn Write) -> anyhow::Result<u8> {
    match action {
        Action::Backup { to } => backup(path, to, out),
        Action::Copy { from, to } => copy(from, to, out),
    }
}

fn backup(path: &Path, to: &Path, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match read_config(path, out)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let done = block_on(async { Ok(open(&config).await?.backup(to).await?) });
    match done {
        Ok(()) => {
            writeln!(out, "the ledger was copied to {}", to.display())?;
            Ok(0)
        }
        Err(error) => {
            writeln!(out, "no backup was made: {error}")?;
            Ok(1)
        }
    }
}

fn copy(from: &Secret, to: &Secret, out: &mut dyn Write) -> anyhow::Result<u8> {
    let copied = block_on(async { Ok(store::copy(from.expose(), to.expose()).await?) });
    match copied {
        Ok(tables) => {
            for one in tables {
                writeln!(out, "{:>10}  {}", one.rows, one.table)?;
            }
            writeln!(
                out,
                "the ledger was copied, and the copy compared; write its URL as store.url now"
            )?;
            Ok(0)
        }
        Err(error) => {
            writeln!(out, "nothing was copied: {error}")?;
            Ok(1)
        }
    }
}
