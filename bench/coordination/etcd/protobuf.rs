//! Protobuf's wire form, as far as etcd's messages use it.

use crate::failure::Failure;

#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

/// The fields of a message, in their order.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self) -> Result<Option<(u32, Value<'a>)>, Failure> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let tag = self.number()?;
        let value = match tag & 7 {
            0 => Value::Number(self.number()?),
            2 => {
                let length = usize::try_from(self.number()?).unwrap_or(usize::MAX);
                let (bytes, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
                self.0 = rest;
                Value::Bytes(bytes)
            }
            kind => return Err(Failure::Answered(format!("a field of wire type {kind}"))),
        };
        Ok(Some(((tag >> 3) as u32, value)))
    }

    fn number(&mut self) -> Result<u64, Failure> {
        let mut value = 0;
        for shift in (0..70).step_by(7) {
            let (first, rest) = self.0.split_first().ok_or_else(short)?;
            self.0 = rest;
            value |= u64::from(first & 0x7f).checked_shl(shift).unwrap_or(0);
            if first & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Failure::Answered("a number of more than ten bytes".into()))
    }
}

fn short() -> Failure {
    Failure::Answered("a message that ends within a field".into())
}

/// A bytes field whose message stays under 128 bytes, or whose length takes
/// two bytes of seven bits.
pub fn write_bytes(field: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(field << 3 | 2);
    match bytes.len() {
        length @ 0..128 => out.push(length as u8),
        length @ 128..16_384 => out.extend([length as u8 | 0x80, (length >> 7) as u8]),
        length => panic!("a request of {length} bytes"),
    }
    out.extend_from_slice(bytes);
}

pub fn write_flag(field: u8, out: &mut Vec<u8>) {
    out.extend([field << 3, 1]);
}
