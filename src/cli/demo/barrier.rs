//! Begin together: whoever comes waits, and the last opens.

use super::super::Failure;
use super::Step;
use super::stage::{Actor, Kind, Stage};

pub const STEP: Step = Step {
    name: "barrier",
    title: "A barrier: nobody begins before all are there",
    makes: &["batch-1", "batch-1/worker-#", "batch-1/ready"],
    play,
    kazoo: "client.DoubleBarrier(path, 3).enter()",
    on_site: "Mixer, filler and labeller begin a batch together, or none of them does.",
};

const WORKERS: [&str; 3] = ["worker-1", "worker-2", "worker-3"];

fn play(stage: &Stage) -> Result<(), Failure> {
    let batch = stage.path("batch-1");
    let ready = format!("{batch}/ready");
    let mut observer = stage.actor()?;
    observer.create(&batch, "", Kind::Lasting)?;
    observer.close()?;

    let [first, second, last] = WORKERS;
    let mut waiting = Vec::new();
    for who in [first, second] {
        let mut worker = stage.actor()?;
        let count = come(&mut worker, &batch)?;
        if worker.exists_and_watch(&ready)? {
            return Err(Failure::failed(format!(
                "{ready} is there before all have come: somebody else has made it"
            )));
        }
        stage.show(who, came(count), "waits for ready")?;
        waiting.push((who, worker));
    }

    let mut worker = stage.actor()?;
    let count = come(&mut worker, &batch)?;
    let opened = stage.now();
    worker.create(&ready, "", Kind::Lasting)?;
    worker.close()?;
    let mut began = Vec::new();
    for (who, mut worker) in waiting {
        let told = worker.told_of(&ready)?;
        began.push((who, told, stage.since(opened)));
        worker.close()?;
    }
    stage.show(last, came(count), "the last: creates ready, and begins")?;
    for (who, told, took) in began {
        let begins = format!("begins, {took} later");
        stage.show(who, format!("is told: {told}"), begins)?;
    }
    Ok(())
}

fn came(count: usize) -> String {
    let all = WORKERS.len();
    format!("create worker- (ephemeral, numbered): {count} of {all}")
}

/// How many are there, the one that came among them.
fn come(worker: &mut Actor, batch: &str) -> Result<usize, Failure> {
    worker.create(&format!("{batch}/worker-"), "", Kind::EphemeralNumbered)?;
    let there = worker.children(batch)?;
    Ok(there
        .iter()
        .filter(|name| name.starts_with("worker-"))
        .count())
}
