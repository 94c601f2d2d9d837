//! The log on its own thread over a real disk, with both engines.

use super::kit::*;
use crate::folder::Folder;
use dolmen::clock::MachineClock;
use dolmen::disk::{Disk, Engine, RealDisk};
use dolmen::entropy::MachineEntropy;
use dolmen::ids::{Index, LogId};
use dolmen::log::{
    FRAMES, Hooks, LogHandle, OpenError, Opening, Owner, Refused, Report, Request, Settings, Way,
    frame, open, start,
};
use std::path::Path;
use std::sync::Arc;

fn start_in(folder: &Path, engine: Engine) -> Result<(Owner, Report), OpenError> {
    let folder = folder.to_owned();
    let hooks = Hooks {
        beat: Box::new(|| ()),
        fatal: Box::new(|fatal| panic!("{fatal}")),
    };
    let open_here = move || {
        let settings = dolmen::disk::Settings {
            engine,
            entries: 8,
            lone_blocking: false,
        };
        let disk: Arc<dyn Disk> =
            Arc::new(RealDisk::open(&folder, settings).map_err(OpenError::io("open"))?);
        let lane = disk.lane().map_err(OpenError::io("make a lane"))?;
        let settings = Settings {
            journal_file_bytes: 1 << 20,
            segment_bytes: 256 << 10,
            ..Settings::default()
        };
        open(Opening {
            disk,
            lane,
            entropy: &MachineEntropy,
            settings,
            formats: FORMATS,
        })
    };
    start(open_here, Arc::new(MachineClock::new()), hooks)
}

fn read_all(log: &LogHandle) -> Vec<Vec<u8>> {
    let mut from = log.first();
    let mut found = Vec::new();
    while from < log.durable_until() {
        let read = log
            .read(from, 64 << 10, Way::Map)
            .unwrap()
            .expect("durable");
        let mut rest = &read.bytes[..];
        while let Ok(Some((frame, length))) = frame::parse(rest) {
            found.push(frame.payload.to_vec());
            rest = &rest[length..];
            if rest.is_empty() {
                break;
            }
        }
        from = read.next;
    }
    found
}

fn many_threads_append(engine: Engine) {
    let folder = Folder::new(&format!("real-{}", engine.name()));
    let (owner, report) = start_in(&folder.0, engine).unwrap();
    assert!(report.is_new);
    assert_eq!(owner.engine(), engine.name());
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let logs = owner.logs().clone();
            scope.spawn(move || {
                let log = logs.open(LogId(thread.into()), &FRAMES).unwrap();
                for n in 0..150u32 {
                    let size = if n % 40 == 7 {
                        100_000
                    } else {
                        20 + n as usize
                    };
                    let body = vec![n as u8; size];
                    let appended = log.append(payloads(&[&body])).wait().unwrap();
                    assert_eq!(appended.first, Index(n.into()));
                    // What was answered can be read at once.
                    let read = log
                        .read(appended.first, 1, Way::Map)
                        .unwrap()
                        .expect("it is there");
                    let frame = frame::parse(&read.bytes).unwrap().unwrap().0;
                    assert_eq!((frame.index, frame.payload), (appended.first, &body[..]));
                }
            });
        }
    });
    let log = owner.logs().open(LogId(0), &FRAMES).unwrap();
    let ask = |request| owner.logs().ask(request).wait();
    ask(Request::Truncate {
        log: LogId(0),
        from: Index(100),
    })
    .unwrap();
    ask(Request::DropPrefix {
        log: LogId(0),
        until: Index(50),
    })
    .unwrap();
    assert_eq!(read_all(&log).len(), 50);
    owner.close().unwrap();
    assert_eq!(
        log.append(payloads(&[b"late"])).wait(),
        Err(Refused::Closed)
    );

    let (owner, report) = start_in(&folder.0, engine).unwrap();
    assert!(report.was_clean && report.scanned_bytes == 0, "{report:?}");
    for id in 0..4 {
        let log = owner.logs().open(LogId(id), &FRAMES).unwrap();
        assert_eq!(read_all(&log).len(), if id == 0 { 50 } else { 150 });
    }
    owner.close().unwrap();
}

#[test]
fn many_threads_append_and_read_with_threads() {
    many_threads_append(Engine::Threads);
}

#[test]
fn many_threads_append_and_read_with_uring() {
    many_threads_append(Engine::Uring);
}

#[test]
fn answers_come_in_order_for_a_pipelining_caller() {
    let folder = Folder::new("real-pipeline");
    let (owner, _) = start_in(&folder.0, Engine::Uring).unwrap();
    let log = owner.logs().open(LogId(1), &FRAMES).unwrap();
    let tickets: Vec<_> = (0..500u32)
        .map(|n| log.append(payloads(&[&n.to_le_bytes()])))
        .collect();
    for (n, ticket) in tickets.into_iter().enumerate() {
        assert_eq!(ticket.wait().unwrap().first, Index(n as u64));
    }
    let figures = owner.logs().figures().unwrap();
    assert!(figures.batches < 500, "appends share batches: {figures:?}");
    owner.close().unwrap();
}

#[test]
fn more_than_the_bound_outstanding_is_answered_busy() {
    let folder = Folder::new("real-busy");
    let (owner, _) = start_in(&folder.0, Engine::Threads).unwrap();
    let log = owner.logs().open(LogId(1), &FRAMES).unwrap();
    // The log's thread is held in an answer until the queue has been filled.
    let (release, held) = std::sync::mpsc::channel::<()>();
    let (entered, when_entered) = std::sync::mpsc::channel();
    let append = || Request::Append {
        log: LogId(1),
        records: payloads(&[b"x"]),
    };
    owner.logs().submit(
        append(),
        Box::new(move |_| {
            entered.send(()).unwrap();
            let _ = held.recv();
        }),
    );
    when_entered.recv().unwrap();
    let tickets: Vec<_> = (0..dolmen::limits::APPEND_QUEUE_LENGTH + 10)
        .map(|_| log.append(payloads(&[b"x"])))
        .collect();
    drop(release);
    let outcomes: Vec<_> = tickets.into_iter().map(|ticket| ticket.wait()).collect();
    let busy = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(Refused::Busy))
        .count();
    assert!((10..=11).contains(&busy), "{busy} were refused");
    assert!(outcomes[0].is_ok());
    assert!(log.append(payloads(&[b"again"])).wait().is_ok());
    owner.close().unwrap();
}
