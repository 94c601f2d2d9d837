use super::*;
use crate::entropy::Seeded;

fn unpack(codec: Codec, packed: &[u8], most: usize) -> Result<Vec<u8>, Broken> {
    super::unpack(codec, packed, most, &mut Unpacker::default())
}

/// Words that repeat, with noise between.
fn text(chance: &mut Seeded, bytes: usize) -> Vec<u8> {
    let mut out = Vec::new();
    while out.len() < bytes {
        match chance.below(8) {
            0 => out.extend_from_slice(&chance.next_u64().to_le_bytes()),
            _ => out.extend_from_slice(b"sensor=boiler-7 state=nominal "),
        }
    }
    out.truncate(bytes);
    out
}

#[test]
fn what_is_packed_comes_out_again() {
    let mut chance = Seeded::new(1);
    for codec in Codec::ALL {
        for bytes in [0, 1, 13, 1000, 65_535, 65_536, 65_537, 700_001] {
            let plain = text(&mut chance, bytes);
            let packed = pack(codec, &plain);
            assert_eq!(unpack(codec, &packed, bytes), Ok(plain), "{codec} {bytes}");
        }
    }
}

#[test]
fn a_byte_over_the_bound_is_too_large() {
    let plain = vec![0; 100_000];
    for codec in Codec::ALL {
        let packed = pack(codec, &plain);
        assert!(unpack(codec, &packed, 100_000).is_ok(), "{codec}");
        let most = 99_999;
        let unpacked = unpack(codec, &packed, most);
        assert_eq!(unpacked, Err(Broken::TooLarge { most }), "{codec}");
    }
}

#[test]
fn no_more_is_held_than_the_bound_and_a_piece() {
    let plain = vec![0; 32 << 20];
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = pack(codec, &plain);
        let mut unpacker = Unpacker::default();
        let mut unpacking = Unpacking::new(codec, &packed, 1 << 20, &mut unpacker).unwrap();
        let mut held = Vec::new();
        let broken = loop {
            match unpacking.more(&mut held) {
                Ok(is_more) => assert!(is_more, "{codec}"),
                Err(broken) => break broken,
            }
        };
        assert_eq!(broken, Broken::TooLarge { most: 1 << 20 }, "{codec}");
        assert!(held.capacity() <= 4 << 20, "{codec}: {}", held.capacity());
    }
}

#[test]
fn a_cut_is_always_seen() {
    let plain = text(&mut Seeded::new(2), 70_000);
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd] {
        let packed = pack(codec, &plain);
        let mut raw = snap::raw::Encoder::new();
        let raw = raw.compress_vec(&plain).unwrap();
        let forms = match codec {
            Codec::Snappy => vec![packed, raw],
            _ => vec![packed],
        };
        for packed in forms {
            for length in (0..packed.len()).rev().step_by(7).chain(0..40) {
                match unpack(codec, &packed[..length], usize::MAX) {
                    Err(Broken::Corrupt { .. }) => (),
                    // Java's stream has no end: a cut between two blocks shows
                    // in the count of the records.
                    Ok(short) if codec == Codec::Snappy => assert!(plain.starts_with(&short)),
                    other => panic!("{codec}, {length} of {}: {other:?}", packed.len()),
                }
            }
        }
    }
}

#[test]
fn what_follows_the_end_is_refused() {
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let packed = [&pack(codec, b"plain")[..], b"tail"].concat();
        let unpacked = unpack(codec, &packed, 1000);
        assert!(matches!(unpacked, Err(Broken::Corrupt { .. })), "{codec}");
    }
}

#[test]
fn what_javas_readers_join_is_joined() {
    for codec in [Codec::Gzip, Codec::Snappy, Codec::Zstd] {
        let two = [pack(codec, b"first "), pack(codec, b"second")].concat();
        let joined = unpack(codec, &two, 1000);
        assert_eq!(joined, Ok(b"first second".to_vec()), "{codec}");
    }
}

#[test]
fn snappy_is_read_as_one_block_too() {
    let plain = text(&mut Seeded::new(3), 100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&plain).unwrap();
    assert_eq!(unpack(Codec::Snappy, &raw, 100_000), Ok(plain));
}

