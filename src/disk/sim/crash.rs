//! A power cut in one line: after which operation, and what of that which was
//! not durable survived. `cut 123, drop 4` is printed by a failing test and
//! parsed to repeat it. Numbers are those of the operations in the trace.

use super::walk::{Change, SECTOR, Unsynced, Walk};
use crate::entropy::Seeded;
use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Operations done before the power went.
    pub cut: usize,
    pub kept: Kept,
}

/// What survives of the operations that were not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    Nothing,
    Everything,
    AllBut(usize),
    /// A write or an allocation with all the names, or one change of a name
    /// and nothing else.
    Only(usize),
    /// Everything, but of this write the first sectors only.
    Head {
        op: usize,
        sectors: usize,
    },
    /// Everything, but of this write not the first sectors.
    Tail {
        op: usize,
        sectors: usize,
    },
    /// Everything, but of this write, which made the file longer, the length
    /// only: its bytes read as before, or as zeros.
    Hollow(usize),
    /// Everything before `earlier`, then `later` alone; all the names.
    Without {
        later: usize,
        earlier: usize,
    },
    /// A seeded choice, operation by operation and sector by sector.
    Random(u64),
}

/// What becomes of one unsynced operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Whole,
    Gone,
    /// The file is as long as with it.
    Hollow,
    /// The sectors that survive.
    Torn(Vec<bool>),
}

impl Kept {
    /// One fate for each of a walk's unsynced operations.
    pub(super) fn fates(self, walk: &Walk) -> Vec<Fate> {
        let unsynced = &walk.unsynced;
        if let Kept::Random(seed) = self {
            return random(unsynced, seed ^ (walk.cut as u64) << 32);
        }
        let is_only_a_name = match self {
            Kept::Only(op) => unsynced
                .iter()
                .any(|other| other.op == op && other.change.is_name()),
            _ => false,
        };
        unsynced
            .iter()
            .map(|unsynced| self.fate(unsynced, is_only_a_name))
            .collect()
    }

    fn fate(self, Unsynced { op, change, .. }: &Unsynced, is_only_a_name: bool) -> Fate {
        let whole = |yes| if yes { Fate::Whole } else { Fate::Gone };
        match self {
            Kept::Nothing | Kept::Random(_) => Fate::Gone,
            Kept::Everything => Fate::Whole,
            Kept::AllBut(dropped) => whole(*op != dropped),
            Kept::Only(kept) => whole(*op == kept || (change.is_name() && !is_only_a_name)),
            Kept::Head { op: torn, sectors } if *op == torn => Fate::Torn(
                (0..change.sectors())
                    .map(|sector| sector < sectors)
                    .collect(),
            ),
            Kept::Tail { op: torn, sectors } if *op == torn => Fate::Torn(
                (0..change.sectors())
                    .map(|sector| sector >= sectors)
                    .collect(),
            ),
            Kept::Hollow(hollow) if *op == hollow => Fate::Hollow,
            Kept::Head { .. } | Kept::Tail { .. } | Kept::Hollow(_) => Fate::Whole,
            Kept::Without { later, earlier } => {
                whole(*op < earlier || *op == later || change.is_name())
            }
        }
    }
}

/// From "hardly anything" to "nearly all" survives, by the seed.
fn random(unsynced: &[Unsynced], seed: u64) -> Vec<Fate> {
    let mut chance = Seeded::new(seed);
    let eighths = 1 + chance.below(7);
    let lives = |chance: &mut Seeded| chance.below(8) < eighths;
    let mut fate = |Unsynced { change, .. }: &Unsynced| {
        if change.sectors() > 1 && chance.one_in(2) {
            return Fate::Torn((0..change.sectors()).map(|_| lives(&mut chance)).collect());
        }
        match (lives(&mut chance), change.sectors()) {
            (true, _) => Fate::Whole,
            (false, 1..) if chance.one_in(4) => Fate::Hollow,
            (false, _) => Fate::Gone,
        }
    };
    unsynced.iter().map(&mut fate).collect()
}

/// Of the pairs only those among the last few: older ones differ little.
const PAIRED: usize = 6;

/// All ways to crash at one cut.
pub(super) struct Choices {
    /// Whole operations survive or do not.
    pub(super) coarse: Vec<Kept>,
    /// Operations are torn, paired, or chosen at random.
    pub(super) fine: Vec<Kept>,
}

impl Choices {
    pub(super) fn at(walk: &Walk, randoms: usize, chance: &mut Seeded) -> Self {
        let reachable = walk
            .unsynced
            .iter()
            .filter(|open| walk.is_reachable(open.change.file()));
        let mut open: Vec<_> = reachable.collect();
        open.dedup_by_key(|open| open.op); // a write that was split counts once
        let mut choices = Self {
            coarse: vec![Kept::Nothing],
            fine: Vec::new(),
        };
        if open.is_empty() {
            return choices;
        }
        choices.coarse.push(Kept::Everything);
        if open.len() > 1 {
            choices
                .coarse
                .extend(open.iter().map(|open| Kept::AllBut(open.op)));
            choices
                .coarse
                .extend(open.iter().map(|open| Kept::Only(open.op)));
        }
        for Unsynced { op, change, .. } in &open {
            if grows(walk, change) {
                choices.fine.push(Kept::Hollow(*op));
            }
            let boundaries = if is_idle(walk, change) {
                1..1
            } else {
                1..change.sectors()
            };
            choices.fine.extend(boundaries.flat_map(|sectors| {
                [
                    Kept::Head { op: *op, sectors },
                    Kept::Tail { op: *op, sectors },
                ]
            }));
        }
        let data = open
            .iter()
            .filter(|open| !open.change.is_name())
            .map(|open| open.op);
        let data: Vec<_> = data.collect();
        let last = &data[data.len().saturating_sub(PAIRED)..];
        if data.len() > 2 {
            choices
                .fine
                .extend(last.iter().enumerate().flat_map(|(index, later)| {
                    let pair = |earlier: &usize| Kept::Without {
                        later: *later,
                        earlier: *earlier,
                    };
                    last[..index].iter().map(pair)
                }));
        }
        let has_choice = open.len() > 1 || open[0].change.sectors() > 2;
        let randoms = if has_choice { randoms } else { 0 };
        choices
            .fine
            .extend((0..randoms).map(|_| Kept::Random(chance.next_u64() >> 40)));
        choices
    }
}

