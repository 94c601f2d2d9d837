//! A connection that waits for its answers: for topics and what they hold.

use super::failure::Failure;
use bytes::{Buf, Bytes};
use dolmen::ports::kafka::messages::{Api, read_response, write_request};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use dolmen::ports::kafka::messages::api_versions::{ApiVersions, ApiVersionsRequest};

/// A topic of a thousand partitions was two seconds on a busy machine.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

pub struct Line {
    stream: TcpStream,
    asked: i32,
    offered: Versions,
}

/// The newest version of each API that the broker offers.
#[derive(Clone, Default)]
pub struct Versions(BTreeMap<i16, (i16, i16)>);

impl Versions {
    /// The newest that both know, where `newest` is what is spoken here.
    pub fn of<A: Api>(&self, newest: i16) -> Result<i16, Failure> {
        let offered = self.0.get(&A::KEY).copied();
        let (least, most) = offered.unwrap_or((i16::MAX, i16::MIN));
        let chosen = newest.min(most);
        match chosen >= least {
            true => Ok(chosen),
            false => {
                let name = A::NAME;
                let why = format!("the broker offers {name} {offered:?}, wanted {newest}");
                Err(Failure::Answered(why))
            }
        }
    }
}

impl Line {
    pub fn open(address: SocketAddr, within: Duration) -> Result<Self, Failure> {
        let lost = |error: std::io::Error| Failure::Lost(format!("{address}: {error}"));
        let stream = TcpStream::connect_timeout(&address, within).map_err(lost)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WITHIN))?;
        stream.set_write_timeout(Some(ANSWER_WITHIN))?;
        let mut line = Self {
            stream,
            asked: 0,
            offered: Versions::default(),
        };
        let offer = line.ask::<ApiVersions>(0, &ApiVersionsRequest::default())?;
        let each = offer.api_keys.iter();
        let each = each.map(|one| (one.api_key, (one.min_version, one.max_version)));
        line.offered = Versions(each.collect());
        Ok(line)
    }

    pub fn versions(&self) -> &Versions {
        &self.offered
    }

    /// In the newest version that both know.
    pub fn call<A: Api>(
        &mut self,
        newest: i16,
        request: &A::Request,
    ) -> Result<A::Response, Failure> {
        let version = self.offered.of::<A>(newest)?;
        self.ask::<A>(version, request)
    }

    fn ask<A: Api>(&mut self, version: i16, request: &A::Request) -> Result<A::Response, Failure> {
        self.asked += 1;
        let wrong = |why: String| Failure::Answered(format!("{} {version}: {why}", A::NAME));
        let said = write_request::<A>(version, self.asked, Some("bench".into()), request);
        let mut said = said.map_err(|error| wrong(error.to_string()))?;
        let said = said.copy_to_bytes(said.remaining());
        self.stream.write_all(&said)?;
        let mut length = [0; 4];
        self.stream.read_exact(&mut length)?;
        let length = u32::from_be_bytes(length);
        let mut frame = Vec::new();
        Read::by_ref(&mut self.stream)
            .take(length.into())
            .read_to_end(&mut frame)?;
        let (answered, response) = read_response::<A>(version, Bytes::from(frame))
            .map_err(|error| wrong(error.to_string()))?;
        match answered == self.asked {
            true => Ok(response),
            false => Err(wrong(format!(
                "answer {answered} to question {}",
                self.asked
            ))),
        }
    }
}
