//! `dolmen log verify` and `dolmen log repair`.

use super::{FORMATS, Place};
use crate::cli::{Failure, print, print_json};
use crate::clock::{Clock, MachineClock, Millis};
use crate::disk::Disk;
use crate::entropy::MachineEntropy;
use crate::log::Settings;
use crate::log::mend::{self, Damage, Examined, Lost};
use serde_json::{Value as Json, json};

#[derive(clap::Args)]
pub(super) struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(clap::Args)]
pub(super) struct RepairArgs {
    #[command(flatten)]
    place: Place,
    /// Do it; without this, say what would be done
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

pub(super) fn verify(args: VerifyArgs) -> Result<(), Failure> {
    let _lock = args.place.lock("dolmen log verify")?;
    let disk = args.place.plain_disk()?;
    let examined = examine(&args.place, &*disk)?;
    match args.json {
        true => print_json(&json!({ "damages": damages_json(&examined) }))?,
        false => print(&lines(&examined.damages))?,
    }
    match examined.damages.len() {
        0 if args.json => Ok(()),
        0 => print(&format!("{}: ok\n", args.place.dir.display())),
        count => Err(Failure::failed(format!(
            "places with damage: {count}; `dolmen log repair --dir {}` says what can be mended",
            args.place.dir.display()
        ))),
    }
}

pub(super) fn repair(args: RepairArgs) -> Result<(), Failure> {
    let _lock = args.place.lock("dolmen log repair")?;
    let disk = args.place.plain_disk()?;
    let examined = examine(&args.place, &*disk)?;
    if !examined.needs_repair() {
        return match args.json {
            true => print_json(&told(&examined, false, None)),
            false => print("nothing is damaged; nothing was changed\n"),
        };
    }
    if !args.yes {
        match args.json {
            true => print_json(&told(&examined, false, None))?,
            false => print(&outlook(&examined))?,
        }
        return Err(Failure::failed(
            "nothing was changed; with --yes it is done. A copy of the whole directory first is \
             never wrong",
        ));
    }
    if !args.json {
        // Said before it is done: cut off behind its last step, a repair has
        // nothing left to tell of.
        print(&outlook(&examined))?;
    }
    let date = date(MachineClock::new().now());
    let settings = Settings::default();
    let mended = mend::repair(&*disk, &examined, &settings, &MachineEntropy, &date);
    let folder = mended.map_err(Failure::failed)?;
    if args.json {
        return print_json(&told(&examined, true, folder.as_deref()));
    }
    let place = args.place.dir.join(folder.unwrap_or_default());
    print(&format!(
        "mended; what was changed or no longer counts is in {}\n",
        place.display()
    ))
}

fn examine(place: &Place, disk: &dyn Disk) -> Result<Examined, Failure> {
    let examined = mend::examine(disk, FORMATS).map_err(Failure::failed)?;
    if examined.damages.is_empty() {
        place.must_be_ours(disk)?;
    }
    Ok(examined)
}

fn lines<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|item| format!("{item}\n")).collect()
}

/// Damages, losses and notes, then the files that are set aside.
fn outlook(examined: &Examined) -> String {
    let mut text = lines(&examined.damages) + &lines(&examined.notes) + &lines(&examined.lost);
    if examined.lost.is_empty() {
        text += "no record is lost\n";
    }
    for name in examined.set_aside() {
        text += &format!("set aside: {name}\n");
    }
    text
}

fn damages_json(examined: &Examined) -> Json {
    let damage = |damage: &Damage| {
        json!({
            "log": damage.log.map(|log| log.0),
            "file": damage.file,
            "at": damage.at,
            "what": damage.fault.what,
            "expected": damage.fault.expected,
            "found": damage.fault.found,
            "harmless": damage.is_harmless,
        })
    };
    examined.damages.iter().map(damage).collect()
}

fn told(examined: &Examined, is_done: bool, folder: Option<&str>) -> Json {
    let lost = |lost: &Lost| {
        json!({
            "log": lost.log.0,
            "from": lost.from.0,
            "until": lost.until.map(|index| index.0),
        })
    };
    json!({
        "done": is_done,
        "damages": damages_json(examined),
        "lost": examined.lost.iter().map(lost).collect::<Json>(),
        "notes": examined.notes,
        "set_aside": examined.set_aside(),
        "folder": folder,
    })
}

/// The day, as `2026-11-20`, of the proleptic Gregorian calendar in UTC.
fn date(now: Millis) -> String {
    const MONTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut days = now.0 / 86_400_000;
    let mut year = 1970;
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 0;
    for (place, length) in MONTHS.into_iter().enumerate() {
        let length = length + u64::from(place == 1 && is_leap(year));
        month = place + 1;
        if days < length {
            break;
        }
        days -= length;
    }
    format!("{year}-{month:02}-{:02}", days + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_over_leap_years() {
        let check = |seconds: u64, day: &str| assert_eq!(date(Millis(seconds * 1000)), day);
        check(0, "1970-01-01");
        check(951_782_400, "2000-02-29");
        check(1_709_251_199, "2024-02-29");
        check(1_709_251_200, "2024-03-01");
        check(1_798_761_599, "2026-12-31");
    }
}
