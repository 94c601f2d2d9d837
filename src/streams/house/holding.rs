//! One partition that this node holds: its log, and what is known of it.

use super::asking::Asking;
use super::compaction::Compaction;
use super::dropping::Dropping;
use super::keeping::Keeping;
use super::parting::Handing;
use super::reading::ReadBack;
use super::rereading::Rereading;
use super::rolling::{self, Rolling};
use super::serving::Serving;
use super::times::Times;
use super::watchers::Watchers;
use super::{Event, Events};
use crate::clock::Millis;
use crate::ids::{Index, LogId, NodeId, Offset, ProducerId};
use crate::log::{Device, Refused, Request, Shelf};
use crate::planted;
use crate::state::topics::{
    BrokerLife, InSyncChange, StreamsCommand, StreamsOutcome, StreamsRefused, TopicSettings, Topics,
};
use crate::streams::desk::{Answer, Appended, NotAppended, NotHere, ProducerShown};
use crate::streams::follow::Tell;
use crate::streams::partition::{self, Effect, LeaderEpoch, Partition, Standing};
use crate::streams::producers::{Aborted, Ends, Producers};
use crate::streams::site::Site;
use crate::streams::view::{Marks, View};
use crate::streams::{Key, Streams};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long no append is tried after the log has refused one: that of a tick.
const REFUSED_FOR: Duration = Duration::from_millis(400);

/// What a partition works with.
pub(super) struct Hands<'a> {
    pub device: &'a mut Device,
    pub events: &'a Events,
    pub streams: &'a Streams,
    pub watchers: &'a mut Watchers,
    pub rereading: &'a mut Rereading,
    /// Partitions of which somebody waits for less than the disk.
    pub hasty: &'a mut BTreeSet<Key>,
    /// What may be handed on now.
    pub drained: &'a mut Vec<Key>,
    pub site: Option<&'a Site>,
    /// Where it goes what is asked of leaders.
    pub tell: Option<&'a Tell>,
    pub topics: &'a Topics,
    pub since: Duration,
    pub wall: Millis,
}

pub(super) struct Holding {
    pub(super) serial: u64,
    pub(super) own: NodeId,
    pub(super) key: Key,
    pub(super) shelf: Arc<Shelf>,
    view: Arc<View>,
    pub(super) settings: TopicSettings,
    /// The last that was heard, for when the partition is open.
    pub(super) standing: Option<Standing>,
    pub(super) asking: Asking,
    pub(super) serving: Serving,
    pub(super) handing: Handing,
    pub(super) rules: partition::Settings,
    pub(super) partition: Option<Partition<u64>>,
    pub(super) producers: Producers,
    /// Of transactions, by this node in the reign that it stands in.
    pub(super) ends: Ends,
    pub(super) times: Times,
    pub(super) compaction: Compaction,
    pub(super) dropping: Dropping,
    /// What is known of the log is to be read from it again before anything is
    /// appended.
    pub(super) is_stale: bool,
    /// It is being read, or waits for its turn.
    pub(super) is_reading: bool,
    /// As far as it was read by now.
    pub(super) half_read: Option<ReadBack>,
    /// It could not be read, and this was said.
    pub(super) is_unreadable: bool,
    /// Cuts that the log has not made yet.
    cuts: usize,
    /// Appends that it has not answered yet.
    appends: usize,
    /// Why the log took no append, when it last did not.
    refusal: Box<str>,
    /// Until then no other is tried.
    refuses_until: Duration,
    /// When it was last looked what may be dropped.
    pub(super) swept_at: Duration,
    /// When the active segment began.
    pub(super) rolling: Option<Rolling>,
    /// Who waits for what was appended, by token.
    pub(super) waiting: BTreeMap<u64, Waiting>,
    pub(super) next_token: u64,
    /// Who sent again what is here already, and waits for the watermark.
    pub(super) repeats: Vec<Repeat>,
    /// The epochs, of the leader and of the partition, in which an in-sync set was
    /// proposed: one may hold, for all that is known.
    proposed_in: Option<(i32, i32)>,
    pub(super) keeping: Keeping,
}

