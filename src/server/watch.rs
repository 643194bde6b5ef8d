//! What a connection is doing, and for how long it may.
//!
//! One value is shared by the socket's wrapper, the service and the bodies of one connection. It lives on one
//! thread; the atomics are there because an upgraded connection must be `Send`, not for ordering.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::body::Incoming;

use super::Limits;

/// What the connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Phase {
    /// Waiting for a request.
    Idle = 0,
    /// The first bytes of a request's head are there.
    Head = 1,
    /// A request is being answered.
    Busy = 2,
    /// The answer is complete but may not be written yet.
    Finishing = 3,
    /// No HTTP any more: the bytes are a WebSocket's.
    Tunnel = 4,
}

pub(super) struct Watch {
    start: Instant,
    phase: AtomicU8,
    /// Milliseconds from `start` to the beginning of the phase.
    since: AtomicU64,
    /// Requests being answered; more than one in HTTP/2 only.
    in_flight: AtomicU32,
    /// The request's body was read to its end, so what comes next is a request's head.
    body_read: AtomicBool,
    /// The request line has been seen to its end.
    line_seen: AtomicBool,
    /// There was a `#` in the request line.
    fragment: AtomicBool,
    /// Milliseconds from `start` to what an HTTP/2 client has begun and not ended; 0 when there is no such thing.
    open_since: AtomicU64,
    /// Milliseconds from `start` to the first write that the client did not take; 0 when it takes them.
    blocked_since: AtomicU64,
    /// HTTP/2 streams whose client does not take what was handed out, and since when (milliseconds from `start`).
    stalled: Mutex<HashMap<u64, u64>>,
    /// Requests so far.
    requests: AtomicU64,
    /// How often something happened: bytes came, or an answer was complete.
    stirs: AtomicU64,
    /// What is left of the request's body, once whoever answers has dropped it.
    leftover: Mutex<Leftover>,
}

/// What becomes of a body that was not read to its end.
#[derive(Default)]
enum Leftover {
    /// It is dropped, which ends the connection.
    #[default]
    Unwanted,
    /// It is kept for whoever sends the answer.
    Wanted(Option<Incoming>),
}

