//! The frame that is arriving on a connection. Pure. Its memory grows with its
//! bytes and never with the length that it declares.

use bytes::buf::Limit;
use bytes::{BufMut, Bytes};

const HEAD_BYTES: usize = 4;
/// Most frames fit.
const FIRST_BYTES: usize = 512;
/// From so much room on, a frame is read straight into its place.
const DIRECT_BYTES: usize = 16 << 10;

#[derive(Default)]
pub struct Arriving {
    head: [u8; HEAD_BYTES],
    head_bytes: usize,
    /// What the head says of the body.
    declared: usize,
    body: Vec<u8>,
    /// How long the body may become before room is asked for again.
    room: usize,
}

/// A length that no frame has here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadLength(pub i32);

impl Arriving {
    /// Nothing of it is here yet.
    pub fn is_new(&self) -> bool {
        self.head_bytes == 0
    }

    /// Its length is known.
    pub fn has_head(&self) -> bool {
        self.head_bytes == HEAD_BYTES
    }

    pub fn declared(&self) -> usize {
        self.declared
    }

    /// How much of its body is here.
    pub fn arrived_bytes(&self) -> usize {
        self.body.len()
    }

    /// The memory it has.
    pub fn room(&self) -> usize {
        self.room
    }

    /// The memory it needs to go on: as much again as is here.
    pub fn room_wanted(&self) -> usize {
        match self.body.len() < self.room {
            true => self.room,
            false => self.declared.min((2 * self.body.len()).max(FIRST_BYTES)),
        }
    }

    pub fn make_room(&mut self) {
        self.room = self.room_wanted();
        self.body.reserve_exact(self.room - self.body.len());
    }

    pub fn take_head(&mut self, arrived: &mut &[u8], bytes_max: usize) -> Result<(), BadLength> {
        let taken = arrived.len().min(HEAD_BYTES - self.head_bytes);
        let (head, rest) = arrived.split_at(taken);
        self.head[self.head_bytes..][..taken].copy_from_slice(head);
        self.head_bytes += taken;
        *arrived = rest;
        if taken > 0 && self.has_head() {
            let declared = i32::from_be_bytes(self.head);
            let length = usize::try_from(declared).ok();
            let length = length.filter(|length| *length <= bytes_max);
            self.declared = length.ok_or(BadLength(declared))?;
        }
        Ok(())
    }

    /// Takes what belongs to its body and fits the room it has.
    pub fn take_body(&mut self, arrived: &mut &[u8]) {
        let taken = arrived.len().min(self.room - self.body.len());
        let (body, rest) = arrived.split_at(taken);
        self.body.extend_from_slice(body);
        *arrived = rest;
    }

    /// Where much of it is still to come, the place for it.
    pub fn place(&mut self) -> Option<Limit<&mut Vec<u8>>> {
        let room = self.room - self.body.len();
        (room >= DIRECT_BYTES).then(|| (&mut self.body).limit(room))
    }

    /// The frame once it is whole; the next one arrives then.
    pub fn whole(&mut self) -> Option<Bytes> {
        if !self.has_head() || self.body.len() < self.declared {
            return None;
        }
        Some(std::mem::take(self).body.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1 << 20;

    /// Feeds it in pieces of `step` bytes; the frames, and the most memory that
    /// was held for each byte that was there.
    fn feed(mut bytes: &[u8], step: usize) -> Result<Vec<Bytes>, BadLength> {
        let mut arriving = Arriving::default();
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let mut piece = &bytes[..step.min(bytes.len())];
            bytes = &bytes[piece.len()..];
            loop {
                arriving.take_head(&mut piece, MAX)?;
                if !arriving.has_head() {
                    break;
                }
                arriving.make_room();
                let fair = (2 * arriving.arrived_bytes()).max(FIRST_BYTES);
                assert!(arriving.room() <= fair && arriving.body.capacity() <= fair);
                arriving.take_body(&mut piece);
                match arriving.whole() {
                    Some(frame) => frames.push(frame),
                    None if piece.is_empty() => break,
                    None => {}
                }
            }
        }
        Ok(frames)
    }

    fn frame(length: usize) -> Vec<u8> {
        let body = (0..length).map(|at| at as u8);
        let head = (length as i32).to_be_bytes();
        head.into_iter().chain(body).collect()
    }

    #[test]
    fn frames_are_the_same_however_they_are_cut() {
        let lengths = [0, 1, 14, 511, 512, 513, 3000, 70_000];
        let bytes: Vec<u8> = lengths.iter().flat_map(|length| frame(*length)).collect();
        for step in [1, 2, 3, 5, 64, 1000, 4096, bytes.len()] {
            let frames = feed(&bytes, step).unwrap();
            let is = frames.iter().map(Bytes::len).collect::<Vec<_>>();
            assert_eq!(is, lengths, "in pieces of {step}");
            for whole in &frames {
                assert_eq!(whole[..], frame(whole.len())[4..]);
            }
        }
    }

    #[test]
    fn a_length_that_no_frame_has_is_refused() {
        for declared in [-1, i32::MIN, i32::MAX, MAX as i32 + 1] {
            let head = declared.to_be_bytes();
            assert_eq!(feed(&head, 1), Err(BadLength(declared)));
        }
        assert_eq!(feed(&(MAX as i32).to_be_bytes(), 4), Ok(Vec::new()));
    }

    #[test]
    fn what_is_long_is_read_into_its_place() {
        let bytes = frame(300_000);
        let mut arriving = Arriving::default();
        let mut piece = &bytes[..];
        arriving.take_head(&mut piece, MAX).unwrap();
        let mut direct = 0;
        let frame = loop {
            arriving.make_room();
            if let Some(mut place) = arriving.place() {
                let taken = place.remaining_mut().min(piece.len());
                place.put_slice(&piece[..taken]);
                piece = &piece[taken..];
                direct += taken;
            } else {
                arriving.take_body(&mut piece);
            }
            if let Some(frame) = arriving.whole() {
                break frame;
            }
        };
        assert_eq!(frame[..], bytes[4..]);
        assert!(direct > 250_000);
    }
}
