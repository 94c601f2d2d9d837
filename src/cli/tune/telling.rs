//! What `dolmen tune` says, to people and to programs.

use super::super::profile::value_json;
use super::super::table::Table;
use crate::daemon::tune::{Found, Put, Saved, Standing, State, Step};
use serde_json::{Value, json};

pub(super) fn notes(notes: &[String]) -> String {
    let lines = notes.iter().map(|note| format!("note: {note}\n"));
    lines.collect()
}

pub(super) fn table(standings: &[Standing]) -> String {
    let mut table = Table::with_columns(["TUNER", "WANTED", "NOW", "STATE"]);
    for standing in standings {
        let wanted = wish(standing).unwrap_or_else(|| "-".into());
        let (tuner, state) = (standing.tuner.name, state(standing));
        table.row([tuner, &wanted, &now(standing), &state]);
    }
    table.to_string()
}

fn wish(standing: &Standing) -> Option<String> {
    let wanted = standing.wanted.as_deref()?;
    Some(standing.tuner.wish(wanted))
}

/// Each value once, where files agree.
fn now(standing: &Standing) -> String {
    let mut values: Vec<String> = Vec::new();
    for found in &standing.found {
        let told = found.told();
        if !values.contains(&told) {
            values.push(told);
        }
    }
    match values.is_empty() {
        true => "-".into(),
        false => values.join(", "),
    }
}

fn state(standing: &Standing) -> String {
    match standing.state.why() {
        Some(why) => format!("{}: {why}", standing.state.word()),
        None => standing.state.word().into(),
    }
}

/// "swappiness (now 60, wanted 1)".
pub(super) fn difference(standing: &Standing) -> String {
    let wanted = wish(standing).unwrap_or_default();
    let (tuner, now) = (standing.tuner.name, now(standing));
    format!("{tuner} (now {now}, wanted {wanted})")
}

pub(super) fn in_force(standings: &[Standing]) -> String {
    let counted = standings.iter().filter(|standing| standing.counts());
    let names: Vec<&str> = counted.map(|standing| standing.tuner.name).collect();
    match names.is_empty() {
        true => "nothing that is named can be set here; `dolmen tune list` says why\n".into(),
        false => format!("in force: {}\n", names.join(", ")),
    }
}

pub(super) fn pages(standings: &[Standing], saved: &[Saved]) -> String {
    let pages = standings.iter().map(|standing| page(standing, saved));
    pages.collect::<Vec<_>>().join("\n")
}

fn page(standing: &Standing, saved: &[Saved]) -> String {
    let tuner = standing.tuner;
    let wanted = match (&standing.named, wish(standing)) {
        (Some(named), Some(wish)) => {
            format!("{wish} ({} = {named}, {})", tuner.key, standing.origin)
        }
        _ => format!("nothing: {} is not named", tuner.key),
    };
    let mut table = Table::default();
    table.row(["", "why", tuner.reason]);
    table.row(["", "wanted", &wanted]);
    let row = |found: &Found| {
        let now = match before(saved, found) {
            Some(saved) => format!("{}, before {}", found.told(), told(saved)),
            None => found.told(),
        };
        [found.file.clone(), now]
    };
    let rows: Vec<[String; 2]> = standing.found.iter().map(row).collect();
    for [file, now] in together(rows, 0, |one, other| one[1] == other[1]) {
        table.row(["", "file", &file]);
        table.row(["", "now", &now]);
    }
    format!("{}: {}\n{table}", tuner.name, state(standing))
}

fn before<'a>(saved: &'a [Saved], found: &Found) -> Option<&'a Saved> {
    saved.iter().find(|saved| saved.file == found.file)
}

fn told(saved: &Saved) -> String {
    match &saved.instead {
        Some((file, value)) => format!("{} ({file} {value})", saved.before),
        None => saved.before.clone(),
    }
}

/// Without `saved` nothing is said of what was before.
pub(super) fn standings_json(
    standings: &[Standing],
    saved: Option<&[Saved]>,
    notes: &[String],
) -> Value {
    let file = |found: &Found| {
        let mut file = json!({ "file": found.file, "now": found.now });
        if let Some(saved) = saved {
            file["before"] = before(saved, found).map(|saved| &*saved.before).into();
        }
        file
    };
    let one = |standing: &Standing| {
        json!({
            "tuner": standing.tuner.name,
            "reason": standing.tuner.reason,
            "key": standing.tuner.key,
            "value": standing.named.as_ref().map(value_json),
            "wanted": standing.wanted,
            "layer": standing.origin.layer.name(),
            "origin": standing.origin.to_string(),
            "state": standing.state.word(),
            "why": standing.state.why(),
            "files": standing.found.iter().map(file).collect::<Vec<_>>(),
        })
    };
    let tuners: Vec<Value> = standings.iter().map(one).collect();
    json!({ "tuners": tuners, "notes": notes })
}

