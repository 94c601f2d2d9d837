//! The rules one by one, as KIP-98, 360 and 890 have them. A script's line is
//! what happens and what comes of it: `1:0` is a producer and its epoch, a word
//! with a 2 behind it that of a client which follows a raised epoch.

use super::request::{Reply, Request, Token};
use super::*;
use crate::ids::{PartitionId, ProducerId};

const WALL: u64 = 1_767_225_600_000;

type Records = Vec<(Vec<u8>, Option<Vec<u8>>)>;

struct Stage {
    machine: Coordinator,
    now: Duration,
    wall: u64,
    leader_epoch: i32,
    log: Records,
    /// What was appended and is not durable.
    unsynced: Vec<(Records, u64)>,
    is_synced: bool,
    has_ids: bool,
    next_id: u64,
    told: Vec<Markers>,
    said: Vec<String>,
}

impl Stage {
    fn new() -> Self {
        let mut machine = Coordinator::new(Settings::default());
        let now = Duration::from_secs(1);
        machine.gain(Term::new(0));
        let wall = Millis(WALL);
        machine.serve(Now { since: now, wall });
        Self {
            machine,
            now,
            wall: WALL,
            leader_epoch: 0,
            log: Vec::new(),
            unsynced: Vec::new(),
            is_synced: true,
            has_ids: true,
            next_id: 1,
            told: Vec::new(),
            said: Vec::new(),
        }
    }

    fn at(&self) -> Now {
        Now {
            since: self.now,
            wall: Millis(self.wall),
        }
    }

    fn play(&mut self, deed: &str) -> String {
        let words: Vec<&str> = deed.split_whitespace().collect();
        match words[..] {
            ["sync"] => self.is_synced = true,
            ["hold"] => self.is_synced = false,
            ["no-ids"] => self.has_ids = false,
            ["ids"] => self.has_ids = true,
            ["written"] => self.tell(Marked::Written),
            ["refused"] => self.tell(Marked::Refused),
            ["unknown"] => self.tell(Marked::Unknown),
            ["needless"] => self.tell(Marked::Needless),
            ["wait", seconds] => self.wait(seconds.parse().unwrap()),
            ["clock", seconds] => self.wall = seconds.parse::<u64>().unwrap() * 1000,
            ["lose"] => {
                self.leader_epoch += 1;
                self.read_again(Term::new(self.leader_epoch));
            }
            ["fail"] => self.read_again(self.machine.term().raised()),
            ["epoch", epoch] => self.force_epoch(epoch.parse().unwrap()),
            _ => {
                let request = request(&words);
                self.machine.request(self.at(), Token(0), request);
            }
        }
        self.follow();
        std::mem::take(&mut self.said).join("; ")
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.wall += seconds * 1000;
        self.machine.tick(self.at());
    }

    fn tell(&mut self, marked: Marked) {
        for markers in std::mem::take(&mut self.told) {
            for place in &markers.places {
                self.machine.marked(self.at(), &markers, place, marked);
            }
        }
    }

    fn read_again(&mut self, term: Term) {
        self.unsynced.clear();
        self.machine.lose();
        self.machine.gain(term);
        for (key, value) in &self.log {
            self.machine.replay(key, value.as_deref()).unwrap();
        }
        self.machine.serve(self.at());
    }

    /// As if so many had had the id.
    fn force_epoch(&mut self, epoch: i16) {
        let name = Name::from("t");
        self.machine.shelf.change(&name, |one| {
            one.holder.epoch = epoch;
        });
        self.machine.write(&name);
    }

