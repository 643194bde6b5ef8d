//! The program itself, as operators run it: `tollgate` in the demo's folder is a link to the demo, which is Tollgate when
//! it is called so. Nothing else has to be built.

use std::ffi::OsStr;
use std::io::Write as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context as _;

use crate::page::Page;

/// What it is called.
const NAME: &str = "tollgate";

/// The program, and the config file that it is told of.
pub(crate) struct Program {
    link: PathBuf,
    config: PathBuf,
}

/// What a command said, and how it ended; no status when it was killed.
pub(crate) struct Said {
    pub(crate) status: Option<i32>,
    pub(crate) text: String,
}

/// Whether this process was started as the program.
pub(crate) fn is_called() -> bool {
    let name = std::env::args_os().next().unwrap_or_default();
    Path::new(&name).file_name() == Some(OsStr::new(NAME))
}

/// Is the program.
pub(crate) fn run() -> ExitCode {
    match tollgate::cli::run() {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "{NAME}: {error:#}");
            ExitCode::from(1)
        }
    }
}

impl Program {
    /// Makes the link, in the folder of the config file.
    pub(crate) fn beside(config: &Path) -> anyhow::Result<Self> {
        let link = config.with_file_name(NAME);
        symlink(std::env::current_exe()?, &link).context("a link to this program")?;
        Ok(Self {
            link,
            config: config.to_owned(),
        })
    }

    /// The config file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// What lets a shell find the program and its config.
    pub(crate) fn exports(&self) -> String {
        let folder = self.link.parent().unwrap_or(Path::new("."));
        format!(
            "export PATH=\"{}:$PATH\" TOLLGATE_CONFIG={}",
            folder.display(),
            self.config.display()
        )
    }

    /// Runs a command to its end, and says how it ended.
    pub(crate) async fn tell(
        &self,
        page: &mut Page,
        arguments: &[&str],
        expected: i32,
    ) -> anyhow::Result<Said> {
        let said = self.run(arguments).await?;
        let words: Vec<&str> = arguments.iter().map(|word| file_name(word)).collect();
        let line = format!("{NAME} {}", words.join(" "));
        page.command(&line, said.status, expected);
        if said.status != Some(expected) {
            page.quote(said.text.lines(), usize::MAX);
        }
        Ok(said)
    }

    async fn run(&self, arguments: &[&str]) -> anyhow::Result<Said> {
        let mut command = Command::new(&self.link);
        command
            .args(arguments)
            .env("TOLLGATE_CONFIG", &self.config)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null());
        // The stand-ins answer on this runtime meanwhile.
        let output = tokio::task::spawn_blocking(move || command.output()).await??;
        let text = [output.stdout, output.stderr].concat();
        Ok(Said {
            status: output.status.code(),
            text: String::from_utf8_lossy(&text).into_owned(),
        })
    }
}

/// A path without its folders.
fn file_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}
