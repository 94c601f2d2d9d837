//! The coordination service beside ZooKeeper and etcd, on this machine: rates
//! and latencies of reads and writes, watches, memory, starts, and the loss of
//! the leader.
//!
//! One thread with epoll makes the load for all, and the cells are measured by
//! turns, so that whatever else the machine does meets them alike. On few
//! cores the ceiling is processor time, which is therefore counted on both
//! sides, and a bare echo shows what no server could pass. Figures of one
//! machine are ratios on another.

// A bench stands outside, as tests do: it starts processes, connects to them,
// and looks at the clock.
#![allow(clippy::disallowed_methods)]

#[path = "coordination/backup.rs"]
mod backup;
#[path = "coordination/crowd.rs"]
mod crowd;
#[path = "shared/dev.rs"]
mod dev;
#[path = "shared/disk_bytes.rs"]
mod disk_bytes;
#[path = "coordination/echo.rs"]
mod echo;
#[path = "shared/echo_server.rs"]
mod echo_server;
#[path = "coordination/etcd/mod.rs"]
mod etcd;
#[path = "coordination/failover.rs"]
mod failover;
#[path = "shared/failure.rs"]
mod failure;
#[path = "coordination/fanout.rs"]
mod fanout;
#[path = "coordination/figures.rs"]
mod figures;
#[path = "shared/folder.rs"]
mod folder;
#[path = "shared/head.rs"]
mod head;
#[path = "shared/histogram.rs"]
mod histogram;
#[path = "coordination/line.rs"]
mod line;
#[path = "coordination/load.rs"]
mod load;
#[path = "shared/machine.rs"]
mod machine;
#[path = "shared/median.rs"]
mod median;
#[path = "coordination/memory.rs"]
mod memory;
#[path = "coordination/options.rs"]
mod options;
#[path = "shared/place.rs"]
mod place;
#[path = "shared/ports.rs"]
mod ports;
#[path = "shared/process.rs"]
mod process;
#[path = "coordination/report.rs"]
mod report;
#[path = "coordination/run.rs"]
mod run;
#[path = "coordination/table.rs"]
mod table;
#[path = "coordination/talk.rs"]
mod talk;
#[path = "coordination/targets/mod.rs"]
mod targets;
#[path = "coordination/zookeeper/mod.rs"]
mod zookeeper;

use clap::Parser;
use failure::Failure;
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.echo {
        return told(echo_server::serve().map_err(Failure::from));
    }
    let report = match failure::take_signals() {
        Ok(()) => run::run(&options),
        Err(error) => Err(error.into()),
    };
    told(report.map(|report| match options.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&report).expect("plain data")
        ),
        false => report.print(),
    }))
}

fn told(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