    fn follow(&mut self) {
        loop {
            if self.is_synced {
                for (records, upto) in std::mem::take(&mut self.unsynced) {
                    self.log.extend(records);
                    self.machine.durable(self.at(), upto);
                }
            }
            let effects = self.machine.take_effects();
            if effects.is_empty() {
                return;
            }
            effects
                .into_iter()
                .for_each(|effect| self.carry_out(effect));
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Append { records, upto } => self.unsynced.push((records, upto)),
            Effect::Answer { answer, .. } => self.said.push(told(&answer)),
            Effect::DrawProducerIds => {
                let ids = self.has_ids.then(|| self.next_id..self.next_id + 1);
                self.next_id += u64::from(self.has_ids);
                self.machine.drawn(self.at(), ids);
            }
            Effect::WriteMarkers(markers) => {
                let places: Vec<_> = markers.places.iter().map(|one| &*one.topic).collect();
                let way = match (markers.is_committed, markers.raises_epoch) {
                    (true, false) => "commit",
                    (true, true) => "commit2",
                    (false, false) => "abort",
                    (false, true) => "abort2",
                };
                let (who, epoch) = (shown(markers.producer), markers.coordinator_epoch);
                self.said
                    .push(format!("{way} {} as {who} in {epoch}", places.join(",")));
                self.told.push(markers);
            }
        }
    }
}

fn shown(who: Identity) -> String {
    format!("{}:{}", who.id, who.epoch)
}

fn told(answer: &Result<Reply, Error>) -> String {
    match answer {
        Ok(Reply::Begun(who) | Reply::Ended(who)) => shown(*who),
        Ok(Reply::Added) => "added".into(),
        Ok(Reply::Verified(each)) => {
            let one = |verified: &Result<(), Error>| match verified {
                Ok(()) => "yes",
                Err(_) => "no",
            };
            each.iter().map(one).collect::<Vec<_>>().join(",")
        }
        Ok(Reply::Described(described)) => {
            let topics: Vec<_> = described.places.iter().map(|one| &*one.topic).collect();
            let (stage, who) = (described.stage.name(), shown(described.holder));
            format!("{stage} {who} {}", topics.join(","))
                .trim_end()
                .into()
        }
        Ok(Reply::Listed(listed)) => {
            let ids: Vec<_> = listed.iter().map(|one| &*one.id).collect();
            format!("[{}]", ids.join(","))
        }
        Err(Error::InvalidState { stage }) => format!("not at {}", stage.name()),
        Err(error) => {
            let debug = format!("{error:?}");
            let name = debug.split([' ', '(']).next();
            name.unwrap_or_default().into()
        }
    }
}

fn identity(text: &str) -> Identity {
    let (id, epoch) = text.split_once(':').unwrap();
    Identity {
        id: ProducerId(id.parse().unwrap()),
        epoch: epoch.parse().unwrap(),
    }
}

fn places(words: &[&str]) -> BTreeSet<Place> {
    let place = |word: &&str| Place {
        topic: (*word).into(),
        partition: PartitionId(0),
    };
    words.iter().map(place).collect()
}

fn request(words: &[&str]) -> Request {
    let id = Name::from("t");
    match *words {
        ["list"] => Request::List,
        ["show"] => Request::Describe { id },
        ["init", "for", ms] => Request::Init {
            id,
            was: None,
            timeout_ms: ms.parse().unwrap(),
        },
        ["init", ref was @ ..] => Request::Init {
            id,
            was: was.first().copied().map(identity),
            timeout_ms: 60_000,
        },
        ["verify", who, ref topics @ ..] => Request::Verify {
            id,
            who: identity(who),
            places: places(topics),
        },
        [verb @ ("add" | "add2"), who, ref topics @ ..] => Request::Add {
            id,
            who: identity(who),
            places: places(topics),
            is_raised: verb == "add2",
        },
        [verb, who] => Request::End {
            id,
            who: identity(who),
            is_committed: verb.starts_with("commit"),
            is_raised: verb.ends_with('2'),
        },
        _ => panic!("{words:?}"),
    }
}

fn check(script: &str) {
    let mut stage = Stage::new();
    for line in script.lines().map(str::trim) {
        if line.is_empty() {
            continue;
        }
        let (deed, expected) = line.split_once("->").unwrap_or((line, ""));
        let came = stage.play(deed.trim());
        assert_eq!(came, expected.trim(), "{line}");
    }
}

