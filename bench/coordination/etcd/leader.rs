//! Whether a node leads, asked on a connection of its own.

use super::first_message;
use super::forms::{AUTHORITY, CONTENT_TYPE, Form, METHOD_POST, PATH, SCHEME_HTTP};
use super::http2::{self, Field};
use super::protobuf::{Fields, Value};
use super::refuse;
use crate::failure::Failure;
use std::io::{Read, Write};
use std::net::TcpStream;

/// Whether the node leads its cluster, by the Status of Maintenance.
pub fn leads(stream: &mut TcpStream) -> Result<bool, Failure> {
    let address = stream.peer_addr()?.to_string();
    let block = http2::header_block(&[
        Field::Indexed(METHOD_POST),
        Field::Indexed(SCHEME_HTTP),
        Field::Plain(PATH, "/etcdserverpb.Maintenance/Status"),
        Field::Plain(AUTHORITY, &address),
        Field::Kept(CONTENT_TYPE, "application/grpc"),
        Field::KeptNew("te", "trailers"),
    ]);
    let mut hello = http2::PREFACE.to_vec();
    http2::write_settings(&[(http2::SETTING_HEADER_TABLE_SIZE, 0)], &mut hello);
    Form::new(&block, &[], false).write(1, 0, 0, &mut hello);
    stream.write_all(&hello)?;
    let mut bytes = Vec::new();
    let mut body = Vec::new();
    loop {
        let mut part = [0; 4096];
        match stream.read(&mut part)? {
            0 => return Err(Failure::Lost("closed before it told its status".into())),
            count => bytes.extend_from_slice(&part[..count]),
        }
        let mut taken = 0;
        while let Some(frame) = http2::frame(&bytes[taken..])? {
            taken += http2::FRAME_HEADER_BYTES + frame.body.len();
            match frame.kind {
                http2::DATA => body.extend_from_slice(frame.body),
                http2::HEADERS if frame.flags & http2::END_STREAM != 0 => {
                    return leads_by(&body);
                }
                _ => {}
            }
        }
        bytes.drain(..taken);
    }
}

fn leads_by(body: &[u8]) -> Result<bool, Failure> {
    let Some((message, [])) = first_message(body)? else {
        return refuse("no status".into());
    };
    let (mut member, mut leader) = (0, 0);
    let mut fields = Fields(message);
    while let Some(field) = fields.take()? {
        match field {
            (1, Value::Bytes(header)) => {
                let mut header = Fields(header);
                while let Some(field) = header.take()? {
                    if let (2, Value::Number(id)) = field {
                        member = id;
                    }
                }
            }
            (4, Value::Number(id)) => leader = id,
            _ => {}
        }
    }
    Ok(leader != 0 && leader == member)
}
