//! `dolmen import zoo.cfg`: the settings of a ZooKeeper as a dolmen.toml.

use super::super::{Failure, print, print_json};
use super::properties;
use super::settings::{Translation, translate};
use crate::limits::ZOO_CFG_BYTES_MAX;
use serde_json::{Map, Value, json};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

pub fn run(file: &Path, out: Option<&Path>, is_json: bool) -> Result<(), Failure> {
    let text = read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let entries = properties::parse(&text);
    let data = entries.iter().find(|entry| entry.key == "dataDir");
    let id = data.and_then(|entry| my_id(Path::new(&entry.value)));
    let translation = translate(entries, id);
    let document = document(&translation, file);
    if let Some(out) = out {
        write(out, &document)?;
    }
    match (is_json, out) {
        (true, _) => print_json(&for_programs(&translation)),
        (false, None) => print(&document),
        (false, Some(out)) => {
            let written = format!("written to {}\n", out.display());
            print(&format!("{written}{}", remarks(&translation, "")))
        }
    }
}

/// Comments may be in any encoding; what counts is ASCII.
fn read(file: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    let mut source = File::open(file)?.take(ZOO_CFG_BYTES_MAX + 1);
    source.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > ZOO_CFG_BYTES_MAX {
        return Err(io::Error::other("it is far too large for a zoo.cfg"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Which of the servers this machine is. On another machine nobody knows.
fn my_id(data: &Path) -> Option<u32> {
    let mut text = String::new();
    let file = File::open(data.join("myid")).ok()?;
    file.take(64).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write(out: &Path, document: &str) -> Result<(), Failure> {
    let made = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(out);
    let written = made.and_then(|mut file| file.write_all(document.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::failed(format!(
            "{} is there already: name another file with --out, or move it away",
            out.display()
        )),
        _ => Failure::failed(format!("cannot write {}: {error}", out.display())),
    })
}

/// Settings by table, then what is to be done and what was left out.
fn document(translation: &Translation, file: &Path) -> String {
    let mut text = format!("# From {}.\n", file.display());
    let mut table_before = "";
    for setting in &translation.settings {
        let (table, name) = setting.key.rsplit_once('.').expect("every key has a table");
        if table != table_before {
            text += &format!("\n[{table}]\n");
            table_before = table;
        }
        text += &format!("# {}\n{name} = {}\n", one_line(&setting.why), setting.value);
    }
    text + "\n" + &remarks(translation, "# ")
}

fn remarks(translation: &Translation, mark: &str) -> String {
    let mut text = String::new();
    if !translation.to_do.is_empty() {
        text += &format!("{mark}What is still to be done:\n");
    }
    for (number, what) in (1..).zip(&translation.to_do) {
        text += &format!("{mark}  {number}. {}\n", one_line(what));
    }
    if !translation.left_out.is_empty() {
        text += &format!("{mark}Left out:\n");
    }
    for left in &translation.left_out {
        let says = format!("line {}: {}: {}", left.line, left.text, left.reason);
        text += &format!("{mark}  {}\n", one_line(&says));
    }
    text
}

/// A value with a line's end in it must not end its comment.
fn one_line(text: &str) -> String {
    text.replace(|letter: char| letter.is_control(), " ")
}

fn for_programs(translation: &Translation) -> Value {
    let settings = translation.settings.iter();
    let settings = settings.map(|setting| (setting.key.into(), setting.value.clone().into()));
    let left_out = translation.left_out.iter();
    let left_out =
        left_out.map(|left| json!({ "line": left.line, "text": left.text, "reason": left.reason }));
    json!({
        "settings": settings.collect::<Map<String, Value>>(),
        "to_do": translation.to_do,
        "left_out": left_out.collect::<Value>(),
    })
}
