//! `dolmen demo`: on a running node, step by step, what coordination is for.
//! It speaks through the ZooKeeper door like any client, and shows what was
//! answered there.

mod barrier;
mod configuration;
mod election;
mod line;
mod lock;
mod members;
mod nodes;
mod ours;
mod sequence;
mod stage;

use super::Failure;
use super::client::Server;
use super::table::Table;
use super::zk::node_path;
use crate::clock::{Clock, MachineClock};
use stage::{Cast, Ground, Left, Reason, Screen, Stage, Stop, Took};
use std::io::{self, IsTerminal};

/// Show on a running node what coordination is for, in seven steps
///
/// Takes about ten seconds. Each step shows who asked for what at the ZooKeeper
/// door and what was answered. Everything happens below one znode, which the demo
/// makes and removes; it touches no other. What a demo that was killed has left is
/// removed by the next.
#[derive(clap::Args)]
pub struct Args {
    /// The znode to play below; it must not be there, or be an earlier demo's
    #[arg(long, value_name = "PATH", default_value = DEFAULT_ROOT, value_parser = root)]
    root: Box<str>,
    /// Leave the znodes in place, for looking around
    #[arg(long)]
    keep: bool,
    /// Wait for Enter before each step
    #[arg(long)]
    pause: bool,
    #[command(flatten)]
    server: Server,
}

const DEFAULT_ROOT: &str = "/demo";

fn root(text: &str) -> Result<Box<str>, String> {
    match &*node_path(text)? {
        path if path.contains("//") => Err("a part of the path is empty".into()),
        "/" => Err("the demo needs a znode of its own below /, such as /demo".into()),
        path => Ok(path.into()),
    }
}

/// One thing that coordination is for.
struct Step {
    /// Its folder below the root.
    name: &'static str,
    title: &'static str,
    /// What it makes in its folder, with a # for a number of the server.
    makes: &'static [&'static str],
    play: fn(&Stage) -> Result<(), Failure>,
    /// The same in Python.
    kazoo: &'static str,
    /// What it is for, where machines stand.
    on_site: &'static str,
}

const STEPS: &[Step] = &[
    configuration::STEP,
    lock::STEP,
    election::STEP,
    sequence::STEP,
    barrier::STEP,
    members::STEP,
    nodes::STEP,
];

pub fn run(args: Args) -> Result<(), Failure> {
    if args.pause && !io::stdin().is_terminal() {
        return Err(Failure::wrong_usage(
            "--pause waits for Enter, and there is no terminal to hit it on: leave it out",
        ));
    }
    let clock = MachineClock::new();
    let stop = Stop::on_signals().map_err(|error| format!("cannot wait for Ctrl-C: {error}"))?;
    let mut cast = Cast {
        server: args.server.clone(),
        root: (*args.root).into(),
        claim: None,
        stop: stop.clone(),
    };
    let screen = Screen::new(stop.clone());
    let ground = match Ground::take(&mut cast, &screen) {
        Err(_) if stop.reason().is_some() => return ended(&stop, "stopped before the first step"),
        ground => ground?,
    };
    let played = play(&args, &cast, &screen);
    let left = ground.leave(&cast.behind_the_scenes(), args.keep);
    match (played, left) {
        (_, Ok(Left::Lost)) if stop.reason().is_none() => Err(cast.lost().into()),
        (Ok(()), left) => {
            let told = screen.say(farewell(&args, left?, &Took(clock.monotonic())));
            told.or_else(|failure| ended(&stop, &failure.message))
        }
        (Err(failure), left) => {
            let rest = what_is_left(&args, left.ok());
            match stop.reason() {
                Some(_) => ended(&stop, &format!("stopped before the end; {rest}")),
                None => Err(Failure::failed(format!("{}; {rest}", failure.message))),
            }
        }
    }
}

