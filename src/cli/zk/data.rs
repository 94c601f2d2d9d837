//! Data as people give it: as it stands, `-` for standard input, `@FILE` for a
//! file's content.

use super::super::Failure;
use crate::limits::RECORD_BYTES_MAX;
use crate::state::Data;
use std::fs::File;
use std::io::{self, Read};

/// A text that begins with `@` is written `@@...`, so that every data can be
/// given.
pub fn read(given: &str) -> Result<Data, Failure> {
    match (given, given.strip_prefix('@')) {
        ("-", _) => taken(io::stdin().lock()).map_err(|says| Failure::failed(format!("-: {says}"))),
        (_, Some(text)) if text.starts_with('@') => Ok(text.as_bytes().into()),
        (_, Some(path)) => {
            let file = File::open(path).map_err(|error| error.to_string());
            let data = file.and_then(taken);
            data.map_err(|says| Failure::failed(format!("{path}: {says}; write @@ for an @")))
        }
        (text, None) => Ok(text.as_bytes().into()),
    }
}

fn taken(source: impl Read) -> Result<Data, String> {
    let mut bytes = Vec::new();
    let mut source = source.take(RECORD_BYTES_MAX as u64 + 1);
    let read = source.read_to_end(&mut bytes);
    read.map_err(|error| error.to_string())?;
    match bytes.len() > RECORD_BYTES_MAX {
        true => Err(format!("more than {RECORD_BYTES_MAX} bytes fit no znode")),
        false => Ok(bytes.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_comes_as_text_or_from_a_file() {
        assert_eq!(&*read("a=1").unwrap(), b"a=1");
        assert_eq!(&*read("").unwrap(), b"");
        assert_eq!(&*read("@@home").unwrap(), b"@home");
        let own = std::env::temp_dir().join(format!("dolmen-zk-data-{}", std::process::id()));
        std::fs::write(&own, [0, 255]).unwrap();
        assert_eq!(&*read(&format!("@{}", own.display())).unwrap(), [0, 255]);
        std::fs::remove_file(&own).unwrap();
        let gone = read(&format!("@{}", own.display())).unwrap_err();
        assert_eq!(gone.status, 1);
    }
}
