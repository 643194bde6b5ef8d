//! HTTP/2 by hand: a library's client would refuse to send what these tests send (RFC 9113, RFC 7541).

use crate::gate::Gate;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const SETTINGS: u8 = 0x4;
const GOAWAY: u8 = 0x7;
const END_STREAM: u8 = 0x1;
const END_HEADERS: u8 = 0x4;

/// Sends one request with these header fields, pseudo-headers among them; the body that came back.
pub(crate) async fn body_of(gate: &Gate, fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut wire = gate.wire().await;
    let block: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| literal(name.as_bytes(), value))
        .collect();
    let request = frame(HEADERS, END_STREAM | END_HEADERS, 1, &block);
    let _ = wire
        .try_send([PREFACE, &frame(SETTINGS, 0, 0, &[]), &request].concat())
        .await;
    let mut body = Vec::new();
    while let Ok(head) = wire.take(9).await {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let Ok(payload) = wire.take(usize::try_from(length).unwrap_or_default()).await else {
            break;
        };
        let (kind, flags) = (head[3], head[4]);
        if kind == DATA {
            body.extend(payload);
        }
        let ended = matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0;
        if ended || matches!(kind, RST_STREAM | GOAWAY) {
            break;
        }
    }
    body
}

/// Opens streams and resets them at once, `count` of them (CVE-2023-44487); whether the gate ended the connection.
pub(crate) async fn is_cut_off_after_resets(gate: &Gate, path: &str, count: u32) -> bool {
    let mut wire = gate.wire().await;
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "gate.test"),
        (":path", path),
    ];
    let block: Vec<u8> = fields
        .iter()
        .flat_map(|(name, value)| literal(name.as_bytes(), value.as_bytes()))
        .collect();
    let mut flood = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    for stream in (0..count).map(|n| 2 * n + 1) {
        flood.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
        flood.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
    }
    // The gate may hang up before it has read all.
    let _ = wire.try_send(flood).await;
    loop {
        let Ok(head) = wire.take(9).await else {
            return true;
        };
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        if head[3] == GOAWAY
            || wire
                .take(usize::try_from(length).unwrap_or_default())
                .await
                .is_err()
        {
            return true;
        }
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A field without indexing and with a new name (RFC 7541, section 6.2.2).
fn literal(name: &[u8], value: &[u8]) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A text without Huffman coding: its length with a prefix of seven bits, and its bytes.
fn text(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len() + 3);
    let mut length = bytes.len();
    if length < 127 {
        out.extend(u8::try_from(length));
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.extend(u8::try_from(length % 128 + 128));
            length /= 128;
        }
        out.extend(u8::try_from(length));
    }
    out.extend(bytes);
    out
}
