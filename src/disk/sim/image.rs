//! The disk after a crash, and the walk over all crashes of a trace.

use super::SimDisk;
use super::crash::{Choices, Crash, Fate, Kept, story};
use super::files::Files;
use super::trace::{Op, Trace};
use super::walk::{Change, SECTOR, Walk};
use crate::entropy::Seeded;
use std::fmt;
use std::sync::Arc;

/// What a power cut left behind. Prints as the line that repeats it.
#[derive(Clone)]
pub struct Image {
    crash: Crash,
    files: Files,
    /// Of the whole trace; the first `noted` were set before the cut.
    notes: Arc<[u64]>,
    noted: usize,
}

impl Image {
    pub fn crash(&self) -> Crash {
        self.crash
    }

    /// What was promised before the power went, in order.
    pub fn notes(&self) -> &[u64] {
        &self.notes[..self.noted]
    }

    pub fn digest(&self) -> u64 {
        self.files.digest()
    }

    /// A disk that holds this and nothing else, all of it durable. It does not
    /// record until `start_recording`.
    pub fn into_disk(self) -> SimDisk {
        let seed = self.crash.cut as u64;
        SimDisk::holding(seed, self.files)
    }

    fn build(walk: &Walk, kept: Kept, notes: &Arc<[u64]>, noted: usize) -> Self {
        let crash = Crash {
            cut: walk.cut,
            kept,
        };
        Self {
            crash,
            files: survivors(walk, kept),
            notes: notes.clone(),
            noted,
        }
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.crash.fmt(f)
    }
}

/// Files of which all or nothing survives are shared; only the others are built.
fn survivors(walk: &Walk, kept: Kept) -> Files {
    let mut files = walk.durable.clone();
    let fates = kept.fates(walk);
    let mut is_whole = vec![true; files.contents.len()];
    let changes = || {
        walk.unsynced
            .iter()
            .map(|unsynced| &unsynced.change)
            .zip(&fates)
    };
    for (change, _) in changes().filter(|(change, fate)| !change.is_name() && **fate != Fate::Whole)
    {
        is_whole[change.file().0 as usize] = false;
    }
    for (change, fate) in changes() {
        match (change, fate) {
            (_, Fate::Gone) => {}
            (Change::Data { file, .. } | Change::Length { file, .. }, _)
                if is_whole[file.0 as usize] =>
            {
                let place = file.0 as usize;
                files.contents[place] = walk.live.contents[place].clone();
            }
            (Change::Data { file, at, bytes }, Fate::Hollow) => {
                files.pages_mut(*file).grow(at + bytes.len() as u64);
            }
            (Change::Data { file, at, bytes }, Fate::Torn(sectors)) => {
                let pages = files.pages_mut(*file);
                let pieces = bytes.chunks(SECTOR).zip(sectors).enumerate();
                for (index, (piece, _)) in pieces.filter(|(_, (_, lives))| **lives) {
                    pages.write(at + (index * SECTOR) as u64, piece);
                }
            }
            (change, _) => change.apply(&mut files),
        }
    }
    files
}

/// How much of all that can happen is tried.
#[derive(Clone, Copy, Debug)]
pub struct Sweep {
    /// About so many images, spread evenly over the trace; None is all.
    pub images: Option<usize>,
    /// Random choices at each cut.
    pub randoms: usize,
    pub seed: u64,
}

impl Sweep {
    pub fn about(images: usize, seed: u64) -> Self {
        Self {
            images: Some(images),
            randoms: 8,
            seed,
        }
    }

    pub fn all(seed: u64) -> Self {
        Self {
            images: None,
            randoms: 8,
            seed,
        }
    }
}

