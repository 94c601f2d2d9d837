//! `dolmen profile`: which hardware profiles there are, which one is this
//! machine's, and where each setting of the node comes from.

use super::Failure;
use crate::daemon::config::{Config, Loaded, Sources, installed_file, profile_folders};
use crate::profile::{Candidate, Fault, KNOBS, Layers, Machine, Setting, Shelf, Value, rank};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Every profile, how well it fits this machine, and the one that is chosen
    List(List),
    /// Every setting of this node, or of one profile, with where it comes from
    Show(Show),
    /// Check profile files; all installed ones where none is given
    Verify(Verify),
}

#[derive(Debug, clap::Args)]
pub struct List {
    #[command(flatten)]
    pub node: Node,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// Show what this profile says, on whatever machine
    pub name: Option<String>,
    #[command(flatten)]
    pub node: Node,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, clap::Args)]
pub struct Verify {
    pub files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Whose settings: the data directory decides which disk is looked at.
#[derive(Debug, Default, clap::Args)]
pub struct Node {
    /// The node's configuration [default: /etc/dolmen/dolmen.toml, where it exists]
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The node's data directory, over what the configuration says
    #[arg(long)]
    pub data: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    match args.command {
        Command::List(args) => list(args),
        Command::Show(args) => match &args.name {
            Some(name) => show_profile(name, args.json),
            None => show_node(args.node, args.json),
        },
        Command::Verify(args) => verify(args),
    }
}

fn list(args: List) -> Result<(), Failure> {
    let loaded = load(args.node)?;
    let shelf = Shelf::open(&profile_folders()).map_err(told)?;
    let candidates = rank(&shelf, &loaded.machine);
    let chosen = loaded.profile.as_ref().map(|choice| choice.name.as_str());
    let is_chosen = |one: &Candidate<'_>| chosen == Some(one.profile.name.as_str());
    if args.json {
        let profile = |one: &Candidate<'_>| {
            json!({
                "name": one.profile.name,
                "description": one.profile.description,
                "tested": one.profile.tested,
                "priority": one.profile.priority,
                "source": one.profile.source,
                "score": one.score,
                "reason": one.reason,
                "chosen": is_chosen(one),
            })
        };
        let profiles: Vec<Json> = candidates.iter().map(profile).collect();
        print_json(&json!({ "machine": loaded.machine, "profiles": profiles }));
        return Ok(());
    }
    let head = ["", "NAME", "TESTED", "SCORE", "WHY"].map(String::from);
    let line = |one: &Candidate<'_>| {
        [
            if is_chosen(one) { "*" } else { "" }.into(),
            one.profile.name.clone(),
            one.profile.tested.word().into(),
            one.score.map_or("-".into(), |score| score.to_string()),
            one.reason.clone(),
        ]
    };
    print_table(
        std::iter::once(head)
            .chain(candidates.iter().map(line))
            .collect(),
    );
    Ok(())
}

fn show_node(node: Node, json: bool) -> Result<(), Failure> {
    let loaded = load(node)?;
    if json {
        print_json(&json!({
            "profile": loaded.profile,
            "machine": loaded.machine,
            "settings": settings_json(loaded.layers.settings()),
            "notes": loaded.notes,
        }));
        return Ok(());
    }
    match &loaded.profile {
        Some(choice) => println!(
            "profile {} (tested: {}): {}",
            choice.name,
            choice.tested.word(),
            choice.reason
        ),
        None => println!("no profile"),
    }
    for note in &loaded.notes {
        println!("note: {note}");
    }
    println!();
    print_settings(loaded.layers.settings());
    Ok(())
}

fn show_profile(name: &str, json: bool) -> Result<(), Failure> {
    let shelf = Shelf::open(&profile_folders()).map_err(told)?;
    let profile = shelf.get(name).ok_or_else(|| no_profile(&shelf, name))?;
    let mut layers = Layers::built_in(&[KNOBS]);
    shelf
        .lay(name, &mut layers)
        .map_err(|fault| fault.to_string())?;
    if json {
        print_json(&json!({
            "name": profile.name,
            "description": profile.description,
            "tested": profile.tested,
            "source": profile.source,
            "settings": settings_json(layers.settings()),
        }));
        return Ok(());
    }
    println!(
        "profile {name} (tested: {}): {}",
        profile.tested.word(),
        profile.description
    );
    println!();
    print_settings(layers.settings());
    Ok(())
}

