//! What becomes of a picture that a network doesn't take as it is.

use image::{DynamicImage, GenericImageView as _, ImageBuffer, Rgba};

use super::super::{PictureError, PictureLimits, fits, inspect, prepare};
use super::samples::*;
use crate::flock::media::MediaKind;

fn at_most(max_bytes: u64) -> PictureLimits {
    PictureLimits { max_bytes, ..generous() }
}

#[test]
fn a_photograph_of_too_many_bytes_loses_quality_then_pixels() {
    let file = with_segments(&jpeg(&photo(600, 400)), &[profile_segment(*b"RGB ")]);
    let length = file.len() as u64;
    let little = prepare(&file, &at_most(length - 1)).unwrap();
    assert_eq!((little.kind, little.width, little.height), (MediaKind::Jpeg, 600, 400));
    for max_bytes in [length / 5, length / 30, 3_000] {
        let prepared = prepare(&file, &at_most(max_bytes)).unwrap();
        assert_eq!(prepared.kind, MediaKind::Jpeg);
        assert!(prepared.bytes.len() as u64 <= max_bytes && prepared.width < 600, "{prepared:?}");
        assert!(prepared.bytes.len() as u64 > max_bytes / 2, "{prepared:?} wastes room: {max_bytes}");
        assert!((prepared.width * 2).abs_diff(prepared.height * 3) <= 6, "{prepared:?} has another shape");
        assert!(contains(&prepared.bytes, &profile(*b"RGB ")));
        assert_eq!(pixels(&prepared.bytes).dimensions(), (prepared.width, prepared.height));
    }
    assert_eq!(prepare(&file, &at_most(600)), Err(PictureError::DoesNotFit { max_bytes: 600 }));
}

#[test]
fn what_is_prepared_once_is_the_same_again() {
    let files =
        [jpeg(&photo(300, 200)), png(&drawing(300, 200).into(), None), png(&photo(90, 90).into(), None)];
    for file in files {
        let limits = at_most(file.len() as u64 / 2);
        let prepared = prepare(&file, &limits).unwrap();
        assert_eq!(prepare(&file, &limits).unwrap(), prepared);
        assert_eq!(prepare(&prepared.bytes, &limits).unwrap(), prepared);
    }
}

#[test]
fn a_side_and_a_number_of_pixels_are_kept_to() {
    let file = jpeg(&photo(300, 200));
    let side = PictureLimits { max_side: Some(150), ..generous() };
    let prepared = prepare(&file, &side).unwrap();
    assert_eq!((prepared.width, prepared.height), (150, 100));
    let pixels = PictureLimits { max_pixels: Some(15_000), ..generous() };
    let prepared = prepare(&file, &pixels).unwrap();
    assert_eq!((prepared.width, prepared.height), (150, 100));
    let narrow =
        prepare(&jpeg(&photo(900, 2)), &PictureLimits { max_side: Some(100), ..generous() }).unwrap();
    assert_eq!((narrow.width, narrow.height), (100, 1));
}

#[test]
fn a_drawing_stays_lossless_if_it_fits() {
    let image: DynamicImage = DynamicImage::from(drawing(400, 400)).into_rgb8().into();
    let file = png(&image, None);
    let prepared = prepare(&file, &PictureLimits { max_side: Some(200), ..generous() }).unwrap();
    assert_eq!((prepared.kind, prepared.width), (MediaKind::Png, 200));
}

#[test]
fn an_opaque_png_of_too_many_bytes_becomes_a_jpeg() {
    let image: DynamicImage = photo(300, 300).into();
    let max_bytes = 60_000;
    for image in [image.clone(), image.into_rgba8().into()] {
        let file = png(&image, Some(profile(*b"RGB ")));
        assert!(file.len() as u64 > max_bytes);
        let prepared = prepare(&file, &at_most(max_bytes)).unwrap();
        assert_eq!((prepared.kind, prepared.width, prepared.height), (MediaKind::Jpeg, 300, 300));
        assert!(contains(&prepared.bytes, &profile(*b"RGB ")));
    }
}

#[test]
fn what_is_transparent_stays_so() {
    let mut image = DynamicImage::from(photo(300, 300)).into_rgba8();
    image.pixels_mut().step_by(7).for_each(|pixel| pixel[3] = 0);
    let file = png(&image.into(), None);
    let max_bytes = file.len() as u64 / 4;
    let prepared = prepare(&file, &at_most(max_bytes)).unwrap();
    assert_eq!(prepared.kind, MediaKind::Png);
    assert!(prepared.bytes.len() as u64 <= max_bytes && prepared.width < 300, "{prepared:?}");
    assert!(pixels(&prepared.bytes).color().has_alpha());
    let only_jpeg = PictureLimits { kinds: vec![MediaKind::Jpeg], ..generous() };
    assert!(matches!(prepare(&file, &only_jpeg), Err(PictureError::KindNotTaken { .. })));
}

