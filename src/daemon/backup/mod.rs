//! Backups of the replicated state, and their way back, over the admin socket.
//!
//! ```text
//! codec.rs   a backup's file as bytes
//! index.rs   what such a file holds, in an order in which it can be put back
//! making.rs  the daemon hands a backup out
//! taking.rs  the daemon takes one back
//! ```
//!
//! Making: `{"ask":"backup_create","stale":false}` is answered with the head
//! once the state is known to be current, or refused. Then come the file's
//! bytes, in frames of up to `BACKUP_PIECE_BYTES`, an empty frame, and
//! `{"answer":{"bytes":N,...}}` or the error that cut it short. Who has written
//! the file down says so with `{"ask":"backup_written",...}`.
//!
//! Restoring is steps that are each committed before they are answered:
//! `restore_begin` shuts clients out and answers how it stands; `restore_empty`
//! removes some of what is there, until it answers "filling"; `restore_fill` is
//! answered "ready" and followed by frames of nodes, as in an import, and an
//! empty one at which the whole is compared with the backup's sums. Until that
//! one is answered clients stay out, so that each step can be said again.

pub mod codec;
pub mod index;
mod making;
pub mod taking;

pub use making::Making;

use super::ask::{Talk, Unanswered};
use serde_json::{Value, json};

/// Asks for a backup; gives its head. Its bytes follow.
pub fn ask_for(talk: &mut Talk, accepts_stale: bool) -> Result<Value, Unanswered> {
    talk.ask(&json!({ "ask": "backup_create", "stale": accepts_stale }))
}

/// The next bytes of the file. Behind the last comes what the daemon says of
/// them.
pub fn hear_piece(talk: &mut Talk) -> Result<Piece, Unanswered> {
    let piece = talk.hear_frame()?;
    match piece.is_empty() {
        true => talk.hear().map(Piece::Said),
        false => Ok(Piece::Bytes(piece)),
    }
}

pub enum Piece {
    Bytes(Vec<u8>),
    Said(Value),
}
