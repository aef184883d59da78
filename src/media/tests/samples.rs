//! Pictures, and the things that cameras and programs put into their files.

use std::io::Cursor;

use image::codecs::gif::GifEncoder;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{DynamicImage, Frame, ImageEncoder as _, ImageFormat, Rgb, RgbImage, Rgba, RgbaImage};

use super::super::PictureLimits;
use crate::flock::media::MediaKind;

/// What the metadata of the samples contain; no result may.
pub(super) const SECRET: &[u8] = b"51.4779N 0.0015W";

/// A drawing of 40 x 24 pixels, by other encoders: progressive JPEG.
pub(super) const PROGRESSIVE: &[u8] = include_bytes!("files/progressive.jpg");
/// The same with the four inks of print.
pub(super) const CMYK: &[u8] = include_bytes!("files/cmyk.jpg");
/// The same in gray.
pub(super) const GRAY: &[u8] = include_bytes!("files/gray.jpg");
/// The same as lossy WebP.
pub(super) const LOSSY: &[u8] = include_bytes!("files/lossy.webp");
/// The same as lossy WebP with transparency.
pub(super) const TRANSPARENT: &[u8] = include_bytes!("files/transparent.webp");
/// The same as WebP with two frames.
pub(super) const MOVING_WEBP: &[u8] = include_bytes!("files/animated.webp");
/// The same as PNG with two frames.
pub(super) const MOVING_PNG: &[u8] = include_bytes!("files/animated.png");
/// The same as PNG whose lines come in seven passes.
pub(super) const INTERLACED: &[u8] = include_bytes!("files/interlaced.png");

/// The limits of a network that takes everything.
pub(super) fn generous() -> PictureLimits {
    let kinds = MediaKind::ALL.to_vec();
    let animated = kinds.clone();
    PictureLimits {
        kinds,
        animated,
        max_bytes: 50_000_000,
        max_animated_bytes: 50_000_000,
        max_pixels: None,
        max_side: None,
    }
}

/// A photograph: soft colors with the noise of a sensor.
pub(super) fn photo(width: u32, height: u32) -> RgbImage {
    let mut noise = 1_u32;
    RgbImage::from_fn(width, height, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let soft = |value: u32, of: u32| (value * 200 / of + (noise >> 28)) as u8;
        Rgb([soft(x, width), soft(y, height), soft(x + y, width + height)])
    })
}

/// A drawing in few colors, with a transparent border.
pub(super) fn drawing(width: u32, height: u32) -> RgbaImage {
    RgbaImage::from_fn(width, height, |x, y| match (x * 4 / width, y * 4 / height) {
        (0 | 3, _) => Rgba([200, 10, 10, 0]),
        (1, across) => Rgba([40, 90, 60 * across as u8, 255]),
        _ => Rgba([250, 220, 20, 128]),
    })
}

/// As a JPEG of good quality.
pub(super) fn jpeg(image: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 95).encode_image(image).unwrap();
    bytes
}

/// As a PNG, with a color profile if there is one.
pub(super) fn png(image: &DynamicImage, profile: Option<Vec<u8>>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = PngEncoder::new(&mut bytes);
    if let Some(profile) = profile {
        encoder.set_icc_profile(profile).unwrap();
    }
    encoder.write_image(image.as_bytes(), image.width(), image.height(), image.color().into()).unwrap();
    bytes
}

/// As a lossless WebP.
pub(super) fn webp(image: &DynamicImage) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::WebP).unwrap();
    bytes.into_inner()
}

/// As a GIF with that many frames, which repeats for ever if it has more than one.
pub(super) fn gif(frames: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = GifEncoder::new(&mut bytes);
    if frames > 1 {
        encoder.set_repeat(image::codecs::gif::Repeat::Infinite).unwrap();
    }
    for number in 0..frames {
        let color = Rgba([number * 30, 100, 200, 255]);
        encoder.encode_frame(Frame::new(RgbaImage::from_fn(30, 20, |_, _| color))).unwrap();
    }
    drop(encoder);
    bytes
}