#[test]
fn a_transaction_of_the_older_rule_keeps_its_epoch() {
    check(
        "init               -> 1:0
         show               -> Empty 1:0
         add 1:0 a          -> added
         add 1:0 a b        -> added
         verify 1:0 a b c   -> yes,yes,no
         show               -> Ongoing 1:0 a,b
         commit 1:0         -> 1:0; commit a,b as 1:0 in 0
         add 1:0 a          -> Concurrent
         verify 1:0 a       -> Concurrent
         commit 1:0         -> Concurrent
         abort 1:0          -> not at PrepareCommit
         show               -> PrepareCommit 1:0 a,b
         written
         show               -> CompleteCommit 1:0
         commit 1:0         -> 1:0
         abort 1:0          -> not at CompleteCommit
         verify 1:0 a       -> no
         add 1:0 a          -> added
         abort 1:0          -> 1:0; abort a as 1:0 in 0
         written
         abort 1:0          -> 1:0
         commit 1:0         -> not at CompleteAbort",
    );
}

#[test]
fn a_transaction_of_the_newer_rule_raises_its_epoch() {
    check(
        "init               -> 1:0
         add2 1:0 a         -> added
         commit2 1:0        -> 1:1; commit2 a as 1:1 in 0
         commit2 1:0        -> 1:1
         abort2 1:0         -> not at PrepareCommit
         add2 1:0 b         -> Fenced
         add2 1:1 b         -> Concurrent
         commit2 1:1        -> Concurrent
         written
         commit2 1:0        -> 1:1
         abort2 1:0         -> not at CompleteCommit
         commit2 1:1        -> not at CompleteCommit
         add2 1:1 b         -> added
         commit2 1:0        -> Fenced
         abort2 1:1         -> 1:2; abort2 b as 1:2 in 0
         written
         show               -> CompleteAbort 1:2",
    );
}

/// What was written to partitions need not have been heard of here.
#[test]
fn an_abort_of_nothing_raises_the_epoch_all_the_same() {
    check(
        "init               -> 1:0
         commit 1:0         -> not at Empty
         abort 1:0          -> not at Empty
         commit2 1:0        -> not at Empty
         abort2 1:0         -> 1:1
         show               -> CompleteAbort 1:1
         abort2 1:0         -> 1:1
         abort2 1:1         -> 1:2",
    );
}

#[test]
fn who_takes_the_id_over_fences_and_aborts() {
    check(
        "init               -> 1:0
         add 1:0 a          -> added
         init               -> Concurrent; abort2 a as 1:1 in 0
         init               -> Concurrent
         commit 1:0         -> Fenced
         commit2 1:0        -> Fenced
         written
         init               -> 1:2
         add 1:0 a          -> Fenced
         add 1:1 a          -> Fenced
         commit 1:2         -> not at Empty
         add 9:0 a          -> OtherProducer
         commit 9:0         -> OtherProducer",
    );
}

#[test]
fn a_producer_goes_on_under_a_new_epoch() {
    check(
        "init               -> 1:0
         add 1:0 a          -> added
         abort 1:0          -> 1:0; abort a as 1:0 in 0
         init 1:0           -> Concurrent
         written
         init 1:0           -> 1:1
         init 1:0           -> 1:1
         init 1:1           -> 1:2
         init 1:0           -> Fenced
         init 1:3           -> Fenced
         init 9:2           -> Fenced
         add 1:2 a          -> added
         init 1:1           -> Fenced
         init 1:2           -> Concurrent; abort2 a as 1:3 in 0
         written
         init 1:2           -> 1:3",
    );
}

#[test]
fn an_id_that_is_forgotten_begins_anew() {
    check(
        "init 7:5           -> 1:0
         list               -> [t]
         wait 604000
         list               -> [t]
         wait 1000
         list               -> []
         add 1:0 a          -> UnknownId
         commit 1:0         -> UnknownId
         show               -> UnknownId
         lose
         list               -> []
         init 1:0           -> 2:0",
    );
}

