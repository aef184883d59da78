//! The chunks of a PNG (W3C PNG, third edition, sections 5 and 11.3).
//!
//! Kept are the image, its frames, and the chunks that say what colors mean and how large it is displayed. Texts, time,
//! EXIF and private chunks are dropped, among them the one in which editors sign their work. Checksums are the
//! decoder's business.

use image::metadata::Orientation;

use super::container::{Container, Kept, Scanner, memory, orientation};
use super::error::PictureError;
use crate::flock::media::MediaKind;

/// The first bytes of every PNG.
pub(super) const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";

/// The chunks that are kept.
const KEPT: &[&[u8; 4]] = &[
    b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"bKGD", b"pHYs", // the image
    b"cHRM", b"gAMA", b"iCCP", b"sBIT", b"sRGB", b"cICP", b"mDCV", b"cLLI", // its colors
    b"acTL", b"fcTL", b"fdAT", // its frames
];

/// Takes a PNG apart.
pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, PictureError> {
    let mut scanner = Scanner::new(MediaKind::Png, bytes);
    let mut kept = Kept::new(bytes);
    scanner.take(SIGNATURE.len())?;
    kept.keep(0..SIGNATURE.len());
    let mut seen = Seen::default();
    while !seen.end {
        let start = scanner.at();
        let length = u32::from_be_bytes(scanner.array()?);
        let name: [u8; 4] = scanner.array()?;
        let content = scanner.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        scanner.take(4)?;
        if KEPT.contains(&&name) {
            kept.keep(start..scanner.at());
        }
        seen.chunk(&name, content)?;
    }
    let header = seen.header.filter(|_| seen.data).ok_or_else(|| damaged("it contains no image"))?;
    Ok(Container {
        kind: MediaKind::Png,
        width: header.width,
        height: header.height,
        animated: seen.animated,
        orientation: seen.orientation.filter(|_| !seen.animated).unwrap_or(Orientation::NoTransforms),
        decoding: memory(header.width, header.height, header.bytes_per_pixel(seen.transparent)),
        lossy: false,
        kept,
    })
}

/// What the chunks so far have said.
#[derive(Default)]
struct Seen {
    header: Option<Header>,
    transparent: bool,
    animated: bool,
    orientation: Option<Orientation>,
    data: bool,
    end: bool,
}

impl Seen {
    fn chunk(&mut self, name: &[u8; 4], content: &[u8]) -> Result<(), PictureError> {
        if self.header.is_some() == (name == b"IHDR") {
            return Err(damaged("its header is not the first chunk"));
        }
        match name {
            b"IHDR" => self.header = Some(Header::read(content)?),
            b"tRNS" => self.transparent = true,
            // It has an effect before the image only; the frames are counted in its first field.
            b"acTL" if !self.data => {
                self.animated = content.get(..4).is_some_and(|count| count > [0, 0, 0, 1].as_slice());
            }
            b"eXIf" => self.orientation = self.orientation.or_else(|| orientation(content)),
            b"IDAT" => self.data = true,
            b"IEND" => self.end = true,
            // A capital letter says that the image can't be understood without it (section 5.4).
            _ if name[0].is_ascii_uppercase() && !KEPT.contains(&name) => {
                let feature = format!("chunk {}", name.escape_ascii());
                return Err(PictureError::Unsupported { kind: MediaKind::Png, feature });
            }
            _ => {}
        }
        Ok(())
    }
}

/// The chunk `IHDR` (section 11.2.1).
struct Header {
    width: u32,
    height: u32,
    depth: u8,
    color: u8,
}

impl Header {
    fn read(content: &[u8]) -> Result<Self, PictureError> {
        let [w0, w1, w2, w3, h0, h1, h2, h3, depth, color, _, _, _] = *content else {
            return Err(damaged("header"));
        };
        let (width, height) = (u32::from_be_bytes([w0, w1, w2, w3]), u32::from_be_bytes([h0, h1, h2, h3]));
        let sizes = 1..=0x7fff_ffff;
        if !sizes.contains(&width) || !sizes.contains(&height) || ![0, 2, 3, 4, 6].contains(&color) {
            return Err(damaged("header"));
        }
        Ok(Self { width, height, depth, color })
    }

    /// A palette becomes colors; 16 bits stand beside the 8 that they become.
    fn bytes_per_pixel(&self, transparent: bool) -> u64 {
        let channels = match self.color {
            0 => 1 + u64::from(transparent),
            2 => 3 + u64::from(transparent),
            4 => 2,
            _ => 4,
        };
        if self.depth == 16 { 3 * channels } else { channels }
    }
}

fn damaged(reason: &str) -> PictureError {
    PictureError::damaged(MediaKind::Png, reason)
}
