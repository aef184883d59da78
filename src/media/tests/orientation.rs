//! The eight orientations of EXIF 2.32, 4.6.4 A: where row 0 and column 0 of the data are displayed.

use image::{DynamicImage, GenericImageView as _, Rgb, RgbImage, imageops};

use super::super::{inspect, prepare};
use super::samples::*;
use crate::flock::media::MediaKind;

/// Where the pixel of a column and row of the data is displayed, in data of that size, by the words of the standard.
fn displayed(orientation: u8, (column, row): (u32, u32), (width, height): (u32, u32)) -> (u32, u32) {
    let (right, bottom) = (width - 1, height - 1);
    match orientation {
        1 => (column, row),                  // row 0: top, column 0: left
        2 => (right - column, row),          // top, right
        3 => (right - column, bottom - row), // bottom, right
        4 => (column, bottom - row),         // bottom, left
        5 => (row, column),                  // left, top
        6 => (bottom - row, column),         // right, top
        7 => (bottom - row, right - column), // right, bottom
        _ => (row, right - column),          // left, bottom
    }
}

/// What a viewer shows of these data.
fn upright(image: &RgbImage, orientation: u8) -> RgbImage {
    let (width, height) = image.dimensions();
    let (shown_width, shown_height) = if orientation >= 5 { (height, width) } else { (width, height) };
    let mut shown = RgbImage::new(shown_width, shown_height);
    for (column, row, pixel) in image.enumerate_pixels() {
        let (x, y) = displayed(orientation, (column, row), (width, height));
        shown.put_pixel(x, y, *pixel);
    }
    shown
}

/// Six fields of different colors.
fn fields() -> RgbImage {
    RgbImage::from_fn(48, 32, |x, y| Rgb([80 * (x / 16) as u8, 200 * (y / 16) as u8, 90]))
}

#[test]
fn a_lossless_picture_is_turned_exactly() {
    let image = fields();
    let plain = png(&image.clone().into(), Some(profile(*b"RGB ")));
    let bitstream = webp(&image.clone().into())[12..].to_vec();
    for orientation in 1..=8 {
        for big_endian in [true, false] {
            let exif = exif(orientation, big_endian);
            let file = with_chunks(&plain, &[], &[chunk(b"eXIf", &exif)]);
            let webp = riff(&[extended(8, 48, 32), bitstream.clone(), riff_chunk(b"EXIF", &exif)]);
            for file in [file, webp] {
                let prepared = prepare(&file, &generous()).unwrap();
                let expected = upright(&image, orientation);
                assert_eq!(pixels(&prepared.bytes).into_rgb8(), expected, "orientation {orientation}");
                let info = inspect(&file).unwrap();
                assert_eq!((info.width, info.height), expected.dimensions());
                assert_eq!((prepared.width, prepared.height), expected.dimensions());
                assert!(!contains(&prepared.bytes, SECRET));
            }
            let file = with_chunks(&plain, &[chunk(b"eXIf", &exif)], &[]);
            assert!(contains(&prepare(&file, &generous()).unwrap().bytes, b"iCCP"));
        }
    }
}

#[test]
fn a_jpeg_is_turned_and_keeps_its_profile() {
    let image = fields();
    let plain = jpeg(&image);
    for orientation in 2..=8 {
        let file = with_segments(&plain, &[exif_segment(orientation), profile_segment(*b"RGB ")]);
        let prepared = prepare(&file, &generous()).unwrap();
        let expected = upright(&pixels(&plain).into_rgb8(), orientation);
        assert_eq!(prepared.kind, MediaKind::Jpeg);
        assert_eq!((prepared.width, prepared.height), expected.dimensions());
        assert!(contains(&prepared.bytes, &profile(*b"RGB ")) && !contains(&prepared.bytes, SECRET));
        let shown = pixels(&prepared.bytes).into_rgb8();
        let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > 12;
        let differs = shown.as_raw().iter().zip(expected.as_raw()).filter(|pair| far(*pair)).count();
        assert!(differs * 100 < expected.as_raw().len(), "orientation {orientation}: {differs} of the bytes");
        assert_eq!(inspect(&prepared.bytes).unwrap().bytes, prepared.bytes.len() as u64);
    }
}

#[test]
fn a_picture_is_scaled_and_turned() {
    let image = photo(200, 100);
    let file = with_segments(&jpeg(&image), &[exif_segment(6)]);
    let mut limits = generous();
    limits.max_side = Some(80);
    let prepared = prepare(&file, &limits).unwrap();
    assert_eq!((prepared.width, prepared.height), (40, 80));
    let expected = upright(&imageops::resize(&image, 80, 40, imageops::FilterType::Lanczos3), 6);
    let shown = pixels(&prepared.bytes).into_rgb8();
    let sum: u64 = shown.as_raw().iter().zip(expected.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!(sum < 4 * expected.as_raw().len() as u64, "{sum}");
}

#[test]
fn an_orientation_that_is_none_turns_nothing() {
    let plain = jpeg(&photo(30, 20));
    for orientation in [0, 9, 200] {
        let file = with_segments(&plain, &[exif_segment(orientation)]);
        assert_eq!(prepare(&file, &generous()).unwrap().bytes, plain);
    }
    // The first of two that say something counts; the others are dropped as well.
    let file = with_segments(&plain, &[segment(0xe1, b"Exif\0\0II"), exif_segment(3), exif_segment(6)]);
    assert_eq!(inspect(&file).map(|info| (info.width, info.height)), Ok((30, 20)));
    let turned = pixels(&prepare(&file, &generous()).unwrap().bytes);
    assert!(turned.get_pixel(0, 0)[0] > turned.get_pixel(29, 19)[0], "turned by half");
}

#[test]
fn a_gray_picture_stays_gray() {
    let file = with_segments(GRAY, &[exif_segment(8), profile_segment(*b"GRAY")]);
    let prepared = prepare(&file, &generous()).unwrap();
    assert!(matches!(pixels(&prepared.bytes), DynamicImage::ImageLuma8(_)));
    assert_eq!((prepared.width, prepared.height), (24, 40));
    assert!(contains(&prepared.bytes, &profile(*b"GRAY")));
}
