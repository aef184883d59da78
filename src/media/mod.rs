//! Pictures as bytes: what a file really is, and how it becomes one that a network takes.
//!
//! [`inspect`] reads headers, [`verify`] also decodes, [`prepare`] makes the bytes to upload. Their metadata are always
//! stripped: EXIF with its places and serial numbers, XMP, IPTC, comments, thumbnails, and whatever follows the end of
//! the image. The color profile stays. Where nothing else has to change, the image's data stay as they are; where the
//! picture lies on its side or is too large, it is turned, scaled and encoded anew.
//!
//! Nothing here opens a file, waits or reads the time. The same bytes and limits always give the same result: Bluesky
//! knows an upload by its digest. The walks through the four containers are our own, for `image` reads what it needs
//! and keeps none of the rest, and libraries for metadata copy what follows the first scan of a JPEG without a look.

mod container;
mod decode;
mod encode;
mod error;
mod foreign;
mod gif;
mod jpeg;
mod png;
mod prepare;
mod scale;
mod webp;

#[cfg(test)]
mod tests;

use std::fmt;

use crate::flock::media::MediaKind;
use container::Container;
pub use error::PictureError;
pub use foreign::ForeignFile;
pub use prepare::{PictureLimits, fits, prepare};

/// The longest file that is read as a picture, in bytes. The largest photographs of today's cameras are shorter, and
/// file, decoder's copy and pixels together stay below 300 MB.
pub const MAX_FILE_BYTES: u64 = 32 * 1024 * 1024;

/// The most memory that a decoder may take for pixels, in bytes: 67 megapixels of an ordinary JPEG, 50 of a
/// transparent PNG.
pub const MAX_DECODED_BYTES: u64 = 192 << 20;

/// What a picture's file is, by its content: the name doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureInfo {
    /// Its format.
    pub kind: MediaKind,
    /// Its width in pixels, as it is displayed: the camera's orientation is applied.
    pub width: u32,
    /// Its height in pixels, as it is displayed.
    pub height: u32,
    /// Whether it has more than one frame.
    pub animated: bool,
    /// The length of the file without its metadata, in bytes.
    pub bytes: u64,
}

/// A picture as it is uploaded.
#[derive(Clone, PartialEq, Eq)]
pub struct PreparedPicture {
    /// Its format, which may be another than the file's.
    pub kind: MediaKind,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The file.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for PreparedPicture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, width, height, bytes } = self;
        write!(f, "{kind}, {width} x {height}, {} bytes", bytes.len())
    }
}

/// What a picture is, by its headers. Damage inside its data is not noticed: [`verify`] does that.
pub fn inspect(bytes: &[u8]) -> Result<PictureInfo, PictureError> {
    read(bytes).map(|container| container.info())
}

/// What a picture is, after it was decoded: of one that moves, the first frame.
pub fn verify(bytes: &[u8]) -> Result<PictureInfo, PictureError> {
    let container = read(bytes)?;
    decode::decode(bytes, &container)?;
    Ok(container.info())
}

/// Takes a picture's file apart, unless it is none or would take too much memory.
fn read(bytes: &[u8]) -> Result<Container<'_>, PictureError> {
    let length = bytes.len() as u64;
    if length > MAX_FILE_BYTES {
        return Err(PictureError::FileTooLong { bytes: length, max_bytes: MAX_FILE_BYTES });
    }
    let container = match kind_of(bytes)? {
        MediaKind::Jpeg => jpeg::read(bytes)?,
        MediaKind::Png => png::read(bytes)?,
        MediaKind::Gif => gif::read(bytes)?,
        MediaKind::Webp => webp::read(bytes)?,
    };
    let Container { width, height, decoding, .. } = container;
    if decoding > MAX_DECODED_BYTES {
        return Err(PictureError::TooManyPixels {
            width,
            height,
            memory: decoding,
            max_memory: MAX_DECODED_BYTES,
        });
    }
    Ok(container)
}

/// The format by the file's first bytes.
fn kind_of(bytes: &[u8]) -> Result<MediaKind, PictureError> {
    match bytes {
        [] => Err(PictureError::Empty),
        [0xff, 0xd8, 0xff, ..] => Ok(MediaKind::Jpeg),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(MediaKind::Gif),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(MediaKind::Webp),
        _ if bytes.starts_with(png::SIGNATURE) => Ok(MediaKind::Png),
        _ => Err(PictureError::NotAPicture(foreign::recognize(bytes))),
    }
}
