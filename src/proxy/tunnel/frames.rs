//! Where one WebSocket frame ends and the next begins (RFC 6455, section 5.2): a frame of ours may only stand there.

/// A close frame from a server: 1001, going away (RFC 6455, section 7.4.1).
pub(super) const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];

/// The same with 1008, policy violation: the token that opened the tunnel has expired.
pub(super) const POLICY_VIOLATION: [u8; 4] = [0x88, 0x02, 0x03, 0xf0];

/// Follows a stream of frames without keeping them.
#[derive(Debug, Default)]
pub(super) struct Frames {
    /// The header of the frame that has begun, as far as it is there.
    header: Vec<u8>,
    /// Bytes of payload to come.
    payload: u64,
}

impl Frames {
    /// Whether the last byte seen ended a frame.
    pub(super) fn is_between(&self) -> bool {
        self.header.is_empty() && self.payload == 0
    }

    /// Takes the next bytes of the stream.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload > 0 {
                let skipped = bytes
                    .len()
                    .min(usize::try_from(self.payload).unwrap_or(usize::MAX));
                self.payload -= skipped as u64;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header.push(bytes[0]);
            bytes = &bytes[1..];
            if let Some(payload) = payload_length(&self.header) {
                self.payload = payload;
                self.header.clear();
            }
        }
    }
}

/// The length of a frame's payload, once its header is complete.
fn payload_length(header: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = header else {
        return None;
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if rest.len() < extended + mask {
        return None;
    }
    let short = u64::from(second & 0x7f);
    Some(if extended == 0 {
        short
    } else {
        rest[..extended]
            .iter()
            .fold(0, |length, b| length << 8 | u64::from(*b))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(length: usize, masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut frame = vec![0x82];
        match length {
            0..126 => frame.push(mask_bit | u8::try_from(length).unwrap()),
            126..65_536 => {
                frame.push(mask_bit + 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(mask_bit + 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        frame.extend(vec![0x81; if masked { 4 } else { 0 } + length]);
        frame
    }

    proptest! {
        #[test]
        fn the_end_of_a_frame_is_found_however_the_bytes_come(
            lengths in prop::collection::vec((prop::sample::select(vec![0, 1, 125, 126, 127, 300, 65_535, 65_536, 70_000]), any::<bool>()), 1..5),
            step in 1usize..5000,
        ) {
            let frames: Vec<Vec<u8>> = lengths.iter().map(|(length, masked)| frame(*length, *masked)).collect();
            let ends: Vec<usize> = frames.iter().scan(0, |at, f| { *at += f.len(); Some(*at) }).collect();
            let stream = frames.concat();
            let mut follower = Frames::default();
            let mut at = 0;
            for chunk in stream.chunks(step) {
                follower.advance(chunk);
                at += chunk.len();
                prop_assert_eq!(follower.is_between(), ends.contains(&at));
            }
        }
    }
}
