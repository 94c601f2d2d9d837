//! How the records of a batch are packed: unpacked a piece at a time and under
//! a bound, and packed. Pure.
//!
//! What comes from a stranger is told by what it gives, not by what it says of
//! itself: a length that is declared is believed only as far as the bytes that
//! came could fill it.

mod lz4;
mod snappy;
mod xxh32;

use crate::limits::ZSTD_WINDOW_LOG_MAX;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use lz4::Lz4;
use snappy::Snappy;
use std::fmt;
use std::io::{ErrorKind, Read, Write};
use zstd::zstd_safe::{
    self, CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective,
};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Codec {
    #[default]
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl Codec {
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Snappy, Self::Lz4, Self::Zstd];

    /// By its number in a batch's attributes.
    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    pub fn number(self) -> u8 {
        self as u8
    }

    /// As a topic's `compression.type` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why packed bytes do not come apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    Corrupt { codec: Codec, what: &'static str },
    TooLarge { most: usize },
    Window { most: u64 },
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Corrupt { codec, what } => write!(f, "its {codec} cannot be unpacked: {what}"),
            Self::TooLarge { most } => {
                write!(f, "unpacked it has more than the {most} bytes allowed")
            }
            Self::Window { most } => write!(
                f,
                "its zstd asks for a window of more than {most} bytes; take a level below 20"
            ),
        }
    }
}

impl std::error::Error for Broken {}

/// What is unpacked at once: it stays in a processor's own cache.
const PIECE_BYTES: usize = 64 << 10;

/// What is kept from one batch to the next, as making it anew takes as long as
/// unpacking a small batch: one for each thread that unpacks. It holds a little
/// more than the largest window of late, 8 MiB at the most.
#[derive(Default)]
pub struct Unpacker {
    zstd: Option<DCtx<'static>>,
}

/// Packed bytes that come apart a piece at a time.
pub struct Unpacking<'a> {
    way: Way<'a>,
    /// How much more may come.
    left: usize,
    most: usize,
}