fn no_profile(shelf: &Shelf, name: &str) -> String {
    match shelf.nearest(name) {
        Some(near) => format!("there is no profile \"{name}\", did you mean {near}?"),
        None => format!("there is no profile \"{name}\"; `dolmen profile list` shows all"),
    }
}

fn verify(args: Verify) -> Result<(), Failure> {
    let faults = match args.files.is_empty() {
        true => Shelf::open(&profile_folders()).err().unwrap_or_default(),
        false => faults_of(&args.files)?,
    };
    if args.json {
        let fault = |fault: &Fault| {
            json!({
                "file": fault.source,
                "line": fault.place.map(|place| place.line),
                "column": fault.place.map(|place| place.column),
                "message": fault.message,
            })
        };
        let faults: Vec<Json> = faults.iter().map(fault).collect();
        print_json(&json!({ "faults": faults }));
    } else {
        for fault in &faults {
            println!("{fault}");
        }
    }
    if !faults.is_empty() {
        return Err(refused(faults.len()));
    }
    if !args.json {
        match args.files.as_slice() {
            [] => println!("all installed profiles: ok"),
            files => files
                .iter()
                .for_each(|file| println!("{}: ok", file.display())),
        }
    }
    Ok(())
}

/// What is wrong with files, taken together with the installed profiles, since
/// they may inherit from those.
fn faults_of(files: &[PathBuf]) -> Result<Vec<Fault>, Failure> {
    let mut shelf = Shelf::open(&profile_folders()).map_err(told)?;
    let mut faults = shelf.put_all(files);
    if faults.is_empty() {
        faults = shelf.broken_chains();
    }
    Ok(faults)
}

pub(super) fn load(node: Node) -> Result<Loaded, Failure> {
    Config::load(Sources {
        file: node.config.or_else(installed_file),
        data: node.data,
        environment: std::env::vars_os().collect(),
        set: Vec::new(),
        machine: &Machine::here,
        profile_folders: profile_folders(),
    })
    .map_err(told)
}

/// Faults where a result was asked for: the result of the command is none.
fn told(faults: Vec<Fault>) -> Failure {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n").into()
}

/// The last word after the faults have been printed.
pub(super) fn refused(count: usize) -> Failure {
    match count {
        1 => "1 fault".to_owned().into(),
        _ => format!("{count} faults").into(),
    }
}

fn settings_json(settings: &[Setting]) -> Json {
    let setting = |setting: &Setting| {
        let origin = &setting.origin;
        json!({
            "key": setting.knob.key,
            "value": setting.value.as_ref().map(value_json),
            "layer": origin.layer.name(),
            "origin": origin.to_string(),
        })
    };
    settings.iter().map(setting).collect()
}

fn value_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number),
        Value::Switch(switch) => json!(switch),
        Value::List(values) => values.iter().map(value_json).collect(),
        Value::Other(name) => json!(name),
    }
}

fn print_settings(settings: &[Setting]) {
    let head = ["KEY", "VALUE", "ORIGIN"].map(String::from);
    let line = |setting: &Setting| {
        let value = setting.value.as_ref().map(Value::to_string);
        [
            setting.knob.key.into(),
            value.unwrap_or_default(),
            setting.origin.to_string(),
        ]
    };
    print_table(
        std::iter::once(head)
            .chain(settings.iter().map(line))
            .collect(),
    );
}

fn print_table<const COLUMNS: usize>(lines: Vec<[String; COLUMNS]>) {
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max();
    let widths: Vec<usize> = (0..COLUMNS).filter_map(width).collect();
    for line in &lines {
        let cells: Vec<String> = line
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        println!("{}", cells.join("  ").trim_end());
    }
}

fn print_json(json: &Json) {
    println!("{json:#}");
}
