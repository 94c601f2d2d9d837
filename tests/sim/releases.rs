//! Clusters whose nodes run releases of different feature levels: upgraded,
//! put back, raised by somebody who types `finalize`, joined by boxes of any
//! release, with all the other trouble beside it. At the end everybody runs the
//! newest, and the newest level is reached.

use super::faults::End;
use super::node::Node;
use super::seeds::{Run, play, run_all};
use super::world::{Back, Due, World};
use dolmen::ids::NodeId;
use dolmen::planted::{Fault, hunt};
use dolmen::replica::level_file;
use dolmen::replica::{Opened, Replica};
use dolmen::state::{Command, MemberCommand, MemberOutcome, Outcome};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

const QUICK: u64 = 60;
const FULL: u64 = 1000;
const OLDEST: u32 = 1;
const NEWEST: u32 = 3;
/// Whoever asks may have been told of a node's release so long ago, and not
/// yet that the node has ended.
const WORD_TRAVELS: Duration = Duration::from_secs(8);

/// A seed for each.
const KNOWN: &[(Fault, u64)] = &[
    (Fault::RaisedUnasked, 1),
    (Fault::RaisedOverNewcomer, 11),
    (Fault::AdmittedBelowLevel, 6),
    (Fault::LevelNotMinded, 0),
    (Fault::LevelNotKept, 0),
];

/// What is known of the releases, from outside.
#[derive(Default)]
pub struct Releases {
    /// The level that a token's holder knows.
    joining: BTreeMap<u8, u32>,
    /// When a node was last put back to an older release.
    put_back: BTreeMap<NodeId, Duration>,
    /// When a level was first asked for with nobody in the way.
    asked: BTreeMap<u32, Duration>,
    asks: Vec<Back>,
    /// The highest level that any state was seen at.
    level: u32,
    seen: BTreeMap<NodeId, (u64, u32)>,
    listed: BTreeSet<NodeId>,
    still: BTreeSet<(NodeId, u64)>,
    pub raises: u64,
    /// Starts of a release that was too old, and lives that became so.
    pub refused: u64,
    pub outgrown: u64,
}

/// What a package's script sees.
fn level_on_disk(node: &Node) -> u32 {
    let is_there = node
        .disk
        .names()
        .iter()
        .any(|name| name == level_file::NAME);
    let text = is_there.then(|| node.disk.file_bytes(level_file::NAME));
    let text = text.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| level_file::parse(&text))
        .unwrap_or(OLDEST)
}

impl World {
    /// A cluster of the oldest release.
    pub fn mixed(seed: u64) -> Self {
        let releases = Releases {
            level: OLDEST,
            ..Releases::default()
        };
        Self::begin(seed, Some(releases))
    }

    /// One change of releases.
    pub fn change_release(&mut self, id: NodeId) {
        match self.chance.below(14) {
            0..=6 => self.upgrade_the_oldest(),
            7 => self.put_back(id),
            8 | 9 => self.finalize(id),
            10 => self.invite_knowing(),
            11 => {
                // A box comes while somebody asks.
                self.invite_knowing();
                self.finalize(id);
            }
            _ => {
                // One is put back when it has just been asked.
                self.finalize(id);
                let nodes: Vec<NodeId> = self.nodes.keys().copied().collect();
                let other = self.chance.below(nodes.len() as u64) as usize;
                self.put_back(nodes[other]);
            }
        }
    }

    fn releases(&mut self) -> &mut Releases {
        self.releases.as_mut().expect("a world of releases")
    }

    /// As a person would who goes from box to box.
    fn upgrade_the_oldest(&mut self) {
        let staying = self
            .nodes
            .values()
            .filter(|node| !self.retired.contains(&node.id));
        let oldest = staying.min_by_key(|node| node.knows);
        let Some((id, knows)) = oldest.map(|node| (node.id, node.knows)) else {
            return;
        };
        if knows < NEWEST {
            self.install(id, knows + 1);
        }
    }

    /// Mostly by a person who heeds the package's script.
    fn put_back(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let older = node.knows - 1;
        let is_refused = older < level_on_disk(node) && !self.chance.one_in(4);
        if older >= OLDEST && !is_refused {
            self.install(id, older);
            let now = self.now;
            self.releases().put_back.insert(id, now);
        }
    }