/// A line a file of what was named, and a line for each tuner that was not.
pub(super) fn applied(standings: &[Standing], steps: &[Step]) -> String {
    let mut rows = Vec::new();
    for standing in standings {
        let name = standing.tuner.name;
        if !standing.counts() {
            let cells = [name, "-", "-", "-", &state(standing)];
            rows.push(cells.map(String::from));
        } else {
            rows.extend(standing.found.iter().map(|found| {
                let told = found.told();
                match steps.iter().find(|step| step.file == found.file) {
                    Some(step) => cells(step),
                    None => [name, &found.file, &told, &told, "was in force"].map(String::from),
                }
            }));
        }
    }
    steps_table(rows)
}

fn steps_table(rows: Vec<[String; 5]>) -> String {
    let mut table = Table::with_columns(["TUNER", "FILE", "WAS", "NOW", "OUTCOME"]);
    let is_alike = |one: &[String; 5], other: &[String; 5]| {
        one[0] == other[0] && one[2..] == other[2..] && one[1] != "-"
    };
    for row in together(rows, 1, is_alike) {
        table.row(row.each_ref().map(String::as_str));
    }
    table.to_string()
}

/// Many rows that say the same as one, with the first file's name in it: a
/// server has hundreds of cores.
fn together<const N: usize>(
    rows: Vec<[String; N]>,
    file: usize,
    is_alike: impl Fn(&[String; N], &[String; N]) -> bool,
) -> Vec<[String; N]> {
    const FEW: usize = 4;
    let mut shown = Vec::new();
    for alike in rows.chunk_by(|one, other| is_alike(one, other)) {
        match alike {
            [first, rest @ ..] if rest.len() >= FEW => {
                let mut first = first.clone();
                first[file] += &format!(" and {} more", rest.len());
                shown.push(first);
            }
            few => shown.extend_from_slice(few),
        }
    }
    shown
}

pub(super) fn applied_json(standings: &[Standing], steps: &[Step], notes: &[String]) -> Value {
    let state = |standing: &Standing| {
        let state = match steps
            .iter()
            .any(|step| step.tuner == standing.tuner.name && matches!(step.put, Put::Refused(_)))
        {
            true => State::Differs.word(),
            false if standing.counts() => State::InForce.word(),
            false => standing.state.word(),
        };
        let why = standing.state.why();
        json!({ "tuner": standing.tuner.name, "state": state, "why": why })
    };
    let tuners: Vec<Value> = standings.iter().map(state).collect();
    json!({ "tuners": tuners, "settings": steps_json(steps), "notes": notes })
}

pub(super) fn undone(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "nothing to put back\n".into();
    }
    steps_table(steps.iter().map(cells).collect())
}

fn cells(step: &Step) -> [String; 5] {
    let outcome = match &step.put {
        Put::Refused(why) => format!("refused: {why}"),
        Put::NotOurs => "left: another has changed it".into(),
        put => put.word().into(),
    };
    [
        step.tuner.clone(),
        step.file.clone(),
        step.was.clone(),
        step.now.clone(),
        outcome,
    ]
}

pub(super) fn steps_json(steps: &[Step]) -> Value {
    let one = |step: &Step| {
        json!({
            "tuner": step.tuner,
            "file": step.file,
            "was": step.was,
            "now": step.now,
            "outcome": step.put.word(),
            "why": step.put.why(),
        })
    };
    steps.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_alike_are_one_line_and_few_are_not() {
        let rows = |count: usize, now: &str| -> Vec<[String; 2]> {
            let row = |n| [format!("policy{n}"), now.to_string()];
            (0..count).map(row).collect()
        };
        let files = |rows| {
            let shown = together(rows, 0, |one, other| one[1] == other[1]);
            shown.into_iter().map(|[file, _]| file).collect::<Vec<_>>()
        };
        assert_eq!(files(rows(2, "a")), ["policy0", "policy1"]);
        assert_eq!(files(rows(256, "a")), ["policy0 and 255 more"]);
        let mixed = [rows(5, "a"), rows(1, "b")].concat();
        assert_eq!(files(mixed), ["policy0 and 4 more", "policy0"]);
    }
}
