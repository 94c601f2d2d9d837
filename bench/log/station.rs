//! A thread with a class, a raw file and a device of its own, that measures
//! what it is asked. Rows run by turns, so that noise meets them all.

use super::figures::Samples;
use super::load::{Load, Variant, open_here};
use super::own::Own;
use super::raw::{Raw, Way};
use dolmen::disk::class::{self, Class, Granted};
use dolmen::log::Settings;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Job {
    Raw {
        way: Way,
        bytes: usize,
    },
    /// The device of this variant.
    Own {
        variant: usize,
        load: Load,
        is_resting: bool,
    },
}

pub struct Station {
    jobs: Sender<(Job, Duration)>,
    answers: Receiver<Samples>,
    pub granted: Granted,
    /// The file system knows no O_DIRECT.
    pub direct_refused: bool,
    thread: JoinHandle<()>,
}

impl Station {
    /// Opens a device for each variant, in a folder of its own under `folder`,
    /// and is still when it returns.
    pub fn start(folder: &Path, class: Class, variants: &[Variant], settings: &Settings) -> Self {
        let (jobs, queue) = channel();
        let (back, answers) = channel();
        let (granting, granted) = channel();
        let (folder, variants, settings) = (folder.to_owned(), variants.to_vec(), settings.clone());
        let thread = Builder::new()
            .name(format!("bench {class:?}"))
            .spawn(move || {
                let granted = class::take(class);
                std::fs::create_dir(&folder).expect("a folder of the bench");
                let raw = Raw::make(&folder).expect("room for the raw loop's file");
                let each = variants.iter();
                let own = each.map(|&one| open_own(&folder, one, &settings)).collect();
                let told = (granted, raw.direct_refused());
                granting.send(told).expect("the bench waits for it");
                work(raw, own, &queue, &back);
            })
            .expect("a thread");
        let (granted, direct_refused) = granted.recv().expect("the station says it first");
        Self {
            jobs,
            answers,
            granted,
            direct_refused,
            thread,
        }
    }

    pub fn measure(&self, job: Job, time: Duration) -> Samples {
        self.jobs.send((job, time)).expect("the station lives");
        self.answers.recv().expect("the station answers")
    }

    pub fn end(self) {
        drop(self.jobs);
        self.thread.join().expect("the station does not panic");
    }
}

fn work(
    mut raw: Raw,
    mut own: Vec<Own>,
    queue: &Receiver<(Job, Duration)>,
    back: &Sender<Samples>,
) {
    while let Ok((job, time)) = queue.recv() {
        let samples = match job {
            Job::Raw { way, bytes } => raw.measure(way, bytes, time).expect("the disk works"),
            Job::Own {
                variant,
                load,
                is_resting,
            } => own[variant].measure(load, is_resting, time),
        };
        back.send(samples).expect("the bench waits for it");
    }
}

fn open_own(folder: &Path, variant: Variant, settings: &Settings) -> Own {
    let place = folder.join(variant.0);
    std::fs::create_dir(&place).expect("a folder of the bench");
    let opened = open_here(&place, variant.1, settings.clone());
    Own::new(opened.expect("a new folder opens").0)
}
