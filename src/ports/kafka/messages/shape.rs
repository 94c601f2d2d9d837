//! What a message looks like, as data: its records, their fields, and in which
//! versions a field is there. The macros in `declare` make it from the same
//! line that they make the code from, so that tests and documentation read what
//! the code does.

use std::fmt;

/// Several fields that stand together.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    pub name: &'static str,
    pub fields: &'static [Field],
}

/// One field of a record, and the rules of its versions.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Whose field it is.
    pub record: &'static str,
    pub name: &'static str,
    pub kind: Kind,
    /// The first and the last version that has it; open ends are those of the
    /// record.
    pub since: i16,
    pub until: i16,
    /// The first version that may say null, where the kind has a null.
    pub null_since: i16,
    /// It stands in the record's tagged section, under this number, and only
    /// where its value is not the default.
    pub tag: Option<u32>,
    /// A version that does not have it drops its value in silence.
    pub is_ignorable: bool,
}

/// What stands in a field.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    F64,
    Uuid,
    ErrorCode,
    Text,
    Bytes,
    /// Bytes that are not shown.
    Hidden,
    Records,
    List(&'static Kind),
    Record(&'static Record),
    /// Any of the others, or null.
    Optional(&'static Kind),
}

impl Field {
    /// A field of every version.
    pub const fn new(record: &'static str, name: &'static str, kind: Kind) -> Self {
        Self {
            record,
            name,
            kind,
            since: i16::MIN,
            until: i16::MAX,
            null_since: i16::MIN,
            tag: None,
            is_ignorable: false,
        }
    }

    pub const fn since(mut self, version: i16) -> Self {
        self.since = version;
        self
    }

    pub const fn until(mut self, version: i16) -> Self {
        self.until = version;
        self
    }

    pub const fn null_since(mut self, version: i16) -> Self {
        self.null_since = version;
        self
    }

    pub const fn tag(mut self, number: u32) -> Self {
        self.tag = Some(number);
        self
    }

    pub const fn ignorable(mut self) -> Self {
        self.is_ignorable = true;
        self
    }

    #[inline(always)]
    pub const fn is_in(&self, version: i16) -> bool {
        self.since <= version && version <= self.until
    }

    /// Whether it stands among the fields that follow each other.
    #[inline(always)]
    pub const fn is_plain_in(&self, version: i16) -> bool {
        self.tag.is_none() && self.is_in(version)
    }

    /// Whether it stands in the tagged section.
    #[inline(always)]
    pub const fn is_tagged_in(&self, version: i16) -> bool {
        self.tag.is_some() && self.is_in(version)
    }

    #[inline(always)]
    pub const fn may_be_null_in(&self, version: i16) -> bool {
        self.null_since <= version
    }
}

/// A field is known by its name: the rest follows from it.
impl PartialEq for Field {
    fn eq(&self, other: &Self) -> bool {
        (self.record, self.name) == (other.record, other.name)
    }
}

impl Eq for Field {}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.record, self.name)
    }
}

/// Whether a record has tagged fields of its own. They are written in the order
/// in which they are declared, and must go up.
pub(super) const fn has_tags(fields: &[Field]) -> bool {
    let mut last = None;
    let mut at = 0;
    while at < fields.len() {
        if let (Some(last), Some(tag)) = (last, fields[at].tag) {
            assert!(last < tag, "tags go up from field to field");
        }
        if fields[at].tag.is_some() {
            last = fields[at].tag;
        }
        at += 1;
    }
    last.is_some()
}