enum Way<'a> {
    None(&'a [u8]),
    Gzip(Box<MultiGzDecoder<&'a [u8]>>),
    Snappy(Snappy<'a>),
    Lz4(Box<Lz4<'a>>),
    Zstd(Zstd<'a>),
}

impl<'a> Unpacking<'a> {
    /// At most `most` bytes come out of it.
    pub fn new(
        codec: Codec,
        packed: &'a [u8],
        most: usize,
        unpacker: &'a mut Unpacker,
    ) -> Result<Self, Broken> {
        let way = match codec {
            Codec::None => Way::None(packed),
            Codec::Gzip => Way::Gzip(Box::new(MultiGzDecoder::new(packed))),
            Codec::Snappy => Way::Snappy(Snappy::new(packed, most)),
            Codec::Lz4 => Way::Lz4(Box::new(Lz4::new(packed)?)),
            Codec::Zstd => Way::Zstd(Zstd::new(packed, &mut unpacker.zstd)?),
        };
        Ok(Self {
            way,
            left: most,
            most,
        })
    }

    /// Adds what comes next, at least one byte; false at the end.
    pub fn more(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        let before = into.len();
        let is_more = match &mut self.way {
            Way::None(rest) => {
                into.extend_from_slice(std::mem::take(rest));
                into.len() > before
            }
            Way::Gzip(decoder) => more_gzip(decoder, into)?,
            Way::Snappy(snappy) => snappy.more(into)?,
            Way::Lz4(lz4) => lz4.more(into)?,
            Way::Zstd(zstd) => zstd.more(into)?,
        };
        let most = self.most;
        let left = self.left.checked_sub(into.len() - before);
        self.left = left.ok_or(Broken::TooLarge { most })?;
        Ok(is_more)
    }
}

/// Everything at once.
pub fn unpack(
    codec: Codec,
    packed: &[u8],
    most: usize,
    unpacker: &mut Unpacker,
) -> Result<Vec<u8>, Broken> {
    let mut unpacking = Unpacking::new(codec, packed, most, unpacker)?;
    let (mut plain, mut piece) = (Vec::new(), Vec::new());
    while unpacking.more(&mut piece)? {
        plain.append(&mut piece);
    }
    Ok(plain)
}

/// Packs as Kafka's own clients do: what comes out, they read.
pub fn pack(codec: Codec, plain: &[u8]) -> Vec<u8> {
    pack_at(codec, None, plain)
}

/// How hard the codec tries, where it has levels; None for its own default.
pub fn pack_at(codec: Codec, level: Option<i32>, plain: &[u8]) -> Vec<u8> {
    match codec {
        Codec::None => plain.to_vec(),
        Codec::Gzip => {
            let level = level.map_or(Compression::default(), gzip_level);
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level);
            encoder.write_all(plain).expect(CANNOT_FAIL);
            encoder.finish().expect(CANNOT_FAIL)
        }
        Codec::Snappy => snappy::pack(plain),
        Codec::Lz4 => lz4::pack(plain),
        Codec::Zstd => pack_zstd(level.unwrap_or(zstd_safe::CLEVEL_DEFAULT), plain),
    }
}

const CANNOT_FAIL: &str = "memory takes whatever is written to it";

fn gzip_level(level: i32) -> Compression {
    let (least, most) = (Compression::fast(), Compression::best());
    let level = level.clamp(least.level() as i32, most.level() as i32);
    Compression::new(level as u32)
}

/// The window stays within what every reader has, ours too, at all levels.
fn pack_zstd(level: i32, plain: &[u8]) -> Vec<u8> {
    const KNOWN: &str = "the parameters are zstd's own";
    let mut context = CCtx::create();
    let level = level.clamp(zstd_safe::min_c_level(), zstd_safe::max_c_level());
    context
        .set_parameter(CParameter::CompressionLevel(level))
        .expect(KNOWN);
    if level >= ZSTD_LEVEL_WIDE {
        let window = CParameter::WindowLog(ZSTD_WINDOW_LOG_MAX);
        context.set_parameter(window).expect(KNOWN);
    }
    let mut packed = Vec::with_capacity(zstd_safe::compress_bound(plain.len()));
    context
        .compress2(&mut packed, plain)
        .expect("there is room for the worst case");
    packed
}

/// From here on zstd takes a window that its readers need not have.
const ZSTD_LEVEL_WIDE: i32 = 20;

fn more_gzip(decoder: &mut MultiGzDecoder<&[u8]>, into: &mut Vec<u8>) -> Result<bool, Broken> {
    let before = into.len();
    into.resize(before + PIECE_BYTES, 0);
    let read = decoder.read(&mut into[before..]);
    into.truncate(before + read.as_ref().copied().unwrap_or(0));
    match read {
        Ok(count) => Ok(count > 0),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Err(corrupt(Codec::Gzip, "it ends within a member"))
        }
        Err(_) => Err(corrupt(Codec::Gzip, "a member or its checksum is broken")),
    }
}

/// One frame or several, as Java's reader takes them.
struct Zstd<'a> {
    decoder: &'a mut DCtx<'static>,
    packed: InBuffer<'a>,
    /// Everything that was taken belongs to whole frames.
    is_between_frames: bool,
}

impl<'a> Zstd<'a> {
    fn new(packed: &'a [u8], kept: &'a mut Option<DCtx<'static>>) -> Result<Self, Broken> {
        let decoder = kept.get_or_insert_with(DCtx::create);
        decoder
            .reset(ResetDirective::SessionAndParameters)
            .and_then(|_| decoder.set_parameter(DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX)))
            .map_err(broken_zstd)?;
        Ok(Self {
            decoder,
            packed: InBuffer::around(packed),
            is_between_frames: false,
        })
    }

    fn more(&mut self, into: &mut Vec<u8>) -> Result<bool, Broken> {
        let before = into.len();
        into.reserve(PIECE_BYTES);
        loop {
            let taken = self.packed.pos;
            // Asked without bytes, the decoder would begin another frame.
            if self.is_between_frames && taken == self.packed.src.len() {
                return Ok(false);
            }
            let mut out = OutBuffer::around_pos(into, before);
            let hint = self.decoder.decompress_stream(&mut out, &mut self.packed);
            let given = out.pos();
            self.is_between_frames = hint.map_err(broken_zstd)? == 0;
            if given > before {
                return Ok(true);
            }
            if self.packed.pos == taken {
                return Err(corrupt(Codec::Zstd, "it ends within a frame"));
            }
        }
    }
}

fn broken_zstd(code: usize) -> Broken {
    let says = zstd_safe::get_error_name(code);
    match says.contains("too much memory") {
        true => Broken::Window {
            most: 1 << ZSTD_WINDOW_LOG_MAX,
        },
        false => corrupt(Codec::Zstd, says),
    }
}

fn corrupt(codec: Codec, what: &'static str) -> Broken {
    Broken::Corrupt { codec, what }
}

#[cfg(test)]
mod tests;
