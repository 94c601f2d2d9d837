//! Several operations in one request: a header before each, and one that
//! closes the row.

use super::code;
use super::jute::{Jute, Unread, record};
use super::records::{
    AtVersion, Children, CreateRequest, CreateTtlRequest, Created, CreatedWithStat, DataWithStat,
    ErrorCode, OfStat, SetDataRequest, Watched,
};
use crate::wire::Cursor;

record! {
    Header { operation: i32, is_last: bool, error: i32 }
}

/// Closes a row, and in a row of results stands before an error.
const NONE: i32 = -1;

const LAST: Header = Header {
    operation: NONE,
    is_last: true,
    error: -1,
};

/// One operation of a multi.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Create(CreateRequest),
    Create2(CreateRequest),
    CreateContainer(CreateRequest),
    CreateTtl(CreateTtlRequest),
    Delete(AtVersion),
    SetData(SetDataRequest),
    Check(AtVersion),
}

/// One operation of a multiRead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartRead {
    Children(Watched),
    Data(Watched),
    /// A write that reads well and has no place here.
    Write(Part),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Multi {
    pub parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiRead {
    pub parts: Vec<PartRead>,
}

/// What came of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PartResult {
    Created(Created),
    CreatedWithStat(CreatedWithStat),
    Deleted,
    Set(OfStat),
    Checked,
    Children(Children),
    Data(DataWithStat),
    /// Of a multi that failed every operation has one: 0 before the one that
    /// failed, RuntimeInconsistency behind it.
    Error(i32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiResults {
    pub results: Vec<PartResult>,
}

/// Reads headers and what follows each until the last.
fn read_row<T>(
    from: &mut Cursor<'_>,
    read: impl Fn(i32, &mut Cursor<'_>) -> Result<T, Unread>,
) -> Result<Vec<T>, Unread> {
    // Nothing is allocated ahead: every item has taken its bytes.
    let mut row = Vec::new();
    loop {
        let header = Header::read(from)?;
        if header.is_last {
            return Ok(row);
        }
        row.push(read(header.operation, from)?);
    }
}

fn write_part(operation: i32, body: &impl Jute, into: &mut Vec<u8>) {
    Header {
        operation,
        is_last: false,
        error: -1,
    }
    .write(into);
    body.write(into);
}

impl Jute for Multi {
    const BYTES_MIN: usize = Header::BYTES_MIN;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        let parts = read_row(from, Part::read)?;
        Ok(Self { parts })
    }

    fn write(&self, into: &mut Vec<u8>) {
        self.parts.iter().for_each(|part| part.write(into));
        LAST.write(into);
    }
}

impl Part {
    /// What stands behind its header.
    fn read(operation: i32, from: &mut Cursor<'_>) -> Result<Self, Unread> {
        Ok(match operation {
            code::CREATE => Part::Create(Jute::read(from)?),
            code::CREATE2 => Part::Create2(Jute::read(from)?),
            code::CREATE_CONTAINER => Part::CreateContainer(Jute::read(from)?),
            code::CREATE_TTL => Part::CreateTtl(Jute::read(from)?),
            code::DELETE => Part::Delete(Jute::read(from)?),
            code::SET_DATA => Part::SetData(Jute::read(from)?),
            code::CHECK => Part::Check(Jute::read(from)?),
            other => return Err(Unread::Operation(other)),
        })
    }

    /// With the header before it.
    fn write(&self, into: &mut Vec<u8>) {
        match self {
            Part::Create(create) => write_part(code::CREATE, create, into),
            Part::Create2(create) => write_part(code::CREATE2, create, into),
            Part::CreateContainer(create) => write_part(code::CREATE_CONTAINER, create, into),
            Part::CreateTtl(create) => write_part(code::CREATE_TTL, create, into),
            Part::Delete(delete) => write_part(code::DELETE, delete, into),
            Part::SetData(set) => write_part(code::SET_DATA, set, into),
            Part::Check(check) => write_part(code::CHECK, check, into),
        }
    }
}

impl Jute for MultiRead {
    const BYTES_MIN: usize = Header::BYTES_MIN;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        let parts = read_row(from, |operation, from| {
            Ok(match operation {
                code::GET_CHILDREN => PartRead::Children(Jute::read(from)?),
                code::GET_DATA => PartRead::Data(Jute::read(from)?),
                other => PartRead::Write(Part::read(other, from)?),
            })
        })?;
        Ok(Self { parts })
    }

    fn write(&self, into: &mut Vec<u8>) {
        for part in &self.parts {
            match part {
                PartRead::Children(read) => write_part(code::GET_CHILDREN, read, into),
                PartRead::Data(read) => write_part(code::GET_DATA, read, into),
                PartRead::Write(part) => part.write(into),
            }
        }
        LAST.write(into);
    }
}

impl Jute for MultiResults {
    const BYTES_MIN: usize = Header::BYTES_MIN;

    fn read(from: &mut Cursor<'_>) -> Result<Self, Unread> {
        let results = read_row(from, |operation, from| {
            Ok(match operation {
                code::CREATE => PartResult::Created(Jute::read(from)?),
                code::CREATE2 => PartResult::CreatedWithStat(Jute::read(from)?),
                code::DELETE => PartResult::Deleted,
                code::SET_DATA => PartResult::Set(Jute::read(from)?),
                code::CHECK => PartResult::Checked,
                code::GET_CHILDREN => PartResult::Children(Jute::read(from)?),
                code::GET_DATA => PartResult::Data(Jute::read(from)?),
                NONE => PartResult::Error(ErrorCode::read(from)?.code),
                other => return Err(Unread::Operation(other)),
            })
        })?;
        Ok(Self { results })
    }

    fn write(&self, into: &mut Vec<u8>) {
        self.results.iter().for_each(|result| result.write(into));
        LAST.write(into);
    }
}

impl PartResult {
    /// With the header before it.
    fn write(&self, into: &mut Vec<u8>) {
        let (operation, error) = match self {
            PartResult::Created(_) => (code::CREATE, 0),
            // The container and the TTL node answer under create2's number.
            PartResult::CreatedWithStat(_) => (code::CREATE2, 0),
            PartResult::Deleted => (code::DELETE, 0),
            PartResult::Set(_) => (code::SET_DATA, 0),
            PartResult::Checked => (code::CHECK, 0),
            PartResult::Children(_) => (code::GET_CHILDREN, 0),
            PartResult::Data(_) => (code::GET_DATA, 0),
            PartResult::Error(error) => (NONE, *error),
        };
        Header {
            operation,
            is_last: false,
            error,
        }
        .write(into);
        match self {
            PartResult::Created(created) => created.write(into),
            PartResult::CreatedWithStat(created) => created.write(into),
            PartResult::Deleted | PartResult::Checked => {}
            PartResult::Set(set) => set.write(into),
            PartResult::Children(children) => children.write(into),
            PartResult::Data(data) => data.write(into),
            PartResult::Error(code) => code.write(into),
        }
    }
}