pub(super) enum Waiting {
    Append {
        appended: Appended,
        answer: Answer<Result<Appended, NotAppended>>,
    },
    Marker {
        at: Offset,
        answer: Answer<Result<Offset, NotAppended>>,
    },
}

pub(super) struct Repeat {
    pub first: Offset,
    pub last: Offset,
    pub acks: partition::Acks,
    pub until: Duration,
    pub answer: Answer<Result<Appended, NotAppended>>,
}

impl Waiting {
    pub fn answer(self, outcome: Result<(), NotAppended>) {
        match self {
            Self::Append { appended, answer } => answer(outcome.map(|()| appended)),
            Self::Marker { at, answer } => answer(outcome.map(|()| at)),
        }
    }
}

impl Holding {
    pub fn new(
        serial: u64,
        own: NodeId,
        key: Key,
        name: Arc<str>,
        shelf: Arc<Shelf>,
        rules: partition::Settings,
    ) -> Self {
        let dropping = Dropping::new(shelf.first());
        Self {
            serial,
            own,
            key,
            view: Arc::new(View::new(key, name, own, shelf.clone())),
            shelf,
            settings: TopicSettings::default(),
            standing: None,
            asking: Asking::new(serial),
            serving: Serving::default(),
            handing: Handing::No,
            rules,
            partition: None,
            producers: Producers::default(),
            ends: Ends::default(),
            times: Times::default(),
            compaction: Compaction::default(),
            dropping,
            is_stale: true,
            is_reading: false,
            half_read: None,
            is_unreadable: false,
            cuts: 0,
            appends: 0,
            refusal: Box::default(),
            refuses_until: Duration::ZERO,
            swept_at: Duration::ZERO,
            rolling: None,
            waiting: BTreeMap::new(),
            next_token: 0,
            repeats: Vec::new(),
            proposed_in: None,
            keeping: Keeping::default(),
        }
    }

    pub fn log(&self) -> LogId {
        self.shelf.id
    }

    pub(super) fn shelf(&self) -> &Arc<Shelf> {
        &self.shelf
    }

    /// No cut is on its way to the log.
    pub(super) fn is_uncut(&self) -> bool {
        self.cuts == 0
    }

    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Whether it can be asked for anything.
    pub fn is_open(&self) -> bool {
        self.partition.is_some() && !self.is_stale
    }

    pub fn leads(&self) -> bool {
        self.partition.as_ref().is_some_and(Partition::leads)
    }

    pub fn marks(&self) -> Marks {
        let Some(partition) = &self.partition else {
            return Marks::default();
        };
        let watermark = partition.watermark();
        Marks {
            first: partition.first(),
            watermark,
            last_stable: self.producers.last_stable(watermark),
            next: partition.next(),
        }
    }

    pub fn find_time(&self, at_ms: i64) -> Option<Offset> {
        self.times.find(at_ms)
    }

    pub fn latest_time(&self) -> Option<(i64, Offset)> {
        self.times.latest()
    }

    pub fn aborted(&self, from: Offset, until: Offset) -> Vec<Aborted> {
        self.producers.aborted(from, until).copied().collect()
    }

    /// By all that the log has, acknowledged or not: what a client has read was
    /// acknowledged, and one that leads anew does not know yet how far that was.
    pub fn end_of_epoch(&self, epoch: LeaderEpoch) -> Option<(LeaderEpoch, Offset)> {
        let partition = self.partition.as_ref()?;
        let newest = partition.standing().leader_epoch;
        match epoch == newest {
            true => Some((newest, partition.next())),
            false => partition.epochs().end_of(epoch, partition.next()),
        }
    }

    pub fn is_open_by(&self, producer: ProducerId) -> bool {
        let mut all = self.producers.iter();
        all.any(|(id, one)| id == producer && one.open.is_some())
    }

