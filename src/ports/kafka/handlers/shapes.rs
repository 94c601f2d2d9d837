//! That every version can say an answer, for tests of handlers.

use crate::ports::kafka::messages::{Api, write_response};

/// Writes what is answered at every version of the API.
pub fn says<A: Api>(answer: impl Fn(i16) -> A::Response) {
    for version in A::VERSIONS {
        let written = write_response::<A>(version, 7, &answer(version));
        if let Err(why) = written {
            panic!("{} {version}: {why:?}", A::NAME);
        }
    }
}
