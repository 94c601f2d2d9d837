//! etcd's requests, encoded once, with holes for what changes.

use super::http2::{self, Field};
use super::protobuf::{write_bytes, write_flag};
use crate::talk::{DIGITS, VALUE_BYTES, Verb, digits, value};

/// A HEADERS frame and a DATA frame with holes for stream, key and value.
pub(super) struct Form {
    bytes: Vec<u8>,
    data_at: usize,
    key_at: Option<usize>,
    value_at: Option<usize>,
}

impl Form {
    pub(super) fn new(block: &[u8], message: &[u8], goes_on: bool) -> Self {
        let mut bytes = Vec::new();
        http2::write_frame(http2::HEADERS, http2::END_HEADERS, 0, block, &mut bytes);
        let data_at = bytes.len();
        let mut body = vec![0];
        body.extend((message.len() as u32).to_be_bytes());
        body.extend(message);
        let flags = if goes_on { 0 } else { http2::END_STREAM };
        http2::write_frame(http2::DATA, flags, 0, &body, &mut bytes);
        let find = |mark: &[u8]| bytes.windows(mark.len()).position(|part| part == mark);
        Self {
            data_at,
            key_at: find(&KEY_HOLE),
            value_at: find(&VALUE_HOLE),
            bytes,
        }
    }

    pub(super) fn window_bytes(&self) -> i64 {
        (self.bytes.len() - self.data_at - http2::FRAME_HEADER_BYTES) as i64
    }

    pub(super) fn write(&self, stream: u32, key: u64, stamp: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let request = &mut out[start..];
        for at in [5, self.data_at + 5] {
            request[at..at + 4].copy_from_slice(&stream.to_be_bytes());
        }
        if let Some(at) = self.key_at {
            request[at..at + DIGITS].copy_from_slice(&digits(key));
        }
        if let Some(at) = self.value_at {
            request[at..at + VALUE_BYTES].copy_from_slice(&value(key, stamp));
        }
    }
}

const KEY_HOLE: [u8; DIGITS] = [0xff; DIGITS];
const VALUE_HOLE: [u8; VALUE_BYTES] = [0xfe; VALUE_BYTES];

/// Places in the static table of header fields.
pub(super) const METHOD_POST: u8 = 3;
pub(super) const PATH: u8 = 4;
pub(super) const SCHEME_HTTP: u8 = 6;

/// The dynamic table after both greetings, newest first: the path of Put, te,
/// content-type, authority, the path of Range.
const KEPT_PUT: u8 = 62;
const KEPT_TE: u8 = 63;
const KEPT_CONTENT_TYPE: u8 = 64;
const KEPT_AUTHORITY: u8 = 65;
const KEPT_RANGE: u8 = 66;

pub(super) const AUTHORITY: u8 = 1;
pub(super) const CONTENT_TYPE: u8 = 31;

pub(super) fn block(path: Field) -> Vec<u8> {
    http2::header_block(&[
        Field::Indexed(METHOD_POST),
        Field::Indexed(SCHEME_HTTP),
        path,
        Field::Indexed(KEPT_AUTHORITY),
        Field::Indexed(KEPT_CONTENT_TYPE),
        Field::Indexed(KEPT_TE),
    ])
}

pub(super) struct Forms {
    look: Form,
    set: Form,
    get: Form,
    sync_get: Form,
    delete: Form,
    watch: Form,
}

impl Forms {
    pub(super) fn of(folder: &str) -> Self {
        let mut key = format!("{folder}/").into_bytes();
        key.extend(KEY_HOLE);
        let message = |write: &dyn Fn(&mut Vec<u8>)| {
            let mut message = Vec::new();
            write_bytes(1, &key, &mut message);
            write(&mut message);
            message
        };
        let range = || block(Field::Indexed(KEPT_RANGE));
        let other = |path| block(Field::Plain(PATH, path));
        let plain = message(&|_| ());
        let put = message(&|message| write_bytes(2, &VALUE_HOLE, message));
        let serializable = message(&|message| write_flag(7, message));
        let mut look = Vec::new();
        write_bytes(1, b"nobody has written this", &mut look);
        let mut watch = Vec::new();
        write_bytes(1, &plain, &mut watch);
        Self {
            look: Form::new(&range(), &look, false),
            set: Form::new(&block(Field::Indexed(KEPT_PUT)), &put, false),
            get: Form::new(&range(), &serializable, false),
            sync_get: Form::new(&range(), &plain, false),
            delete: Form::new(&other("/etcdserverpb.KV/DeleteRange"), &plain, false),
            watch: Form::new(&other("/etcdserverpb.Watch/Watch"), &watch, true),
        }
    }

    pub(super) fn of_verb(&self, verb: Verb) -> &Form {
        match verb {
            // There are no parents: what would make one reads.
            Verb::Look | Verb::Folder => &self.look,
            Verb::Create | Verb::Set => &self.set,
            Verb::Get => &self.get,
            Verb::SyncGet => &self.sync_get,
            Verb::Delete => &self.delete,
            Verb::WatchOnce | Verb::WatchOn => &self.watch,
        }
    }
}
