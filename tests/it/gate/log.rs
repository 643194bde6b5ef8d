//! What the process writes: one JSON object a line.

use std::io::{BufRead as _, BufReader, Read};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::support::raw::DEADLINE;

/// The lines so far, of stdout and stderr alike.
#[derive(Clone, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    changed: watch::Sender<usize>,
}

impl Log {
    /// Reads `source` to its end, on a thread of its own.
    pub(super) fn follow(&self, source: impl Read + Send + 'static) {
        let log = self.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(source).lines().map_while(Result::ok) {
                log.lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
                log.changed.send_modify(|count| *count += 1);
            }
            // Whoever waits for a line looks once more, and sees that the process ended.
            log.changed.send_modify(|count| *count += 1);
        });
    }

    /// Everything, for the message of a failed test.
    pub(crate) fn text(&self) -> String {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .join("\n")
    }

    /// The lines that are JSON objects.
    pub(crate) fn events(&self) -> Vec<Value> {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        lines
            .iter()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// Waits until `count` events fit, and gives them.
    pub(crate) async fn until(
        &self,
        what: &str,
        count: usize,
        fits: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        let mut changed = self.changed.subscribe();
        let found = timeout(DEADLINE, async {
            loop {
                changed.mark_unchanged();
                let events: Vec<Value> = self
                    .events()
                    .into_iter()
                    .filter(|event| fits(event))
                    .collect();
                if events.len() >= count {
                    return events;
                }
                if changed.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        });
        found
            .await
            .unwrap_or_else(|_| unreachable!("the log never told {what}\n{}", self.text()))
    }
}