    fn install(&mut self, id: NodeId, knows: u32) {
        let end = match self.chance.one_in(2) {
            true => End::Power,
            false => End::Process,
        };
        self.end(id, end);
        self.nodes.get_mut(&id).expect("nodes stay known").knows = knows;
    }

    fn finalize(&mut self, id: NodeId) {
        let node = &self.nodes[&id];
        let Some(replica) = node.replica.as_ref().filter(|_| !node.is_paused) else {
            return;
        };
        let Ok(Some(raise)) = replica.finalize() else {
            return;
        };
        let MemberCommand::RaiseFeatures { level, .. } = raise else {
            panic!("finalize gave {raise:?}");
        };
        let now = self.now;
        self.releases().asked.entry(level).or_insert(now);
        let back = self.submit(id, Command::Members(raise));
        self.releases().asks.extend(back);
        self.count_raises();
    }

    fn count_raises(&mut self) {
        let releases = self.releases();
        let mut raises = 0;
        releases.asks.retain(|back| {
            let answer = back.lock().expect("one thread").take();
            let is_done = Some(Ok(Outcome::Members(MemberOutcome::Done))) == answer;
            raises += u64::from(is_done);
            answer.is_none() && std::sync::Arc::strong_count(back) > 1
        });
        releases.raises += raises;
    }

    fn invite_knowing(&mut self) {
        let knows = OLDEST + self.chance.below(u64::from(NEWEST)) as u32;
        let token = self.tokens + 1;
        self.releases().joining.insert(token, knows);
        self.invite();
    }

    /// What a token's holder knows, in a request to join.
    pub fn knows_by_token(&self, token: u8) -> u32 {
        let releases = self.releases.as_ref();
        let knows = releases.and_then(|releases| releases.joining.get(&token));
        knows.copied().unwrap_or(OLDEST)
    }

    /// A newcomer is told by the address that it joined with.
    pub fn knows_by_address(&self, id: NodeId) -> u32 {
        let replicas = self.nodes.values().filter_map(|node| node.replica.as_ref());
        let mut found = replicas.filter_map(|replica| token_of(replica, id));
        found
            .next()
            .map_or(OLDEST, |token| self.knows_by_token(token))
    }

    /// Whether a start was refused because the release is too old, as it must
    /// be then: with nothing written. The newer one is installed again.
    pub fn is_too_old(&mut self, id: NodeId, says: &str, recorded_before: usize) -> bool {
        if self.releases.is_none() || !says.contains("raised to feature level") {
            return false;
        }
        let node = &self.nodes[&id];
        let (needs, knows) = (level_on_disk(node), node.knows);
        assert!(
            needs > knows,
            "node {id} is refused at level {knows}: {says}"
        );
        let recorded = node.disk.recorded();
        assert_eq!(recorded, recorded_before, "node {id} wrote: {says}");
        self.releases().refused += 1;
        self.net.crash(self.now, id);
        self.nodes.get_mut(&id).expect("nodes stay known").knows = needs;
        let after = Duration::from_millis(1) + self.up_to(Duration::from_secs(4));
        self.plan(after, Due::Restart(id));
        true
    }

    /// What a start found is no newer than what the file said of it.
    pub fn check_opened(&self, id: NodeId, opened: &Opened) {
        let (found, said) = (opened.level, opened.kept_level.max(OLDEST));
        assert!(
            found <= said,
            "node {id} finds level {found}, and its file said {said}"
        );
    }

    /// After each turn of a node.
    pub fn check_release(&mut self, id: NodeId) {
        let Some(mut releases) = self.releases.take() else {
            return;
        };
        let after = self.look_at_release(&mut releases, id);
        self.releases = Some(releases);
        if let Some(after) = after {
            self.plan(after, Due::Install(id));
        }
    }

