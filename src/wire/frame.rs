//! A bounded frame: four bytes of length, most significant first, then that
//! many bytes. So speak the nodes with each other, and ZooKeeper
//! and Kafka frame their messages the same way.

use std::fmt;

pub const HEAD_BYTES: usize = 4;

/// The frame is longer than this conversation allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLong {
    pub declared: usize,
    pub bytes_max: usize,
}

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            declared,
            bytes_max,
        } = self;
        write!(
            f,
            "a frame of {declared} bytes where {bytes_max} is the most"
        )
    }
}

impl std::error::Error for TooLong {}

/// The payload with its length before it.
pub fn framed(payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, TooLong> {
    let too_long = TooLong {
        declared: payload.len(),
        bytes_max,
    };
    let length = u32::try_from(payload.len()).map_err(|_| too_long)?;
    if payload.len() > bytes_max {
        return Err(too_long);
    }
    let mut bytes = Vec::with_capacity(HEAD_BYTES + payload.len());
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// What a head declares, if it is one and that is allowed.
pub fn length(head: &[u8], bytes_max: usize) -> Result<usize, TooLong> {
    let head = head.first_chunk::<HEAD_BYTES>();
    let declared = head.map_or(usize::MAX, |head| u32::from_be_bytes(*head) as usize);
    match declared > bytes_max {
        true => Err(TooLong {
            declared,
            bytes_max,
        }),
        false => Ok(declared),
    }
}

/// Cuts a stream of bytes into frames. Holds what has arrived and nothing
/// more: a declared length is compared with the bound and never allocated
/// from. The caller takes every whole frame before it adds more bytes, so at
/// most one frame and one read are held.
pub struct Frames {
    bytes_max: usize,
    held: Vec<u8>,
    /// How much of `held` was taken. It leaves when more is added, and not
    /// with each frame: many small frames in one read would each move all the
    /// bytes behind them.
    taken: usize,
}

impl Frames {
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            held: Vec::new(),
            taken: 0,
        }
    }

    pub fn add(&mut self, arrived: &[u8]) {
        self.held.drain(..self.taken);
        self.taken = 0;
        self.held.extend_from_slice(arrived);
    }

    /// The next whole payload; None until more has arrived. After an error
    /// the stream has lost its place and must be closed.
    pub fn take(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        let left = &self.held[self.taken..];
        let Some((head, rest)) = left.split_first_chunk::<HEAD_BYTES>() else {
            return Ok(None);
        };
        let declared = length(head, self.bytes_max)?;
        if rest.len() < declared {
            return Ok(None);
        }
        let payload = rest[..declared].to_vec();
        self.taken += HEAD_BYTES + declared;
        Ok(Some(payload))
    }

    /// The stream may end here without cutting a frame in two.
    pub fn is_between_frames(&self) -> bool {
        self.taken == self.held.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_out_whole_however_they_arrive() {
        let stream = [framed(b"status", 16), framed(b"", 16), framed(b"stop", 16)]
            .map(Result::unwrap)
            .concat();
        for piece in 1..=stream.len() {
            let mut frames = Frames::new(16);
            let mut taken = Vec::new();
            for arrived in stream.chunks(piece) {
                frames.add(arrived);
                while let Some(payload) = frames.take().unwrap() {
                    taken.push(payload);
                }
            }
            assert_eq!(taken, [&b"status"[..], b"", b"stop"], "pieces of {piece}");
            assert!(frames.is_between_frames());
        }
    }

    #[test]
    fn taking_moves_nothing_and_the_taken_leave_with_the_next_read() {
        let mut frames = Frames::new(16);
        let stream = [framed(b"one", 16), framed(b"two", 16)]
            .map(Result::unwrap)
            .concat();
        frames.add(&stream[..10]);
        assert_eq!(frames.take(), Ok(Some(b"one".to_vec())));
        assert_eq!(frames.take(), Ok(None));
        assert_eq!(frames.held, &stream[..10]);
        assert!(!frames.is_between_frames());
        frames.add(&stream[10..]);
        assert_eq!(frames.held, &stream[7..]);
        assert_eq!(frames.take(), Ok(Some(b"two".to_vec())));
        assert!(frames.is_between_frames());
    }

    #[test]
    fn the_longest_frame_fits_and_the_next_does_not() {
        let mut frames = Frames::new(3);
        frames.add(&framed(b"abc", 3).unwrap());
        assert_eq!(frames.take(), Ok(Some(b"abc".to_vec())));
        let too_long = TooLong {
            declared: 4,
            bytes_max: 3,
        };
        assert_eq!(framed(b"abcd", 3), Err(too_long));
        frames.add(&[0, 0, 0, 4]);
        assert_eq!(frames.take(), Err(too_long));
    }

    #[test]
    fn a_declared_length_allocates_nothing() {
        let mut frames = Frames::new(1 << 30);
        frames.add(&(1u32 << 30).to_be_bytes());
        assert_eq!(frames.take(), Ok(None));
        assert!(frames.held.capacity() < 64);
        assert!(!frames.is_between_frames());
    }

    #[test]
    fn a_negative_length_is_too_long() {
        let mut frames = Frames::new(1 << 20);
        frames.add(&(-1i32).to_be_bytes());
        assert!(frames.take().is_err());
    }
}
