//! The `tollgate` binary: see [`tollgate::cli`].

use std::io::Write;
use std::process::ExitCode;

/// Fewer cycles an allocation than the system's allocator, and memory that is given back.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match tollgate::cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            // Standard error is the last place to say it; if that is gone, the status remains.
            let _ = writeln!(std::io::stderr(), "tollgate: {error:#}");
            ExitCode::from(1)
        }
    }
}
