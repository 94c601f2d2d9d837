//! Who a data directory is: the file `identity`, five lines of text that a
//! person can read, the last a checksum over the others.

use super::errors::OpenError;
use crate::disk::{Disk, How};
use crate::entropy::Entropy;
use crate::ids::Uid;
use crate::wire::crc32c;
use std::io;

pub const NAME: &str = "identity";
const FIRST_LINE: &str = "dolmen data directory";
pub const FORMAT: u32 = 1;
const BYTES_MAX: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The cluster that the node belongs to.
    pub cluster: Uid,
    /// This data directory; stands in every file of it.
    pub home: Uid,
}

impl Identity {
    pub fn draw(entropy: &dyn Entropy) -> io::Result<Self> {
        let (mut cluster, mut home) = (Uid::default(), Uid::default());
        entropy.fill(&mut cluster.0)?;
        entropy.fill(&mut home.0)?;
        Ok(Self { cluster, home })
    }

    pub fn encode(&self) -> String {
        let Self { cluster, home } = self;
        let text = format!("{FIRST_LINE}\nformat {FORMAT}\ncluster {cluster}\nhome {home}\n");
        let crc = crc32c(text.as_bytes());
        format!("{text}crc32c {crc:08x}\n")
    }

    /// The reason, where it is not one of ours.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if text.is_empty() {
            return Err("it is empty".into());
        }
        if lines.next() != Some(FIRST_LINE) {
            return Err(format!("its first line is not \"{FIRST_LINE}\""));
        }
        let mut value = |key: &str| {
            let line = lines.next().unwrap_or_default();
            let found = line
                .strip_prefix(key)
                .and_then(|rest| rest.strip_prefix(' '));
            found
                .map(str::to_string)
                .ok_or(format!("it has no line \"{key}\"; it was cut short"))
        };
        let format = value("format")?;
        if format != FORMAT.to_string() {
            return Err(format!(
                "it has format {format}, and this build reads format {FORMAT}"
            ));
        }
        let (cluster, home, crc) = (value("cluster")?, value("home")?, value("crc32c")?);
        let covered = text.find("crc32c ").unwrap_or(0);
        let computed = format!("{:08x}", crc32c(&text.as_bytes()[..covered]));
        if computed != crc {
            return Err(format!("its checksum is {computed}, {crc} was written"));
        }
        let uid = |text: &str| Uid::parse(text).ok_or(format!("{text} is not 32 digits"));
        Ok(Self {
            cluster: uid(&cluster)?,
            home: uid(&home)?,
        })
    }
}

/// None where there is none.
pub fn read(disk: &dyn Disk) -> Result<Option<Identity>, OpenError> {
    let file = match disk.open(NAME, How::Read) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(OpenError::io("open the identity file"))?,
    };
    let length = file
        .len()
        .map_err(OpenError::io("read the identity file"))?;
    let mut bytes = vec![0; length.min(BYTES_MAX) as usize];
    file.read_exact_at(0, &mut bytes)
        .map_err(OpenError::io("read the identity file"))?;
    let text = String::from_utf8_lossy(&bytes);
    Identity::parse(&text).map(Some).map_err(|reason| {
        OpenError::Identity(format!(
            "the file {NAME} of the data directory cannot be used: {reason}. Nothing was changed; \
             bring the directory back from a backup, or start with an empty one"
        ))
    })
}

/// Written under another name first: it is there whole or not at all.
pub fn write(disk: &dyn Disk, identity: &Identity) -> io::Result<()> {
    let new = "identity.new";
    let _ = disk.remove(new);
    let file = disk.open(new, How::Create)?;
    file.write_all_at(0, identity.encode().as_bytes())?;
    file.sync()?;
    disk.rename(new, NAME)?;
    disk.sync_folder("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_back_and_says_what_is_wrong() {
        let identity = Identity {
            cluster: Uid([0xab; 16]),
            home: Uid([1; 16]),
        };
        let text = identity.encode();
        assert_eq!(Identity::parse(&text), Ok(identity));
        let check = |text: &str, says: &str| {
            let reason = Identity::parse(text).unwrap_err();
            assert!(reason.contains(says), "{reason}");
        };
        check("", "empty");
        check("hello\n", "first line");
        check(
            &text.replace("format 1", "format 7"),
            "format 7, and this build reads format 1",
        );
        check(&text.replace("abab", "abac"), "checksum");
        check(&text[..60], "cut short");
    }
}
