//! The parts of a run, one after the other.

use super::backup;
use super::echo_server::EchoServer;
use super::failover;
use super::failure::{Failure, pause};
use super::folder::Folder;
use super::head::Head;
use super::load::{Load, Work};
use super::memory;
use super::options::{Options, Part};
use super::process::Cpu;
use super::report::{Idle, LeftOut, Report, lines, ratios};
use super::table::{self, KEYS_FOLDER, Table, prepare};
use super::targets::{Cluster, Kind, Site, Target};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// ZooKeeper's own default, and a quick one beside it for the failover.
const TICKS_MS: [u32; 2] = [2000, 500];

/// Before the first round: a JVM compiles what it runs often.
const WARM_UP: Duration = Duration::from_secs(2);
const IDLE_FOR: Duration = Duration::from_secs(2);

pub fn run(options: &Options) -> Result<Report, Failure> {
    // On a disk, unlike /tmp on many machines.
    let build = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let parent = options.dir.as_ref().unwrap_or(&build);
    let name = format!("coordination-bench-{}", std::process::id());
    let folder = Folder::make(parent, &name)?;
    let site = Site {
        dolmen: options.dolmen.clone().unwrap_or_else(beside_the_bench),
        dolmen_set: options.dolmen_set.clone(),
        zookeeper_tick_ms: TICKS_MS[0],
    };
    let mut run = Run {
        options,
        folder: folder.path(),
        site: &site,
        report: Report {
            head: Head::of(folder.path(), settings(options, &site)),
            left_out: Vec::new(),
            idle: Vec::new(),
            rows: Vec::new(),
            ratios: Vec::new(),
            weights: Vec::new(),
            backups: Vec::new(),
            failovers: Vec::new(),
        },
    };
    run.cells()?;
    if options.wants(Part::Memory) {
        run.weigh("memory", &options.targets(), options.nodes)?;
    }
    if options.wants(Part::Many) {
        run.weigh("many", &options.many_targets, options.many_nodes)?;
    }
    if options.wants(Part::Backup) {
        run.backups()?;
    }
    if options.wants(Part::Failover) {
        run.failovers()?;
    }
    Ok(run.report)
}

/// The bench lies in `deps`, one below the programs of its build.
fn beside_the_bench() -> PathBuf {
    let bench = std::env::current_exe().unwrap_or_default();
    let build = bench.parent().and_then(Path::parent);
    build.unwrap_or(Path::new("")).join("dolmen")
}

fn settings(options: &Options, site: &Site) -> Vec<String> {
    let set = match site.dolmen_set.is_empty() {
        true => "as shipped".to_owned(),
        false => site.dolmen_set.join(" "),
    };
    vec![
        format!(
            "{} rounds of {} s a cell, by turns, medians over them (max: the worst); 100 B values",
            options.rounds, options.seconds
        ),
        "clients spread evenly over the nodes; all clusters of the table run, others idle".into(),
        "the load generator stays on the first core, servers go where they like".into(),
        "get: from the node's own state; sync+get: no older than the asking; etcd: serializable \
         and linearizable Range; etcd's create: Put of a new key"
            .into(),
        "a start is over with the first get that is answered on a new session (etcd: on a new \
         connection, after one write)"
            .into(),
        format!(
            "dolmen {} ({set}); zookeeper tickTime {} and -Xmx1000m; etcd as shipped",
            site.dolmen.display(),
            site.zookeeper_tick_ms
        ),
    ]
}

struct Run<'a> {
    options: &'a Options,
    folder: &'a Path,
    site: &'a Site,
    report: Report,
}

