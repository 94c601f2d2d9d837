//! The rows of a multi, a multiRead and their results: what reads is written
//! and reads again as the same.
#![no_main]

use dolmen::ports::zookeeper::codec::{Jute, Multi, MultiRead, MultiResults};
use dolmen::wire::Cursor;
use dolmen_fuzz::judge;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    judge(input, round_trip::<Multi>);
    judge(input, round_trip::<MultiRead>);
    judge(input, round_trip::<MultiResults>);
});

fn round_trip<T: Jute + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    let Ok(row) = T::read(&mut Cursor::new(bytes)) else {
        return;
    };
    let mut again = Vec::new();
    row.write(&mut again);
    let from = &mut Cursor::new(&again);
    assert_eq!(T::read(from).as_ref(), Ok(&row));
    assert_eq!(from.left(), 0);
}
