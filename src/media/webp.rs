//! The chunks of a WebP (WebP Container Specification; for the bitstreams RFC 9649).
//!
//! Kept are the image, its frames, its transparency and its color profile. EXIF, XMP and unknown chunks are dropped,
//! also those inside a frame, and the flags that announce them.

use image::metadata::Orientation;

use super::container::{Container, Kept, Scanner, memory, orientation};
use super::error::PictureError;
use crate::flock::media::MediaKind;

/// In the flags of `VP8X`: that EXIF data and XMP follow.
const METADATA_FLAGS: u8 = 0x08 | 0x04;

/// Takes a WebP apart.
pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, PictureError> {
    let mut scanner = Scanner::new(MediaKind::Webp, bytes);
    scanner.take(4)?;
    let length = u32::from_le_bytes(scanner.array()?);
    let end = usize::try_from(length).ok().and_then(|length| length.checked_add(8)).unwrap_or(usize::MAX);
    let file = bytes.get(..end).ok_or(PictureError::Truncated(MediaKind::Webp))?;
    let mut walk = Walk::new(file);
    walk.scanner.take(12)?;
    while !walk.scanner.at_end() {
        walk.chunk()?;
    }
    walk.container()
}

struct Walk<'a> {
    file: &'a [u8],
    scanner: Scanner<'a>,
    kept: Kept<'a>,
    canvas: Option<(u32, u32)>,
    /// The size of the still image.
    still: Option<(u32, u32)>,
    lossy: bool,
    orientation: Option<Orientation>,
    frames: u32,
}

impl<'a> Walk<'a> {
    fn new(file: &'a [u8]) -> Self {
        let (scanner, kept) = (Scanner::new(MediaKind::Webp, file), Kept::new(file));
        Self { file, scanner, kept, canvas: None, still: None, lossy: false, orientation: None, frames: 0 }
    }

    /// The whole, once all chunks are read.
    fn container(mut self) -> Result<Container<'a>, PictureError> {
        let animated = self.frames > 1;
        let (width, height) = match (self.canvas, self.still) {
            (Some(canvas), Some(still)) if canvas == still => canvas,
            (Some(canvas), None) if self.frames > 0 => canvas,
            (None, Some(still)) => still,
            (Some(_), Some(_)) => return Err(damaged("its image has another size than its canvas")),
            _ => return Err(damaged("it contains no image")),
        };
        let length = u32::try_from(self.kept.len() + 4).map_err(|_| damaged("length"))?;
        self.kept.put_first([&b"RIFF"[..], &length.to_le_bytes(), b"WEBP"].concat());
        Ok(Container {
            kind: MediaKind::Webp,
            width,
            height,
            animated,
            orientation: self.orientation.filter(|_| !animated).unwrap_or(Orientation::NoTransforms),
            // Lossless: four bytes of the decoder's, and as many of the result's.
            decoding: memory(width, height, 8),
            lossy: self.lossy,
            kept: self.kept,
        })
    }

    fn chunk(&mut self) -> Result<(), PictureError> {
        let start = self.scanner.at();
        let (name, content) = chunk(&mut self.scanner)?;
        let range = start..self.scanner.at();
        match &name {
            b"VP8X" => {
                let [flags, reserved @ .., w0, w1, w2, h0, h1, h2]: [u8; 10] =
                    content.try_into().map_err(|_| damaged("header"))?;
                self.canvas = Some((u24([w0, w1, w2]) + 1, u24([h0, h1, h2]) + 1));
                let header =
                    [&b"VP8X"[..], &[10, 0, 0, 0], &[flags & !METADATA_FLAGS], &reserved, &content[4..]];
                self.kept.add(header.concat());
            }
            b"VP8 " | b"VP8L" if self.still.is_none() => {
                self.lossy = &name == b"VP8 ";
                self.still = Some(if self.lossy { lossy_size(content) } else { lossless_size(content) }?);
                self.kept.keep(range);
            }
            b"ALPH" | b"ICCP" | b"ANIM" => self.kept.keep(range),
            b"ANMF" => {
                self.frames = self.frames.saturating_add(1);
                self.frame(range, content)?;
            }
            b"EXIF" => self.orientation = self.orientation.or_else(|| exif(content)),
            _ => {}
        }
        Ok(())
    }

    /// Keeps a frame of an animation: 16 bytes about it, then chunks of its own.
    fn frame(&mut self, range: std::ops::Range<usize>, content: &[u8]) -> Result<(), PictureError> {
        let start = range.start + 8;
        let end = start + content.len();
        let mut scanner = Scanner::new(MediaKind::Webp, &self.file[..end]);
        let mut kept = Kept::new(self.file);
        scanner.take(start)?;
        scanner.take(16)?;
        kept.keep(start..start + 16);
        while !scanner.at_end() {
            let start = scanner.at();
            if matches!(&chunk(&mut scanner)?.0, b"ALPH" | b"VP8 " | b"VP8L") {
                kept.keep(start..scanner.at());
            }
        }
        if kept.len() == content.len() as u64 {
            self.kept.keep(range);
        } else {
            let length = u32::try_from(kept.len()).map_err(|_| damaged("length"))?;
            self.kept.add([&b"ANMF"[..], &length.to_le_bytes()].concat());
            self.kept.append(kept);
        }
        Ok(())
    }
}

/// The next chunk: its name and content. A chunk of odd length is followed by one more byte.
fn chunk<'a>(scanner: &mut Scanner<'a>) -> Result<([u8; 4], &'a [u8]), PictureError> {
    let name = scanner.array()?;
    let length = usize::try_from(u32::from_le_bytes(scanner.array()?)).unwrap_or(usize::MAX);
    let content = scanner.take(length)?;
    scanner.take(length % 2)?;
    Ok((name, content))
}

/// The size in the header of a lossy image (RFC 6386, 9.1).
fn lossy_size(content: &[u8]) -> Result<(u32, u32), PictureError> {
    match content {
        [tag, _, _, 0x9d, 0x01, 0x2a, w0, w1, h0, h1, ..] if tag & 1 == 0 => {
            let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            let (width, height) = (side(*w0, *w1), side(*h0, *h1));
            if width == 0 || height == 0 { Err(damaged("image header")) } else { Ok((width, height)) }
        }
        _ => Err(damaged("image header")),
    }
}

/// The size in the header of a lossless image (RFC 9649, 3.4).
fn lossless_size(content: &[u8]) -> Result<(u32, u32), PictureError> {
    match content {
        [0x2f, b0, b1, b2, b3, ..] => {
            let bits = u32::from_le_bytes([*b0, *b1, *b2, *b3]);
            Ok(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => Err(damaged("image header")),
    }
}

/// The orientation in a chunk of EXIF data. Some programs begin it as in a JPEG.
fn exif(content: &[u8]) -> Option<Orientation> {
    orientation(content.strip_prefix(b"Exif\0\0").unwrap_or(content))
}

fn u24([low, middle, high]: [u8; 3]) -> u32 {
    u32::from_le_bytes([low, middle, high, 0])
}

fn damaged(reason: &str) -> PictureError {
    PictureError::damaged(MediaKind::Webp, reason)
}