impl Run<'_> {
    fn leave_out(
        &mut self,
        target: Target,
        part: &'static str,
        why: Failure,
    ) -> Result<(), Failure> {
        if matches!(why, Failure::Interrupted) {
            return Err(why);
        }
        eprintln!("{} of {part}: {why}", target.name());
        self.report.left_out.push(LeftOut {
            target: target.name(),
            part,
            reason: why.to_string(),
        });
        Ok(())
    }

    /// The table and the watches, on clusters that stay until the last round.
    fn cells(&mut self) -> Result<(), Failure> {
        let cells = self.options.cells();
        if cells.is_empty() {
            return Ok(());
        }
        let mut clusters = Vec::new();
        for target in self.options.targets() {
            eprintln!("starting {}", target.name());
            match self.ready(target) {
                Ok((cluster, idle)) => {
                    clusters.push(cluster);
                    self.report.idle.push(idle);
                }
                Err(failure) => self.leave_out(target, "the table", failure)?,
            }
        }
        let echo = EchoServer::start(self.folder)?;
        let mut rows = table::rows(&cells, &clusters);
        let mut table = Table {
            clusters: &clusters,
            echo: &echo,
            time: Duration::from_secs_f64(self.options.seconds),
            folders_made: 0,
        };
        for round in 1..=self.options.rounds {
            eprintln!("round {round} of {}", self.options.rounds);
            table.round(&mut rows)?;
        }
        self.report.rows = lines(&rows, &clusters);
        self.report.ratios = ratios(&rows, &clusters);
        Ok(())
    }

    /// Started, with what the cells read, and warm.
    fn ready(&self, target: Target) -> Result<(Cluster, Idle), Failure> {
        let folder = self.folder.join(target.name());
        let cluster = Cluster::start(target, &folder, self.site)?;
        prepare(&cluster)?;
        let ways = cluster.ways(KEYS_FOLDER);
        let warm_up = Load {
            work: Work::Mixed,
            keys: 0..1,
            clients: 64,
            in_flight: 1,
        };
        warm_up.for_a_time(&ways, WARM_UP, &cluster.pids())?;
        pause(IDLE_FOR)?;
        let before = Cpu::of(&cluster.pids())?;
        pause(IDLE_FOR)?;
        let used = Cpu::of(&cluster.pids())?.since(before).servers;
        let idle = Idle {
            target: target.name(),
            version: cluster.version()?,
            cpu_percent: used / IDLE_FOR.as_secs_f64() * 100.0,
        };
        Ok((cluster, idle))
    }

    fn weigh(&mut self, part: &'static str, targets: &[Target], count: u64) -> Result<(), Failure> {
        for &target in targets {
            eprintln!("{part}: {}, {count} nodes", target.name());
            let folder = Folder::make(self.folder, &format!("{part}-{}", target.name()))?;
            match memory::measure(target, count, folder.path(), self.site) {
                Ok(weight) => self.report.weights.push(weight),
                Err(failure) => self.leave_out(target, part, failure)?,
            }
        }
        Ok(())
    }

    fn backups(&mut self) -> Result<(), Failure> {
        for target in self.options.targets() {
            eprintln!("backup: {}", target.name());
            let folder = Folder::make(self.folder, &format!("backup-{}", target.name()))?;
            match backup::measure(target, self.options, folder.path(), self.site) {
                Ok(beside) => self.report.backups.extend(beside),
                Err(failure) => self.leave_out(target, "backup", failure)?,
            }
        }
        Ok(())
    }

    fn failovers(&mut self) -> Result<(), Failure> {
        for target in self.options.targets() {
            if target.nodes == 1 {
                continue;
            }
            let ticks: &[u32] = match target.kind {
                Kind::ZooKeeper => &TICKS_MS,
                Kind::Dolmen | Kind::Etcd => &TICKS_MS[..1],
            };
            for &tick in ticks {
                eprintln!("failover: {}", target.name());
                let site = Site {
                    zookeeper_tick_ms: tick,
                    ..self.site.clone()
                };
                let settings = match target.kind {
                    Kind::ZooKeeper => format!("tickTime {tick}, syncLimit 5"),
                    Kind::Etcd => "heartbeat 100 ms, election 1000 ms".to_owned(),
                    Kind::Dolmen if site.dolmen_set.is_empty() => "as shipped".to_owned(),
                    Kind::Dolmen => site.dolmen_set.join(" "),
                };
                let folder = Folder::make(self.folder, &format!("loss-{}", target.name()))?;
                let times = self.options.losses;
                match failover::measure(target, times, folder.path(), &site, &settings) {
                    Ok(found) => self.report.failovers.extend(found),
                    Err(failure) => self.leave_out(target, "failover", failure)?,
                }
            }
        }
        Ok(())
    }
}
