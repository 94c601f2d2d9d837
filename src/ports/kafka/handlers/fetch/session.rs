//! Fetch sessions (KIP-227): a client names the partitions that it reads once,
//! and from then on only what has changed; and is answered with those alone that
//! have something new. Pure: the caller brings the time and the numbers.
//!
//! `begin` says what a request reads, `tell` which of it goes into the answer.
//! Between the two nothing is held: a session that is gone by then, or was used
//! by somebody else, has the client begin anew, and it asks for the same
//! offsets again.

use crate::ids::TopicId;
use crate::limits::{FETCH_SESSION_IDLE_MS, FETCH_SESSIONS_BYTES_MAX, FETCH_SESSIONS_MAX};
use crate::ports::kafka::messages::ErrorCode;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A topic as the client's version names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    Name(Arc<str>),
    Id(TopicId),
}

pub type Spot = (Named, i32);

/// One partition, and what a client wants of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub spot: Spot,
    /// -1 where the client names none, as the next.
    pub leader_epoch: i32,
    pub last_epoch: i32,
    pub from: i64,
    pub bytes_max: i32,
}

/// What a request says.
#[derive(Clone, Debug)]
pub struct Asked {
    /// 0 for none.
    pub session: i32,
    pub epoch: i32,
    pub names_ids: bool,
    pub wanted: Vec<Wanted>,
    pub forgotten: Vec<Spot>,
}

/// What a request reads, in the order in which it is served.
#[derive(Clone, Debug)]
pub struct Reads {
    pub wanted: Vec<Wanted>,
    told: Told,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// Everything, once.
    All,
    /// Everything, in a session that begins with it.
    Opening { names_ids: bool },
    /// What is new. The epoch is the one of the next request.
    News { session: i32, next_epoch: i32 },
}

/// What came of one partition, as far as a session minds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// -1 where it is not known, as the next.
    pub watermark: i64,
    pub first: i64,
    pub has_records: bool,
    /// An error, or where the histories part.
    pub is_told_anyway: bool,
}

/// What goes into the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// 0 for none.
    pub session: i32,
    /// For each partition, whether it does.
    pub is_told: Vec<bool>,
}

/// All sessions of a node.
#[derive(Debug, Default)]
pub struct Sessions {
    by_id: BTreeMap<i32, Session>,
    /// Of all of them.
    bytes: usize,
}

/// Epoch of a request that opens a session, and names all its partitions.
const OPENS: i32 = 0;
/// Epoch of a request that closes its session or has none.
const WITHOUT: i32 = -1;
const NO_SESSION: i32 = 0;

impl Sessions {
    pub fn begin(&mut self, now: Duration, asked: Asked) -> Result<Reads, ErrorCode> {
        let told = match asked.epoch {
            OPENS => Told::Opening {
                names_ids: asked.names_ids,
            },
            WITHOUT => Told::All,
            _ => return self.go_on(now, asked),
        };
        self.remove(asked.session);
        let wanted = asked.wanted;
        Ok(Reads { wanted, told })
    }

    fn go_on(&mut self, now: Duration, asked: Asked) -> Result<Reads, ErrorCode> {
        let id = asked.session;
        let Some(session) = self.by_id.get_mut(&id) else {
            return Err(ErrorCode::FetchSessionIdNotFound);
        };
        if session.epoch != asked.epoch {
            return Err(ErrorCode::InvalidFetchSessionEpoch);
        }
        if session.names_ids != asked.names_ids {
            return Err(ErrorCode::FetchSessionTopicIdError);
        }
        let bytes = session.bytes;
        session.change(asked.wanted, &asked.forgotten);
        session.epoch = following(session.epoch);
        session.used = now;
        let (wanted, next_epoch) = (session.wanted(), session.epoch);
        self.bytes = self.bytes - bytes + session.bytes;
        if wanted.is_empty() {
            self.remove(id);
            let told = Told::All;
            return Ok(Reads { wanted, told });
        }
        // It names everything anew, and may then find room.
        if self.bytes > FETCH_SESSIONS_BYTES_MAX {
            self.remove(id);
            return Err(ErrorCode::FetchSessionIdNotFound);
        }
        let session = id;
        let told = Told::News {
            session,
            next_epoch,
        };
        Ok(Reads { wanted, told })
    }

    /// `shown` stands for the partitions in their order; `draw` gives numbers
    /// for a session, any at all.
    pub fn tell(
        &mut self,
        now: Duration,
        reads: &Reads,
        shown: &[Shown],
        mut draw: impl FnMut() -> Option<i32>,
    ) -> Result<Telling, ErrorCode> {
        let all = |session| Telling {
            session,
            is_told: vec![true; shown.len()],
        };
        match reads.told {
            Told::All => Ok(all(NO_SESSION)),
            Told::Opening { names_ids } => {
                let session = Session::new(now, names_ids, &reads.wanted, shown);
                let id = self.open(now, session, &mut draw);
                Ok(all(id.unwrap_or(NO_SESSION)))
            }
            Told::News {
                session: id,
                next_epoch,
            } => {
                let Some(session) = self.by_id.get_mut(&id) else {
                    return Err(ErrorCode::FetchSessionIdNotFound);
                };
                if session.epoch != next_epoch {
                    return Err(ErrorCode::InvalidFetchSessionEpoch);
                }
                let both = reads.wanted.iter().zip(shown);
                let is_told = both.map(|(wanted, shown)| session.show(&wanted.spot, shown));
                Ok(Telling {
                    session: id,
                    is_told: is_told.collect(),
                })
            }
        }
    }

