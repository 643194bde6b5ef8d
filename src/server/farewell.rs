//! The end of a connection whose client may still be sending: it gets its answer all the same.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::connection::LAST_WORDS;
use crate::stop::Stop;

/// How long a client may go on sending what nobody wants.
const LINGER: Duration = Duration::from_secs(5);
/// And how much: an upload of a usual size, sent before its answer is looked for.
const LINGER_BYTES: usize = 64 << 20;
/// What is thrown away at once: small, for it is held as long as the client sends.
const PIECE: usize = 16 << 10;

/// Says that no more comes, then reads and drops what does come, until the client has ended, too: a socket that is
/// closed with unread bytes is reset, and the reset overtakes the answer (RFC 9112, section 9.6).
pub(super) async fn linger<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, stop: &Stop) {
    let lingering = async {
        if stream.shutdown().await.is_err() {
            return;
        }
        let mut dropped = vec![0; PIECE];
        let mut left = LINGER_BYTES;
        while left > 0 {
            match until_drained(stop, LAST_WORDS, stream.read(&mut dropped)).await {
                Some(Ok(read @ 1..)) => left = left.saturating_sub(read),
                Some(Ok(0) | Err(_)) | None => return,
            }
        }
    };
    // Who is not done by then had its chance.
    let _ = tokio::time::timeout(LINGER, lingering).await;
}

/// Waits for `work`, but not longer than `grace` into the drain; `None` when that is over.
pub(super) async fn until_drained<T>(
    stop: &Stop,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    let drained = async {
        stop.draining().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        biased;
        done = work => Some(done),
        () = drained => None,
    }
}
