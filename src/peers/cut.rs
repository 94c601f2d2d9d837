//! Cuts a peer's stream into frames: four bytes of length, most significant
//! first, then that many bytes. A read brings hundreds of small frames, so
//! what is taken is stepped over, and moved out of the way once a read.

use crate::wire::frame::TooLong;

const HEAD_BYTES: usize = 4;

/// Holds what has arrived, never what was only declared.
pub(super) struct Cutter {
    bytes_max: usize,
    held: Vec<u8>,
    taken: usize,
}

impl Cutter {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            held: Vec::new(),
            taken: 0,
        }
    }

    /// Called when `take` has answered None.
    pub(super) fn add(&mut self, arrived: &[u8]) {
        self.held.drain(..self.taken);
        self.taken = 0;
        self.held.extend_from_slice(arrived);
    }

    /// The next whole frame. After an error the stream has lost its place.
    pub(super) fn take(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let waiting = &self.held[self.taken..];
        let Some((head, rest)) = waiting.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let declared = u32::from_be_bytes(*head) as usize;
        if declared > self.bytes_max {
            return Err(TooLong {
                declared,
                bytes_max: self.bytes_max,
            });
        }
        let Some(payload) = rest.get(..declared) else {
            return Ok(None);
        };
        let payload = payload.to_vec();
        self.taken += HEAD_BYTES + declared;
        Ok(Some(payload))
    }
}

/// The head that goes before a frame. Frames that are too long never get into
/// a queue.
pub(super) fn head(length: usize) -> [u8; HEAD_BYTES] {
    let length = u32::try_from(length).expect("a frame's length was checked when it was queued");
    length.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::framed;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let frames = [&b"vote"[..], b"", b"append"];
        let stream = frames.map(|frame| framed(frame, 16).unwrap()).concat();
        for piece in 1..=stream.len() {
            let mut cutter = Cutter::new(16);
            let mut taken = Vec::new();
            for arrived in stream.chunks(piece) {
                cutter.add(arrived);
                while let Some(frame) = cutter.take().unwrap() {
                    taken.push(frame);
                }
            }
            assert_eq!(taken, frames, "pieces of {piece}");
        }
    }

    #[test]
    fn a_frame_beyond_the_bound_ends_it() {
        let mut cutter = Cutter::new(3);
        cutter.add(&head(4));
        let too_long = TooLong {
            declared: 4,
            bytes_max: 3,
        };
        assert_eq!(cutter.take(), Err(too_long));
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        let mut cutter = Cutter::new(1 << 30);
        cutter.add(&head(1 << 30));
        assert_eq!(cutter.take(), Ok(None));
        assert!(cutter.held.capacity() < 64);
    }
}
