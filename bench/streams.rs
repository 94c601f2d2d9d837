//! The event log by Kafka's protocol, on this machine: what is produced and
//! acknowledged, when it is seen, reading it again, and what partitions cost
//! that idle; beside what the log alone does, a copy over loopback, and
//! another broker.
//!
//! One thread with epoll makes the load for all, of batches made beforehand,
//! and the cells are measured by turns, so that whatever else the machine does
//! meets them alike. On few cores the ceiling is processor time, which is
//! therefore counted on both sides, and a bare echo shows what no broker could
//! pass. Figures of one machine are ratios on another.

// A bench stands outside, as tests do: it starts processes, connects to them,
// and looks at the clock.
#![allow(clippy::disallowed_methods)]

#[path = "streams/alone.rs"]
mod alone;
#[path = "streams/batches.rs"]
mod batches;
#[path = "streams/catch_up.rs"]
mod catch_up;
#[path = "streams/cells.rs"]
mod cells;
#[path = "streams/client.rs"]
mod client;
#[path = "streams/copy.rs"]
mod copy;
#[path = "shared/dev.rs"]
mod dev;
#[path = "shared/disk_bytes.rs"]
mod disk_bytes;
#[path = "shared/echo_server.rs"]
mod echo_server;
#[path = "shared/failure.rs"]
mod failure;
// The log's bench has more uses for what is borrowed of it.
#[allow(dead_code)]
#[path = "log/figures.rs"]
mod figures;
#[path = "streams/flood.rs"]
mod flood;
#[path = "shared/folder.rs"]
mod folder;
#[path = "streams/follower.rs"]
mod follower;
#[path = "streams/goals.rs"]
mod goals;
#[path = "shared/head.rs"]
mod head;
#[path = "shared/histogram.rs"]
mod histogram;
#[path = "streams/idle.rs"]
mod idle;
#[path = "streams/kafka09.rs"]
mod kafka09;
#[path = "streams/line.rs"]
mod line;
#[allow(dead_code)]
#[path = "log/load.rs"]
mod load;
#[path = "shared/machine.rs"]
mod machine;
#[path = "shared/median.rs"]
mod median;
#[path = "streams/options.rs"]
mod options;
#[path = "log/own.rs"]
mod own;
#[path = "streams/peers.rs"]
mod peers;
#[path = "streams/pipe.rs"]
mod pipe;
#[path = "shared/place.rs"]
mod place;
#[path = "shared/ports.rs"]
mod ports;
// As the coordination's has.
#[allow(dead_code)]
#[path = "shared/process.rs"]
mod process;
#[path = "streams/producer.rs"]
mod producer;
#[allow(dead_code)]
#[path = "log/raw.rs"]
mod raw;
#[path = "streams/report.rs"]
mod report;
#[path = "streams/rounds.rs"]
mod rounds;
#[path = "streams/run.rs"]
mod run;
#[path = "streams/shares.rs"]
mod shares;
#[allow(dead_code)]
#[path = "log/station.rs"]
mod station;
#[path = "streams/table.rs"]
mod table;
#[path = "streams/tally.rs"]
mod tally;
#[path = "streams/targets/mod.rs"]
mod targets;
#[path = "streams/topic.rs"]
mod topic;

use clap::Parser;
use failure::Failure;
use options::Options;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = Options::parse();
    if options.echo {
        return told(echo_server::serve().map_err(Failure::from));
    }
    if options.copy {
        return told(copy::serve().map_err(Failure::from));
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
