//! A naive twin of the writer: makes the bytes of a message from its shape
//! alone, with values by chance.

use crate::entropy::Seeded;
use crate::ports::kafka::messages::shape::{Field, Kind, Record};

pub struct Twin<'a> {
    pub chance: &'a mut Seeded,
    pub version: i16,
    pub is_flexible: bool,
    /// Tagged fields that no schema has are strewn in.
    pub with_unknown_tags: bool,
    /// Bytes are now and then long enough to be spliced.
    pub with_long_bytes: bool,
}

impl<'a> Twin<'a> {
    pub fn new(chance: &'a mut Seeded, version: i16, flexible_from: i16) -> Self {
        Self {
            chance,
            version,
            is_flexible: version >= flexible_from,
            with_unknown_tags: false,
            with_long_bytes: true,
        }
    }

    pub fn message(&mut self, record: &Record) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.record(record, &mut bytes);
        bytes
    }

    fn record(&mut self, record: &Record, into: &mut Vec<u8>) {
        for field in record.fields {
            if field.is_plain_in(self.version) {
                self.value(field.kind, field, into);
            }
        }
        if self.is_flexible {
            self.tags(record, into);
        }
    }

    fn tags(&mut self, record: &Record, into: &mut Vec<u8>) {
        let mut tagged: Vec<(u32, Vec<u8>)> = Vec::new();
        for field in record.fields {
            if field.is_tagged_in(self.version) && self.chance.one_in(2) {
                let mut value = Vec::new();
                self.value(field.kind, field, &mut value);
                tagged.push((field.tag.unwrap(), value));
            }
        }
        if self.with_unknown_tags {
            for number in [900, 70_000] {
                let length = self.chance.below(200) as usize;
                tagged.push((number, vec![7; length]));
            }
        }
        unsigned(tagged.len() as u32, into);
        for (number, value) in tagged {
            unsigned(number, into);
            unsigned(value.len() as u32, into);
            into.extend(value);
        }
    }

    fn value(&mut self, kind: Kind, field: &Field, into: &mut Vec<u8>) {
        let any = self.chance.next_u64();
        match kind {
            Kind::Bool => into.push((any & 1) as u8),
            Kind::I8 => into.push(any as u8),
            Kind::I16 | Kind::ErrorCode => into.extend((any as i16 % 200).to_be_bytes()),
            Kind::I32 => into.extend((any as i32).to_be_bytes()),
            Kind::I64 => into.extend(any.to_be_bytes()),
            Kind::F64 => into.extend((any as i32 as f64 / 8.0).to_be_bytes()),
            Kind::Uuid => into.extend(u128::from(any).wrapping_pow(3).to_be_bytes()),
            Kind::Text => {
                let letters = "aé漢_-.".chars().cycle().skip(any as usize % 6);
                let text: String = letters.take((any >> 32) as usize % 12).collect();
                self.text_length(Some(text.len()), into);
                into.extend(text.as_bytes());
            }
            Kind::Bytes | Kind::Hidden | Kind::Records => {
                let is_long = self.with_long_bytes && self.chance.one_in(50);
                let length = (any >> 8) as usize % if is_long { 9000 } else { 40 };
                self.count(Some(length), into);
                into.extend((0..length).map(|n| n as u8));
            }
            Kind::List(of) => {
                let count = any as usize % 4;
                self.count(Some(count), into);
                (0..count).for_each(|_| self.value(*of, field, into));
            }
            Kind::Record(record) => self.record(record, into),
            Kind::Optional(of) => {
                let is_null = field.may_be_null_in(self.version) && self.chance.one_in(4);
                match (of, is_null) {
                    (Kind::Record(_), true) => into.push(0xff),
                    (Kind::Text, true) => self.text_length(None, into),
                    (_, true) => self.count(None, into),
                    (Kind::Record(_), false) => {
                        into.push(1);
                        self.value(*of, field, into);
                    }
                    (_, false) => self.value(*of, field, into),
                }
            }
        }
    }

    fn count(&self, count: Option<usize>, into: &mut Vec<u8>) {
        match (self.is_flexible, count) {
            (true, count) => unsigned(count.map_or(0, |count| count as u32 + 1), into),
            (false, Some(count)) => into.extend((count as u32).to_be_bytes()),
            (false, None) => into.extend((-1i32).to_be_bytes()),
        }
    }

    fn text_length(&self, length: Option<usize>, into: &mut Vec<u8>) {
        match (self.is_flexible, length) {
            (true, length) => self.count(length, into),
            (false, Some(length)) => into.extend((length as u16).to_be_bytes()),
            (false, None) => into.extend((-1i16).to_be_bytes()),
        }
    }
}

pub fn unsigned(mut number: u32, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}