    /// None where there is no room for it, or nothing in it.
    fn open(
        &mut self,
        now: Duration,
        session: Session,
        draw: &mut impl FnMut() -> Option<i32>,
    ) -> Option<i32> {
        if session.line.is_empty() || session.bytes > FETCH_SESSIONS_BYTES_MAX {
            return None;
        }
        let is_full = |this: &Self| {
            this.by_id.len() >= FETCH_SESSIONS_MAX
                || this.bytes + session.bytes > FETCH_SESSIONS_BYTES_MAX
        };
        while is_full(self) {
            let leaving = self.leaving(now, session.line.len())?;
            self.remove(leaving);
        }
        let id = loop {
            let id = draw()? & i32::MAX;
            if id != NO_SESSION && !self.by_id.contains_key(&id) {
                break id;
            }
        };
        self.bytes += session.bytes;
        self.by_id.insert(id, session);
        Some(id)
    }

    /// Who makes room for a session of so many partitions: whoever was not heard
    /// of for longest, if that is long; or whoever had its time and has fewest
    /// partitions, if they are fewer.
    fn leaving(&self, now: Duration, partitions: usize) -> Option<i32> {
        let idle = Duration::from_millis(FETCH_SESSION_IDLE_MS);
        let is_long_ago = |then: Duration| now.saturating_sub(then) > idle;
        let stale = self.by_id.iter().min_by_key(|(_, one)| one.used);
        if let Some((&id, _)) = stale.filter(|(_, one)| is_long_ago(one.used)) {
            return Some(id);
        }
        let had_time = self
            .by_id
            .iter()
            .filter(|(_, one)| is_long_ago(one.created));
        let least = had_time.min_by_key(|(_, one)| one.line.len())?;
        (least.1.line.len() < partitions).then_some(*least.0)
    }

    fn remove(&mut self, id: i32) {
        if let Some(session) = self.by_id.remove(&id) {
            self.bytes -= session.bytes;
        }
    }
}

/// Counted on within its 31 bits; 0 and below say something else.
fn following(epoch: i32) -> i32 {
    epoch.checked_add(1).unwrap_or(1)
}

#[derive(Debug)]
struct Session {
    /// Of the next request.
    epoch: i32,
    names_ids: bool,
    created: Duration,
    used: Duration,
    /// Where in the line a partition stands.
    places: BTreeMap<Spot, u64>,
    /// In the order in which they are served. Who was given records goes to the
    /// end, so that none starves behind the others.
    line: BTreeMap<u64, Kept>,
    next_place: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Kept {
    wanted: Wanted,
    /// As the client was told.
    watermark: i64,
    first: i64,
}

/// Nobody was told anything.
const UNTOLD: Shown = Shown {
    watermark: -1,
    first: -1,
    has_records: false,
    is_told_anyway: false,
};

impl Session {
    fn new(now: Duration, names_ids: bool, wanted: &[Wanted], shown: &[Shown]) -> Self {
        let mut session = Self {
            epoch: following(OPENS),
            names_ids,
            created: now,
            used: now,
            places: BTreeMap::new(),
            line: BTreeMap::new(),
            next_place: 0,
            bytes: 0,
        };
        for (wanted, shown) in wanted.iter().zip(shown) {
            session.want(wanted.clone(), shown);
        }
        session
    }

    fn want(&mut self, wanted: Wanted, shown: &Shown) {
        if let Some(place) = self.places.get(&wanted.spot) {
            if let Some(kept) = self.line.get_mut(place) {
                kept.wanted = wanted;
            }
            return;
        }
        self.bytes += cost(&wanted.spot);
        self.places.insert(wanted.spot.clone(), self.next_place);
        let kept = Kept {
            wanted,
            watermark: shown.watermark,
            first: shown.first,
        };
        self.line.insert(self.next_place, kept);
        self.next_place += 1;
    }

    fn change(&mut self, wanted: Vec<Wanted>, forgotten: &[Spot]) {
        for one in wanted {
            self.want(one, &UNTOLD);
        }
        for spot in forgotten {
            if let Some(place) = self.places.remove(spot) {
                self.line.remove(&place);
                self.bytes -= cost(spot);
            }
        }
    }

    fn wanted(&self) -> Vec<Wanted> {
        self.line.values().map(|kept| kept.wanted.clone()).collect()
    }

    /// Whether a partition goes into the answer, and notes that it did.
    fn show(&mut self, spot: &Spot, shown: &Shown) -> bool {
        let place = self.places.get_mut(spot);
        let Some((place, mut kept)) = place.and_then(|place| {
            let kept = self.line.remove(place)?;
            Some((place, kept))
        }) else {
            return false;
        };
        let is_new = (kept.watermark, kept.first) != (shown.watermark, shown.first);
        (kept.watermark, kept.first) = (shown.watermark, shown.first);
        if shown.is_told_anyway {
            // Told again next time, when it may be well.
            kept.watermark = UNTOLD.watermark;
        }
        if shown.has_records {
            *place = self.next_place;
            self.next_place += 1;
        }
        self.line.insert(*place, kept);
        is_new || shown.has_records || shown.is_told_anyway
    }
}

/// With what the maps take for an entry, about half as much again.
fn cost(spot: &Spot) -> usize {
    let name = match &spot.0 {
        Named::Name(name) => name.len(),
        Named::Id(_) => 0,
    };
    let entry = size_of::<(Spot, u64)>() + size_of::<(u64, Kept)>();
    entry + entry / 2 + name
}

#[cfg(test)]
mod tests;
