//! Errors of the machine with what they happened to.

use std::{fmt, io};

/// The machine's error under a sentence of ours.
#[derive(Debug)]
struct Named {
    what: String,
    error: io::Error,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.error)
    }
}

impl std::error::Error for Named {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}

/// Says what an error happened to ("write journal/17"). The kind stays, since
/// callers tell a full disk from a broken one by it.
pub(super) fn named(what: impl Into<String>, error: io::Error) -> io::Error {
    let what = what.into();
    io::Error::new(error.kind(), Named { what, error })
}

/// The machine's code of an error, named or not.
pub fn os_code(error: &io::Error) -> Option<i32> {
    let inner = || error.get_ref()?.downcast_ref::<Named>();
    error
        .raw_os_error()
        .or_else(|| inner().and_then(|named| os_code(&named.error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_error_keeps_its_kind_and_code() {
        let full = named("write a", io::Error::from_raw_os_error(libc::ENOSPC));
        let twice = named("append to b", full);
        assert_eq!(twice.kind(), io::ErrorKind::StorageFull);
        assert_eq!(os_code(&twice), Some(libc::ENOSPC));
        assert!(
            twice
                .to_string()
                .starts_with("append to b: write a: No space")
        );
        assert_eq!(os_code(&io::ErrorKind::WriteZero.into()), None);
    }
}
