//! The parts of a run, one after the other.

use super::alone::Alone;
use super::catch_up::{self, Full};
use super::cells::{self, Acks};
use super::client::{self, Asked};
use super::copy::Copy;
use super::echo_server::EchoServer;
use super::failure::Failure;
use super::folder::Folder;
use super::goals;
use super::head::Head;
use super::idle;
use super::kafka09::Kafka09;
use super::options::{Options, Part};
use super::peers;
use super::report::{self, LeftOut, Report};
use super::table::{self, Table};
use super::targets::{Cluster, Site, Target};
use super::topic::Topic;
use std::fs;
use std::path::{Path, PathBuf};

pub fn run(options: &Options) -> Result<Report, Failure> {
    // On a disk, unlike /tmp on many machines.
    let build = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    let parent = options.dir.as_ref().unwrap_or(&build);
    let folder = Folder::make(parent, &format!("streams-bench-{}", std::process::id()))?;
    let site = Site {
        dolmen: options.dolmen.clone().unwrap_or_else(beside_the_bench),
        dolmen_set: options.dolmen_set.clone(),
        tansu: options.tansu.clone(),
    };
    let mut run = Run {
        options,
        folder: folder.path(),
        site: &site,
        report: Report {
            head: Head::of(folder.path(), settings(options, &site)),
            left_out: Vec::new(),
            rows: Vec::new(),
            ratios: Vec::new(),
            readings: Vec::new(),
            idles: Vec::new(),
            clients: Vec::new(),
            goals: Vec::new(),
            load_average_after: String::new(),
        },
    };
    if options.wants(Part::Table) {
        run.table()?;
    }
    if options.wants(Part::CatchUp) {
        run.catch_up()?;
    }
    if options.wants(Part::Idle) {
        run.idle()?;
    }
    if options.wants(Part::Client) {
        run.client()?;
    }
    let mut report = run.report;
    report.goals = goals::judge(&report.rows, &report.readings, &report.idles);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    report.load_average_after = load.trim().to_owned();
    Ok(report)
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
    let time = options.time().as_secs_f64();
    vec![
        format!(
            "{} rounds of {time} s a cell, by turns, medians over them; all clusters of the table \
             run, others idle; what one left unwritten is written out before the next",
            options.rounds
        ),
        format!(
            "flood and followed: {} connections, {} batches in flight on each, one partition's \
             batch in a request; followed: {} readers at most",
            options.connections, options.in_flight, options.followers
        ),
        "no codec, no idempotence, values that do not repeat; MB: 10^6 bytes of batches as sent, \
         heads included"
            .into(),
        "replication factor: the nodes, three at the most; relaxed: durability=replicated; readers \
         ask for 1 MiB of a partition, without sessions"
            .into(),
        "the load stays on the first core, servers go where they like; it checks offsets and \
         stated checksums of all that it reads, and sums up one batch in 16"
            .into(),
        format!(
            "dolmen {} ({set}); tansu 0.6.0 KEEPS ALL IN MEMORY: its acks promise nothing",
            site.dolmen.display()
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
        self.leave_out_named(&target.name(), part, why)
    }

    fn leave_out_named(
        &mut self,
        target: &str,
        part: &'static str,
        why: Failure,
    ) -> Result<(), Failure> {
        if matches!(why, Failure::Interrupted) {
            return Err(why);
        }
        eprintln!("{target} of {part}: {why}");
        self.report.left_out.push(LeftOut {
            target: target.to_owned(),
            part,
            reason: why.to_string(),
        });
        Ok(())
    }

    fn clusters(&mut self, part: &'static str) -> Result<Vec<Cluster>, Failure> {
        let mut clusters = Vec::new();
        for (place, target) in self.options.targets().into_iter().enumerate() {
            eprintln!("starting {} for {part}", target.name());
            let folder = self.folder.join(format!("{part}-{place}"));
            match Cluster::start(target, &folder, self.site) {
                Ok(cluster) => clusters.push(cluster),
                Err(failure) => self.leave_out(target, part, failure)?,
            }
        }
        Ok(clusters)
    }

    fn table(&mut self) -> Result<(), Failure> {
        let clusters = self.clusters("table")?;
        let echo = EchoServer::start(self.folder)?;
        let alone = Alone::start(self.folder)?;
        let engine = format!("log alone: {}", alone.engine);
        self.report.head.settings.push(engine);
        let mut rows = table::rows(&cells::plan(self.options), &clusters);
        let mut table = Table {
            clusters: &clusters,
            alone: &alone,
            echo: &echo,
            options: self.options,
            folder: self.folder,
            topics_made: 0,
        };
        for round in 1..=self.options.rounds {
            eprintln!("round {round} of {}", self.options.rounds);
            table.round(&mut rows)?;
        }
        alone.end();
        self.report.rows = report::lines(&rows, &clusters);
        self.report.ratios = report::ratios(&self.report.rows);
        Ok(())
    }

    /// Each target by turns with the copy; cold once all that is warm is done,
    /// for it takes a restart.
    fn catch_up(&mut self) -> Result<(), Failure> {
        let plain = Copy::start(self.folder)?;
        let mut clusters = self.clusters("catch-up")?;
        let (mut lines, mut copies) = (Vec::new(), Vec::new());
        for partitions in catch_up::PARTITIONS {
            let mut full = Vec::new();
            for cluster in &clusters {
                eprintln!("filling {}, {partitions} p", cluster.target.name());
                match Full::make(cluster, partitions, self.options) {
                    Ok(one) => full.push(Some((one.line(cluster), one))),
                    Err(failure) => {
                        self.leave_out(cluster.target, "catch-up", failure)?;
                        full.push(None);
                    }
                }
            }
            for _ in 0..self.options.rounds {
                let copy = plain.measure(self.options.time())?;
                copies.push(copy);
                for (cluster, full) in clusters.iter().zip(&mut full) {
                    if let Some((line, full)) = full {
                        line.warm(copy, full.read(cluster, self.options))?;
                    }
                }
            }
            for (cluster, full) in clusters.iter_mut().zip(full) {
                let Some((mut line, mut full)) = full else {
                    continue;
                };
                for _ in 0..self.options.rounds {
                    if cluster.target.is_dolmen() && line.cold_failure.is_none() {
                        eprintln!("cold: {}, {partitions} p", cluster.target.name());
                        line.cold(full.read_cold(cluster, self.options))?;
                    }
                }
                // One that did not come back has said why.
                if line.cold_failure.is_none() {
                    full.remove(cluster)?;
                }
                lines.push(line);
            }
        }
        self.report.readings = report::readings(lines, copies);
        Ok(())
    }

    fn idle(&mut self) -> Result<(), Failure> {
        for (place, target) in self.options.targets().into_iter().enumerate() {
            let partitions = self.options.idle_partitions;
            eprintln!("idle: {}, {partitions} partitions", target.name());
            let folder = self.folder.join(format!("idle-{place}"));
            match idle::measure(target, partitions, &folder, self.site) {
                Ok(idle) => self.report.idles.push(idle),
                Err(failure) => self.leave_out(target, "idle", failure)?,
            }
        }
        Ok(())
    }

    /// The same client by turns in front of each, and of Kafka 0.9.
    fn client(&mut self) -> Result<(), Failure> {
        let given = self.options.rdkafka_performance.clone();
        let Some(program) = given.or_else(peers::rdkafka_performance) else {
            let why = "no rdkafka_performance: bench/streams/peers builds it";
            return self.leave_out_named("every target", "client", Failure::NotRunning(why.into()));
        };
        let clusters = self.clusters("client")?;
        let kafka = match self.kafka09() {
            Ok(kafka) => Some(kafka),
            Err(failure) => {
                self.leave_out_named(KAFKA09, "client", failure)?;
                None
            }
        };
        let bytes = (self.options.client_mib as u64) << 20;
        let mut lines = client_lines(&clusters, kafka.is_some());
        for round in 1..=self.options.rounds {
            eprintln!("client: round {round} of {}", self.options.rounds);
            for (place, line) in lines.iter_mut().filter(|(_, line)| line.failure.is_none()) {
                let topic = format!("client-{round}-{:?}", line.acks);
                let sent = match (place, &kafka) {
                    (Some(place), _) => {
                        let cluster = &clusters[*place];
                        through(&program, self.folder, cluster, &topic, line.acks, bytes)
                    }
                    (None, Some(kafka)) => {
                        let asked = Asked {
                            address: kafka.address,
                            topic: &topic,
                            pids: vec![kafka.pid()],
                            is_old: true,
                        };
                        client::measure(&program, self.folder, &asked, line.acks, bytes)
                    }
                    (None, None) => unreachable!("it has a line only where it runs"),
                };
                match sent {
                    Ok(sent) => line.rounds.push(sent),
                    Err(Failure::Interrupted) => return Err(Failure::Interrupted),
                    Err(failure) => line.failure = Some(failure.to_string()),
                }
            }
        }
        self.report.clients = lines.into_iter().map(|(_, line)| line).collect();
        Ok(())
    }

    fn kafka09(&self) -> Result<Kafka09, Failure> {
        let libs = self.options.kafka09.clone().or_else(peers::kafka09);
        let why = "no jars of Kafka 0.9: bench/streams/peers fetches them";
        let libs = libs.ok_or_else(|| Failure::NotRunning(why.into()))?;
        Kafka09::start(&libs, &self.folder.join("kafka09"))
    }
}

const KAFKA09: &str = "kafka 0.9.0.1";

/// Which cluster each is of; none is Kafka 0.9.
fn client_lines(clusters: &[Cluster], has_kafka: bool) -> Vec<(Option<usize>, client::Line)> {
    let line = |place: Option<usize>, target: String, acks| {
        let line = client::Line {
            target,
            acks,
            rounds: Vec::new(),
            failure: None,
        };
        (place, line)
    };
    let mut lines = Vec::new();
    for acks in [Acks::Durable, Acks::Relaxed, Acks::One] {
        for (place, cluster) in clusters.iter().enumerate() {
            if acks != Acks::Relaxed || cluster.target.is_dolmen() {
                lines.push(line(Some(place), cluster.target.name(), acks));
            }
        }
        if has_kafka && acks != Acks::Relaxed {
            lines.push(line(None, KAFKA09.to_owned(), acks));
        }
    }
    lines
}

/// In a topic of its own, which goes afterwards.
fn through(
    program: &Path,
    folder: &Path,
    cluster: &Cluster,
    topic: &str,
    acks: Acks,
    bytes: u64,
) -> Result<client::Sent, Failure> {
    let made = Topic::make(cluster, topic, 1, acks.settings())?;
    let asked = Asked {
        address: made.leaders[0],
        topic,
        pids: cluster.pids(),
        is_old: false,
    };
    let sent = client::measure(program, folder, &asked, acks, bytes);
    let removed = made.remove(cluster);
    let sent = sent?;
    removed.map(|()| sent)
}