    /// Gives when a newer release is installed on a node that stands still.
    fn look_at_release(&mut self, releases: &mut Releases, id: NodeId) -> Option<Duration> {
        let node = &self.nodes[&id];
        let replica = node.replica.as_ref()?;
        if replica.outgrown().is_some() {
            assert!(!replica.is_leader(), "node {id} leads and stands still");
            let is_new = releases.still.insert((id, node.life));
            releases.outgrown += u64::from(is_new);
            return is_new.then(|| self.up_to(Duration::from_secs(5)));
        }
        let (members, knows) = (replica.state().members(), node.knows);
        let level = members.features();
        assert!(
            level <= knows,
            "node {id}, which knows {knows}, goes on at {level}"
        );
        if releases.seen.insert(id, (node.life, level)) != Some((node.life, level)) {
            let kept = level_on_disk(node);
            assert!(
                kept >= level,
                "the file of node {id} says {kept}, its state {level}"
            );
        }
        for member in members.iter() {
            if releases.listed.insert(member.node) && level > OLDEST {
                let joined = releases.of(member.control.as_ref());
                assert!(
                    joined >= level,
                    "node {} joined at {joined}, not {level}",
                    member.node
                );
            }
        }
        if level > releases.level {
            releases.level = level;
            let asked = releases.asked.get(&level).copied();
            let asked = asked.expect("somebody asked for it");
            for member in members.iter() {
                let node = self.nodes.get(&member.node);
                let knows = node.map_or_else(|| releases.of(&member.control), |node| node.knows);
                let put_back = releases.put_back.get(&member.node);
                let is_excused = put_back.is_some_and(|at| *at + WORD_TRAVELS >= asked);
                assert!(
                    knows >= level || is_excused,
                    "level {level} is raised over node {}, which knows {knows}",
                    member.node
                );
            }
        }
        None
    }

    /// A person has seen that a node stands still.
    pub fn install_newest(&mut self, id: NodeId) {
        let replica = self.nodes[&id].replica.as_ref();
        if replica.is_some_and(|replica| replica.outgrown().is_some()) {
            self.install(id, NEWEST);
        }
    }

    /// Everybody is brought to the newest release.
    pub fn upgrade_all(&mut self) {
        if self.releases.is_none() {
            return;
        }
        let all: Vec<NodeId> = self.nodes.keys().copied().collect();
        for id in all {
            if self.nodes[&id].knows < NEWEST {
                self.install(id, NEWEST);
            }
        }
    }

    /// And then the newest level is there for the asking.
    pub fn finalize_at_last(&mut self) {
        if self.releases.is_none() {
            return;
        }
        let mut asked = Duration::ZERO;
        self.until(
            "the newest level is reached",
            Duration::from_secs(30),
            |world| {
                if world.now >= asked {
                    asked = world.now + Duration::from_secs(1);
                    // One may have joined behind the others' upgrade.
                    world.upgrade_all();
                    if let Some(leader) = world.leader().map(Replica::node) {
                        world.finalize(leader);
                    }
                }
                let mut replicas = world
                    .nodes
                    .values()
                    .filter_map(|node| node.replica.as_ref());
                replicas.all(|replica| {
                    replica.has_left() || replica.state().members().features() == NEWEST
                })
            },
        );
        self.count_raises();
    }
}

impl Releases {
    /// What one knows that joined with this address.
    fn of(&self, control: &str) -> u32 {
        let knows = token_in(control).and_then(|token| self.joining.get(&token));
        knows.copied().unwrap_or(OLDEST)
    }
}

fn token_of(replica: &Replica, id: NodeId) -> Option<u8> {
    token_in(&replica.state().members().get(id)?.control)
}

/// `t7:1` is the control address of who came with token 7.
fn token_in(control: &str) -> Option<u8> {
    control.strip_prefix('t')?.strip_suffix(":1")?.parse().ok()
}

fn run(seed: u64) -> Result<Run, String> {
    play(seed, World::mixed)
}

#[test]
fn all_of_them() {
    let count = if crate::full() { FULL } else { QUICK };
    let runs = run_all(0..count, "sim::releases::one", run);
    let sum = |of: fn(&Run) -> u64| runs.iter().map(of).sum::<u64>();
    let (raises, refused) = (sum(|run| run.raises), sum(|run| run.refused));
    let outgrown = sum(|run| run.outgrown);
    println!(
        "{count} seeds: raised {raises} times, {refused} starts refused, {outgrown} lives outgrown"
    );
    // Else the seeds meet nothing of what they are for.
    assert!(raises > count && refused > count / 20 && outgrown > 0);
}

#[test]
fn one() {
    let Ok(seed) = std::env::var("DOLMEN_SEED") else {
        return;
    };
    let seed = seed.parse().expect("DOLMEN_SEED is a number");
    match run(seed) {
        Ok(run) => println!("seed {seed} is well: {run:?}"),
        Err(why) => panic!("DOLMEN_SEED={seed} cargo test sim::releases::one\n    {why}"),
    }
}

#[test]
fn each_planted_fault_is_found() {
    hunt(Fault::LEVELS, KNOWN, |seed| run(seed).map(drop));
}