impl Watch {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            phase: AtomicU8::new(Phase::Idle as u8),
            since: AtomicU64::new(0),
            in_flight: AtomicU32::new(0),
            body_read: AtomicBool::new(true),
            line_seen: AtomicBool::new(false),
            fragment: AtomicBool::new(false),
            open_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            stalled: Mutex::default(),
            requests: AtomicU64::new(0),
            stirs: AtomicU64::new(0),
            leftover: Mutex::default(),
        }
    }

    /// From now on a body that is dropped before its end is kept.
    pub(super) fn want_leftover(&self) {
        *self.leftover() = Leftover::Wanted(None);
    }

    /// What was kept. From now on it is dropped again.
    pub(super) fn take_leftover(&self) -> Option<Incoming> {
        match std::mem::take(&mut *self.leftover()) {
            Leftover::Wanted(incoming) => incoming,
            Leftover::Unwanted => None,
        }
    }

    /// A body was dropped before its end.
    pub(super) fn leave(&self, incoming: Incoming) {
        if let Leftover::Wanted(kept) = &mut *self.leftover() {
            *kept = Some(incoming);
        }
    }

    fn leftover(&self) -> MutexGuard<'_, Leftover> {
        self.leftover.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn phase(&self) -> Phase {
        match self.phase.load(Relaxed) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            3 => Phase::Finishing,
            _ => Phase::Tunnel,
        }
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Relaxed);
        self.since.store(self.elapsed_ms(), Relaxed);
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Something was written, or could not be because the client does not read.
    pub(super) fn wrote(&self, taken: bool) {
        self.mark(&self.blocked_since, !taken);
    }

    /// An HTTP/2 client has, or has not, begun a head that it has not ended.
    pub(super) fn opens(&self, is_open: bool) {
        self.mark(&self.open_since, is_open);
    }

    /// Keeps since when something is so. The clock is asked only when that changes.
    fn mark(&self, since: &AtomicU64, is_so: bool) {
        match (is_so, since.load(Relaxed)) {
            (true, 0) => since.store(self.elapsed_ms().max(1), Relaxed),
            (false, 1..) => since.store(0, Relaxed),
            (true, 1..) | (false, 0) => {}
        }
    }

    /// Something happened. All that counts is that the number changes, and one thread alone changes it.
    pub(super) fn stirred(&self) {
        self.stirs.store(self.stirs().wrapping_add(1), Relaxed);
    }

    /// A number that changes when something happens.
    pub(super) fn stirs(&self) -> u64 {
        self.stirs.load(Relaxed)
    }

    /// Whether no request is being answered, and no answer waits for its client.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.phase(), Phase::Idle | Phase::Finishing)
            && self.blocked_since.load(Relaxed) == 0
            && self.oldest_stall().is_none()
    }

    /// Bytes came in (HTTP/1 only). Looks for a `#` in the request line: the parser cuts the target there
    /// without a word, and a target with a fragment must be refused.
    pub(super) fn received(&self, bytes: &[u8]) {
        match self.phase() {
            // Else it is the rest of a body, whose request was answered before its end.
            Phase::Idle if self.body_read.load(Relaxed) => self.enter(Phase::Head),
            Phase::Head => {}
            Phase::Idle | Phase::Busy | Phase::Finishing | Phase::Tunnel => return,
        }
        // After an unread body it is unknown where the next request starts.
        if self.line_seen.load(Relaxed) || !self.body_read.load(Relaxed) {
            return;
        }
        // Empty lines before the request line are skipped (RFC 9112, section 2.2).
        let blank = bytes
            .iter()
            .position(|b| !matches!(b, b'\r' | b'\n'))
            .unwrap_or(bytes.len());
        let bytes = &bytes[blank..];
        let end = memchr::memchr(b'\n', bytes);
        if memchr::memchr(b'#', &bytes[..end.unwrap_or(bytes.len())]).is_some() {
            self.fragment.store(true, Relaxed);
        }
        if end.is_some() {
            self.line_seen.store(true, Relaxed);
        }
    }

    /// A request's head was read. Gives it a number, unique on this connection.
    pub(super) fn begin(&self, body_read: bool) -> u64 {
        let number = self.requests.fetch_add(1, Relaxed);
        self.in_flight.fetch_add(1, Relaxed);
        self.body_read.store(body_read, Relaxed);
        // Nobody asks how long a handler takes, so the clock is not asked either.
        self.phase.store(Phase::Busy as u8, Relaxed);
        number
    }

    /// Whether the target of the request that just began had a fragment.
    pub(super) fn take_fragment(&self) -> bool {
        self.fragment.swap(false, Relaxed)
    }

    /// Whether nothing of the last request's body is left unread.
    pub(super) fn is_body_read(&self) -> bool {
        self.body_read.load(Relaxed)
    }

    /// The request's body was read to its end.
    pub(super) fn body_read(&self) {
        self.body_read.store(true, Relaxed);
    }

    /// The answer is complete, or given up.
    pub(super) fn finish(&self) {
        self.stirred();
        if self.in_flight.fetch_sub(1, Relaxed) == 1 && self.phase() != Phase::Tunnel {
            self.enter(Phase::Finishing);
        }
    }

    /// The answer was 101: from here on nothing on this connection is HTTP.
    pub(super) fn upgraded(&self) {
        self.enter(Phase::Tunnel);
    }

    /// Whether no request has come yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.requests.load(Relaxed) == 0
    }

    /// An answer handed out a piece; it is stalled until it is asked for the next.
    pub(super) fn handed_out(&self, answer: u64) {
        self.stalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(answer, self.elapsed_ms());
    }

    /// An answer was asked for its next piece, or is gone.
    pub(super) fn asked_for(&self, answer: u64) {
        self.stalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&answer);
    }

    fn oldest_stall(&self) -> Option<u64> {
        self.stalled
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .min()
            .copied()
    }

    /// Everything has been written.
    pub(super) fn flushed(&self) {
        if self.phase() == Phase::Finishing {
            self.line_seen.store(false, Relaxed);
            // Silence counts from the end of the answer.
            self.phase.store(Phase::Idle as u8, Relaxed);
        }
    }

    /// Whether the request line is complete; if not, an overlong head is an overlong target.
    pub(super) fn line_seen(&self) -> bool {
        self.line_seen.load(Relaxed)
    }

    /// How long there has been no request, answer or byte; `None` while there is one, and as long as a body is not
    /// read to its end: what comes next is then the rest of it, and must never be taken for a request.
    pub(super) fn silence(&self) -> Option<Duration> {
        let since = Duration::from_millis(self.since.load(Relaxed));
        let between = self.phase() == Phase::Idle && self.body_read.load(Relaxed);
        between.then(|| self.start.elapsed().saturating_sub(since))
    }

    /// How long what goes on now may still go on; `None` is as long as the handler likes.
    pub(super) fn remaining(&self, limits: &Limits) -> Option<Duration> {
        let open = Some(self.open_since.load(Relaxed)).filter(|since| *since > 0);
        let head = open.map(|since| self.left(since, limits.header_timeout));
        head.into_iter().chain(self.phase_remaining(limits)).min()
    }

    /// What is left of the time that something may take which began at `since`.
    fn left(&self, since: u64, allowed: Duration) -> Duration {
        (Duration::from_millis(since) + allowed).saturating_sub(self.start.elapsed())
    }

    fn phase_remaining(&self, limits: &Limits) -> Option<Duration> {
        let since = self.since.load(Relaxed);
        let unwritten = Some(self.blocked_since.load(Relaxed)).filter(|since| *since > 0);
        let blocked = unwritten.into_iter().chain(self.oldest_stall()).min();
        let (since, allowed) = match (self.phase(), blocked) {
            (Phase::Head, _) => (since, limits.header_timeout),
            (Phase::Idle | Phase::Finishing, None) => (since, limits.idle_timeout),
            (Phase::Busy | Phase::Tunnel, None) => return None,
            (Phase::Idle | Phase::Finishing | Phase::Busy | Phase::Tunnel, Some(blocked)) => {
                (blocked, limits.idle_timeout)
            }
        };
        Some(self.left(since, allowed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sees_fragment(reads: &[&str]) -> bool {
        let watch = Watch::new();
        for read in reads {
            watch.received(read.as_bytes());
        }
        let _ = watch.begin(true);
        watch.take_fragment()
    }

    #[test]
    fn a_fragment_is_seen_in_the_request_line_alone() {
        assert!(sees_fragment(&["GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"]));
        assert!(sees_fragment(&["\r\n", "GET /a", "#b HTTP/1.1\r\n\r\n"]));
        assert!(!sees_fragment(&["GET /a HTTP/1.1\r\nHost: x#y\r\n\r\n"]));
        assert!(!sees_fragment(&["GET /a HTTP/1.1\r\n", "X: #\r\n\r\n"]));
    }

    #[test]
    fn bytes_of_a_body_are_not_taken_for_a_request_line() {
        let watch = Watch::new();
        watch.received(b"POST / HTTP/1.1\r\n");
        let _ = watch.begin(false);
        watch.received(b"# heading\n");
        watch.finish();
        watch.flushed();
        watch.received(b"# rest of an unread body");
        assert!(!watch.take_fragment());
    }

    #[test]
    fn a_connection_is_not_silent_before_its_last_body_was_read() {
        let watch = Watch::new();
        let _ = watch.begin(false);
        watch.finish();
        watch.flushed();
        assert_eq!(watch.silence(), None);
        watch.body_read();
        assert!(watch.silence().is_some());
    }

    #[test]
    fn what_a_tunnel_carries_is_no_http() {
        let watch = Watch::new();
        watch.received(b"GET / HTTP/1.1\r\n\r\n");
        let _ = watch.begin(true);
        watch.upgraded();
        watch.finish();
        watch.flushed();
        watch.received(b"#");
        assert_eq!(watch.phase(), Phase::Tunnel);
        assert!(!watch.take_fragment());
    }

    #[test]
    fn an_answer_that_nobody_takes_runs_out_of_time() {
        let watch = Watch::new();
        let limits = Limits {
            max_header_bytes: 0,
            max_headers: 0,
            header_timeout: Duration::from_secs(1),
            handshake_timeout: Duration::ZERO,
            idle_timeout: Duration::from_secs(60),
            max_connections: 0,
            max_streams: 0,
            max_resets: 0,
        };
        let _ = watch.begin(true);
        assert_eq!(watch.remaining(&limits), None);
        watch.handed_out(1);
        assert!(
            watch
                .remaining(&limits)
                .is_some_and(|left| left <= Duration::from_secs(60))
        );
        watch.asked_for(1);
        assert_eq!(watch.remaining(&limits), None);
    }
}
