//! `dolmen manual`: the pages of the manual and the shells' completions, as the
//! packages carry them. All that a table knows is taken from that table; the
//! same binary writes the same bytes each time.

mod commands;
mod page;
mod profiles;
mod server;
mod settings;

use super::Failure;
use crate::clock::Millis;
use clap::Command;
use clap_complete::{Shell, generate};
use page::Page;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// Write the manual pages and the completions of shells into a folder
///
/// For whoever makes packages: DIR/man holds the pages, DIR/completions one file
/// a shell. What is there of an earlier run is written over. The pages are dated
/// by SOURCE_DATE_EPOCH where it is set, and carry no date otherwise.
#[derive(clap::Args)]
#[command(hide = true)]
pub struct Args {
    /// The folder to write into; made where it is absent
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// The shells, and what each wants its file to be called.
const SHELLS: [(Shell, &str); 3] = [
    (Shell::Bash, "dolmen.bash"),
    (Shell::Zsh, "_dolmen"),
    (Shell::Fish, "dolmen.fish"),
];

pub fn run(args: Args) -> Result<(), Failure> {
    let date = date(std::env::var_os("SOURCE_DATE_EPOCH"))?;
    for (name, text) in files(&super::visible(), date.as_deref()) {
        write(&args.out.join(name), &text)?;
    }
    Ok(())
}

/// Every file by its place in the folder.
fn files(program: &Command, date: Option<&str>) -> Vec<(String, Vec<u8>)> {
    let pages = pages(program).into_iter().map(|page| {
        let name = format!("man/{}", page.file_name());
        (name, page.render(date).into_bytes())
    });
    let completions = SHELLS.iter().map(|(shell, name)| {
        let mut text = Vec::new();
        generate(*shell, &mut program.clone(), "dolmen", &mut text);
        (format!("completions/{name}"), text)
    });
    pages.chain(completions).collect()
}

fn pages(program: &Command) -> Vec<Page> {
    let mut pages = vec![commands::overview(program)];
    pages.extend(program.get_subcommands().map(commands::page));
    pages.push(server::page(program));
    pages.push(settings::page());
    pages.push(profiles::page());
    pages
}

/// The day of SOURCE_DATE_EPOCH, as the reproducible-builds specification has it:
/// whole seconds since 1970.
fn date(epoch: Option<OsString>) -> Result<Option<String>, Failure> {
    let Some(epoch) = epoch else {
        return Ok(None);
    };
    let seconds = epoch.to_str().and_then(|text| text.parse::<u32>().ok());
    let seconds = seconds.ok_or_else(|| {
        let epoch = epoch.display();
        Failure::wrong_usage(format!(
            "SOURCE_DATE_EPOCH is {epoch}, and not a number of seconds since 1970: set one, or none"
        ))
    })?;
    let time = Millis(u64::from(seconds) * 1000).to_string();
    Ok(time.split('T').next().map(str::to_owned))
}

fn write(path: &Path, text: &[u8]) -> Result<(), Failure> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| Failure::failed(format!("cannot write {} ({error})", path.display())))
}

#[cfg(test)]
mod tests;
