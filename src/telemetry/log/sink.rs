//! Where lines go: a bounded buffer, and a thread that empties it.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes held back at most. A reader that stops costs no more memory than this.
const MAX_HELD: usize = 4 << 20;
/// From here on the thread is woken at once.
const ENOUGH: usize = 64 << 10;
/// How long a line that is not urgent may wait.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long the end of the process waits for a reader of its last lines.
const LAST_LINES: Duration = Duration::from_secs(2);

pub(super) struct Sink {
    state: Mutex<State>,
    wake: Condvar,
    /// The thread has ended.
    ended: Condvar,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    held: Vec<u8>,
    urgent: bool,
    closed: bool,
    ended: bool,
}

/// Tells that the thread has ended, however it does.
struct End<'a>(&'a Sink);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.lock().ended = true;
        self.0.ended.notify_all();
    }
}

impl Sink {
    /// Starts the thread that writes to `out`.
    pub(super) fn start(out: Box<dyn Write + Send>) -> std::io::Result<Arc<Self>> {
        let sink = Arc::new(Self {
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: Condvar::new(),
            dropped: AtomicU64::new(0),
        });
        let writer = Arc::clone(&sink);
        std::thread::Builder::new()
            .name("log".into())
            .spawn(move || {
                let _end = End(&writer);
                writer.empty_into(out);
            })?;
        Ok(sink)
    }

    pub(super) fn write(&self, line: &str, urgent: bool) {
        let mut state = self.lock();
        if state.held.len() + line.len() > MAX_HELD {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let before = state.held.len();
        state.held.extend_from_slice(line.as_bytes());
        let crossed = before < ENOUGH && state.held.len() >= ENOUGH;
        let hurry = (crossed || urgent) && !state.urgent;
        state.urgent |= hurry;
        if hurry || before == 0 {
            self.wake.notify_one();
        }
    }

    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Writes what is held and ends the thread. A reader that has stopped must not keep the process: its lines are lost.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        self.wake.notify_one();
        let _ended = self
            .ended
            .wait_timeout_while(state, LAST_LINES, |state| !state.ended)
            .unwrap_or_else(PoisonError::into_inner);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn empty_into(&self, mut out: Box<dyn Write + Send>) {
        let mut batch = Vec::new();
        loop {
            let closed = self.take(&mut batch);
            if !batch.is_empty() {
                // A broken pipe: nobody reads any more, and serving matters more than logging.
                let _ = out.write_all(&batch).and_then(|()| out.flush());
                batch.clear();
                batch.shrink_to(2 * ENOUGH);
            }
            if closed {
                return;
            }
        }
    }

    /// Waits until there is something worth writing, and takes all of it.
    fn take(&self, batch: &mut Vec<u8>) -> bool {
        let mut state = self.lock();
        while !state.urgent && !state.closed {
            let waiting = state.held.is_empty();
            if waiting {
                state = self
                    .wake
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
            } else {
                state = self
                    .wake
                    .wait_timeout(state, PATIENCE)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
                break;
            }
        }
        state.urgent = false;
        std::mem::swap(&mut state.held, batch);
        state.closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    struct Channel(mpsc::Sender<Vec<u8>>);

    impl Write for Channel {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            let _ = self.0.send(bytes.to_vec());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_come_out_in_order_and_the_last_ones_at_close() {
        let (send, receive) = mpsc::channel();
        let sink = Sink::start(Box::new(Channel(send))).unwrap();
        let mut expected = String::new();
        for n in 0..1000 {
            let line = format!("{n}\n");
            sink.write(&line, n % 100 == 0);
            expected.push_str(&line);
        }
        sink.close();
        let text = String::from_utf8(receive.iter().flatten().collect()).unwrap();
        assert_eq!(text, expected);
    }

    #[test]
    fn a_reader_that_stops_costs_bounded_memory_and_no_time() {
        struct Stuck(mpsc::Receiver<()>);
        impl Write for Stuck {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                let _ = self.0.recv();
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let (free, stuck) = mpsc::channel();
        let sink = Sink::start(Box::new(Stuck(stuck))).unwrap();
        let line = "x".repeat(1 << 20);
        for _ in 0..20 {
            sink.write(&line, true);
        }
        assert!(sink.dropped() >= 10);
        // Nor does it keep the process from ending.
        sink.close();
        drop(free);
    }
}
