//! The command line. Each command is a file; this one reads the arguments.

mod bootstrap;
mod check;
mod doctor;
mod events;
mod explain;
mod harmless;
mod health;
mod ledger;
mod reconcile;
mod schema;
mod serve;
mod store;
mod wanted;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::{Parser, Subcommand};

use crate::config::{self, Config};
use explain::Who;

/// A reverse proxy that checks Auth0 access tokens, enforces a permission per route, and keeps Auth0 roles true to
/// what was paid through Stripe.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The config file.
    #[arg(
        short,
        long,
        global = true,
        value_name = "FILE",
        env = "TOLLGATE_CONFIG",
        default_value = "config/tollgate.yaml"
    )]
    config: PathBuf,
}

const AFTER_HELP: &str = "\
Protect a route:        write the config, then check, explain, serve
Sell a plan:            doctor, bootstrap, doctor again, serve
Watch it:               events list, health, and the console on the admin listener (http://127.0.0.1:9901/)
Run several:            store copy, from SQLite to PostgreSQL
When things go wrong:   doctor, reconcile, events replay

Exit status: 0 good, 1 found problems, 2 usage or config error.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Validate the config, print the route table, run the config's tests.
    Check {
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say what would happen to a request, and why.
    Explain {
        /// The method: GET, POST, …
        method: String,
        /// The path as a client would send it.
        path: String,
        /// Ask as somebody with these permissions, separated by commas; empty for none.
        #[arg(long, value_name = "A,B", conflicts_with = "token")]
        permissions: Option<String>,
        /// Ask with this access token, verified against the live key set; `-` reads it from standard input.
        #[arg(long)]
        token: Option<String>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run the gate until SIGTERM; SIGHUP or a change of the file reloads the config.
    Serve,
    /// Look at everything that Tollgate depends on, and say how to mend what is wrong.
    Doctor(doctor::Options),
    /// Make what is missing in Auth0 and Stripe: permissions, roles, settings, the webhook endpoint. Shows a plan first,
    /// and asks.
    Bootstrap(bootstrap::Options),
    /// The events that Stripe sent, as the ledger keeps them.
    Events {
        #[command(subcommand)]
        action: events::Action,
    },
    /// Ask a running gate whether it is ready, for container health checks.
    Health,
    /// The ledger: a copy while it is in use, or the way to another database.
    Store {
        #[command(subcommand)]
        action: store::Action,
    },
    /// Compare every customer in Stripe and every holder of a plan's role in Auth0, both ways.
    Reconcile(reconcile::Options),
    /// Print the JSON Schema of the config file.
    Schema,
}

/// Runs the command that the arguments name, and returns the exit status: 0 good, 1 found problems, 2 usage or
/// config error.
///
/// # Errors
///
/// When standard output cannot be written to.
pub fn run() -> anyhow::Result<u8> {
    let arguments = Arguments::parse();
    let config = &arguments.config;
    let mut out = io::BufWriter::new(io::stdout());
    let status = match arguments.command {
        Command::Serve => return serve::run(config),
        Command::Check { json } => check::run(config, json, &mut out)?,
        Command::Explain {
            method,
            path,
            permissions,
            token,
            json,
        } => explain::run(
            config,
            &method,
            &path,
            &who(permissions, token)?,
            json,
            &mut out,
        )?,
        Command::Bootstrap(options) => bootstrap::run(config, &options, &mut out)?,
        Command::Doctor(options) => doctor::run(config, &options, &mut out)?,
        Command::Reconcile(options) => reconcile::run(config, &options, &mut out)?,
        Command::Events { action } => events::run(config, &action, &mut out)?,
        Command::Store { action } => store::run(config, &action, &mut out)?,
        Command::Health => health::run(config, &mut out)?,
        Command::Schema => schema::run(&mut out)?,
    };
    out.flush()?;
    Ok(status)
}

/// Reads the config for a command. What is wrong with it is printed, and `Err` holds the exit status then.
fn read_config(path: &Path, out: &mut dyn Write) -> io::Result<Result<Config, u8>> {
    match config::load(path, &config::process_env) {
        Ok(config) => Ok(Ok(config)),
        Err(report) => {
            write!(out, "{report}")?;
            Ok(Err(2))
        }
    }
}

fn who(permissions: Option<String>, token: Option<String>) -> io::Result<Who> {
    Ok(match (permissions, token) {
        (Some(list), _) => Who::Permissions(
            list.split(',')
                .map(str::trim)
                .filter(|p| !p.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        // An argument can be seen by everybody on the machine; standard input cannot.
        (None, Some(dash)) if dash == "-" => {
            Who::Token(io::read_to_string(io::stdin())?.trim().to_owned())
        }
        (None, Some(token)) => Who::Token(token),
        (None, None) => Who::Anonymous,
    })
}
