//! HTTP/2 frames as bytes (RFC 9113, section 4.1), for what a library would refuse to send.

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0x0;
pub(crate) const HEADERS: u8 = 0x1;
pub(crate) const RST_STREAM: u8 = 0x3;
pub(crate) const SETTINGS: u8 = 0x4;
pub(crate) const PING: u8 = 0x6;
pub(crate) const GOAWAY: u8 = 0x7;

/// On SETTINGS and PING: an answer to the peer's.
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;

/// A setting: the window that each stream begins with.
pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;

/// Bytes of a frame's head.
pub(crate) const HEAD: usize = 9;

/// A frame that came.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Reads a frame's head: the frame without its payload, and how long that is.
    pub(crate) fn begin(head: &[u8]) -> (Self, usize) {
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum: u32, byte| sum << 8 | u32::from(*byte))
        };
        let frame = Self {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..HEAD]) & 0x7fff_ffff,
            payload: Vec::new(),
        };
        let length = usize::try_from(number(&head[..3])).unwrap_or_default();
        (frame, length)
    }

    /// Whether its sender has said all on its stream.
    pub(crate) fn ends_stream(&self) -> bool {
        matches!(self.kind, DATA | HEADERS) && self.flags & END_STREAM != 0
    }
}

/// A frame to send.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags];
    [&head[..], &stream.to_be_bytes(), payload].concat()
}

/// A SETTINGS frame.
pub(crate) fn settings(values: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<u8> = values
        .iter()
        .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
        .collect();
    frame(SETTINGS, 0, 0, &payload)
}

/// Header fields without indexing and with new names, one after the other (RFC 7541, section 6.2.2).
pub(crate) fn fields<N: AsRef<[u8]>, V: AsRef<[u8]>>(fields: &[(N, V)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| [&[0][..], &text(name.as_ref()), &text(value.as_ref())].concat())
        .collect()
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
