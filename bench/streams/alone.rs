//! What the log does alone, without partitions, door and network: the same
//! bytes as often outstanding, by the code of the log's own bench.

use super::cells::{Cell, Shape};
use super::failure::Failure;
use super::histogram::Histogram;
use super::load as appends;
use super::options::Options;
use super::rounds::{Round, Times};
use super::station::{Job, Station};
use dolmen::clock::MachineClock;
use dolmen::disk::choose::{Wanted, choose};
use dolmen::disk::class::Class;
use dolmen::disk::{How, Settings as DiskSettings};
use dolmen::log::Settings;
use std::path::Path;

/// As the log's bench has it.
const RING_ENTRIES: u32 = 64;

pub struct Alone {
    station: Station,
    pub engine: String,
}

impl Alone {
    pub fn start(folder: &Path) -> Result<Self, Failure> {
        let (clock, how) = (MachineClock::new(), How::WriteDirect);
        let chosen = choose(folder, Wanted::Auto, RING_ENTRIES, how, &clock);
        let chosen = chosen.map_err(|error| Failure::NotRunning(error.to_string()))?;
        let disk = DiskSettings {
            engine: chosen.engine,
            entries: RING_ENTRIES,
            lone_blocking: chosen.lone_blocking,
        };
        let place = folder.join("log-alone");
        let variants = [("auto", disk)];
        Ok(Self {
            station: Station::start(&place, Class::Log, &variants, &Settings::default()),
            engine: chosen.reason,
        })
    }

    pub fn measure(&self, cell: Cell, options: &Options, batch_bytes: usize) -> Round {
        let outstanding = match cell.shape {
            Shape::Lone => 1,
            Shape::Flood | Shape::Followed => options.connections * options.in_flight,
        };
        let load = appends::Load {
            bytes: batch_bytes,
            outstanding,
            logs: cell.partitions as u64,
        };
        let job = Job::Own {
            variant: 0,
            load,
            is_resting: false,
        };
        let samples = self.station.measure(job, options.time());
        let mut times = Histogram::default();
        samples.times.iter().for_each(|time| times.add(*time));
        let (count, spent) = (samples.times.len() as f64, samples.spent.as_secs_f64());
        Round {
            mb_per_s: count * batch_bytes as f64 / 1e6 / spent,
            // It knows no records, and it shares this process.
            records_per_s: f64::NAN,
            ack: Times::of(&times),
            sight: None,
            client_ms_per_mb: f64::NAN,
            server_ms_per_mb: f64::NAN,
            memory_mib: f64::NAN,
            batches: samples.times.len() as u64,
        }
    }

    pub fn end(self) {
        self.station.end();
    }
}
