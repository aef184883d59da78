//! From a file to pixels, within a limit of memory.

use std::io::Cursor;

use image::error::UnsupportedErrorKind;
use image::{ColorType, DynamicImage, ImageDecoder as _, ImageError, ImageFormat, ImageReader, Limits};

use super::MAX_DECODED_BYTES;
use super::container::Container;
use super::error::PictureError;
use crate::flock::media::MediaKind;

/// A picture as pixels of one to four channels, 8 bits each, with the profile that says what colors they mean.
#[derive(Debug, Clone)]
pub(super) struct Pixels {
    pub(super) image: DynamicImage,
    pub(super) profile: Option<Vec<u8>>,
}

/// Decodes a picture, of one that moves the first frame. Pixels are as stored: not yet turned.
pub(super) fn decode(bytes: &[u8], container: &Container<'_>) -> Result<Pixels, PictureError> {
    let kind = container.kind;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format(kind));
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(MAX_DECODED_BYTES);
    reader.limits(limits);
    let failed = |error| failed(kind, &error);
    let mut decoder = reader.into_decoder().map_err(failed)?;
    if decoder.dimensions() != (container.width, container.height) {
        return Err(PictureError::damaged(kind, "its headers contradict each other"));
    }
    // A profile that can't be read changes colors a little; the picture is still one.
    let profile = decoder.icc_profile().ok().flatten();
    let image = eight_bits(DynamicImage::from_decoder(decoder).map_err(failed)?);
    let profile = profile.filter(|profile| suits(profile, image.color()));
    Ok(Pixels { image, profile })
}

const fn format(kind: MediaKind) -> ImageFormat {
    match kind {
        MediaKind::Jpeg => ImageFormat::Jpeg,
        MediaKind::Png => ImageFormat::Png,
        MediaKind::Gif => ImageFormat::Gif,
        MediaKind::Webp => ImageFormat::WebP,
    }
}

fn failed(kind: MediaKind, error: &ImageError) -> PictureError {
    match error {
        ImageError::Unsupported(error) => {
            let feature = match error.kind() {
                UnsupportedErrorKind::GenericFeature(feature) => feature,
                _ => error.to_string(),
            };
            PictureError::Unsupported { kind, feature }
        }
        error => PictureError::damaged(kind, error.to_string()),
    }
}

/// With 8 bits a channel: networks take no more.
fn eight_bits(image: DynamicImage) -> DynamicImage {
    match image.color() {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => image,
        ColorType::L16 => image.into_luma8().into(),
        ColorType::La16 => image.into_luma_alpha8().into(),
        color if color.has_alpha() => image.into_rgba8().into(),
        _ => image.into_rgb8().into(),
    }
}

/// Whether a profile describes these channels (ICC.1, 7.2.6: the data color space). That of a CMYK picture says nothing
/// about the RGB that it was decoded to.
fn suits(profile: &[u8], color: ColorType) -> bool {
    let space: &[u8] = if color.has_color() { b"RGB " } else { b"GRAY" };
    profile.get(16..20) == Some(space)
}