    pub fn producers_shown(&self) -> Vec<ProducerShown> {
        let shown = |(id, one): (ProducerId, &crate::streams::producers::Producer)| ProducerShown {
            id,
            epoch: one.epoch,
            last_sequence: one.last_sequence().unwrap_or(-1),
            last_timestamp_ms: one.seen.0 as i64,
            coordinator_epoch: one.coordinator_epoch,
            open_since: one.open,
        };
        self.producers.iter().map(shown).collect()
    }

    /// The replicated state says how it stands.
    pub fn stand(&mut self, hands: &mut Hands, standing: Standing, settings: &TopicSettings) {
        if self.settings != *settings {
            self.settings = settings.clone();
            let bytes = rolling::segment_bytes(settings);
            hands.device.set_segment_bytes(self.log(), bytes);
        }
        if self.standing.as_ref() == Some(&standing) {
            return;
        }
        let before = self.standing.replace(standing.clone());
        let epoch_before = before.map(|one| one.leader_epoch);
        if epoch_before != Some(standing.leader_epoch) {
            self.ends = Ends::of_life(standing.leader_epoch as u64);
        }
        let is_led_anew = epoch_before.is_some_and(|epoch| epoch != standing.leader_epoch);
        if is_led_anew && !planted!(HandingKept) {
            // What was being handed on is, whoever leads by now: it may be this
            // node again.
            self.handing = Handing::No;
        }
        if let Some(partition) = &mut self.partition {
            partition.stand(hands.since, standing);
            self.mind_handing(hands.since);
            self.go_on(hands);
            self.heed_call(hands);
        }
    }

    pub fn happened(&mut self, hands: &mut Hands, event: Event) {
        match event {
            Event::ReadBack { run, outcome } => self.has_read(hands, run, outcome),
            Event::CheckpointWritten { outcome } => self.has_written(outcome),
            Event::OldestFound { at, found } => self.oldest_found(at, found),
            Event::Dropped { outcome } => {
                self.dropped(outcome);
                self.go_on(hands);
            }
            Event::Rewritten { written, answer } => self.exchange(hands, written, answer),
            Event::Compacted { outcome } => {
                self.compacted(hands.since, outcome);
                self.go_on(hands);
            }
            event => {
                if let Event::Landed { .. } | Event::Failed { .. } = event {
                    self.appends -= 1;
                }
                let Some(partition) = &mut self.partition else {
                    return;
                };
                match event {
                    Event::Landed { run, appended } => {
                        partition.landed(run, Offset(appended.next.0));
                    }
                    Event::Failed { attempt, from, why } => {
                        // Its producer is told, and the node's status. All that
                        // is known is read back before the next is tried, so that
                        // is not done for each that comes to a full disk.
                        // Those behind it fail because of it.
                        if attempt == partition.attempt() {
                            self.refusal = why.to_string().into();
                            self.refuses_until = hands.since + REFUSED_FOR;
                        }
                        partition.failed(attempt, Offset(from));
                        self.asking.rest(hands.since);
                        self.is_stale = true;
                        // What was captured may know of what was not taken.
                        self.keeping.forget();
                    }
                    Event::Cut { run, outcome } => {
                        self.cuts -= 1;
                        match outcome {
                            Ok(appended) => {
                                self.dropping.begins_at(appended.first);
                                partition.landed(run, Offset(appended.next.0));
                            }
                            Err(why) => {
                                say_uncut(self.key, &why);
                                // It is asked again where the logs part, and tried
                                // again, but not at every turn.
                                self.asking.rest(hands.since);
                            }
                        }
                    }
                    Event::NotTaken {
                        leader_epoch,
                        partition_epoch,
                    } => {
                        self.proposed_in = None;
                        partition.not_taken(leader_epoch, partition_epoch);
                    }
                    Event::NotAnswered {
                        leader_epoch,
                        partition_epoch,
                    } => partition.not_answered(leader_epoch, partition_epoch),
                    Event::NotHandedOn => self.keep_leading(),
                    Event::HandingUnanswered => self.handing_unanswered(),
                    Event::Dropped { .. }
                    | Event::Removed { .. }
                    | Event::ReadBack { .. }
                    | Event::CheckpointWritten { .. }
                    | Event::OldestFound { .. }
                    | Event::Rewritten { .. }
                    | Event::Compacted { .. } => {}
                }
                self.go_on(hands);
            }
        }
    }

