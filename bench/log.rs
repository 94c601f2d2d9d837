//! What the log promises in numbers, measured: durable appends beside the raw
//! loop that they can at best be as fast as, recovery, and logs that idle.
//!
//! All of it in one run, and the rows of the table by turns, round after
//! round, so that whatever else the machine does meets the log and its peers
//! alike. Figures of one machine are ratios on another.

// A bench stands outside, as tests do: it makes folders, waits, and looks at
// the clock.
#![allow(clippy::disallowed_methods)]

#[path = "log/figures.rs"]
mod figures;
#[path = "log/files.rs"]
mod files;
#[path = "shared/folder.rs"]
mod folder;
#[path = "log/goals.rs"]
mod goals;
#[path = "log/head.rs"]
mod head;
#[path = "log/hogs.rs"]
mod hogs;
#[path = "log/idle.rs"]
mod idle;
#[path = "log/load.rs"]
mod load;
#[path = "shared/machine.rs"]
mod machine;
#[path = "shared/median.rs"]
mod median;
#[path = "log/memory.rs"]
mod memory;
#[path = "log/others.rs"]
mod others;
#[path = "log/own.rs"]
mod own;
#[path = "log/plan.rs"]
mod plan;
#[path = "log/raw.rs"]
mod raw;
#[path = "log/recovery.rs"]
mod recovery;
#[path = "log/report.rs"]
mod report;
#[path = "log/station.rs"]
mod station;

use clap::{Parser, ValueEnum};
use dolmen::clock::MachineClock;
use dolmen::disk::choose::{Chosen, Wanted, choose};
use dolmen::disk::class::Class;
use dolmen::disk::{Disk, Engine, How, RealDisk, Settings as DiskSettings};
use dolmen::log::Settings;
use folder::Folder;
use head::Head;
use hogs::Hogs;
use load::{Load, Variant};
use others::Others;
use plan::{Plan, Row, Who};
use report::Report;
use station::{Job, Station};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Measures the log against its goals.
#[derive(Parser)]
struct Options {
    /// A short run, for a look
    #[arg(long)]
    quick: bool,
    /// Everything as JSON, each round included
    #[arg(long)]
    json: bool,
    /// Where the data goes; a folder of the build's by default
    #[arg(long, value_name = "D")]
    dir: Option<PathBuf>,
    /// Only this part
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Only the rows of the table that read like this, "uring 512 64", and no
    /// goals: to profile one path
    #[arg(long, value_name = "TEXT")]
    rows: Option<String>,
    /// Appends from this size on go straight to their segment
    #[arg(long, value_name = "KIB")]
    bypass_kib: Option<usize>,
    /// Rounds of the table, in place of 5 (3 when quick)
    #[arg(long)]
    rounds: Option<usize>,
    /// Cargo passes this to every bench
    #[arg(long, hide = true)]
    bench: bool,
    /// One process of the part `idle`
    #[arg(long, hide = true, requires_all = ["dir", "engine"])]
    idle_step: Option<String>,
    #[arg(long, hide = true)]
    engine: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Durable appends and their raw peers
    Append,
    /// Opening after a crash and after a clean stop, and reading
    Recovery,
    /// A thousand logs that nobody writes to
    Idle,
}

/// Two durable writes, the bell, and room.
const RING_ENTRIES: u32 = 64;

const THREADS: Variant = ("threads", disk_settings(Engine::Threads, false));
const URING: Variant = ("uring", disk_settings(Engine::Uring, false));
const URING_LONE: Variant = ("uring+lone", disk_settings(Engine::Uring, true));

const fn disk_settings(engine: Engine, lone_blocking: bool) -> DiskSettings {
    DiskSettings {
        engine,
        entries: RING_ENTRIES,
        lone_blocking,
    }
}

fn main() {
    let options = Options::parse();
    if let (Some(step), Some(dir), Some(engine)) =
        (&options.idle_step, &options.dir, &options.engine)
    {
        let all = [THREADS, URING, URING_LONE];
        let variant = all.into_iter().find(|variant| variant.0 == engine);
        let step = idle::step(dir, step, variant.expect("a variant of ours"));
        println!("{}", serde_json::to_string(&step).expect("plain numbers"));
        return;
    }
    let parent = options.dir.clone().unwrap_or_else(build_folder);
    let folder = Folder::make(&parent, &format!("log-bench-{}", std::process::id()))
        .expect("a folder for the data can be made");
    let report = run(&options, folder.path());
    match options.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        ),
        false => report.print(),
    }
}

/// The build's own scratch folder: on a disk, unlike /tmp on many machines.
fn build_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
}

