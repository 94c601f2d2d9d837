//! The order of one connection's requests: what may begin now, what waits, and
//! for what. The heart of the ordering contract:
//!
//! - Requests are answered in the order in which they came.
//! - Writes are sent on as they come; many may be on their way.
//! - A read behind an unfinished write or sync waits for it, and runs before
//!   anything later of the connection is applied: the moment its turn comes,
//!   if need be between two commands of one entry.
//! - A write behind an unfinished sync is held back, so that a read between
//!   the two cannot see it.

use super::desk::Request;
use crate::ids::{SessionId, Zxid};
use crate::state::{Command, Identity};
use std::collections::VecDeque;

/// One open connection and its requests, the oldest first.
pub struct Line {
    pub session: SessionId,
    /// Which of the session's connections this is.
    pub attachment: u32,
    pub who: Vec<Identity>,
    pub is_read_only: bool,
    /// No answer says less than the one before.
    pub last_zxid: Zxid,
    next_sequence: u64,
    waiting: VecDeque<Waiting>,
    /// So many of the oldest are begun, or wait for one that is.
    looked_at: usize,
    open_syncs: usize,
}

#[derive(Debug)]
enum Waiting {
    Held {
        tag: u64,
        request: Request,
    },
    /// Sent to be committed.
    Submitted {
        tag: u64,
        number: u64,
    },
    Syncing {
        tag: u64,
        number: u64,
    },
    Synced {
        tag: u64,
    },
}

/// What is to be done next for a connection. `number` tells it apart from all
/// else that is under way.
#[derive(Debug)]
pub enum Step {
    /// Run here and answer.
    Run {
        tag: u64,
        request: Request,
    },
    Submit {
        number: u64,
        sequence: u64,
        command: Command,
    },
    StartSync {
        number: u64,
    },
    AnswerSync {
        tag: u64,
    },
}

impl Line {
    pub fn new(
        session: SessionId,
        attachment: u32,
        who: Vec<Identity>,
        is_read_only: bool,
    ) -> Self {
        Self {
            session,
            attachment,
            who,
            is_read_only,
            last_zxid: Zxid(0),
            next_sequence: 1,
            waiting: VecDeque::new(),
            looked_at: 0,
            open_syncs: 0,
        }
    }

    pub fn arrive(&mut self, tag: u64, request: Request) {
        self.waiting.push_back(Waiting::Held { tag, request });
    }

    /// What may be done now; None until something is finished or arrives.
    /// Called again until it says so.
    pub fn next(&mut self, numbers: &mut u64) -> Option<Step> {
        self.answerable().or_else(|| self.beginnable(numbers))
    }

    /// The oldest request, if its turn has come.
    fn answerable(&mut self) -> Option<Step> {
        let is_due = match self.waiting.front()? {
            Waiting::Held { request, .. } => !is_agreed_on(request),
            Waiting::Synced { .. } => true,
            Waiting::Submitted { .. } | Waiting::Syncing { .. } => false,
        };
        if !is_due {
            return None;
        }
        match self.pop()? {
            Waiting::Held { tag, request } => Some(Step::Run { tag, request }),
            Waiting::Synced { tag } => Some(Step::AnswerSync { tag }),
            _ => None,
        }
    }

    /// A write or a sync that may be sent on though others wait before it.
    fn beginnable(&mut self, numbers: &mut u64) -> Option<Step> {
        while self.open_syncs == 0 && self.looked_at < self.waiting.len() {
            let place = self.looked_at;
            self.looked_at += 1;
            let Waiting::Held { tag, request } = &mut self.waiting[place] else {
                continue;
            };
            if !is_agreed_on(request) {
                continue;
            }
            let tag = *tag;
            *numbers += 1;
            let number = *numbers;
            return Some(match std::mem::replace(request, Request::Pass) {
                Request::Submit(command) => {
                    self.waiting[place] = Waiting::Submitted { tag, number };
                    let sequence = self.next_sequence;
                    self.next_sequence += 1;
                    Step::Submit {
                        number,
                        sequence,
                        command,
                    }
                }
                _ => {
                    self.waiting[place] = Waiting::Syncing { tag, number };
                    self.open_syncs += 1;
                    Step::StartSync { number }
                }
            });
        }
        None
    }

