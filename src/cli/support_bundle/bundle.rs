//! What was gathered, before it is written: files, what is missing and why, and
//! the page that tells of both.

use super::archive::Archive;
use super::redact::{Counts, KINDS, Redactor};
use crate::cli::table::Table;
use crate::clock::Millis;
use crate::limits::SUPPORT_FILE_BYTES_MAX;
use serde_json::{Value, json};
use std::io;

/// What one file is to hold.
pub(super) enum Body {
    Text(String),
    Json(Value),
}

/// What was gathered for one file, and what was left out of it at that.
pub(super) struct Piece {
    pub body: Body,
    pub left_out: Counts,
}

impl From<Body> for Piece {
    fn from(body: Body) -> Self {
        Self {
            body,
            left_out: Counts::default(),
        }
    }
}

/// A file as it was gathered: secrets are still in it.
pub(super) struct Raw {
    pub name: &'static str,
    pub what: &'static str,
    pub made: Millis,
    /// Or why it cannot be had.
    pub piece: Result<Piece, String>,
}

struct Filed {
    name: &'static str,
    what: &'static str,
    made: Millis,
    text: String,
    counts: Counts,
}

pub(super) struct Bundle {
    made: Millis,
    /// Of whom this is, a line each.
    head: Vec<String>,
    files: Vec<Filed>,
    missing: Vec<(&'static str, String)>,
}

impl Bundle {
    pub(super) fn of(made: Millis, head: Vec<String>, raw: Vec<Raw>, redactor: &Redactor) -> Self {
        let mut unseen = Counts::default();
        let mut bundle = Self {
            made,
            head: head
                .iter()
                .map(|line| redactor.text(line, &mut unseen))
                .collect(),
            files: Vec::new(),
            missing: Vec::new(),
        };
        for Raw {
            name,
            what,
            made,
            piece,
        } in raw
        {
            let Piece {
                body,
                left_out: mut counts,
            } = match piece {
                Ok(piece) => piece,
                Err(why) => {
                    let why = redactor.text(&why.replace('\n', " "), &mut unseen);
                    bundle.missing.push((name, why));
                    continue;
                }
            };
            let text = match body {
                Body::Text(text) => redactor.text(&text, &mut counts),
                Body::Json(mut value) => {
                    redactor.json(&mut value, &mut counts);
                    format!("{value:#}\n")
                }
            };
            bundle.files.push(Filed {
                name,
                what,
                made,
                text: cut(text),
                counts,
            });
        }
        bundle
    }

    /// The bytes of the archive, everything in one folder.
    pub(super) fn archive(&self, folder: &str) -> io::Result<Vec<u8>> {
        let mut archive = Archive::new();
        let seconds = |time: Millis| time.0 / 1000;
        let mut add = |name: &str, made, text: &str| {
            archive.add(&format!("{folder}/{name}"), seconds(made), text.as_bytes())
        };
        add("MANIFEST.txt", self.made, &self.manifest())?;
        add("MISSING.txt", self.made, &self.missing())?;
        for file in &self.files {
            add(file.name, file.made, &file.text)?;
        }
        archive.finish()
    }

    fn manifest(&self) -> String {
        let mut text = String::from("Dolmen support bundle\n\n");
        for line in &self.head {
            text += &format!("{line}\n");
        }
        text += "\nNo znode's path or data is meant to be in here, no key, no password and no \
                 comment of a settings\nfile; look through it before you send it.\n\n";
        let mut table = Table::with_columns(["FILE", "BYTES", "MADE", "REDACTED", "WHAT IT IS"]);
        for file in &self.files {
            table.row([
                file.name,
                &file.text.len().to_string(),
                &file.made.to_string(),
                &file.counts.all().to_string(),
                file.what,
            ]);
        }
        text += &format!("{table}\nRedacted:\n");
        let counts = self.counts();
        for (kind, says) in KINDS {
            text += &format!("{:6}  {says}\n", counts.of(kind));
        }
        text + &format!(
            "\nWhat could not be had, {} in all, is in MISSING.txt.\n",
            self.missing.len()
        )
    }

    fn missing(&self) -> String {
        let lines = self
            .missing
            .iter()
            .map(|(name, why)| format!("{name}: {why}\n"));
        match self.missing.is_empty() {
            true => "nothing is missing\n".into(),
            false => lines.collect(),
        }
    }

    fn counts(&self) -> Counts {
        let mut all = Counts::default();
        for file in &self.files {
            all.add(&file.counts);
        }
        all
    }

    pub(super) fn json(&self) -> Value {
        let file = |file: &Filed| {
            json!({
                "name": file.name,
                "what": file.what,
                "bytes": file.text.len(),
                "made": file.made.to_string(),
                "redacted": file.counts.all(),
            })
        };
        let missing = |(name, why): &(&str, String)| json!({ "name": name, "why": why });
        json!({
            "files": self.files.iter().map(file).collect::<Vec<_>>(),
            "missing": self.missing.iter().map(missing).collect::<Vec<_>>(),
        })
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::default();
        for file in &self.files {
            table.row([file.name, file.what]);
        }
        for (name, why) in &self.missing {
            table.row([name, &format!("missing: {why}")]);
        }
        table
    }
}

/// The end is what tells of a failure.
fn cut(text: String) -> String {
    let Some(over) = text.len().checked_sub(SUPPORT_FILE_BYTES_MAX) else {
        return text;
    };
    let from = text[text.ceil_char_boundary(over)..].find('\n');
    let from = text.ceil_char_boundary(over) + from.map_or(0, |at| at + 1);
    format!("({from} bytes before this are left out)\n{}", &text[from..])
}