impl Trace {
    /// What power cuts may leave behind, cut by cut.
    pub fn images(&self, sweep: Sweep) -> Images<'_> {
        // A cut right before a note has the same images as the one after it,
        // which promises more.
        let is_tried: Vec<_> = (0..=self.ops.len())
            .map(|cut| !matches!(self.ops.get(cut), Some(Op::Note(_))))
            .collect();
        Images {
            walk: Walk::new(self),
            has_begun: false,
            cuts: is_tried.iter().filter(|tried| **tried).count(),
            is_tried,
            images: sweep.images,
            credit: 0,
            randoms: sweep.randoms,
            chance: Seeded::new(sweep.seed),
            chosen: Vec::new(),
            notes: self.notes(self.ops.len()).collect(),
            noted: 0,
        }
    }

    /// The image of one crash: `trace.image("cut 123, drop 4".parse()?)`.
    pub fn image(&self, crash: Crash) -> Image {
        let notes: Arc<[u64]> = self.notes(self.ops.len()).collect();
        let noted = self.notes(crash.cut).count();
        Image::build(&Walk::at(self, crash.cut), crash.kept, &notes, noted)
    }

    /// The disk as a kill of the process leaves it, the power staying on: the
    /// page cache has everything, and no more is durable than was.
    pub fn killed(&self, cut: usize) -> SimDisk {
        let disk = SimDisk::holding(cut as u64, Walk::at(self, cut).live);
        disk.state().trace = Some(Trace {
            start: self.start.clone(),
            ops: self.ops[..cut].to_vec(),
        });
        disk
    }

    /// Each operation that was not durable at a crash, and what became of it.
    pub fn story(&self, crash: Crash) -> String {
        let line = |op: usize| match &self.ops[op] {
            made @ (Op::Write { file, .. } | Op::Allocate { file, .. }) => {
                format!("{op}: {made} of {}", self.name_of(*file))
            }
            made => format!("{op}: {made}"),
        };
        let told = story(&Walk::at(self, crash.cut), crash.kept, line);
        format!("{crash}\n{told}")
    }
}

/// The images of a sweep.
pub struct Images<'t> {
    walk: Walk<'t>,
    has_begun: bool,
    is_tried: Vec<bool>,
    /// How many are tried.
    cuts: usize,
    images: Option<usize>,
    /// In parts of an image, `cuts` to one; what a cut leaves the next may use.
    credit: usize,
    randoms: usize,
    chance: Seeded,
    /// At the present cut, last first.
    chosen: Vec<Kept>,
    notes: Arc<[u64]>,
    noted: usize,
}

impl Iterator for Images<'_> {
    type Item = Image;

    fn next(&mut self) -> Option<Image> {
        loop {
            if let Some(kept) = self.chosen.pop() {
                return Some(Image::build(&self.walk, kept, &self.notes, self.noted));
            }
            self.next_cut()?;
        }
    }
}

impl Images<'_> {
    fn next_cut(&mut self) -> Option<()> {
        if self.has_begun {
            let op = self.walk.step()?;
            self.noted += usize::from(matches!(op, Op::Note(_)));
        }
        self.has_begun = true;
        if self.is_tried[self.walk.cut] {
            self.choose();
        }
        Some(())
    }

    fn choose(&mut self) {
        let Choices { coarse, fine } = Choices::at(&self.walk, self.randoms, &mut self.chance);
        let all = coarse.len() + fine.len();
        let count = match self.images {
            None => all,
            Some(images) => {
                self.credit += images;
                let count = (self.credit / self.cuts).min(all);
                self.credit -= count * self.cuts;
                count
            }
        };
        // Half and half, the odd one by chance; one group fills up the other.
        let half = (count + self.chance.below(2) as usize) / 2;
        let of_fine = half.min(fine.len()).max(count.saturating_sub(coarse.len()));
        self.take(&coarse, count - of_fine);
        self.take(&fine, of_fine);
        self.chosen.reverse();
    }

    /// Takes some of a list, evenly, from a place that chance gives.
    fn take(&mut self, list: &[Kept], count: usize) {
        let is_all = count == list.len();
        let start = if is_all {
            0
        } else {
            self.chance.below(list.len() as u64) as usize
        };
        let places = (0..count).map(|index| (start + index * list.len() / count) % list.len());
        self.chosen.extend(places.map(|place| list[place]));
    }
}

#[cfg(test)]
mod tests;
