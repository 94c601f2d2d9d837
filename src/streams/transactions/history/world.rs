//! The world around a coordinator: a log with a disk that takes its time,
//! partitions, a network between, clients, and a node that may be lost at any
//! moment.

use super::super::request::{Reply, Request, Token};
use super::super::{
    Coordinator, Effect, Error, Identity, Marked, Markers, Name, Now, Place, Settings, Term,
};
use super::client::Client;
use super::partition::{Offered, Partition, Write};
use crate::clock::Millis;
use crate::entropy::Seeded;
use crate::ids::PartitionId;
use crate::streams::producers::{Moment, Refused};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

pub(super) const PARTITIONS: u32 = 3;
const WALL: u64 = 1_767_225_600_000;

type Answer = Result<Reply, Error>;
type Record = (Vec<u8>, Option<Vec<u8>>);

pub(super) fn place(partition: u32) -> Place {
    Place {
        topic: "t".into(),
        partition: PartitionId(partition),
    }
}

/// What is on its way.
#[derive(Clone, Debug)]
enum Word {
    Ask(Token, Request),
    Write(Write),
    Tell(Markers, Place),
    Told(Markers, Place, Marked),
}

/// Whom an answer is for.
#[derive(Clone, Debug)]
enum For {
    Client(usize, u64),
    /// A record that waits to be verified, as the partition had it.
    Write(Write, Moment),
}

/// What a transaction was meant to be, and said to have become.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    is_meant: bool,
    /// The client was told.
    ended: Option<bool>,
    /// Whose the id was when the client first asked for the end.
    owner: Option<usize>,
}

pub(super) struct World {
    pub chance: Seeded,
    pub now: Duration,
    machine: Coordinator,
    leader_epoch: i32,
    log: Vec<Record>,
    /// Batches that are not durable yet.
    unsynced: VecDeque<(Vec<Record>, u64)>,
    partitions: Vec<Partition>,
    clients: Vec<Client>,
    network: Vec<Word>,
    /// Answers to clients on their way.
    mail: VecDeque<(usize, u64, Answer)>,
    /// Who waits for what, by token.
    waiting: BTreeMap<Token, For>,
    /// Attempts that have no answer.
    untold: BTreeSet<(u64, u32)>,
    sent: BTreeMap<u64, Markers>,
    /// Whose each id is: the last that an answer of the coordinator went to.
    owners: BTreeMap<Name, usize>,
    truths: BTreeMap<u64, Truth>,
    numbers: u64,
    next_id: u64,
    counts: [u64; 6],
    violation: Option<String>,
    is_calm: bool,
}

impl World {
    pub(super) fn new(seed: u64) -> Self {
        let mut chance = Seeded::new(seed);
        let mut coin = || chance.one_in(2);
        let clients = vec![
            Client::new(0, "old", false),
            Client::new(1, "new", true),
            Client::new(2, "shared", coin()),
            Client::new(3, "shared", coin()),
        ];
        let mut world = Self {
            chance,
            now: Duration::from_secs(1),
            machine: Coordinator::new(Settings::default()),
            leader_epoch: 0,
            log: Vec::new(),
            unsynced: VecDeque::new(),
            partitions: (0..PARTITIONS).map(|_| Partition::default()).collect(),
            clients,
            network: Vec::new(),
            mail: VecDeque::new(),
            waiting: BTreeMap::new(),
            untold: BTreeSet::new(),
            sent: BTreeMap::new(),
            owners: BTreeMap::new(),
            truths: BTreeMap::new(),
            numbers: 0,
            next_id: 1,
            counts: [0; 6],
            violation: None,
            is_calm: false,
        };
        world.machine.gain(Term::new(0));
        world.machine.serve(world.at());
        world
    }

    pub(super) fn counts(&self) -> [u64; 6] {
        self.counts
    }

    fn at(&self) -> Now {
        Now {
            since: self.now,
            wall: Millis(WALL + self.now.as_millis() as u64),
        }
    }