/// Whether a write goes past the end of the durable file.
fn grows(walk: &Walk, change: &Change) -> bool {
    match change {
        Change::Data { file, at, bytes } => {
            at + bytes.len() as u64 > walk.durable.pages(*file).len()
        }
        Change::Length { .. } | Change::Name(_) => false,
    }
}

/// Whether a write changes nothing, as zeros written ahead over zeros. Tearing
/// a megabyte of those would crowd out what is worth trying.
fn is_idle(walk: &Walk, change: &Change) -> bool {
    let Change::Data { file, at, bytes } = change else {
        return false;
    };
    // Zeros over bytes that are not durable either do change something.
    let is_alone = walk.unsynced.iter().all(|other| match &other.change {
        Change::Data {
            file: held,
            at: start,
            bytes: others,
        } => {
            std::ptr::eq(&other.change, change)
                || held != file
                || *start >= at + bytes.len() as u64
                || start + others.len() as u64 <= *at
        }
        Change::Length { .. } | Change::Name(_) => true,
    });
    is_alone && walk.durable.pages(*file).to_vec(*at, bytes.len()) == **bytes
}

/// Says of each unsynced operation what became of it.
pub(super) fn story(walk: &Walk, kept: Kept, line: impl Fn(usize) -> String) -> String {
    let fates = kept.fates(walk);
    let lines = walk
        .unsynced
        .iter()
        .zip(fates)
        .map(|(Unsynced { op, change, .. }, fate)| {
            let fate = match (fate, change) {
                (Fate::Whole, _) => "survived".to_owned(),
                (Fate::Gone, _) => "lost".to_owned(),
                (Fate::Hollow, _) => "lost but for its length".to_owned(),
                (Fate::Torn(sectors), Change::Data { at, .. }) => {
                    let places = sectors.iter().enumerate().filter(|(_, lives)| **lives);
                    let places: Vec<_> = places
                        .map(|(index, _)| at + (index * SECTOR) as u64)
                        .collect();
                    format!("torn, with the sectors at {places:?} left")
                }
                (Fate::Torn(_), _) => "survived".to_owned(),
            };
            format!("{} {fate}\n", line(*op))
        });
    lines.collect()
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cut {}, {}", self.cut, self.kept)
    }
}

impl fmt::Display for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Kept::Nothing => write!(f, "nothing"),
            Kept::Everything => write!(f, "everything"),
            Kept::AllBut(op) => write!(f, "drop {op}"),
            Kept::Only(op) => write!(f, "only {op}"),
            Kept::Head { op, sectors } => write!(f, "head {op} to {sectors}"),
            Kept::Tail { op, sectors } => write!(f, "tail {op} from {sectors}"),
            Kept::Without { later, earlier } => write!(f, "{later} without {earlier}"),
            Kept::Hollow(op) => write!(f, "hollow {op}"),
            Kept::Random(seed) => write!(f, "random {seed}"),
        }
    }
}

impl FromStr for Crash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("{text:?} is no crash; one reads: cut 123, drop 4");
        let number = |word: &str| word.parse::<usize>().map_err(|_| bad());
        let (cut, kept) = text
            .strip_prefix("cut ")
            .and_then(|rest| rest.split_once(", "))
            .ok_or_else(bad)?;
        let words: Vec<_> = kept.split_whitespace().collect();
        let kept = match words[..] {
            ["nothing"] => Kept::Nothing,
            ["everything"] => Kept::Everything,
            ["drop", op] => Kept::AllBut(number(op)?),
            ["only", op] => Kept::Only(number(op)?),
            ["hollow", op] => Kept::Hollow(number(op)?),
            ["head", op, "to", sectors] => Kept::Head {
                op: number(op)?,
                sectors: number(sectors)?,
            },
            ["tail", op, "from", sectors] => Kept::Tail {
                op: number(op)?,
                sectors: number(sectors)?,
            },
            [later, "without", earlier] => Kept::Without {
                later: number(later)?,
                earlier: number(earlier)?,
            },
            ["random", seed] => Kept::Random(number(seed)? as u64),
            _ => return Err(bad()),
        };
        Ok(Self {
            cut: number(cut)?,
            kept,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_one_line_that_parses_again() {
        for line in [
            "cut 123, nothing",
            "cut 1, everything",
            "cut 9, drop 4",
            "cut 9, only 4",
            "cut 12, head 7 to 3",
            "cut 12, tail 7 from 3",
            "cut 12, hollow 7",
            "cut 12, 9 without 7",
            "cut 5, random 88213",
        ] {
            assert_eq!(
                line.parse::<Crash>().map(|crash| crash.to_string()),
                Ok(line.into())
            );
        }
        assert!("cut 5, drop".parse::<Crash>().is_err());
    }
}
