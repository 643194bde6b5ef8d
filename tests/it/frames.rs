//! HTTP/2 by hand: a library's client would refuse to send what these tests send (RFC 9113, RFC 7541).

use std::io;

use crate::gate::Gate;
use crate::support::frame::{
    ACK, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEAD, HEADERS, INITIAL_WINDOW_SIZE, PREFACE,
    RST_STREAM, SETTINGS, fields, frame, settings,
};
use crate::support::raw::Wire;

/// Sends one request with these header fields, pseudo-headers among them; the body that came back.
pub(crate) async fn body_of(gate: &Gate, named: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut wire = gate.wire().await;
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &fields(named));
    let _ = wire
        .try_send([PREFACE, &settings(&[]), &request].concat())
        .await;
    let mut body = Vec::new();
    while let Ok(frame) = next(&mut wire).await {
        let ended = frame.ends_stream() || matches!(frame.kind, RST_STREAM | GOAWAY);
        if frame.kind == DATA {
            body.extend(frame.payload);
        }
        if ended {
            break;
        }
    }
    body
}

/// Opens streams and resets them at once, `count` of them (CVE-2023-44487); whether the gate ended the connection.
pub(crate) async fn is_cut_off_after_resets(gate: &Gate, path: &str, count: u32) -> bool {
    let mut wire = gate.wire().await;
    let mut flood = [PREFACE, &settings(&[])].concat();
    for stream in (0..count).map(|n| 2 * n + 1) {
        flood.extend(get(path, stream));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // The gate may hang up before it has read all.
    let _ = wire.try_send(flood).await;
    loop {
        match next(&mut wire).await {
            Ok(frame) if frame.kind != GOAWAY => {}
            Ok(_) => return true,
            Err(error) => return error.kind() != io::ErrorKind::TimedOut,
        }
    }
}

/// A connection that has no room for a byte of any answer's body, and never makes any.
pub(crate) struct Greedy {
    wire: Wire,
}

impl Greedy {
    /// Asks for `path`, `count` times at once, and reads the heads of the answers.
    pub(crate) async fn ask(gate: &Gate, path: &str, count: u32) -> Self {
        let mut wire = gate.wire().await;
        let mut bytes = [PREFACE, &settings(&[(INITIAL_WINDOW_SIZE, 0)])].concat();
        bytes.extend(frame(SETTINGS, ACK, 0, &[]));
        bytes.extend((0..count).flat_map(|n| get(path, 2 * n + 1)));
        wire.send(bytes).await;
        let mut heads = 0;
        while heads < count {
            let frame = next(&mut wire).await.expect("the head of an answer");
            heads += u32::from(frame.kind == HEADERS);
        }
        Self { wire }
    }

    /// Waits until the gate ends the connection, and says whether it did; no data may come before.
    pub(crate) async fn is_ended(&mut self) -> bool {
        loop {
            match next(&mut self.wire).await {
                Ok(frame) => assert_ne!(frame.kind, DATA, "there is no room for it: {frame:?}"),
                Err(error) => return error.kind() != io::ErrorKind::TimedOut,
            }
        }
    }
}

async fn next(wire: &mut Wire) -> io::Result<Frame> {
    let (mut frame, length) = Frame::begin(&wire.take(HEAD).await?);
    frame.payload = wire.take(length).await?;
    Ok(frame)
}

fn get(path: &str, stream: u32) -> Vec<u8> {
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "gate.test"),
        (":path", path),
    ]);
    frame(HEADERS, END_STREAM | END_HEADERS, stream, &block)
}
