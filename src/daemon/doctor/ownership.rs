//! Who may read and change the data and the settings.

use super::{Finding, Site};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const WRITE_BY_OTHERS: u32 = 0o002;
const WRITE_BY_GROUP: u32 = 0o020;
const ALL_BY_OTHERS: u32 = 0o007;

pub(super) fn check(site: &Site) -> Vec<Finding> {
    let data = site.data();
    let found = fs::metadata(data);
    let mut findings = vec![match &found {
        Ok(metadata) => of_data(data, metadata),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Finding::error(
            format!("the data folder {} does not exist", data.display()),
            "make it, owned by the user that runs dolmen (the unit's StateDirectory= does), or \
             set node.data to another",
        ),
        Err(error) => Finding::note(format!("{}: {error}; run this as root", data.display())),
    }];
    if let Some(file) = &site.config_file
        && let Ok(metadata) = fs::metadata(file)
    {
        findings.push(of_config(file, &metadata, found.ok().as_ref()));
    }
    findings
}

fn of_data(data: &Path, metadata: &Metadata) -> Finding {
    let told = told(data, metadata);
    let data = data.display();
    if !metadata.is_dir() {
        return Finding::error(format!("{data} is not a folder"), "set node.data to one");
    }
    if metadata.mode() & WRITE_BY_OTHERS != 0 {
        let to_do = format!("chmod 750 {data}");
        return Finding::error(format!("{told}: anybody may change the data"), to_do);
    }
    if metadata.mode() & (ALL_BY_OTHERS | WRITE_BY_GROUP) != 0 {
        let to_do = format!("chmod 750 {data}");
        return Finding::warning(format!("{told}: open to more than its owner"), to_do);
    }
    if metadata.uid() == 0 {
        return Finding::note(format!(
            "{told}: belongs to root, so the node must run as root"
        ));
    }
    Finding::ok(told)
}

fn of_config(file: &Path, metadata: &Metadata, data: Option<&Metadata>) -> Finding {
    let told = told(file, metadata);
    let file = file.display();
    if metadata.mode() & (WRITE_BY_OTHERS | WRITE_BY_GROUP) != 0 {
        return Finding::error(
            format!("{told}: others than its owner may say where the data is"),
            format!("chmod 644 {file}"),
        );
    }
    let is_readable = |data: &Metadata| {
        data.uid() == 0
            || metadata.mode() & 0o004 != 0
            || (metadata.uid() == data.uid() && metadata.mode() & 0o400 != 0)
            || (metadata.gid() == data.gid() && metadata.mode() & 0o040 != 0)
    };
    match data.is_none_or(is_readable) {
        true => Finding::ok(told),
        false => Finding::error(
            format!("{told}: the owner of the data folder, who runs dolmen, cannot read it"),
            format!("chmod 644 {file}"),
        ),
    }
}

fn told(path: &Path, metadata: &Metadata) -> String {
    format!(
        "{} is of {}:{}, mode {:04o}",
        path.display(),
        metadata.uid(),
        metadata.gid(),
        metadata.mode() & 0o7777
    )
}
