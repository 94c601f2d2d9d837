//! `dolmen tune`: the kernel's settings that the hardware profile names.

mod telling;

use super::profile::Node;
use super::{Failure, print, print_json};
use crate::daemon::config::{Config, Loaded, Sources, installed_file, profile_folders};
use crate::daemon::tune::{
    Ground, Kept, NotKept, Put, Running, Standing, State, Step, apply, off, script, survey,
};
use crate::profile::{Machine, Roots};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Show, set and take back the kernel's settings that the hardware profile names
///
/// What is set lasts until the next start of the machine; dolmen-tune.service,
/// once enabled, sets it at each. What stood there before is kept in
/// /run/dolmen-tune.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// What is wanted, what there is, and whether it can be set here
    List(List),
    /// One of them, or all, with files, reason and origin
    Show(Show),
    /// Set whatever differs, as root
    Apply(List),
    /// Fail where something that is named and can be set here differs
    Verify(List),
    /// Put back what stood there before, as root
    Off(Off),
}

#[derive(Debug, clap::Args)]
struct List {
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    tree: Tree,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Show {
    /// As `dolmen tune list` shows it
    name: Option<String>,
    #[command(flatten)]
    node: Node,
    #[command(flatten)]
    tree: Tree,
    /// Print the commands of a shell that `apply` stands for
    #[arg(long, conflicts_with = "json")]
    script: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Args)]
struct Off {
    #[command(flatten)]
    tree: Tree,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// For tests: a folder that has /proc, /sys and /run in it.
#[derive(Debug, clap::Args)]
struct Tree {
    #[arg(long, hide = true)]
    root: Option<PathBuf>,
}

impl Tree {
    fn roots(&self) -> Roots {
        match &self.root {
            None => Roots::default(),
            Some(root) => Roots {
                sys: root.join("sys"),
                proc: root.join("proc"),
            },
        }
    }

    fn kept(&self) -> PathBuf {
        let root = self.root.as_deref().unwrap_or(Path::new("/"));
        root.join("run/dolmen-tune")
    }

    fn machine(&self, data: &Path) -> Machine {
        match self.root {
            None => Machine::here(data),
            Some(_) => Machine::read(&self.roots(), data),
        }
    }
}

impl From<NotKept> for Failure {
    fn from(not_kept: NotKept) -> Self {
        Self::failed(not_kept)
    }
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(args),
        Command::Show(args) => show(args),
        Command::Apply(args) => run_apply(args),
        Command::Verify(args) => verify(args),
        Command::Off(args) => run_off(&args),
    }
}

/// How the machine stands, and what is to be known of the settings.
fn look(node: Node, tree: &Tree) -> Result<(Vec<Standing>, Vec<String>), Failure> {
    let Loaded {
        layers,
        machine,
        notes,
        ..
    } = Config::load(Sources {
        file: node.config.or_else(installed_file),
        data: node.data,
        environment: std::env::vars_os().collect(),
        set: Vec::new(),
        machine: &|data| tree.machine(data),
        profile_folders: profile_folders(),
    })
    .map_err(super::profile::told)?;
    let ground = Ground {
        kernel: &Running::of(tree.roots()),
        machine: &machine,
    };
    Ok((survey(&ground, &layers), notes))
}

fn list(args: List) -> Result<(), Failure> {
    let (standings, notes) = look(args.node, &args.tree)?;
    match args.json {
        true => print_json(&telling::standings_json(&standings, None, &notes)),
        false => print(&(telling::notes(&notes) + &telling::table(&standings))),
    }
}

fn show(args: Show) -> Result<(), Failure> {
    let (mut standings, notes) = look(args.node, &args.tree)?;
    if let Some(name) = &args.name {
        standings.retain(|standing| standing.tuner.name == name);
        if standings.is_empty() {
            let message = format!("there is no tuner \"{name}\"; `dolmen tune list` shows all");
            return Err(message.into());
        }
    }
    if args.script {
        return print(&script(&standings));
    }
    let saved = Kept::look(&args.tree.kept())?;
    match args.json {
        true => print_json(&telling::standings_json(&standings, Some(&saved), &notes)),
        false => print(&(telling::notes(&notes) + &telling::pages(&standings, &saved))),
    }
}

fn run_apply(args: List) -> Result<(), Failure> {
    // Held first, so that what is looked at is what is changed.
    let mut kept = Kept::open(&args.tree.kept())?;
    let (standings, notes) = look(args.node, &args.tree)?;
    let steps = apply(&Running::of(args.tree.roots()), &standings, &mut kept)?;
    match args.json {
        true => print_json(&telling::applied_json(&standings, &steps, &notes))?,
        false => print(&(telling::notes(&notes) + &telling::applied(&standings, &steps)))?,
    }
    refusals(&steps, "set")
}

fn verify(args: List) -> Result<(), Failure> {
    let (standings, notes) = look(args.node, &args.tree)?;
    let is_off = |one: &&Standing| one.state == State::Differs;
    let differing: Vec<&Standing> = standings.iter().filter(is_off).collect();
    if args.json {
        print_json(&telling::standings_json(&standings, None, &notes))?;
    }
    if !differing.is_empty() {
        let named: Vec<String> = differing.into_iter().map(telling::difference).collect();
        let named = named.join(", ");
        let message = format!("not in force: {named}; `dolmen tune apply` sets them");
        return Err(message.into());
    }
    match args.json {
        true => Ok(()),
        false => print(&(telling::notes(&notes) + &telling::in_force(&standings))),
    }
}

fn run_off(args: &Off) -> Result<(), Failure> {
    let folder = args.tree.kept();
    // Whoever has nothing to put back needs no right to.
    let steps = match Kept::look(&folder)?.is_empty() {
        true => Vec::new(),
        false => off(&Running::of(args.tree.roots()), &mut Kept::open(&folder)?)?,
    };
    match args.json {
        true => print_json(&json!({ "settings": telling::steps_json(&steps) }))?,
        false => print(&telling::undone(&steps))?,
    }
    refusals(&steps, "put back")
}

/// The rest was done all the same, and is listed. Of each tuner the first file
/// that was refused is named.
fn refusals(steps: &[Step], what: &str) -> Result<(), Failure> {
    let mut named: Vec<&str> = Vec::new();
    let mut told: Vec<String> = Vec::new();
    for step in steps {
        if let Put::Refused(why) = &step.put
            && !named.contains(&&*step.tuner)
        {
            named.push(&step.tuner);
            told.push(format!("{} ({}: {why})", step.tuner, step.file));
        }
    }
    match told.is_empty() {
        true => Ok(()),
        false => Err(format!("could not be {what}: {}", told.join(", ")).into()),
    }
}