    fn wrong(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn step(&mut self) {
        match self.chance.below(100) {
            0 if self.chance.one_in(2) => self.lose(),
            0..=6 => self.pass_time(),
            7..=24 => self.sync(),
            25..=49 => self.deliver(),
            50..=64 => self.read_mail(),
            65..=67 => self.give_up(),
            _ => {
                let number = self.chance.below(self.clients.len() as u64) as usize;
                self.act(number, false);
            }
        }
        self.follow();
    }

    pub(super) fn check(&mut self) -> Result<(), String> {
        if let Some(violation) = self.violation.take() {
            return Err(violation);
        }
        let mut ends: BTreeMap<u64, bool> = BTreeMap::new();
        for partition in &self.partitions {
            for (serial, is_committed) in partition.ended() {
                let truth = self.truths.get(&serial).copied().unwrap_or_default();
                if is_committed && !truth.is_meant {
                    return Err(format!(
                        "what was not committed is shown: transaction {serial}"
                    ));
                }
                if truth.ended.is_some_and(|told| told != is_committed) {
                    return Err(format!(
                        "an answered end does not stay: transaction {serial}"
                    ));
                }
                if *ends.entry(serial).or_insert(is_committed) != is_committed {
                    return Err(format!("half committed: transaction {serial}"));
                }
            }
        }
        Ok(())
    }

    /// Everybody finishes what was begun, nothing is lost any more, and then
    /// nothing may be open anywhere.
    pub(super) fn calm_down(&mut self) -> Result<(), String> {
        self.is_calm = true;
        for _ in 0..400 {
            self.now += Duration::from_millis(250);
            self.give_up();
            self.machine.tick(self.at());
            self.follow();
            for number in 0..self.clients.len() {
                self.act(number, true);
                self.settle();
            }
            self.check()?;
        }
        for (number, partition) in self.partitions.iter().enumerate() {
            if !partition.is_settled() {
                return Err(format!(
                    "a transaction is open for ever in partition {number}"
                ));
            }
        }
        let ended = self
            .truths
            .iter()
            .filter(|(_, one)| one.ended == Some(true));
        let mut missing: BTreeSet<u64> = ended.map(|(&serial, _)| serial).collect();
        for (serial, is_committed) in self.partitions.iter().flat_map(Partition::ended) {
            if is_committed {
                missing.remove(&serial);
            }
        }
        if let Some(serial) = missing.first() {
            return Err(format!("an answered commit is not shown: {serial}"));
        }
        for (id, entry) in self.machine.shelf.iter() {
            let stage = entry.transaction.stage;
            if stage.is_ending() || stage == super::super::record::Stage::Ongoing {
                return Err(format!("{id} is not ended: {}", stage.name()));
            }
        }
        if !self.clients.iter().all(Client::is_at_rest) {
            return Err("a client has no rest".into());
        }
        Ok(())
    }

    fn settle(&mut self) {
        for _ in 0..200 {
            self.follow();
            self.sync_all();
            let Some(word) = self.network.pop() else {
                break;
            };
            self.hand(word);
        }
        while !self.mail.is_empty() {
            self.read_mail();
        }
    }

    pub(super) fn next_serial(&mut self, _id: &Name) -> u64 {
        self.number()
    }

    pub(super) fn meant(&mut self, serial: u64) {
        self.truths.entry(serial).or_default().is_meant = true;
    }

    pub(super) fn asks_end(&mut self, client: usize, id: &Name, serial: u64) {
        let owner = self.owners.get(id).copied().unwrap_or(client);
        let truth = self.truths.entry(serial).or_default();
        truth.owner.get_or_insert(owner);
    }

    /// A client was told how its transaction ended.
    pub(super) fn ended(
        &mut self,
        client: usize,
        serial: u64,
        is_committed: bool,
    ) -> Result<(), String> {
        let truth = self.truths.entry(serial).or_default();
        truth.ended = Some(is_committed);
        self.counts[usize::from(!is_committed)] += 1;
        match truth.owner == Some(client) || !is_committed {
            true => Ok(()),
            false => Err(format!("who was fenced has committed: {serial}")),
        }
    }

    pub(super) fn ask(&mut self, client: usize, request: Request, may_be_late: bool) -> u64 {
        let number = self.number();
        let token = Token(number);
        self.waiting.insert(token, For::Client(client, number));
        let is_late = may_be_late && !self.is_calm && self.chance.one_in(5);
        if is_late || may_be_late && !self.is_calm && self.chance.one_in(5) {
            let copy = Token(self.number());
            self.waiting.insert(copy, For::Client(client, number));
            self.network.push(Word::Ask(copy, request.clone()));
        }
        if !is_late {
            self.machine.request(self.at(), token, request);
        }
        number
    }

    pub(super) fn write(&mut self, write: Write) -> u64 {
        let number = self.number();
        self.network.push(Word::Write(Write { number, ..write }));
        number
    }

    fn act(&mut self, number: usize, is_last: bool) {
        let placeholder = Client::new(number, "", false);
        let mut client = std::mem::replace(&mut self.clients[number], placeholder);
        client.act(self, is_last);
        self.clients[number] = client;
    }

    fn pass_time(&mut self) {
        let ms = match self.chance.one_in(12) {
            true => 6_000,
            false => self.chance.below(900),
        };
        self.now += Duration::from_millis(ms);
        if self.chance.one_in(4) {
            self.machine.hasten(self.at());
        }
        self.machine.tick(self.at());
    }

    fn sync(&mut self) {
        if let Some((records, upto)) = self.unsynced.pop_front() {
            self.log.extend(records);
            self.machine.durable(self.at(), upto);
        }
    }

    fn sync_all(&mut self) {
        while !self.unsynced.is_empty() {
            self.sync();
            self.follow();
        }
    }

    /// The coordinator is lost; some of what was on its way to the disk came
    /// there. What is on its way elsewhere goes on.
    fn lose(&mut self) {
        self.counts[3] += 1;
        let kept = self.chance.below(self.unsynced.len() as u64 + 1);
        for _ in 0..kept {
            if let Some((records, _)) = self.unsynced.pop_front() {
                self.log.extend(records);
            }
        }
        let was_whole = self.unsynced.is_empty();
        self.unsynced.clear();
        let shown = |machine: &Coordinator| -> BTreeMap<Name, _> {
            let entries = machine.shelf.iter();
            entries
                .map(|(id, entry)| (id.clone(), entry.transaction.clone()))
                .collect()
        };
        let mut before = shown(&self.machine);
        // Whoever takes over goes on at once where nobody is to be told.
        let wall = self.at().wall;
        for transaction in before.values_mut() {
            if transaction.stage.is_ending() && transaction.places.is_empty() {
                transaction.complete(wall);
            }
        }
        self.machine.lose();
        self.follow();
        // Another leads, or the same one has lost a batch and reads again.
        let term = match self.chance.one_in(3) {
            true => self.machine.term().raised(),
            false => {
                self.leader_epoch += 1;
                Term::new(self.leader_epoch)
            }
        };
        self.machine.gain(term);
        for (key, value) in &self.log {
            if let Err(why) = self.machine.replay(key, value.as_deref()) {
                self.violation
                    .get_or_insert(format!("a record does not read: {why}"));
            }
        }
        self.machine.serve(self.at());
        let after = shown(&self.machine);
        if was_whole && before != after {
            let mut names = before.keys().chain(after.keys());
            let other = names.find(|name| before.get(*name) != after.get(*name));
            let name = other.expect("they differ");
            self.wrong(format!(
                "what was durable is not what is read back of {name}: {:?}, then {:?}",
                before.get(name),
                after.get(name)
            ));
        }
    }

    fn deliver(&mut self) {
        if self.network.is_empty() {
            return;
        }
        // Mostly the newest, so that others come late.
        let among = match self.chance.one_in(5) {
            true => self.network.len() as u64,
            false => 2.min(self.network.len() as u64),
        };
        let place = self.network.len() - 1 - self.chance.below(among) as usize;
        // Between nodes nothing comes twice: who tells a partition once more,
        // for want of an answer, does so in a new epoch of the coordinator.
        let may_come_twice = !matches!(self.network[place], Word::Tell(..) | Word::Told(..));
        if may_come_twice && self.chance.one_in(8) {
            // Again, later.
            let word = self.again(place);
            return self.hand(word);
        }
        let word = self.network.swap_remove(place);
        if !self.chance.one_in(8) {
            self.hand(word);
        }
    }

    fn again(&mut self, place: usize) -> Word {
        let word = self.network[place].clone();
        let Word::Ask(token, request) = word else {
            return word;
        };
        let copy = Token(self.number());
        if let Some(whom) = self.waiting.get(&token).cloned() {
            self.waiting.insert(copy, whom);
        }
        Word::Ask(copy, request)
    }

    fn hand(&mut self, word: Word) {
        match word {
            Word::Ask(token, request) => self.machine.request(self.at(), token, request),
            Word::Write(write) => self.offer(write, None),
            Word::Tell(markers, place) => {
                let partition = &mut self.partitions[place.partition.0 as usize];
                let marked = match partition.mark(&markers) {
                    Ok(()) => Marked::Written,
                    Err(Refused::Fenced { .. }) => Marked::Needless,
                    Err(_) => Marked::Refused,
                };
                self.network.push(Word::Told(markers, place, marked));
            }
            Word::Told(markers, place, marked) => {
                self.untold.remove(&(markers.attempt, place.partition.0));
                self.machine.marked(self.at(), &markers, &place, marked);
            }
        }
    }

    /// Who told something and heard nothing for long takes it for lost.
    fn give_up(&mut self) {
        let Some(&(attempt, partition)) = self.untold.first() else {
            return;
        };
        self.untold.remove(&(attempt, partition));
        let markers = self.sent[&attempt].clone();
        self.counts[4] += 1;
        let place = place(partition);
        self.machine
            .marked(self.at(), &markers, &place, Marked::Unknown);
    }

    fn offer(&mut self, write: Write, verified: Option<Moment>) {
        if self
            .truths
            .get(&write.serial)
            .is_some_and(|one| one.ended.is_some())
        {
            self.counts[5] += 1;
        }
        let partition = &mut self.partitions[write.partition as usize];
        match partition.offer(&write, verified) {
            Offered::Written => self.heard(&write, Ok(())),
            Offered::Refused => self.heard(&write, Err(None)),
            Offered::Begins(now) => self.verify(write, now),
        }
    }

    fn verify(&mut self, write: Write, now: Moment) {
        let token = Token(self.number());
        let (id, who) = (write.id.clone(), write.who);
        let places = BTreeSet::from([place(write.partition)]);
        let request = match write.is_raised {
            true => Request::Add {
                id,
                who,
                places,
                is_raised: true,
            },
            false => Request::Verify { id, who, places },
        };
        self.waiting.insert(token, For::Write(write, now));
        self.machine.request(self.at(), token, request);
    }

    fn heard(&mut self, write: &Write, written: Result<(), Option<Error>>) {
        if self.is_calm || !self.chance.one_in(6) {
            self.clients[write.client].hear_write(write.number, written);
        }
    }

    fn read_mail(&mut self) {
        let Some((number, asked, answer)) = self.mail.pop_front() else {
            return;
        };
        if !self.is_calm && self.chance.one_in(6) {
            return;
        }
        let placeholder = Client::new(number, "", false);
        let mut client = std::mem::replace(&mut self.clients[number], placeholder);
        if let Err(why) = client.hear(self, asked, &answer) {
            self.wrong(why);
        }
        self.clients[number] = client;
    }

    /// Carries out what the machine wants.
    fn follow(&mut self) {
        loop {
            let effects = self.machine.take_effects();
            if effects.is_empty() {
                return;
            }
            for effect in effects {
                self.carry_out(effect);
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Append { records, upto } => self.unsynced.push_back((records, upto)),
            Effect::DrawProducerIds => {
                let first = self.next_id;
                self.next_id += 2;
                self.machine.drawn(self.at(), Some(first..self.next_id));
            }
            Effect::WriteMarkers(markers) => {
                for place in &markers.places {
                    self.untold.insert((markers.attempt, place.partition.0));
                    self.network
                        .push(Word::Tell(markers.clone(), place.clone()));
                }
                self.sent.insert(markers.attempt, markers);
            }
            Effect::Answer { token, answer } => self.answered(token, answer),
        }
    }

    fn answered(&mut self, token: Token, answer: Answer) {
        let Some(whom) = self.waiting.remove(&token) else {
            return self.wrong(format!("{token:?} is answered twice"));
        };
        match whom {
            For::Client(client, number) => {
                if let Ok(Reply::Begun(Identity { .. })) = answer {
                    let id = self.clients[client].id.clone();
                    self.owners.insert(id, client);
                }
                if answer == Err(Error::Abortable) {
                    self.counts[2] += 1;
                }
                self.mail.push_back((client, number, answer));
            }
            For::Write(write, asked_at) => match answer {
                Ok(Reply::Verified(each)) if each.iter().any(Result::is_err) => {
                    self.heard(&write, Err(None));
                }
                Ok(_) => self.offer(write, Some(asked_at)),
                Err(error) => self.heard(&write, Err(Some(error))),
            },
        }
    }
}