#[test]
fn a_length_that_snappy_declares_takes_nothing() {
    // Five bytes that declare 2 GiB, in both forms.
    let block = [0xff, 0xff, 0xff, 0xff, 0x07];
    let mut stream = snappy::pack(b"");
    stream.extend_from_slice(&5u32.to_be_bytes());
    stream.extend_from_slice(&block);
    for packed in [&block[..], &stream] {
        let mut out = Vec::new();
        let mut unpacker = Unpacker::default();
        let mut unpacking =
            Unpacking::new(Codec::Snappy, packed, usize::MAX, &mut unpacker).unwrap();
        let broken = unpacking.more(&mut out).unwrap_err();
        assert!(broken.to_string().contains("declare"), "{broken}");
        assert_eq!(out.capacity(), 0);
    }
}

/// A frame by hand: flags, size of blocks, blocks, what stands behind them.
fn lz4_frame(flags: u8, sizes: u8, more: &[u8], blocks: &[&[u8]], tail: &[u8]) -> Vec<u8> {
    let description = [&[flags, sizes], more].concat();
    let mut frame = vec![0x04, 0x22, 0x4D, 0x18];
    frame.extend_from_slice(&description);
    frame.push((xxh32::Sum::of(&description) >> 8) as u8);
    for block in blocks {
        frame.extend_from_slice(&(block.len() as u32).to_le_bytes());
        frame.extend_from_slice(block);
        if flags & 0x10 != 0 {
            frame.extend_from_slice(&xxh32::Sum::of(block).to_le_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(tail);
    frame
}

/// Linked blocks with both kinds of sums and the content's size, as other
/// libraries make them.
fn linked() -> (Vec<u8>, Vec<u8>) {
    let plain = text(&mut Seeded::new(4), 200_000);
    let parts: Vec<_> = plain.chunks(50_000).collect();
    let mut blocks = vec![lz4_flex::block::compress(parts[0])];
    for at in 1..parts.len() {
        let before = &plain[..at * 50_000];
        let history = &before[before.len().saturating_sub(64 << 10)..];
        blocks.push(lz4_flex::block::compress_with_dict(parts[at], history));
    }
    let blocks: Vec<_> = blocks.iter().map(|block| &block[..]).collect();
    let sum = xxh32::Sum::of(&plain).to_le_bytes();
    let size = 200_000u64.to_le_bytes();
    (
        lz4_frame(0x40 | 0x10 | 0x08 | 0x04, 0x70, &size, &blocks, &sum),
        plain,
    )
}

#[test]
fn lz4_with_all_that_a_frame_may_have() {
    let (frame, plain) = linked();
    assert_eq!(unpack(Codec::Lz4, &frame, 200_000), Ok(plain));
    // Every byte of it is guarded: by the head's sum, a block's, the content's,
    // or by its meaning.
    for at in (0..frame.len())
        .step_by(11)
        .chain(0..40)
        .chain(frame.len() - 20..frame.len())
    {
        let mut bad = frame.clone();
        bad[at] ^= 0x40;
        assert!(unpack(Codec::Lz4, &bad, 1 << 20).is_err(), "byte {at}");
    }
}

#[test]
fn lz4_frames_that_are_refused() {
    let block = lz4_flex::block::compress(b"plain");
    let blocks = [&block[..]];
    for (frame, says) in [
        (lz4_frame(0x60, 0x40, &[], &blocks, b"!"), "follows"),
        (lz4_frame(0x20, 0x40, &[], &blocks, b""), "version"),
        (lz4_frame(0x62, 0x40, &[], &blocks, b""), "version"),
        (lz4_frame(0x61, 0x40, &[0; 4], &blocks, b""), "dictionary"),
        (lz4_frame(0x60, 0x30, &[], &blocks, b""), "unknown size"),
        (lz4_frame(0x60, 0xC0, &[], &blocks, b""), "unknown size"),
        (
            lz4_frame(0x68, 0x40, &[6, 0, 0, 0, 0, 0, 0, 0], &blocks, b""),
            "another length",
        ),
        (lz4_frame(0x60, 0x40, &[], &[&[0; 65_537]], b""), "larger"),
        (b"\x02\x21\x4c\x18legacy frame".to_vec(), "begin"),
    ] {
        let broken = unpack(Codec::Lz4, &frame, 1000).unwrap_err().to_string();
        assert!(broken.contains(says), "{says}: {broken}");
    }
    // Blocks of nothing, before and between others, are blocks.
    let empty = lz4_frame(0x60, 0x40, &[], &[&[0], &block, &[0]], b"");
    assert_eq!(unpack(Codec::Lz4, &empty, 1000), Ok(b"plain".to_vec()));
}

#[test]
fn a_zstd_window_is_bounded() {
    // Frames of one stored block, 10 bytes, under windows of 8 and 16 MiB.
    let frame = |window: u8| {
        let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, window];
        frame.extend_from_slice(&(10u32 << 3 | 1).to_le_bytes()[..3]);
        frame.extend_from_slice(b"ten bytes!");
        frame
    };
    let exponent = |log: u8| (log - 10) << 3;
    let within = unpack(Codec::Zstd, &frame(exponent(23)), 1000);
    assert_eq!(within, Ok(b"ten bytes!".to_vec()));
    let beyond = unpack(Codec::Zstd, &frame(exponent(24)), 1000);
    assert_eq!(beyond, Err(Broken::Window { most: 8 << 20 }));
}

#[test]
fn zstd_with_a_dictionary_is_refused() {
    // A frame that names dictionary 7.
    let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0x01, 0x40, 7];
    frame.extend_from_slice(&(4u32 << 3 | 1).to_le_bytes()[..3]);
    frame.extend_from_slice(b"four");
    let unpacked = unpack(Codec::Zstd, &frame, 1000);
    assert!(
        matches!(unpacked, Err(Broken::Corrupt { .. })),
        "{unpacked:?}"
    );
}

#[test]
fn what_a_broken_batch_leaves_behind_harms_no_other() {
    let mut unpacker = Unpacker::default();
    let plain = text(&mut Seeded::new(6), 100_000);
    let packed = pack(Codec::Zstd, &plain);
    for length in (0..packed.len()).step_by(97) {
        let cut = &packed[..length];
        assert!(super::unpack(Codec::Zstd, cut, 1 << 20, &mut unpacker).is_err());
        let whole = super::unpack(Codec::Zstd, &packed, 1 << 20, &mut unpacker);
        assert_eq!(whole.as_ref(), Ok(&plain), "after {length} bytes");
    }
}

#[test]
fn noise_never_panics_and_ends() {
    let mut chance = Seeded::new(5);
    let plain = text(&mut chance, 3000);
    let mut whole: Vec<_> = Codec::ALL.map(|codec| (codec, pack(codec, &plain))).into();
    whole.push((Codec::Lz4, linked().0));
    whole.push((
        Codec::Snappy,
        snap::raw::Encoder::new().compress_vec(&plain).unwrap(),
    ));
    for _ in 0..4000 {
        let (codec, packed) = &whole[chance.below(whole.len() as u64) as usize];
        let mut bad = packed.clone();
        for _ in 0..=chance.below(4) {
            let at = chance.below(bad.len().min(200) as u64) as usize;
            bad[at] = chance.next_u64() as u8;
        }
        let _ = unpack(*codec, &bad, 1 << 20);
    }
}

#[test]
fn every_level_is_read_by_everybody() {
    // Longer than the window that readers have, and the same again at the end.
    let mut plain = text(&mut Seeded::new(5), 1 << 20);
    plain.resize(10 << 20, 0);
    plain.extend_from_within(..1 << 20);
    for level in [-7, 1, 19, 20, 22, i32::MIN, i32::MAX] {
        let packed = pack_at(Codec::Zstd, Some(level), &plain);
        assert!(
            unpack(Codec::Zstd, &packed, plain.len()).as_ref() == Ok(&plain),
            "{level}"
        );
    }
    for level in [1, 9, i32::MIN, i32::MAX] {
        let packed = pack_at(Codec::Gzip, Some(level), &plain);
        assert!(
            unpack(Codec::Gzip, &packed, plain.len()).as_ref() == Ok(&plain),
            "{level}"
        );
    }
}
