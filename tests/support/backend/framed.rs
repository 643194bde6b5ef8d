//! An HTTP/2 backend that goes away in the ways a script says (RFC 9113, section 6.8).

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::frame::{
    ACK, END_HEADERS, END_STREAM, Frame, GOAWAY, HEAD, HEADERS, PING, PREFACE, SETTINGS, frame,
    settings,
};
use crate::support::net::{Listening, Reserved};

/// What to do when the head of a request has come.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// 200, without a body.
    Answer,
    /// 200, and GOAWAY behind it: no further request will be served.
    AnswerAndGoAway,
    /// GOAWAY, by which this request was not served.
    GoAway,
    /// Close without a word.
    HangUp,
}

/// The backend.
pub(crate) struct Framed {
    listening: Listening,
    /// The number of the connection on which each request came, from 0.
    received: Arc<Mutex<Vec<usize>>>,
}

impl Framed {
    /// Plays a script on each connection: the first on the first, and so on, the last one again for all that
    /// follow. After the last turn of a script, requests are answered.
    pub(crate) fn start(scripts: &[&[Turn]]) -> Self {
        let scripts: Vec<Vec<Turn>> = scripts.iter().map(|script| script.to_vec()).collect();
        let received = Arc::<Mutex<Vec<usize>>>::default();
        let (log, count) = (Arc::clone(&received), Mutex::new(0));
        let serve = move |stream| {
            let mut count = count.lock().unwrap_or_else(PoisonError::into_inner);
            let number = *count;
            *count += 1;
            let script = scripts.get(number).or(scripts.last()).cloned();
            let log = Arc::clone(&log);
            async move {
                // An error is the other side's going away.
                let _ = play(stream, script.unwrap_or_default(), number, &log).await;
            }
        };
        Self {
            listening: Listening::start(Reserved::any().listen(), serve),
            received,
        }
    }

    /// The URL, for `upstream.url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.listening.address)
    }

    /// The number of the connection on which each request came, from 0.
    pub(crate) fn received(&self) -> Vec<usize> {
        self.received
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

async fn play(
    mut stream: TcpStream,
    script: Vec<Turn>,
    number: usize,
    log: &Mutex<Vec<usize>>,
) -> io::Result<()> {
    let mut script = script.into_iter();
    let mut served = 0;
    stream.read_exact(&mut [0; PREFACE.len()]).await?;
    stream.write_all(&settings(&[])).await?;
    loop {
        let frame = next(&mut stream).await?;
        let answer = match frame.kind {
            SETTINGS | PING if frame.flags & ACK == 0 => ack(&frame),
            HEADERS => {
                log.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(number);
                match script.next().unwrap_or(Turn::Answer) {
                    Turn::Answer => ok(&mut served, &frame),
                    Turn::AnswerAndGoAway => [ok(&mut served, &frame), go_away(served)].concat(),
                    Turn::GoAway => go_away(served),
                    Turn::HangUp => return Ok(()),
                }
            }
            _ => continue,
        };
        stream.write_all(&answer).await?;
    }
}

async fn next(stream: &mut TcpStream) -> io::Result<Frame> {
    let mut head = [0; HEAD];
    stream.read_exact(&mut head).await?;
    let (mut frame, length) = Frame::begin(&head);
    frame.payload = vec![0; length];
    stream.read_exact(&mut frame.payload).await?;
    Ok(frame)
}

/// `:status: 200` stands in the static table (RFC 7541, appendix A).
fn ok(served: &mut u32, request: &Frame) -> Vec<u8> {
    *served = request.stream;
    frame(HEADERS, END_STREAM | END_HEADERS, request.stream, &[0x88])
}

fn go_away(served: u32) -> Vec<u8> {
    let no_error = 0_u32;
    let payload = [served.to_be_bytes(), no_error.to_be_bytes()].concat();
    frame(GOAWAY, 0, 0, &payload)
}

/// SETTINGS is acknowledged without its values, PING with its payload.
fn ack(asked: &Frame) -> Vec<u8> {
    let payload = if asked.kind == PING {
        &asked.payload[..]
    } else {
        &[]
    };
    frame(asked.kind, ACK, 0, payload)
}
