//! `wire::Cursor` against plain indexing: the input is a script, then the
//! bytes it reads. What the cursor gives must be what stands there, and a
//! short read must take nothing.
#![no_main]

use dolmen::wire::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| dolmen_fuzz::judge(input, run));

fn run(input: &[u8]) {
    let Some((&steps, rest)) = input.split_first() else {
        return;
    };
    let (script, bytes) = rest.split_at(rest.len().min(usize::from(steps)));
    let mut cursor = Cursor::new(bytes);
    let mut at = 0;
    for &step in script {
        let wanted = match step % 6 {
            0 => 1,
            1 => 2,
            2 => 4,
            3 => 8,
            4 => 16,
            _ => usize::from(step),
        };
        let read = match step % 6 {
            0 => cursor.u8().map(|n| n.to_le_bytes().to_vec()),
            1 => cursor.u16().map(|n| n.to_le_bytes().to_vec()),
            2 => cursor.u32().map(|n| n.to_le_bytes().to_vec()),
            3 => cursor.u64().map(|n| n.to_le_bytes().to_vec()),
            4 => cursor.bytes16().map(|n| n.to_vec()),
            _ => cursor.take(wanted).map(<[u8]>::to_vec),
        };
        match read {
            Ok(read) => {
                assert_eq!(read, bytes[at..at + wanted]);
                at += wanted;
            }
            Err(short) => {
                assert!(at + wanted > bytes.len());
                assert_eq!((short.wanted, short.left), (wanted, bytes.len() - at));
            }
        }
        assert_eq!(cursor.left(), bytes.len() - at);
    }
}