fn play(args: &Args, cast: &Cast, screen: &Screen) -> Result<(), Failure> {
    if args.pause {
        let listens = cast.stop.listen_for_enter();
        listens.map_err(|error| format!("cannot read standard input: {error}"))?;
    }
    screen.say(greeting(args))?;
    for (at, step) in STEPS.iter().enumerate() {
        if args.pause {
            screen.until_enter()?;
        }
        screen.heading(&format!("{} of {}  {}", at + 1, STEPS.len(), step.title))?;
        let stage = Stage::set(cast, screen, step.name)?;
        (step.play)(&stage)?;
        screen.aside("in kazoo", step.kazoo)?;
        screen.aside("on site", step.on_site)?;
    }
    Ok(())
}

fn greeting(args: &Args) -> String {
    format!(
        "What coordination is for, in {} steps, on {}. Everyone named is a ZooKeeper session of\n\
         its own; a line is what it did there, and what the server answered. All of it happens\n\
         below {}, which goes at the end. Ctrl-C ends it.",
        STEPS.len(),
        args.server.address(),
        args.root
    )
}

fn farewell(args: &Args, left: Left, took: &Took) -> String {
    let (root, server) = (&args.root, args.server.as_typed());
    let rest = match left {
        Left::Nothing => format!("{root} is gone again."),
        Left::OthersOnly => {
            format!("What it made below {root} is gone; what others put there stays.")
        }
        Left::Kept => format!("Its znodes stay below {root} until the next demo."),
        Left::Lost => format!("{root} is another demo's by now."),
    };
    let mut next = Table::default();
    let mut put = |command: String, what: &str| next.row(["", &command, what]);
    let look = format!("dolmen zk ls -R {root}{server}");
    match left {
        Left::Kept => {
            put(look, "what is there now");
            put(
                format!("dolmen zk get {root}/lock/press{server}"),
                "the highest token",
            );
        }
        Left::Nothing | Left::OthersOnly | Left::Lost => {
            put(again(args) + " --keep", "the same, and its znodes stay");
            put(look, "looks at them then");
        }
    }
    put(
        "docs/tutorials".into(),
        "the same as programs of your own, with kazoo",
    );
    format!("\n{} steps in {took}. {rest}\nNext:\n{next}", STEPS.len())
        .trim_end()
        .into()
}

/// What was typed, but for how it is shown.
fn again(args: &Args) -> String {
    let server = args.server.as_typed();
    match &*args.root {
        DEFAULT_ROOT => format!("dolmen demo{server}"),
        root => format!("dolmen demo --root {root}{server}"),
    }
}

fn what_is_left(args: &Args, left: Option<Left>) -> String {
    let root = &args.root;
    match left {
        Some(Left::Nothing | Left::OthersOnly) => "what it had made is removed".into(),
        Some(Left::Kept) => format!("what it had made stays below {root}, as --keep says"),
        Some(Left::Lost) | None => {
            format!("what it had made below {root} is removed by the next demo")
        }
    }
}

/// Whoever stopped reading has seen enough; whoever hit Ctrl-C is told.
fn ended(stop: &Stop, says: &str) -> Result<(), Failure> {
    match stop.reason() {
        Some(Reason::NobodyReads) => Ok(()),
        Some(Reason::Signal) | None => Err(Failure::failed(says)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_a_znode_of_its_own() {
        assert_eq!(&*root("/demo").unwrap(), "/demo");
        assert!(root("/").unwrap_err().contains("such as /demo"));
        for bad in ["demo", "/demo/", "/a//b"] {
            assert!(root(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn steps_have_folders_of_their_own_and_lines_that_fit_a_terminal() {
        for (at, step) in STEPS.iter().enumerate() {
            let is_new = STEPS[..at].iter().all(|before| before.name != step.name);
            assert!(is_new && !step.name.contains('/'), "{}", step.name);
            for text in [step.title, step.kazoo, step.on_site] {
                assert!(!text.is_empty() && text.len() <= 87, "{text}");
            }
        }
    }
}
