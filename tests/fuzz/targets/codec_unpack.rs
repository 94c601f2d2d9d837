//! Packed bytes of each codec, unpacked a piece at a time: the first byte chooses
//! the codec and the bound. Whatever the bytes claim, what is held at once is one
//! piece, no more comes out than was allowed, and all at once gives the same.
#![no_main]

use dolmen::streams::batch::codec::{Broken, Codec, Unpacker, Unpacking, pack, unpack};
use dolmen_fuzz::{BYTES_PER_INPUT_BYTE, judge_at};
use libfuzzer_sys::fuzz_target;

const MOST: [usize; 2] = [4096, 1 << 18];

fuzz_target!(|input: &[u8]| {
    let Some((&choice, packed)) = input.split_first() else {
        return;
    };
    let codec = Codec::ALL[usize::from(choice) % Codec::ALL.len()];
    let most = MOST[usize::from(choice >> 7)];
    let mut out = Ok(0);
    judge_at(price(codec), input, |_| {
        out = in_pieces(codec, packed, most)
    });
    all_at_once(codec, packed, most, out);
});

/// A block is unpacked whole, and its bytes may stand for so many each: a match
/// of LZ4 for 255, a copy of snappy for 22. The others come in pieces.
fn price(codec: Codec) -> usize {
    match codec {
        Codec::Lz4 => 255 + BYTES_PER_INPUT_BYTE,
        Codec::Snappy => 22 + BYTES_PER_INPUT_BYTE,
        Codec::None | Codec::Gzip | Codec::Zstd => BYTES_PER_INPUT_BYTE,
    }
}

/// How much came out.
fn in_pieces(codec: Codec, packed: &[u8], most: usize) -> Result<usize, Broken> {
    let mut unpacker = Unpacker::default();
    let mut unpacking = Unpacking::new(codec, packed, most, &mut unpacker)?;
    let (mut piece, mut total) = (Vec::new(), 0);
    while unpacking.more(&mut piece)? {
        assert!(!piece.is_empty(), "more is one byte at least");
        total += piece.len();
        assert!(total <= most, "{total} bytes of {most}");
        piece.clear();
    }
    Ok(total)
}

/// Memory is not judged here: it is what came out that is held. What came out
/// packs and unpacks again.
fn all_at_once(codec: Codec, packed: &[u8], most: usize, expected: Result<usize, Broken>) {
    let mut unpacker = Unpacker::default();
    let plain = unpack(codec, packed, most, &mut unpacker);
    assert_eq!(plain.as_ref().map(Vec::len), expected.as_ref().copied());
    if let Ok(plain) = plain {
        let again = unpack(codec, &pack(codec, &plain), most, &mut unpacker);
        assert_eq!(again, Ok(plain), "{codec}");
    }
}
