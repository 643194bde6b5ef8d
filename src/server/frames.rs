//! HTTP/2 as far as its frames' heads: enough to know that a client has begun what it does not end (RFC 9113,
//! section 4). While the head of a request is on its way, nothing else can come on its connection.

/// Bytes of a frame's head.
const HEAD: usize = 9;
/// The connection preface, which comes before the first frame.
const PREFACE: usize = 24;
const HEADERS: u8 = 0x1;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// What has come of a client's frames.
pub(super) struct Frames {
    head: [u8; HEAD],
    /// Bytes of `head` that are there.
    known: usize,
    /// Bytes of the payload, or of the preface, that are still to come.
    missing: usize,
    /// A head of a request is on its way, or the first frame of all.
    is_open: bool,
    /// The end of this frame is the end of that.
    closes: bool,
}

impl Frames {
    /// Of a client that has sent nothing yet.
    pub(super) fn new() -> Self {
        Self {
            head: [0; HEAD],
            known: 0,
            missing: PREFACE,
            is_open: true,
            closes: false,
        }
    }

    /// More bytes came. Whether there is something that the client has begun and not ended.
    pub(super) fn received(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let count;
            if self.missing > 0 {
                count = self.missing.min(bytes.len());
                self.missing -= count;
            } else {
                count = (HEAD - self.known).min(bytes.len());
                self.head[self.known..self.known + count].copy_from_slice(&bytes[..count]);
                self.known += count;
                if self.known == HEAD {
                    self.begin();
                }
            }
            bytes = &bytes[count..];
            if self.missing == 0 && self.closes {
                self.is_open = false;
                self.closes = false;
            }
        }
        self.is_open
    }

    /// The head of a frame is there.
    fn begin(&mut self) {
        let [high, middle, low, kind, flags, ..] = self.head;
        let length = u32::from_be_bytes([0, high, middle, low]);
        self.missing = usize::try_from(length).unwrap_or(usize::MAX);
        self.known = 0;
        let is_head = matches!(kind, HEADERS | CONTINUATION);
        self.is_open |= is_head;
        self.closes = !is_head || flags & END_HEADERS != 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: u8 = 0x4;
    const DATA: u8 = 0x0;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(HEAD + usize::from(length), 0);
        frame
    }

    fn greeted() -> Frames {
        let mut frames = Frames::new();
        assert!(frames.received(&[0; PREFACE]));
        assert!(!frames.received(&frame(SETTINGS, 0, 12)));
        frames
    }

    #[test]
    fn a_client_has_greeted_when_its_first_frame_is_whole() {
        let hello = [vec![0; PREFACE], frame(SETTINGS, 0, 12)].concat();
        let mut frames = Frames::new();
        for (at, byte) in hello.iter().enumerate() {
            assert_eq!(frames.received(&[*byte]), at + 1 < hello.len(), "{at}");
        }
    }

    #[test]
    fn a_head_is_open_until_its_last_frame_is_whole() {
        let mut frames = greeted();
        assert!(!frames.received(&frame(HEADERS, END_HEADERS, 9)));
        assert!(frames.received(&frame(HEADERS, 0, 9)));
        assert!(frames.received(&frame(CONTINUATION, 0, 0)));
        let last = frame(CONTINUATION, END_HEADERS, 9);
        assert!(frames.received(&last[..12]));
        assert!(!frames.received(&last[12..]));
    }

    #[test]
    fn an_upload_that_stands_still_is_no_open_head() {
        let mut frames = greeted();
        let both = [frame(HEADERS, END_HEADERS, 9), frame(DATA, 0, 200)].concat();
        assert!(!frames.received(&both[..both.len() - 100]));
        assert!(!frames.received(&both[both.len() - 100..]));
    }
}