    /// The write is applied. Gives its tag; None where an older write of the
    /// connection is not: that one was lost.
    pub fn finish(&mut self, submitted: u64) -> Option<u64> {
        match self.waiting.front() {
            Some(Waiting::Submitted { tag, number }) if *number == submitted => {
                let tag = *tag;
                self.pop();
                Some(tag)
            }
            _ => None,
        }
    }

    /// The sync is confirmed; it is answered in its turn.
    pub fn synced(&mut self, started: u64) {
        let syncs = self.waiting.iter_mut().take(self.looked_at);
        for waiting in syncs {
            if let Waiting::Syncing { tag, number } = waiting
                && *number == started
            {
                *waiting = Waiting::Synced { tag: *tag };
                self.open_syncs -= 1;
                return;
            }
        }
    }

    fn pop(&mut self) -> Option<Waiting> {
        self.looked_at = self.looked_at.saturating_sub(1);
        self.waiting.pop_front()
    }
}

/// Whether others take part in it: it is sent on, and comes back.
fn is_agreed_on(request: &Request) -> bool {
    matches!(request, Request::Submit(_) | Request::Sync)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a script of one connection: `w`, `r`, `s` arrive (write, read,
    /// sync), `+N` finishes what was begun under number N. Gives what was done,
    /// in order: `wN`, `sN` begun, `rT` run and `ST` answered by tag.
    fn play(script: &str) -> String {
        let mut line = Line::new(SessionId(1), 1, Vec::new(), false);
        let (mut numbers, mut tag) = (0, 0);
        let mut done = Vec::new();
        for word in script.split_whitespace() {
            match word.split_at(1) {
                ("+", number) => {
                    let number = number.parse().unwrap();
                    match line.finish(number) {
                        Some(tag) => done.push(format!("W{tag}")),
                        None => line.synced(number),
                    }
                }
                (kind, _) => {
                    tag += 1;
                    line.arrive(
                        tag,
                        match kind {
                            "w" => Request::Submit(Command::CloseSession),
                            "s" => Request::Sync,
                            _ => Request::Ping,
                        },
                    );
                }
            }
            while let Some(step) = line.next(&mut numbers) {
                done.push(match step {
                    Step::Run { tag, .. } => format!("r{tag}"),
                    Step::Submit { number, .. } => format!("w{number}"),
                    Step::StartSync { number } => format!("s{number}"),
                    Step::AnswerSync { tag } => format!("S{tag}"),
                });
            }
        }
        done.join(" ")
    }

    #[test]
    fn reads_run_at_once_where_nothing_waits() {
        assert_eq!(play("r r r"), "r1 r2 r3");
    }

    #[test]
    fn a_read_waits_for_the_write_before_it_and_no_other() {
        assert_eq!(play("w r w r +1 +2"), "w1 w2 W1 r2 W3 r4");
    }

    #[test]
    fn writes_are_sent_on_while_others_are_under_way() {
        assert_eq!(play("w w w +1 +2 +3"), "w1 w2 w3 W1 W2 W3");
    }

    #[test]
    fn a_read_behind_a_sync_waits_for_it() {
        assert_eq!(play("s r +1"), "s1 S1 r2");
    }

    #[test]
    fn a_write_behind_a_sync_is_held_back() {
        assert_eq!(play("s r w w +1 +2 +3"), "s1 S1 r2 w2 w3 W3 W4");
    }

    #[test]
    fn a_sync_behind_a_write_begins_beside_it() {
        assert_eq!(play("w s r +2 +1"), "w1 s2 W1 S2 r3");
        assert_eq!(play("w s r +1 +2"), "w1 s2 W1 S2 r3");
    }

    #[test]
    fn a_write_that_overtakes_another_is_no_answer() {
        let mut line = Line::new(SessionId(1), 1, Vec::new(), false);
        let mut numbers = 0;
        for tag in [1, 2] {
            line.arrive(tag, Request::Submit(Command::CloseSession));
            assert!(line.next(&mut numbers).is_some());
        }
        assert_eq!(line.finish(2), None);
        assert_eq!(line.finish(1), Some(1));
    }

    #[test]
    fn each_write_has_the_next_sequence() {
        let mut line = Line::new(SessionId(1), 1, Vec::new(), false);
        let mut numbers = 40;
        for expected in 1..4 {
            line.arrive(0, Request::Submit(Command::CloseSession));
            match line.next(&mut numbers) {
                Some(Step::Submit { sequence, .. }) => assert_eq!(sequence, expected),
                other => panic!("{other:?}"),
            }
        }
    }
}