#[test]
fn invisible_colors_do_not_bleed_into_visible_ones() {
    let image =
        ImageBuffer::from_fn(
            64,
            64,
            |x, _| if x < 31 { Rgba([255, 0, 0, 0]) } else { Rgba([0, 0, 200, 255]) },
        );
    let limits = PictureLimits { max_side: Some(16), ..generous() };
    let prepared = prepare(&png(&DynamicImage::ImageRgba8(image), None), &limits).unwrap();
    for pixel in pixels(&prepared.bytes).into_rgba8().pixels().filter(|pixel| pixel[3] > 0) {
        assert!(pixel[0] < 20, "{pixel:?}");
    }
}

#[test]
fn sixteen_bits_become_eight_when_they_must() {
    let image: DynamicImage = DynamicImage::from(photo(60, 40)).into_rgb16().into();
    let file = png(&image, None);
    assert_eq!(prepare(&file, &generous()).unwrap().bytes, file);
    let prepared = prepare(&file, &PictureLimits { max_side: Some(30), ..generous() }).unwrap();
    assert!(matches!(pixels(&prepared.bytes), DynamicImage::ImageRgb8(_)));
}

#[test]
fn four_inks_become_three_colors_without_their_profile() {
    // It begins with Adobe's segment; a profile may stand before that.
    let file = [&CMYK[..2], &profile_segment(*b"CMYK"), &CMYK[2..]].concat();
    assert!(contains(&prepare(&file, &generous()).unwrap().bytes, &profile(*b"CMYK")));
    let prepared = prepare(&file, &PictureLimits { max_side: Some(20), ..generous() }).unwrap();
    let shown = pixels(&prepared.bytes).into_rgb8();
    assert_eq!(shown.dimensions(), (20, 12));
    assert!(!contains(&prepared.bytes, &profile(*b"CMYK")));
    // The background is pale: inks are not taken for light.
    assert!(shown.get_pixel(19, 11).0.iter().all(|channel| *channel > 120), "{:?}", shown.get_pixel(19, 11));
}

#[test]
fn a_format_that_is_not_taken_becomes_another() {
    let no_webp =
        PictureLimits { kinds: vec![MediaKind::Jpeg, MediaKind::Png], animated: vec![], ..generous() };
    let kind = |bytes: &[u8]| prepare(bytes, &no_webp).map(|prepared| prepared.kind);
    assert_eq!(kind(LOSSY), Ok(MediaKind::Jpeg));
    assert_eq!(kind(TRANSPARENT), Ok(MediaKind::Png));
    assert_eq!(kind(&webp(&drawing(20, 20).into())), Ok(MediaKind::Png));
    assert_eq!(kind(&gif(1)), Ok(MediaKind::Png));
    assert_eq!(pixels(&prepare(&gif(1), &no_webp).unwrap().bytes).into_rgba8(), pixels(&gif(1)).into_rgba8());
    let gif_only = PictureLimits { kinds: vec![MediaKind::Gif], ..generous() };
    let error = PictureError::KindNotTaken { kind: MediaKind::Webp, taken: vec![MediaKind::Gif] };
    assert_eq!(prepare(LOSSY, &gif_only), Err(error.clone()));
    assert_eq!(fits(&inspect(LOSSY).unwrap(), &gif_only), Err(error));
    let large = prepare(&gif(1), &PictureLimits { max_side: Some(10), ..gif_only });
    assert!(matches!(large, Err(PictureError::KindNotTaken { kind: MediaKind::Gif, .. })));
}

#[test]
fn what_moves_is_taken_as_it_is_or_not_at_all() {
    let (still, small, short) = (
        PictureLimits { animated: vec![], ..generous() },
        PictureLimits { max_side: Some(25), ..generous() },
        PictureLimits { max_animated_bytes: 60, ..generous() },
    );
    for file in [&gif(3), MOVING_PNG, MOVING_WEBP] {
        let info = inspect(file).unwrap();
        assert_eq!(prepare(file, &still), Err(PictureError::AnimationNotTaken(info.kind)));
        for limits in [&small, &short] {
            let error = prepare(file, limits).unwrap_err();
            assert!(matches!(error, PictureError::AnimationTooLarge { kind, .. } if kind == info.kind));
            assert_eq!(fits(&info, limits), Err(error));
        }
        assert_eq!(prepare(file, &at_most(1)).unwrap().bytes, file, "a limit of still pictures");
    }
}
