//! `dolmen profile`: which hardware profiles there are, which one is this
//! machine's, and where each setting of the node comes from.

use super::table::Table;
use super::{Failure, print, print_json};
use crate::daemon::config::{Config, Loaded, Sources, installed_file, profile_folders};
use crate::profile::{Candidate, Fault, KNOBS, Layers, Machine, Setting, Shelf, Value, rank};
use serde_json::{Value as Json, json};
use std::path::PathBuf;

/// Show hardware profiles and where each setting comes from
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
    /// The files to check
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
        return print_json(&json!({ "machine": loaded.machine, "profiles": profiles }));
    }
    let mut table = Table::with_columns(["", "NAME", "TESTED", "SCORE", "WHY"]);
    for one in &candidates {
        table.row([
            if is_chosen(one) { "*" } else { "" },
            &one.profile.name,
            one.profile.tested.word(),
            &one.score.map_or("-".into(), |score| score.to_string()),
            &one.reason,
        ]);
    }
    print(&table.to_string())
}

fn show_node(node: Node, json: bool) -> Result<(), Failure> {
    let loaded = load(node)?;
    if json {
        return print_json(&json!({
            "profile": loaded.profile,
            "machine": loaded.machine,
            "settings": settings_json(loaded.layers.settings()),
            "notes": loaded.notes,
        }));
    }
    let head = match &loaded.profile {
        Some(choice) => format!(
            "profile {} (tested: {}): {}",
            choice.name,
            choice.tested.word(),
            choice.reason
        ),
        None => "no profile".into(),
    };
    let notes = loaded.notes.iter().map(|note| format!("note: {note}\n"));
    let notes: String = notes.collect();
    let table = settings_table(loaded.layers.settings());
    print(&format!("{head}\n{notes}\n{table}"))
}

fn show_profile(name: &str, json: bool) -> Result<(), Failure> {
    let shelf = Shelf::open(&profile_folders()).map_err(told)?;
    let profile = shelf.get(name).ok_or_else(|| no_profile(&shelf, name))?;
    let mut layers = Layers::built_in(&[KNOBS]);
    shelf
        .lay(name, &mut layers)
        .map_err(|fault| fault.to_string())?;
    if json {
        return print_json(&json!({
            "name": profile.name,
            "description": profile.description,
            "tested": profile.tested,
            "source": profile.source,
            "settings": settings_json(layers.settings()),
        }));
    }
    let (tested, description) = (profile.tested.word(), &profile.description);
    let table = settings_table(layers.settings());
    print(&format!(
        "profile {name} (tested: {tested}): {description}\n\n{table}"
    ))
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
        print_json(&json!({ "faults": faults }))?;
    }
    match (faults.as_slice(), args.files.as_slice()) {
        ([], _) if args.json => Ok(()),
        ([], []) => print("all installed profiles: ok\n"),
        ([], files) => {
            let lines = files.iter().map(|file| format!("{}: ok\n", file.display()));
            print(&lines.collect::<String>())
        }
        (faults, _) if args.json => Err(counted(faults)),
        (faults, _) => refused(faults),
    }
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
pub(super) fn told(faults: Vec<Fault>) -> Failure {
    let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
    lines.join("\n").into()
}

/// Prints faults a line each; the last word is their number.
pub(super) fn refused(faults: &[Fault]) -> Result<(), Failure> {
    let lines = faults.iter().map(|fault| format!("{fault}\n"));
    print(&lines.collect::<String>())?;
    Err(counted(faults))
}

fn counted(faults: &[Fault]) -> Failure {
    match faults {
        [_] => "1 fault".to_owned().into(),
        _ => format!("{} faults", faults.len()).into(),
    }
}

pub(super) fn settings_json(settings: &[Setting]) -> Json {
    let setting = |setting: &Setting| {
        let origin = &setting.origin;
        json!({
            "key": setting.knob.key,
            "value": setting.shown().as_ref().map(value_json),
            "layer": origin.layer.name(),
            "origin": origin.to_string(),
        })
    };
    settings.iter().map(setting).collect()
}

pub(super) fn value_json(value: &Value) -> Json {
    match value {
        Value::Text(text) => json!(text),
        Value::Number(number) => json!(number),
        Value::Switch(switch) => json!(switch),
        Value::List(values) => values.iter().map(value_json).collect(),
        Value::Other(name) => json!(name),
    }
}

fn settings_table(settings: &[Setting]) -> Table {
    let mut table = Table::with_columns(["KEY", "VALUE", "ORIGIN"]);
    for setting in settings {
        let value = setting.shown().as_ref().map(Value::to_string);
        let origin = setting.origin.to_string();
        table.row([setting.knob.key, &value.unwrap_or_default(), &origin]);
    }
    table
}