    /// Carries out what the partition has decided, and shows how far it is.
    pub(super) fn go_on(&mut self, hands: &mut Hands) {
        let Some(partition) = &mut self.partition else {
            return;
        };
        let effects = partition.take_effects();
        // Who is answered finds what it was answered about.
        self.producers.settle(partition.watermark());
        self.show(hands);
        let has_effects = !effects.is_empty();
        for effect in effects {
            self.carry_out(hands, effect);
        }
        if has_effects {
            self.show(hands);
        }
        // Not where the partition ends: the log may have refused to be cut there.
        let is_still = self.appends == 0 && self.cuts == 0;
        if self.is_stale && !self.is_reading && is_still {
            self.read_back(hands);
        }
        self.write_down(hands);
        self.serve();
        self.answer_dropped();
        self.pull(hands);
    }

    fn show(&mut self, hands: &mut Hands) {
        let marks = self.marks();
        if let Some(partition) = &self.partition {
            self.view.set_durable(partition.durable());
        }
        self.view.set_marks(marks);
        if let Some(standing) = &self.standing {
            // Reads go on while what is known of it is read back.
            let is_known = self.partition.is_some();
            let leader = standing
                .leader
                .filter(|&leader| leader != self.own || is_known);
            if self.view.set_leader(leader, standing.leader_epoch) {
                hands.streams.turn();
            }
        }
        hands.watchers.reached(self.key, marks);
        self.answer_repeats(marks);
    }

    fn answer_repeats(&mut self, marks: Marks) {
        self.refuse_repeats(marks.next);
        let taken = self.partition.as_ref().map_or(Offset(0), Partition::taken);
        let is_done = |one: &mut Repeat| match one.acks {
            partition::Acks::Leader => taken > one.last,
            partition::Acks::All => marks.watermark > one.last,
        };
        let done = self.repeats.extract_if(.., is_done);
        for one in done {
            (one.answer)(Ok(Appended {
                base: one.first,
                first: marks.first,
                append_time_ms: None,
            }));
        }
    }

    /// Those who wait for what may go, or has gone: others' records come to stand
    /// in its place, and their watermark says nothing of it. Nothing is appended
    /// between its end and this.
    fn refuse_repeats(&mut self, next: Offset) {
        let leads = self.leads();
        let is_gone = |one: &mut Repeat| !leads || one.last >= next;
        let is_gone = |one: &mut Repeat| is_gone(one) && !planted!(RepeatNotRefused);
        for one in self.repeats.extract_if(.., is_gone) {
            (one.answer)(Err(match leads {
                true => NotAppended::Disk(self.refusal.clone()),
                false => NotAppended::Partition(partition::Refused::NotLeader),
            }));
        }
    }

    fn carry_out(&mut self, hands: &mut Hands, effect: Effect<u64>) {
        match effect {
            Effect::Truncate { from } => {
                let log = self.log();
                let from = self.batch_at(from);
                self.cut(hands, Request::Truncate { log, from });
            }
            Effect::Restart { at } => {
                let log = self.log();
                let at = Index(at.0);
                self.cut(hands, Request::Restart { log, at });
            }
            Effect::DropPrefix { until } => {
                self.producers.forget_before(until);
                self.times.drop_prefix(until);
                self.have_dropped(hands, until);
            }
            Effect::Propose {
                leader_epoch,
                partition_epoch,
                in_sync,
            } => self.propose(hands, leader_epoch, partition_epoch, in_sync),
            Effect::Acknowledge(token, outcome) => {
                if let Some(waiting) = self.waiting.remove(&token) {
                    waiting.answer(outcome.map_err(|why| match why {
                        partition::Refused::Storage => NotAppended::Disk(self.refusal.clone()),
                        why => NotAppended::Partition(why),
                    }));
                }
            }
            Effect::Wake if !self.leads() => hands.watchers.changed(self.key),
            Effect::Wake => {}
            Effect::Drained => self.drained(hands),
            Effect::Lost { from, until } => tracing::error!(
                partition = %self.key, %from, %until,
                "records that were acknowledged are cut: an unclean election has chosen another leader"
            ),
        }
    }