/// The pixels of a file, by the library alone.
pub(super) fn pixels(bytes: &[u8]) -> DynamicImage {
    image::load_from_memory(bytes).unwrap()
}

/// Whether `part` occurs in `bytes`.
pub(super) fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// EXIF data as a camera writes them: orientation, a name, and a place. Little-endian, or big-endian.
pub(super) fn exif(orientation: u8, big_endian: bool) -> Vec<u8> {
    let u16 = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let u32 = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let mut tiff = if big_endian { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
    let secret = 8 + 2 + 3 * 12 + 4;
    let length = SECRET.len() as u32;
    tiff.extend(u32(8));
    tiff.extend(u16(3));
    tiff.extend([u16(0x010f), u16(2)].concat()); // Make
    tiff.extend([u32(length), u32(secret)].concat());
    tiff.extend([u16(0x0112), u16(3)].concat()); // Orientation
    tiff.extend([&u32(1)[..], &u16(orientation.into()), &[0, 0]].concat());
    tiff.extend([u16(0x8825), u16(4)].concat()); // the place's own directory
    tiff.extend([u32(1), u32(secret + length)].concat());
    tiff.extend(u32(0));
    tiff.extend(SECRET);
    tiff.extend([&u16(1)[..], &u16(1), &u16(2), &u32(2), b"N\0\0\0", &u32(0)].concat());
    tiff
}

/// A color profile for these channels, as far as anything here reads it.
pub(super) fn profile(space: [u8; 4]) -> Vec<u8> {
    let mut profile = vec![7; 600];
    profile[16..20].copy_from_slice(&space);
    profile[36..40].copy_from_slice(b"acsp");
    profile
}

/// A segment of a JPEG.
pub(super) fn segment(marker: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
    [&[0xff, marker], &length[..], content].concat()
}

/// The segment of a profile.
pub(super) fn profile_segment(space: [u8; 4]) -> Vec<u8> {
    segment(0xe2, &[&b"ICC_PROFILE\0\x01\x01"[..], &profile(space)].concat())
}

/// The segment of EXIF data.
pub(super) fn exif_segment(orientation: u8) -> Vec<u8> {
    segment(0xe1, &[&b"Exif\0\0"[..], &exif(orientation, false)].concat())
}

/// A JPEG with segments after its first one, that of JFIF.
pub(super) fn with_segments(jpeg: &[u8], segments: &[Vec<u8>]) -> Vec<u8> {
    assert_eq!(jpeg[2..4], [0xff, 0xe0]);
    let (start, rest) = jpeg.split_at(20);
    [start, &segments.concat(), rest].concat()
}

/// A chunk of a PNG.
pub(super) fn chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let checked = [name, content].concat();
    [&length[..], &checked, &checksum(&checked).to_be_bytes()].concat()
}

/// A PNG with chunks after its header, and others before its end.
pub(super) fn with_chunks(png: &[u8], early: &[Vec<u8>], late: &[Vec<u8>]) -> Vec<u8> {
    let (start, rest) = png.split_at(33);
    let (image, end) = rest.split_at(rest.len() - 12);
    [start, &early.concat(), image, &late.concat(), end].concat()
}

/// The checksum of a PNG's chunk (PNG, annex D).
fn checksum(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xedb8_8320 ^ (crc >> 1) } else { crc >> 1 };
    let byte = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), |crc, _| step(crc));
    !bytes.iter().fold(!0, byte)
}

/// A chunk of a WebP.
pub(super) fn riff_chunk(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_le_bytes();
    let padding = &[0][..content.len() % 2];
    [name, &length[..], content, padding].concat()
}

/// A WebP of these chunks.
pub(super) fn riff(chunks: &[Vec<u8>]) -> Vec<u8> {
    let content = [&b"WEBP"[..], &chunks.concat()].concat();
    riff_chunk(b"RIFF", &content)
}

/// The header of an extended WebP.
pub(super) fn extended(flags: u8, width: u32, height: u32) -> Vec<u8> {
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    riff_chunk(b"VP8X", &[vec![flags, 0, 0, 0], side(width), side(height)].concat())
}
