//! Standard input, a line at a time, on a thread of its own.

use crate::limits::CLI_LINE_BYTES_MAX;
use std::io::{self, BufRead, BufReader, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;

pub enum Heard {
    Lines(Vec<Line>),
    Ended(io::Result<()>),
    /// Nobody wants more of it.
    Stop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Without its end.
    Whole(Vec<u8>),
    TooLong,
}

/// What is handed on at once.
const PIECE_BYTES: usize = 64 << 10;
/// What a line takes besides its own bytes.
const LINE_BYTES: usize = 48;

pub struct Lines<'a, R> {
    from: BufReader<R>,
    is_stopped: &'a AtomicBool,
    line_bytes_max: usize,
}

impl<'a, R: Read> Lines<'a, R> {
    pub fn new(from: R, is_stopped: &'a AtomicBool) -> Self {
        Self {
            from: BufReader::with_capacity(PIECE_BYTES, from),
            is_stopped,
            line_bytes_max: CLI_LINE_BYTES_MAX,
        }
    }

    /// Reads to the end, or until nobody listens.
    pub fn run(mut self, to: &SyncSender<Heard>) {
        let ended = loop {
            match self.piece() {
                Ok(lines) if lines.is_empty() => break Ok(()),
                Ok(lines) => {
                    if to.send(Heard::Lines(lines)).is_err() {
                        return;
                    }
                }
                Err(error) => break Err(error),
            }
            if self.is_stopped.load(Ordering::Acquire) {
                return;
            }
        };
        // Whoever does not listen any more knows why.
        let _ = to.send(Heard::Ended(ended));
    }

    /// Lines that have come; none at the end. Does not wait for more where it
    /// has some.
    fn piece(&mut self) -> io::Result<Vec<Line>> {
        let mut lines = Vec::new();
        let mut bytes = 0;
        while bytes < PIECE_BYTES {
            let Some(line) = self.line()? else { break };
            bytes += LINE_BYTES
                + match &line {
                    Line::Whole(line) => line.len(),
                    Line::TooLong => 0,
                };
            lines.push(line);
            // Without another whole line here, a read would wait for one.
            if !self.from.buffer().contains(&b'\n') {
                break;
            }
        }
        Ok(lines)
    }

    fn line(&mut self) -> io::Result<Option<Line>> {
        let mut line = Vec::new();
        let mut is_too_long = false;
        let mut has_begun = false;
        loop {
            let buffer = match self.from.fill_buf() {
                Ok(buffer) => buffer,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if buffer.is_empty() {
                break;
            }
            has_begun = true;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let part = &buffer[..end.unwrap_or(buffer.len())];
            is_too_long |= line.len() + part.len() > self.line_bytes_max;
            match is_too_long {
                // Read to its end and not kept.
                true => line.clear(),
                false => line.extend_from_slice(part),
            }
            let read = part.len() + usize::from(end.is_some());
            self.from.consume(read);
            if end.is_some() {
                break;
            }
        }
        Ok(match (has_begun, is_too_long) {
            (false, _) => None,
            (true, true) => Some(Line::TooLong),
            (true, false) => Some(Line::Whole(line)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    /// Gives one part at each read, as a pipe does.
    struct Parts(Vec<&'static [u8]>);

    impl Read for Parts {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            match self.0.remove(0) {
                b"!" => Err(io::ErrorKind::BrokenPipe.into()),
                part => {
                    into[..part.len()].copy_from_slice(part);
                    Ok(part.len())
                }
            }
        }
    }

    /// The pieces, and whether the end was a good one.
    fn read(parts: &[&'static [u8]], line_bytes_max: usize) -> (Vec<Vec<Line>>, bool) {
        let is_stopped = AtomicBool::new(false);
        let (sender, inbox) = sync_channel(100);
        let mut lines = Lines::new(Parts(parts.to_vec()), &is_stopped);
        lines.line_bytes_max = line_bytes_max;
        lines.run(&sender);
        drop(sender);
        let (mut pieces, mut is_good) = (Vec::new(), false);
        for heard in inbox {
            match heard {
                Heard::Lines(lines) => pieces.push(lines),
                Heard::Ended(ended) => is_good = ended.is_ok(),
                Heard::Stop => panic!("nobody stops it"),
            }
        }
        (pieces, is_good)
    }

    fn whole(lines: &[&str]) -> Vec<Line> {
        let whole = |line: &&str| Line::Whole(line.as_bytes().to_vec());
        lines.iter().map(whole).collect()
    }

    #[test]
    fn lines_are_handed_on_as_they_come() {
        let (pieces, is_good) = read(&[b"a\nb\nc", b"d\n", b"\ne"], 9);
        let expected = [
            whole(&["a", "b"]),
            whole(&["cd"]),
            whole(&[""]),
            whole(&["e"]),
        ];
        assert_eq!((pieces, is_good), (expected.to_vec(), true));
        assert_eq!(read(&[], 9), (vec![], true));
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_alone() {
        let (pieces, _) = read(&[b"1234", b"5678", b"90\nab\n", b"123456789\n"], 9);
        let lines: Vec<_> = pieces.into_iter().flatten().collect();
        let mut expected = vec![Line::TooLong];
        expected.extend(whole(&["ab", "123456789"]));
        assert_eq!(lines, expected);
    }

    #[test]
    fn what_cannot_be_read_is_no_end() {
        let (pieces, is_good) = read(&[b"a\n", b"!"], 9);
        assert_eq!((pieces, is_good), (vec![whole(&["a"])], false));
    }
}