    fn cut(&mut self, hands: &mut Hands, request: Request) {
        let run = self.partition.as_ref().map_or(0, Partition::run);
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        self.keeping.forget();
        self.half_read = None;
        self.is_stale = true;
        self.cuts += 1;
        hands.device.submit(
            request,
            Box::new(move |outcome| events.put(key, serial, Event::Cut { run, outcome })),
        );
    }

    fn propose(
        &mut self,
        hands: &mut Hands,
        leader_epoch: i32,
        partition_epoch: i32,
        in_sync: Vec<(NodeId, crate::ids::Zxid)>,
    ) {
        let not_answered = Event::NotAnswered {
            leader_epoch,
            partition_epoch,
        };
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        // Its own life, while this broker is up.
        let life = hands.site.and_then(|site| site.life_in(hands.topics));
        let (Some(site), Some(leader)) = (hands.site, life) else {
            return events.put(key, serial, not_answered);
        };
        let epochs = (leader_epoch, partition_epoch);
        if in_sync.iter().any(|&(node, _)| self.brings_back(node)) {
            // It is told where the partition begins, and may join then. Until that
            // is proposed nobody is to wait for it: it may never say another word.
            let may_hold = self.proposed_in == Some(epochs) || planted!(UnsaidAwaited);
            let held_back = match may_hold {
                true => not_answered,
                false => Event::NotTaken {
                    leader_epoch,
                    partition_epoch,
                },
            };
            return events.put(key, serial, held_back);
        }
        self.proposed_in = Some(epochs);
        let in_sync = in_sync.into_iter();
        let change = InSyncChange {
            topic: key.topic,
            partition: key.partition,
            leader_epoch,
            partition_epoch,
            in_sync: in_sync
                .map(|(node, epoch)| BrokerLife { node, epoch })
                .collect(),
        };
        let command = StreamsCommand::ChangeInSync {
            leader,
            changes: vec![change],
        };
        site.tell(
            command,
            Box::new(move |outcome| {
                let event = match outcome {
                    Ok(StreamsOutcome::Each(each)) => match &each[..] {
                        // What holds now shows in the topics.
                        [Ok(_)] => return,
                        [Err(why)] if is_final(why) => Event::NotTaken {
                            leader_epoch,
                            partition_epoch,
                        },
                        _ => not_answered,
                    },
                    _ => not_answered,
                };
                events.put_and_wake(key, serial, event);
            }),
        );
    }

    /// It is not held here any more.
    pub fn end(&mut self) {
        let gone = || NotAppended::NotHere(NotHere::Unknown);
        for (_, waiting) in std::mem::take(&mut self.waiting) {
            waiting.answer(Err(gone()));
        }
        for repeat in self.repeats.drain(..) {
            (repeat.answer)(Err(gone()));
        }
        self.dropping.give_up(NotHere::Unknown);
    }

    pub fn tick(&mut self, hands: &mut Hands, sweep_every: Duration) {
        if self.partition.is_none() && !self.is_reading {
            return self.read_back(hands);
        }
        if let Some(partition) = &mut self.partition {
            partition.tick(hands.since);
        }
        let late = self.repeats.extract_if(.., |one| one.until <= hands.since);
        let timed_out = || NotAppended::Partition(partition::Refused::TimedOut);
        late.for_each(|one| (one.answer)(Err(timed_out())));
        self.drop_late(hands.since);
        if hands.since.saturating_sub(self.swept_at) >= sweep_every && self.is_open() {
            self.swept_at = hands.since;
            self.sweep(hands);
        }
        self.mind_handing(hands.since);
        self.ask_again_for_heirs(hands);
        self.serve_late(hands.since);
        self.go_on(hands);
    }

