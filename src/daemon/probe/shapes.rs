//! What it is worth to write zeros ahead: one durable block after the other in
//! a file of zeros, in one that has only room, and at the end of one that
//! grows. Where the length or the room's state changes, fdatasync has to write
//! that down as well.

use super::bench::{Bench, Spread, Writes};
use crate::disk::{Disk, Engine, How};
use crate::limits::BLOCK_BYTES;
use std::io;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub name: &'static str,
    pub flush: Spread,
}

const SHARE: u32 = 60;
/// So much that nobody gets round: a block written twice has had its room's
/// state written down already. Of zeros it matters not, and they take time.
const ROOM_BYTES: u64 = 64 << 20;
const ZEROED_BYTES: u64 = 16 << 20;

pub(super) fn measure(bench: &Bench<'_>) -> io::Result<Vec<Shape>> {
    bench.enter("kinds of file");
    let disk = bench.disk(Engine::Threads)?;
    let mut shapes = Vec::new();
    for name in ["zeroed", "allocated", "growing"] {
        let file = match name {
            "zeroed" => {
                bench.zeroed(name, ZEROED_BYTES)?;
                disk.open(name, How::Write)?
            }
            "allocated" => {
                let file = disk.open(name, How::Create)?;
                file.allocate(ROOM_BYTES)?;
                file.sync()?;
                file
            }
            _ => disk.open(name, How::Create)?,
        };
        let writes = Writes {
            file: &file,
            bytes: BLOCK_BYTES,
            span: match name {
                "zeroed" => ZEROED_BYTES,
                _ => ROOM_BYTES,
            },
            depth: 1,
            time: bench.share(SHARE) / 3,
        };
        let flush = Spread::of(bench.write(&disk, &writes)?.0);
        shapes.push(Shape { name, flush });
        disk.remove(name)?;
    }
    Ok(shapes)
}
