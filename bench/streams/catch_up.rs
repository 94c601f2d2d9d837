//! Readers that begin at the first offset: what was just written (warm), and
//! after a restart with the page cache emptied (cold); beside a plain copy of
//! bytes over loopback, with which nothing more is done.

use super::batches::Batch;
use super::cells::{Acks, BASE, Cell};
use super::failure::Failure;
use super::flood::{Flood, Load, Until};
use super::options::Options;
use super::rounds::Reading;
use super::table::{all_is_there, batches};
use super::targets::Cluster;
use super::topic::Topic;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const PARTITIONS: [usize; 2] = [1, 16];
/// Of the bytes that are to be read, so much may be in memory for the reading
/// to be cold: what a start looks at.
const WARM_SHARE_MAX: f64 = 0.05;

pub struct Line {
    pub target: String,
    pub is_dolmen: bool,
    pub partitions: usize,
    pub warm: Vec<Reading>,
    pub cold: Vec<Reading>,
    /// Why readings are missing.
    pub warm_failure: Option<String>,
    pub cold_failure: Option<String>,
    /// The copies that were its neighbours.
    pub copies: Vec<Reading>,
}

impl Line {
    /// Only an interruption ends the run.
    pub fn warm(&mut self, copy: Reading, read: Result<Reading, Failure>) -> Result<(), Failure> {
        match read {
            Ok(reading) => {
                self.warm.push(reading);
                self.copies.push(copy);
            }
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Err(failure) => self.warm_failure = Some(failure.to_string()),
        }
        Ok(())
    }

    pub fn cold(&mut self, read: Result<Reading, Failure>) -> Result<(), Failure> {
        match read {
            Ok(reading) => self.cold.push(reading),
            Err(Failure::Interrupted) => return Err(Failure::Interrupted),
            Err(failure) => {
                eprintln!("{} cold: {failure}", self.target);
                self.cold_failure = Some(failure.to_string());
            }
        }
        Ok(())
    }
}

/// A topic that is full, and who reads it.
pub struct Full {
    topic: Topic,
    batches: Vec<Batch>,
    ends: Vec<u64>,
    partitions: usize,
}

impl Full {
    pub fn make(cluster: &Cluster, partitions: usize, options: &Options) -> Result<Self, Failure> {
        let cell = Cell {
            partitions,
            acks: Acks::One,
            ..BASE
        };
        let batches = batches(cell);
        let name = format!("catch-up-{partitions}");
        let topic = Topic::make(cluster, &name, partitions, &[])?;
        let load = Load {
            followers: 0,
            until: Until::Bytes((options.catch_up_mib as u64) << 20),
            ..cell.load(options)
        };
        let mut flood = Flood::open(&topic, &batches, &load)?;
        flood.run(load.until, &cluster.pids())?;
        let ends = flood.ends();
        all_is_there(cluster, &topic, &ends)?;
        Ok(Self {
            topic,
            batches,
            ends,
            partitions,
        })
    }

    pub fn read(&self, cluster: &Cluster, options: &Options) -> Result<Reading, Failure> {
        let mut readers = Flood::of_readers(&self.topic, &self.batches, options.followers)?;
        readers.read_to(&self.ends, &cluster.pids())
    }

    pub fn remove(self, cluster: &Cluster) -> Result<(), Failure> {
        self.topic.remove(cluster)
    }

    /// The nodes are stopped meanwhile: pages that a process has mapped are not
    /// given back.
    pub fn read_cold(
        &mut self,
        cluster: &mut Cluster,
        options: &Options,
    ) -> Result<Reading, Failure> {
        cluster.stop()?;
        let left = empty_the_cache(cluster.folder());
        let read = (options.catch_up_mib as f64) * f64::from(1 << 20);
        // In any case: it is measured again.
        cluster.start_again()?;
        let left = left?;
        if left as f64 > read * WARM_SHARE_MAX {
            let why = format!("{} MiB stay in the page cache", left >> 20);
            return Err(Failure::Answered(why));
        }
        self.topic.look_again(cluster)?;
        self.read(cluster, options)
    }

    pub fn line(&self, cluster: &Cluster) -> Line {
        Line {
            target: cluster.target.name(),
            is_dolmen: cluster.target.is_dolmen(),
            partitions: self.partitions,
            warm: Vec::new(),
            cold: Vec::new(),
            warm_failure: None,
            cold_failure: None,
            copies: Vec::new(),
        }
    }
}

/// What is left there of a folder's files, in bytes.
fn empty_the_cache(folder: &Path) -> Result<u64, Failure> {
    let mut left = 0;
    for file in files(folder)? {
        let bytes = drop_from_the_cache(&file);
        // `dolmen dev` takes back what it told of its nodes when they have ended.
        if file.exists() {
            left += bytes?;
        }
    }
    Ok(left)
}

/// What stays there all the same. Written or not, a page can be dropped once it is on
/// the disk.
fn drop_from_the_cache(file: &Path) -> Result<u64, Failure> {
    let input = format!("if={}", file.display());
    run(Command::new("dd").args([&input, "iflag=nocache", "count=0", "status=none"]))?;
    let count = ["--bytes", "--noheadings", "--output", "RES"];
    let told = run(Command::new("fincore").args(count).arg(file))?;
    Ok(told.trim().parse().unwrap_or(0))
}

fn run(command: &mut Command) -> Result<String, Failure> {
    let name = command.get_program().display().to_string();
    let output = command.output();
    let output = output.map_err(|error| Failure::NotRunning(format!("{name}: {error}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let why = String::from_utf8_lossy(&output.stderr);
            Err(Failure::Answered(format!("{name}: {}", why.trim())))
        }
    }
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut files, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type()? {
                kind if kind.is_dir() => folders.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    Ok(files)
}
