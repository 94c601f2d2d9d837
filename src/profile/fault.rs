//! What is wrong with a setting, and where.

use std::fmt;

/// A place in a text. Both count from 1; a column counts characters, as
/// editors do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A setting that is refused. Prints as `file:line:column: message`, the form
/// that editors and build logs can jump to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// A file, or what stands in for one: `DOLMEN_LOG_ENGINE`, `--set`.
    pub source: String,
    /// None where the fault is the file itself, or has no lines.
    pub place: Option<Place>,
    pub message: String,
}

impl Fault {
    pub fn at(source: &str, place: Place, message: String) -> Self {
        Self {
            source: source.into(),
            place: Some(place),
            message,
        }
    }

    pub fn of(source: &str, message: String) -> Self {
        Self {
            source: source.into(),
            place: None,
            message,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(place) => write!(f, "{}:{place}: {}", self.source, self.message),
            None => write!(f, "{}: {}", self.source, self.message),
        }
    }
}

impl std::error::Error for Fault {}
