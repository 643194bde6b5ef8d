//! A backend that answers with the bytes a test gives it, and keeps the bytes it received.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::net::{Listening, Reserved};

/// What to do when a request has come.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Send these bytes and wait for the next request.
    Answer(&'static str),
    /// Send these bytes and close.
    Last(&'static str),
}

/// The backend.
pub(crate) struct Scripted {
    listening: Listening,
    received: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Plays a script on each connection: the first on the first, and so on, the last one again for all that
    /// follow. A step is taken when the head of a request is complete; after the last step nothing is answered.
    pub(crate) fn start(scripts: &[&[Step]]) -> Self {
        let scripts: Vec<Vec<Step>> = scripts.iter().map(|script| script.to_vec()).collect();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let (log, count) = (Arc::clone(&received), Arc::new(Mutex::new(0)));
        let serve = move |stream| {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            let script = scripts
                .get(*count)
                .or(scripts.last())
                .cloned()
                .unwrap_or_default();
            *count += 1;
            play(stream, script, Arc::clone(&log))
        };
        Self {
            listening: Listening::start(Reserved::any().listen(), serve),
            received,
        }
    }

    /// A backend that answers every request with `bytes` and closes.
    pub(crate) fn answering(bytes: &'static str) -> Self {
        Self::start(&[&[Step::Last(bytes)]])
    }

    /// The address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address
    }

    /// The URL, for `upstream.url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// The heads of the requests received, in order, byte for byte.
    pub(crate) fn received(&self) -> Vec<String> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn play(mut stream: TcpStream, script: Vec<Step>, log: Arc<Mutex<Vec<String>>>) {
    let mut script = script.into_iter();
    let mut unread = Vec::new();
    while let Some(head) = head(&mut stream, &mut unread).await {
        log.lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(head);
        match script.next() {
            Some(Step::Answer(bytes)) => drop(stream.write_all(bytes.as_bytes()).await),
            Some(Step::Last(bytes)) => {
                let _ = stream.write_all(bytes.as_bytes()).await;
                let _ = stream.shutdown().await;
                return;
            }
            None => {}
        }
    }
}

/// Reads up to the empty line; what follows stays in `unread`.
async fn head(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(end) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            let head = unread.drain(..end + 4).collect::<Vec<_>>();
            return Some(String::from_utf8_lossy(&head).into_owned());
        }
        match stream.read_buf(unread).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
