//! A word for whoever sits before a terminal where nothing seems to happen.

use std::io::{self, IsTerminal as _, Write};
use std::pin::pin;
use std::time::Duration;

use tokio::time::sleep;

/// Longer than Auth0 and Stripe take when all is well.
const SOON: Duration = Duration::from_secs(3);

/// Does `work`, and says on a terminal what is waited for when it takes its time.
pub(super) async fn told<T>(what: &str, work: impl Future<Output = T>) -> T {
    let mut terminal = io::stderr();
    let out = terminal
        .is_terminal()
        .then_some(&mut terminal as &mut dyn Write);
    told_to(out, SOON, what, work).await
}

async fn told_to<T>(
    out: Option<&mut dyn Write>,
    soon: Duration,
    what: &str,
    work: impl Future<Output = T>,
) -> T {
    let mut work = pin!(work);
    tokio::select! {
        biased;
        done = &mut work => return done,
        () = sleep(soon) => {}
    }
    if let Some(out) = out {
        // What cannot be said there cannot be said at all.
        let _ = writeln!(out, "still waiting for {what} ...");
    }
    work.await
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn said(work: impl Future<Output = u8>) -> String {
        let mut out = Vec::new();
        assert_eq!(
            told_to(Some(&mut out), Duration::ZERO, "Stripe", work).await,
            7
        );
        String::from_utf8(out).unwrap()
    }

    #[tokio::test]
    async fn what_takes_its_time_is_told_once() {
        let slow = async {
            sleep(Duration::from_millis(5)).await;
            7
        };
        assert_eq!(said(slow).await, "still waiting for Stripe ...\n");
        assert_eq!(said(async { 7 }).await, "");
    }
}
