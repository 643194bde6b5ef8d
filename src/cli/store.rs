//! `tollgate store backup`: a copy of the ledger, made while it is in use.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::read_config;
use super::ledger::{block_on, open};

/// What is done with the ledger's file.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Write a copy of the ledger to a new file, while it is in use or not.
    Backup {
        /// The new file; one that is there already is not overwritten.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// 0 done, 1 it did not work, 2 the config is wrong.
pub(super) fn run(path: &Path, action: &Action, out: &mut dyn Write) -> anyhow::Result<u8> {
    let config = match read_config(path, out)? {
        Ok(config) => config,
        Err(status) => return Ok(status),
    };
    let Action::Backup { to } = action;
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