#[test]
fn nobody_is_forgotten_because_the_clock_was_set_forward() {
    check(
        "init               -> 1:0
         clock 1767916800
         wait 700
         list               -> [t]
         clock 1768608700
         lose
         wait 700
         list               -> [t]
         wait 605000
         list               -> []",
    );
}

#[test]
fn nobody_is_forgotten_by_a_clock_that_is_not_set() {
    check(
        "clock 5
         init               -> 1:0
         wait 700000
         list               -> [t]
         clock 1767225600
         wait 700
         list               -> [t]
         wait 605000
         list               -> []",
    );
}

#[test]
fn a_transaction_has_its_time() {
    check(
        "init for 0         -> InvalidTimeout
         init for 900001    -> InvalidTimeout
         init for 900000    -> 1:0
         add 1:0 a          -> added
         wait 899
         add 1:0 b          -> added
         wait 1             -> abort2 a,b as 1:1 in 0
         verify 1:0 a       -> Fenced
         commit 1:0         -> Fenced
         abort 1:0          -> Fenced
         written
         wait 900
         show               -> CompleteAbort 1:1
         init 1:0           -> 1:1",
    );
}

/// A client that can follow hears that it has to abort, and goes on.
#[test]
fn who_was_too_late_goes_on_by_the_newer_rule() {
    check(
        "init               -> 1:0
         add2 1:0 a         -> added
         wait 60            -> abort2 a as 1:1 in 0
         commit2 1:0        -> Abortable
         written
         commit2 1:0        -> Abortable
         abort2 1:0         -> 1:1
         add2 1:1 a         -> added",
    );
}

#[test]
fn an_epoch_that_is_used_up_leads_to_another_id() {
    check(
        "init               -> 1:0
         epoch 32765
         init               -> 1:32766
         init 1:32766       -> 2:0
         init 1:32766       -> 2:0
         epoch 32766
         add2 2:32766 a     -> added
         commit2 2:32766    -> 3:0; commit2 a as 2:32767 in 0
         commit2 2:32766    -> 3:0
         add2 3:0 a         -> Concurrent
         lose               -> commit2 a as 2:32767 in 1024
         commit2 2:32766    -> 3:0
         written
         commit2 2:32766    -> 3:0
         add2 3:0 a         -> added
         epoch 32766
         wait 60            -> abort2 a as 3:32767 in 1024
         written
         show               -> CompleteAbort 4:0",
    );
}

#[test]
fn who_needs_a_producer_id_waits_for_it() {
    check(
        "no-ids
         init               -> NoProducerIds
         ids
         init               -> 1:0
         epoch 32766
         add2 1:32766 a     -> added
         no-ids
         commit2 1:32766    -> NoProducerIds
         show               -> Ongoing 1:32766 a
         wait 60
         show               -> Ongoing 1:32766 a
         ids
         wait 1             -> abort2 a as 1:32767 in 0",
    );
}

#[test]
fn nothing_leaves_before_it_is_durable() {
    check(
        "hold
         init
         list
         sync               -> 1:0; [t]
         hold
         add 1:0 a
         verify 1:0 a
         sync               -> added; yes
         hold
         commit 1:0
         sync               -> 1:0; commit a as 1:0 in 0
         hold
         written
         add 1:0 a
         lose               -> NotCoordinator; commit a as 1:0 in 1024",
    );
}

#[test]
fn what_is_lost_before_it_is_durable_never_was() {
    check(
        "init               -> 1:0
         add 1:0 a          -> added
         hold
         commit 1:0
         lose               -> NotCoordinator
         sync
         show               -> Ongoing 1:0 a
         wait 59
         wait 1             -> abort2 a as 1:1 in 1024",
    );
}