    /// Hears how far the log has taken in what was appended.
    pub(super) fn look(&mut self, hands: &mut Hands) {
        // Before the log is cut, its mark says more than is left of it.
        if self.cuts > 0 {
            return;
        }
        let taken = Offset(self.shelf.taken_until().0);
        if let Some(partition) = self.partition.as_mut().filter(|one| one.taken() < taken) {
            let run = partition.run();
            partition.take_in(run, taken);
            self.go_on(hands);
        }
    }

    /// Whether `look` would find something.
    pub(super) fn has_news(&self) -> bool {
        let taken = Offset(self.shelf.taken_until().0);
        let partition = self.partition.as_ref();
        self.cuts == 0 && partition.is_some_and(|one| one.taken() < taken.min(one.next()))
    }

    pub(super) fn is_hasty(&self) -> bool {
        self.partition.as_ref().is_some_and(Partition::is_hasty)
    }

    /// Why no append is tried now.
    pub(super) fn refused(&self, since: Duration) -> Option<NotAppended> {
        (since < self.refuses_until).then(|| NotAppended::Disk(self.refusal.clone()))
    }

    /// Whether the log has room for an append of so many bytes, which is then
    /// kept for it.
    pub(super) fn reserve(&self, hands: &mut Hands, bytes: usize) -> Result<(), NotAppended> {
        if let Some(why) = self.refused(hands.since) {
            return Err(why);
        }
        let reserved = hands.device.reserve(self.log(), bytes);
        reserved.map_err(|why| NotAppended::Disk(why.to_string().into()))
    }

    /// What is to be done before bytes that have their place are submitted.
    pub(super) fn prepare_append(&mut self, hands: &mut Hands, from: Offset, bytes: &[u8]) {
        self.roll_if_due(hands, from, bytes);
        if self.is_hasty() {
            hands.hasty.insert(self.key);
        }
    }

    pub(super) fn submit_append(
        &mut self,
        hands: &mut Hands,
        attempt: u64,
        from: Offset,
        bytes: Vec<u8>,
    ) {
        self.prepare_append(hands, from, &bytes);
        let answer = self.landing(hands, attempt, from);
        self.keeping.note(bytes.len());
        let records = crate::log::Records::Whole(bytes);
        let log = self.log();
        hands
            .device
            .submit(Request::Append { log, records }, Box::new(answer));
    }

    /// What hears how an append has gone.
    pub(super) fn landing(
        &mut self,
        hands: &Hands,
        attempt: u64,
        from: Offset,
    ) -> impl FnOnce(Result<crate::log::Appended, Refused>) + Send + use<> {
        self.appends += 1;
        let run = self.partition.as_ref().map_or(0, Partition::run);
        let (events, key, serial) = (hands.events.clone(), self.key, self.serial);
        move |outcome| {
            let event = match outcome {
                Ok(appended) => Event::Landed { run, appended },
                Err(why) => Event::Failed {
                    attempt,
                    from: from.0,
                    why,
                },
            };
            events.put(key, serial, event);
        }
    }
}

/// Whether a proposal was refused for what it is, at the epochs that it names.
/// Refused for other epochs, or a life that is over, it may have been taken when
/// it was said before: the topics tell that, and may come behind this.
fn is_final(why: &StreamsRefused) -> bool {
    matches!(
        why,
        StreamsRefused::NotAnInSyncSet
            | StreamsRefused::Ineligible { .. }
            | StreamsRefused::BelowFloor { .. }
    )
}

fn say_uncut(key: Key, why: &Refused) {
    tracing::error!(partition = %key, %why, "the log was not cut");
}
