//! ZooKeeper's requests, encoded once, with holes for what changes.

use crate::talk::{DIGITS, VALUE_BYTES, Verb, digits, value};

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const GET_DATA: i32 = 4;
const SET_DATA: i32 = 5;
const SYNC: i32 = 9;
pub(super) const PING: i32 = 11;
const ADD_WATCH: i32 = 106;
pub(super) const CLOSE: i32 = -11;

/// A request with holes for xid, key and value.
pub(super) struct Form {
    pub(super) bytes: Vec<u8>,
    key_at: Option<usize>,
    value_at: Option<usize>,
}

impl Form {
    pub(super) fn new(kind: i32) -> Self {
        let mut bytes = vec![0; 8];
        bytes.extend(kind.to_be_bytes());
        Self {
            bytes,
            key_at: None,
            value_at: None,
        }
    }

    fn int(mut self, number: i32) -> Self {
        self.bytes.extend(number.to_be_bytes());
        self
    }

    fn text(self, text: &str) -> Self {
        let mut form = self.int(text.len() as i32);
        form.bytes.extend(text.as_bytes());
        form
    }

    fn path(self, folder: &str) -> Self {
        let mut form = self.text(&format!("{folder}/{:0DIGITS$}", 0));
        form.key_at = Some(form.bytes.len() - DIGITS);
        form
    }

    fn value(self) -> Self {
        let mut form = self.int(VALUE_BYTES as i32);
        form.value_at = Some(form.bytes.len());
        form.bytes.extend([0; VALUE_BYTES]);
        form
    }

    fn flag(mut self, flag: bool) -> Self {
        self.bytes.push(flag.into());
        self
    }

    /// All may do everything.
    fn open_acl(self) -> Self {
        self.int(1).int(31).text("world").text("anyone")
    }

    pub(super) fn done(mut self) -> Self {
        let length = self.bytes.len() as i32 - 4;
        self.bytes[..4].copy_from_slice(&length.to_be_bytes());
        self
    }

    pub(super) fn write(&self, xid: i32, key: u64, stamp: u64, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(&self.bytes);
        let request = &mut out[start..];
        request[4..8].copy_from_slice(&xid.to_be_bytes());
        if let Some(at) = self.key_at {
            request[at..at + DIGITS].copy_from_slice(&digits(key));
        }
        if let Some(at) = self.value_at {
            request[at..at + VALUE_BYTES].copy_from_slice(&value(key, stamp));
        }
    }
}

/// The requests of one folder.
pub(super) struct Forms {
    look: Form,
    folder: Form,
    create: Form,
    delete: Form,
    set: Form,
    get: Form,
    pub(super) sync: Form,
    watch_once: Form,
    watch_on: Form,
}

impl Forms {
    pub(super) fn of(folder: &str) -> Self {
        let node = |kind| Form::new(kind).path(folder);
        Self {
            look: Form::new(GET_DATA).text("/").flag(false).done(),
            folder: Form::new(CREATE)
                .text(folder)
                .int(-1)
                .open_acl()
                .int(0)
                .done(),
            create: node(CREATE).value().open_acl().int(0).done(),
            delete: node(DELETE).int(-1).done(),
            set: node(SET_DATA).value().int(-1).done(),
            get: node(GET_DATA).flag(false).done(),
            sync: node(SYNC).done(),
            watch_once: node(GET_DATA).flag(true).done(),
            watch_on: node(ADD_WATCH).int(0).done(),
        }
    }

    pub(super) fn of_verb(&self, verb: Verb) -> &Form {
        match verb {
            Verb::Look => &self.look,
            Verb::Folder => &self.folder,
            Verb::Create => &self.create,
            Verb::Set => &self.set,
            Verb::Get | Verb::SyncGet => &self.get,
            Verb::Delete => &self.delete,
            Verb::WatchOnce => &self.watch_once,
            Verb::WatchOn => &self.watch_on,
        }
    }
}