#[test]
fn the_next_coordinator_goes_on() {
    check(
        "init               -> 1:0
         add 1:0 a b        -> added
         wait 20
         lose
         wait 39
         show               -> Ongoing 1:0 a,b
         commit 1:0         -> 1:0; commit a,b as 1:0 in 1024
         fail               -> commit a,b as 1:0 in 1025
         lose               -> commit a,b as 1:0 in 2048
         commit 1:0         -> Concurrent
         written
         commit 1:0         -> 1:0
         lose
         show               -> CompleteCommit 1:0",
    );
}

/// A word of which nobody knows where it is must come too late when the next
/// transaction is open: by the coordinator's epoch where the producer's stays.
#[test]
fn what_is_not_answered_is_told_again() {
    check(
        "init               -> 1:0
         add 1:0 a b        -> added
         commit 1:0         -> 1:0; commit a,b as 1:0 in 0
         refused
         wait 1             -> commit a,b as 1:0 in 0
         unknown
         wait 1             -> commit a,b as 1:0 in 1
         needless
         add2 1:0 a         -> added
         commit2 1:0        -> 1:1; commit2 a as 1:1 in 1
         unknown
         wait 1             -> commit2 a as 1:1 in 1
         written
         show               -> CompleteCommit 1:1",
    );
}

#[test]
fn an_answer_to_what_was_said_before_counts_for_nothing() {
    let mut stage = Stage::new();
    stage.play("init");
    stage.play("add 1:0 a");
    stage.play("commit 1:0");
    let first = stage.told.clone();
    stage.play("unknown");
    stage.play("wait 1");
    let second = std::mem::replace(&mut stage.told, first);
    stage.play("written");
    assert_eq!(stage.play("show"), "PrepareCommit 1:0 a");
    stage.told = second.clone();
    stage.play("written");
    assert_eq!(stage.play("show"), "CompleteCommit 1:0");
    stage.play("add 1:0 a");
    stage.play("commit 1:0");
    stage.told = second;
    stage.play("written");
    assert_eq!(stage.play("show"), "PrepareCommit 1:0 a");
}

#[test]
fn a_clock_that_went_back_gives_all_the_time_again() {
    let left = |started: u64, now: u64| {
        let transaction = Transaction {
            started: Some(Millis(started)),
            ..Transaction::first(60_000, Millis(now), &mut full()).unwrap()
        };
        left_ms(&transaction, Millis(now))
    };
    assert_eq!(left(WALL, WALL + 20_000), 40_000);
    assert_eq!(left(WALL, WALL + 90_000), 0);
    assert_eq!(left(WALL, WALL - 1), 60_000);
    assert_eq!(left(5_000, WALL), 60_000);
}

fn full() -> Ids {
    let mut ids = Ids::default();
    ids.fill(1..100);
    ids
}

#[test]
fn everything_has_a_bound() {
    let mut stage = Stage::new();
    stage.play("init");
    let many = |count: usize| -> BTreeSet<Place> {
        let place = |n| Place {
            topic: "many".into(),
            partition: PartitionId(n as u32),
        };
        (0..count).map(place).collect()
    };
    let most = crate::limits::TRANSACTION_PLACES_MAX;
    let mut transaction = Transaction::first(1, Millis(WALL), &mut full()).unwrap();
    let who = transaction.holder;
    let add = |one: &mut Transaction, count| one.add(who, &many(count), true, Millis(WALL));
    assert_eq!(add(&mut transaction, most + 1), Err(Error::Full));
    assert_eq!(transaction.stage, record::Stage::Empty);
    assert_eq!(add(&mut transaction, most), Ok(true));
    assert_eq!(add(&mut transaction, most + 1), Err(Error::Full));

    let long = Name::from("x".repeat(TRANSACTIONAL_ID_BYTES_MAX + 1));
    for (id, is_fine) in [(Name::from(""), false), (long, false), ("y".into(), true)] {
        let checked = stage.machine.check_init(&id, 1000);
        assert_eq!(checked.is_ok(), is_fine);
    }
}
