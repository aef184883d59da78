//! Whatever the bytes are: an error or a picture, never a panic and never a wrong size.

use proptest::prelude::*;

use super::super::{PictureError, PictureLimits, inspect, prepare, verify};
use super::samples::*;

/// Files of every kind, most with metadata, and where each of them ends.
fn files() -> Vec<(Vec<u8>, usize)> {
    let image = drawing(24, 16);
    let segments = [exif_segment(6), profile_segment(*b"RGB "), segment(0xfe, SECRET)];
    let late = [chunk(b"eXIf", &exif(5, true)), chunk(b"tEXt", SECRET)];
    let bitstream = webp(&image.clone().into())[12..].to_vec();
    let files = [
        with_segments(&jpeg(&photo(24, 16)), &segments),
        with_chunks(&png(&image.into(), Some(profile(*b"RGB "))), &[], &late),
        riff(&[extended(8, 24, 16), bitstream, riff_chunk(b"EXIF", &exif(7, false))]),
        gif(1),
        gif(3),
        PROGRESSIVE.to_vec(),
        CMYK.to_vec(),
        LOSSY.to_vec(),
        TRANSPARENT.to_vec(),
        MOVING_WEBP.to_vec(),
        MOVING_PNG.to_vec(),
        INTERLACED.to_vec(),
    ];
    files.into_iter().map(|file| (file.clone(), file.len())).collect()
}

/// Limits that make every still picture be scaled.
fn tight() -> PictureLimits {
    PictureLimits { max_bytes: 2_000, max_side: Some(11), ..generous() }
}

#[test]
fn a_file_that_ends_too_early_is_refused_wherever_it_ends() {
    for (file, end) in files() {
        let whole = inspect(&file).unwrap();
        for length in 0..end {
            let start = &file[..length];
            assert!(inspect(start).is_err(), "{length} of {end} bytes of {whole:?}");
            assert!(prepare(start, &generous()).is_err());
        }
        let longer = [&file[..], SECRET].concat();
        assert_eq!(inspect(&longer), Ok(whole));
    }
}

/// From its fourth byte on it says what it begins as.
#[test]
fn a_file_that_ends_too_early_is_told_from_a_damaged_one() {
    for (file, end) in files() {
        let kind = inspect(&file).unwrap().kind;
        for length in 12..end {
            assert_eq!(inspect(&file[..length]), Err(PictureError::Truncated(kind)), "{length} of {end}");
        }
    }
}

/// What holds of every picture that was prepared.
fn check(bytes: &[u8], limits: &PictureLimits) {
    let verified = verify(bytes);
    let Ok(prepared) = prepare(bytes, limits) else { return };
    let before = verified.unwrap();
    let info = inspect(&prepared.bytes).unwrap();
    assert_eq!((info.kind, info.width, info.height), (prepared.kind, prepared.width, prepared.height));
    assert_eq!(info.bytes, prepared.bytes.len() as u64);
    assert!(info.animated || info.bytes <= limits.max_bytes);
    assert!(limits.max_side.is_none_or(|side| info.width.max(info.height) <= side));
    assert_eq!(info.animated, before.animated);
    assert!(!contains(&prepared.bytes, SECRET));
    assert_eq!(prepare(&prepared.bytes, limits).unwrap(), prepared);
}

#[test]
fn every_sample_keeps_the_rules() {
    for (file, _) in files() {
        check(&file, &generous());
        check(&file, &tight());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn bytes_that_were_changed_never_panic(
        file in prop::sample::select(files()),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut file = file.0;
        for (place, byte) in changes {
            let place = place.index(file.len());
            file[place] = byte;
        }
        for limits in [generous(), tight()] {
            let _ = inspect(&file);
            if let Ok(prepared) = prepare(&file, &limits) {
                prop_assert!(inspect(&prepared.bytes).is_ok());
            }
        }
    }

    #[test]
    fn bytes_that_were_cut_out_never_panic(
        file in prop::sample::select(files()),
        from in any::<prop::sample::Index>(),
        length in 1_usize..40,
    ) {
        let mut file = file.0;
        let from = from.index(file.len());
        file.drain(from..file.len().min(from + length));
        let _ = prepare(&file, &tight());
    }

    #[test]
    fn any_bytes_after_a_signature_never_panic(
        file in prop::sample::select(files()),
        keep in 3_usize..60,
        rest in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let start = &file.0[..keep.min(file.0.len())];
        let _ = prepare(&[start, &rest].concat(), &tight());
    }

    /// A network with fewer bytes for a picture than a stamp takes is an error, and there is none.
    #[test]
    fn scaled_pictures_keep_to_any_limit(
        width in 1_u32..90, height in 1_u32..90, max_bytes in 8_000_u64..20_000, max_side in 1_u32..100,
        max_pixels in 1_u64..8_000, transparent in any::<bool>(),
    ) {
        let image = if transparent { drawing(width, height).into() } else { photo(width, height).into() };
        let limits = PictureLimits { max_bytes, max_side: Some(max_side), max_pixels: Some(max_pixels), ..generous() };
        let prepared = prepare(&png(&image, None), &limits).unwrap();
        let (width, height) = (prepared.width, prepared.height);
        prop_assert!(prepared.bytes.len() as u64 <= max_bytes && width.max(height) <= max_side);
        prop_assert!(u64::from(width * height) <= max_pixels.max(u64::from(width.max(height))));
        prop_assert_eq!(image::GenericImageView::dimensions(&pixels(&prepared.bytes)), (width, height));
    }
}
