//! What the pages say is so: the tables of what is spoken and of what can be
//! set are those of the code, and every test that is said to hold a promise is
//! there. `DOLMEN_REWRITE=1` writes the tables anew; notes that stand behind
//! what the code knows are kept.

use dolmen::daemon::tune::TUNERS;
use dolmen::ports::kafka;
use dolmen::ports::zookeeper::handlers::TABLE;
use dolmen::ports::zookeeper::words::Word;
use dolmen::state::settings;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A table of a page: the rows below a heading that begin with a word in code.
struct Table {
    page: &'static str,
    heading: &'static str,
    /// The last cell is written by hand.
    has_notes: bool,
}

impl Table {
    /// The rows are those that the code knows, in its order.
    fn hold(&self, known: impl Iterator<Item = String>) {
        let path = root().join(self.page);
        let page = fs::read_to_string(&path).expect("the page is readable");
        let found = self.rows(&page);
        let wanted: Vec<String> = known.map(|row| self.with_note(row, &found)).collect();
        if std::env::var_os("DOLMEN_REWRITE").is_some_and(|value| value == "1") {
            let again = replaced(&page, &found, &wanted);
            fs::write(&path, again).expect("the page is writable");
        } else {
            assert_eq!(found, wanted, "{}, {}", self.page, self.heading);
        }
    }

    fn rows<'a>(&self, page: &'a str) -> Vec<&'a str> {
        let below = page.lines().skip_while(|line| *line != self.heading);
        let own = below.skip(1).take_while(|line| !line.starts_with('#'));
        let rows: Vec<&str> = own.filter(|line| line.starts_with("| `")).collect();
        assert!(
            !rows.is_empty(),
            "{} has no table below {}",
            self.page,
            self.heading
        );
        rows
    }

    fn with_note(&self, known: String, found: &[&str]) -> String {
        match self.has_notes {
            false => known,
            true => {
                let kept = found.iter().find(|row| row.starts_with(&known));
                kept.map_or_else(|| format!("{known} |"), |row| row.to_string())
            }
        }
    }
}

/// The page with other rows in the place of those that it has.
fn replaced(page: &str, found: &[&str], wanted: &[String]) -> String {
    let mut again = String::new();
    for line in page.lines() {
        match found.iter().position(|row| *row == line) {
            Some(0) => again.extend(wanted.iter().map(|row| format!("{row}\n"))),
            Some(_) => {}
            None => again += &format!("{line}\n"),
        }
    }
    again
}

#[test]
fn the_page_of_the_door_lists_what_is_spoken() {
    let operations = Table {
        page: "docs/protocols.md",
        heading: "### Operations",
        has_notes: true,
    };
    let known = TABLE.iter();
    operations.hold(known.map(|one| format!("| `{}` | {} |", one.name, one.code)));
    let apis = Table {
        heading: "### APIs",
        ..operations
    };
    apis.hold(kafka::handlers::TABLE.iter().map(|one| {
        let (least, most) = (one.versions.start(), one.versions.end());
        format!("| `{}` | {} | {least} to {most} |", one.name, one.key)
    }));
    let words = Table {
        heading: "### Four-letter words",
        has_notes: false,
        ..operations
    };
    let known = Word::ALL.iter();
    words.hold(known.map(|word| format!("| `{}` | {} |", word.text(), word.says())));
}

#[test]
fn the_live_settings_are_those_of_the_state() {
    let table = Table {
        page: "docs/operating.md",
        heading: "## Settings of the cluster",
        has_notes: false,
    };
    table.hold(settings::TABLE.iter().map(|row| {
        let (name, default, doc) = (row.name, row.default, row.doc);
        let (least, most) = (row.range.start(), row.range.end());
        format!("| `{name}` | {default} | {least} to {most} | {doc} |")
    }));
}

#[test]
fn the_tuners_are_those_of_the_table() {
    let table = Table {
        page: "docs/operating.md",
        heading: "## Tuning the machine",
        has_notes: false,
    };
    table.hold(TUNERS.iter().map(|tuner| {
        let (name, key, sets, reason) = (tuner.name, tuner.key, tuner.sets, tuner.reason);
        format!("| `{name}` | `{key}` | {sets} | {reason} |")
    }));
}

#[test]
fn every_promise_names_what_is_there() {
    let page = fs::read_to_string(root().join("docs/PROMISES.md")).expect("the page is readable");
    let holders = holders(&page);
    assert!(holders.len() > 50, "{holders:?}");
    let missing: Vec<_> = holders.iter().filter(|name| !is_there(name)).collect();
    assert!(missing.is_empty(), "docs/PROMISES.md names {missing:#?}");
}

/// What stands in code in the last cells of the tables of promises.
fn holders(page: &str) -> Vec<&str> {
    let mut holders = Vec::new();
    let mut is_inside = false;
    for line in page.lines() {
        let Some(cells) = line.strip_prefix('|') else {
            is_inside = false;
            continue;
        };
        let cells = cells.trim_end().trim_end_matches('|');
        let last = cells.rsplit('|').next().unwrap_or_default();
        is_inside |= last.trim() == "held by";
        if is_inside {
            holders.extend(last.split('`').skip(1).step_by(2));
        }
    }
    holders
}

/// A file, or a module or a test as its runner names it.
fn is_there(name: &str) -> bool {
    if name.contains('/') || name.starts_with('.') {
        return [root().to_path_buf(), root().join("docs")]
            .iter()
            .any(|folder| folder.join(name).exists());
    }
    let parts: Vec<&str> = name.split("::").collect();
    is_module(&parts) || is_test(&parts)
}

fn is_module(parts: &[&str]) -> bool {
    ["tests", "src"].iter().any(|top| {
        let place = root().join(top).join(parts.iter().collect::<PathBuf>());
        place.is_dir() || place.with_extension("rs").is_file()
    })
}

/// A test inside of a module, or of the `tests` in it.
fn is_test(parts: &[&str]) -> bool {
    let Some((test, module)) = parts.split_last() else {
        return false;
    };
    let module = match module {
        [outer @ .., "tests"] if !is_module(module) => outer,
        whole => whole,
    };
    let text = format!("fn {test}()");
    ["tests", "src"].iter().any(|top| {
        let place = root().join(top).join(module.iter().collect::<PathBuf>());
        [place.with_extension("rs"), place.join("mod.rs")]
            .iter()
            .any(|file| fs::read_to_string(file).is_ok_and(|source| source.contains(&text)))
    })
}

#[test]
fn what_is_not_there_is_found() {
    assert!(is_there("pages::what_is_not_there_is_found"));
    assert!(is_there(
        "replica::leases::tests::a_pause_of_the_leader_is_nobodys_silence"
    ));
    assert!(is_there("tests/nemesis/run"));
    assert!(!is_there("tests/nemesis/walk"));
    assert!(!is_there("pages::what_is_there_is_lost"));
    assert!(!is_there(
        "replica::leases::tests::what_is_not_there_is_found"
    ));
    assert!(!is_there("nothing"));
}
