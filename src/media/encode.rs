//! Encodes pixels as a file within a size limit.

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ImageEncoder, ImageResult};

use super::PreparedPicture;
use super::decode::Pixels;
use super::error::PictureError;
use crate::flock::media::MediaKind;

/// The qualities of a JPEG, best first. Below the last, fewer pixels look better than worse ones; more of them would
/// gain little, and each takes its time on a large photograph.
const QUALITIES: &[u8] = &[90, 78];

/// A file at the best quality that is longer than this many times the limit: the others would not fit either.
const HOPELESS: u64 = 3;

/// How much longer a file of the best quality is than one of the middle qualities, roughly, in percent.
const BEST_TO_MIDDLE: u64 = 150;

/// A picture whose longer side is below this is not scaled down further.
const SMALLEST_SIDE: u32 = 64;

/// What a picture may be encoded as.
#[derive(Debug, Clone, Copy)]
pub(super) struct Targets {
    /// A JPEG, unless something is transparent.
    pub(super) jpeg: bool,
    /// A PNG.
    pub(super) png: bool,
    /// Whether a JPEG comes first: the picture was lossy already.
    pub(super) lossy: bool,
}

/// Encodes the pixels as the first target that fits; else scales them down until one does.
///
/// A photograph becomes a JPEG of falling quality. What was lossless stays so if it fits as it is; if it doesn't, a
/// JPEG of all its pixels is better than a PNG of few. What is transparent stays a PNG.
pub(super) fn fit(pixels: Pixels, targets: Targets, max_bytes: u64) -> Result<PreparedPicture, PictureError> {
    let pixels = pixels.without_idle_alpha();
    let jpeg = targets.jpeg && !pixels.image.color().has_alpha();
    if targets.png && jpeg && !targets.lossy {
        let bytes = png(&pixels)?;
        if bytes.len() as u64 <= max_bytes {
            return Ok(prepared(MediaKind::Png, &pixels, bytes));
        }
    }
    match (jpeg, targets.png) {
        (true, _) => shrink(&pixels, MediaKind::Jpeg, max_bytes, best_jpeg),
        (false, true) => shrink(&pixels, MediaKind::Png, max_bytes, one_png),
        // Only JPEG is taken, and something is transparent: any background would be a guess.
        (false, false) => {
            Err(PictureError::KindNotTaken { kind: MediaKind::Png, taken: vec![MediaKind::Jpeg] })
        }
    }
}

/// A file that fits, or the length of one that doesn't.
type Attempt = Result<Vec<u8>, u64>;

/// Scales down until `encode` makes a file that fits.
fn shrink(
    pixels: &Pixels,
    kind: MediaKind,
    max_bytes: u64,
    encode: fn(&Pixels, u64) -> Result<Attempt, PictureError>,
) -> Result<PreparedPicture, PictureError> {
    let mut length = match encode(pixels, max_bytes)? {
        Ok(bytes) => return Ok(prepared(kind, pixels, bytes)),
        Err(length) => length,
    };
    let (mut width, mut height) = pixels.size();
    while width.max(height) > SMALLEST_SIDE {
        // A little less than what would fit if the length followed the number of pixels exactly.
        let factor = (0.95 * (max_bytes as f64 / length as f64).sqrt()).clamp(0.1, 0.95);
        (width, height) = (times(width, factor), times(height, factor));
        let smaller = pixels.clone().scaled((width, height));
        length = match encode(&smaller, max_bytes)? {
            Ok(bytes) => return Ok(prepared(kind, &smaller, bytes)),
            Err(length) => length,
        };
    }
    Err(PictureError::DoesNotFit { max_bytes })
}

/// A side, scaled; at least one pixel is left.
pub(super) fn times(side: u32, factor: f64) -> u32 {
    ((f64::from(side) * factor) as u32).max(1)
}

/// The best JPEG that fits.
fn best_jpeg(pixels: &Pixels, max_bytes: u64) -> Result<Attempt, PictureError> {
    let mut length = 0;
    for (at, quality) in QUALITIES.iter().enumerate() {
        let bytes = jpeg(pixels, *quality)?;
        length = bytes.len() as u64;
        if length <= max_bytes {
            return Ok(Ok(bytes));
        }
        if at == 0 && length > HOPELESS * max_bytes {
            return Ok(Err(length * 100 / BEST_TO_MIDDLE));
        }
    }
    Ok(Err(length))
}

fn one_png(pixels: &Pixels, max_bytes: u64) -> Result<Attempt, PictureError> {
    let bytes = png(pixels)?;
    let length = bytes.len() as u64;
    Ok(if length <= max_bytes { Ok(bytes) } else { Err(length) })
}

fn jpeg(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, quality);
    encoded(MediaKind::Jpeg, write(encoder, pixels))?;
    Ok(bytes)
}

fn png(pixels: &Pixels) -> Result<Vec<u8>, PictureError> {
    let mut bytes = Vec::new();
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::Adaptive);
    encoded(MediaKind::Png, write(encoder, pixels))?;
    Ok(bytes)
}

fn write(mut encoder: impl ImageEncoder, pixels: &Pixels) -> ImageResult<()> {
    if let Some(profile) = &pixels.profile {
        // Both formats have a place for it.
        encoder.set_icc_profile(profile.clone()).map_err(image::ImageError::Unsupported)?;
    }
    let (width, height) = pixels.size();
    encoder.write_image(pixels.image.as_bytes(), width, height, pixels.image.color().into())
}

/// An encoder fails on pixels that its format can't contain; a profile that is too long is one reason.
fn encoded(kind: MediaKind, result: ImageResult<()>) -> Result<(), PictureError> {
    result.map_err(|error| PictureError::Unsupported { kind, feature: error.to_string() })
}

fn prepared(kind: MediaKind, pixels: &Pixels, bytes: Vec<u8>) -> PreparedPicture {
    let (width, height) = pixels.size();
    PreparedPicture { kind, width, height, bytes }
}
