//! The progress bar: on a terminal, and nowhere else.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::sync::watch;

use crate::sync::{Phase, Progress};

/// While it is not known how many there are.
const COUNT: &str = "{spinner} {msg}: {pos} ({elapsed})";
/// While it is.
const PART: &str = "{msg} {wide_bar} {pos}/{len} ({eta} left)";

/// The bar.
pub(super) struct Bar {
    bar: ProgressBar,
    progress: watch::Receiver<Progress>,
}

impl Bar {
    /// A bar that shows `progress`.
    pub(super) fn new(progress: watch::Receiver<Progress>) -> Self {
        let target = if std::io::stderr().is_terminal() {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(None, target);
        Self {
            bar: match ProgressStyle::with_template(COUNT) {
                Ok(style) => bar.with_style(style),
                Err(_) => bar,
            },
            progress,
        }
    }

    /// Shows how far `work` is; gone when it is done.
    pub(super) async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let done = tokio::select! {
            done = work => done,
            never = self.follow() => match never {},
        };
        self.bar.finish_and_clear();
        done
    }

    async fn follow(&self) -> std::convert::Infallible {
        let mut progress = self.progress.clone();
        let mut shown = None;
        while progress.changed().await.is_ok() {
            let now = *progress.borrow_and_update();
            let template = if now.total == 0 { COUNT } else { PART };
            let is_new = shown != Some((now.phase, template));
            if is_new {
                if let Ok(style) = ProgressStyle::with_template(template) {
                    self.bar.set_style(style);
                }
                self.bar.set_message(what(now.phase));
                self.bar.reset_elapsed();
                self.bar.reset_eta();
                shown = Some((now.phase, template));
            }
            // One draw each time, of all that changed.
            self.bar.update(|state| {
                state.set_len(now.total);
                state.set_pos(now.done);
            });
        }
        std::future::pending().await
    }
}

fn what(phase: Phase) -> &'static str {
    match phase {
        Phase::Stripe => "reading Stripe",
        Phase::Auth0 => "reading Auth0",
        Phase::Users => "comparing users",
        Phase::Mending => "mending",
    }
}