fn run(options: &Options, folder: &Path) -> Report {
    let clock = MachineClock::new();
    let how = How::WriteDirect;
    let chosen = choose(folder, Wanted::Auto, RING_ENTRIES, how, &clock);
    let chosen = chosen.expect("auto always finds an engine");
    let (variants, auto) = variants(folder, &chosen);
    let only = options
        .rows
        .as_ref()
        .map_or(options.only, |_| Some(Part::Append));
    let wants = |part| only.is_none_or(|only| only == part);
    let (rounds, time) = match options.quick {
        true => (options.rounds.unwrap_or(3), Duration::from_millis(100)),
        false => (options.rounds.unwrap_or(5), Duration::from_millis(500)),
    };

    let mut settings = Settings::default();
    if let Some(kib) = options.bypass_kib {
        settings.bypass_bytes = kib << 10;
    }
    let log_class = Station::start(&folder.join("log"), Class::Log, &variants, &settings);
    let mut head = Head::of(
        folder,
        &chosen,
        &log_class.granted,
        log_class.direct_refused,
    );
    head.settings = format!("{settings:?}");
    (head.rounds, head.round_ms) = (rounds, time.as_millis());
    let mut plan = Plan::new(&variants, auto);
    if let Some(text) = &options.rows {
        plan.rows
            .retain(|row| reads_like(text, row, &variants, auto));
    }
    let table = Table {
        folder,
        variants: &variants,
        settings: &settings,
        rounds,
        time,
    };
    match wants(Part::Append) {
        true => table.measure(&mut plan, &log_class),
        false => plan.rows.clear(),
    }
    log_class.end();

    let (bytes, times) = if options.quick {
        (96 << 20, 2)
    } else {
        (384 << 20, 5)
    };
    let recovery =
        wants(Part::Recovery).then(|| recovery::measure(folder, variants[auto], bytes, times));
    let idle = wants(Part::Idle).then(|| idle::measure(folder, variants[auto]));
    let goals = match &options.rows {
        Some(_) => Vec::new(),
        None => goals::judge(&plan, recovery.as_ref(), idle.as_ref()),
    };
    Report {
        goals,
        head,
        rows: report::lines(plan, &variants),
        recovery,
        idle,
    }
}

fn reads_like(text: &str, row: &Row, variants: &[Variant], auto: usize) -> bool {
    let Load {
        bytes, outstanding, ..
    } = row.load;
    let name = report::name(row, variants, auto);
    format!("{name} {bytes} {outstanding}").contains(text)
}

/// The engines that this machine grants, and the place of the one that `auto`
/// chose.
fn variants(folder: &Path, chosen: &Chosen) -> (Vec<Variant>, usize) {
    let disk = RealDisk::open(folder, URING.1).expect("the bench's own folder opens");
    let mut variants = vec![THREADS];
    if disk.lane().is_ok() {
        variants.push(URING);
    }
    match (chosen.engine, chosen.lone_blocking) {
        (Engine::Threads, _) => (variants, 0),
        (Engine::Uring, false) => (variants, 1),
        (Engine::Uring, true) => {
            variants.push(URING_LONE);
            (variants, 2)
        }
    }
}

/// How the table is measured.
struct Table<'a> {
    folder: &'a Path,
    variants: &'a [Variant],
    settings: &'a Settings,
    rounds: usize,
    time: Duration,
}

impl Table<'_> {
    /// Every row once a round, the quiet ones first.
    fn measure(&self, plan: &mut Plan, log_class: &Station) {
        let ordinary = [self.variants[plan.auto]];
        let bulk = self.folder.join("bulk");
        let ordinary = Station::start(&bulk, Class::Bulk, &ordinary, self.settings);
        let others: Vec<Others> = self.variants.iter().map(|one| self.others(*one)).collect();
        for _ in 0..self.rounds {
            let mut hogs = None;
            for row in &mut plan.rows {
                if row.beside_hogs && hogs.is_none() {
                    hogs = Some(Hogs::start());
                }
                let (load, bytes, time) = (row.load, row.load.bytes, self.time);
                let own = |variant, is_resting| Job::Own {
                    variant,
                    load,
                    is_resting,
                };
                let samples = match row.who {
                    Who::Raw(way) => log_class.measure(Job::Raw { way, bytes }, time),
                    Who::Own(variant) => log_class.measure(own(variant, false), time),
                    Who::Resting(variant) => log_class.measure(own(variant, true), time),
                    Who::Ordinary(variant) => ordinary.measure(own(variant, false), time),
                    Who::Others(variant, class, answer) => {
                        others[variant].measure(load, class, answer, time)
                    }
                };
                row.rounds.push(samples.round());
            }
        }
        ordinary.end();
        others.into_iter().for_each(Others::close);
    }

    fn others(&self, variant: Variant) -> Others {
        let place = self.folder.join(format!("others-{}", variant.0));
        std::fs::create_dir(&place).expect("a folder of the bench");
        Others::start(place, variant, self.settings.clone())
    }
}
