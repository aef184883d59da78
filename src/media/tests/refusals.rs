//! What can't be posted as a picture, and is named.

use super::super::{ForeignFile, MAX_FILE_BYTES, PictureError, inspect, prepare, verify};
use super::samples::*;
use crate::flock::media::MediaKind;

#[test]
fn other_files_are_named_whatever_their_names_say() {
    let film: &[u8] = b"\0\0\0\x18ftypisom\0\0\x02\0isomavc1";
    let files: &[(&[u8], ForeignFile)] = &[
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", ForeignFile::Heic),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", ForeignFile::Heic),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", ForeignFile::Avif),
        (b"\0\0\0\x1cftypavif\0\0\0\0avifmif1", ForeignFile::Avif),
        (film, ForeignFile::Video),
        (b"\0\0\0\x14ftypqt  \0\0\0\0qt  ", ForeignFile::Video),
        (b"\x1a\x45\xdf\xa3\x9fB\x86\x81\x01webm", ForeignFile::Video),
        (b"RIFF\x10\0\0\0AVI LIST", ForeignFile::Video),
        (b"RIFF\x10\0\0\0WAVEfmt ", ForeignFile::Audio),
        (b"%PDF-1.7\n%\xe2\xe3", ForeignFile::Pdf),
        (b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", ForeignFile::Svg),
        (b"\xef\xbb\xbf<?xml version=\"1.0\"?>\n<!-- html -->\n<svg>", ForeignFile::Svg),
        (b"\n<!DOCTYPE html><html><body><svg></svg>", ForeignFile::Html),
        (b"<html><head><title>404</title>", ForeignFile::Html),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", ForeignFile::LfsPointer),
        (b"II*\0\x08\0\0\0", ForeignFile::TiffOrRaw),
        (b"BM\x36\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x01", ForeignFile::Bmp),
        (b"8BPS\0\x01", ForeignFile::Photoshop),
        (b"\xff\x0a\x01\x02", ForeignFile::JpegXl),
        (b"PK\x03\x04\x14\0", ForeignFile::Archive),
        ("Möwen über dem Hafen\n".as_bytes(), ForeignFile::Text),
        (b"BMW", ForeignFile::Text),
        (b"\0\x01\x02\x03", ForeignFile::Unknown),
        (b"\xff\xd8", ForeignFile::Unknown),
    ];
    for (bytes, file) in files {
        assert_eq!(inspect(bytes), Err(PictureError::NotAPicture(*file)), "{}", bytes.escape_ascii());
    }
    assert_eq!(inspect(b""), Err(PictureError::Empty));
    let long = "é".repeat(2_000);
    let odd = &long.as_bytes()[..2_001];
    assert_eq!(inspect(odd), Err(PictureError::NotAPicture(ForeignFile::Text)), "cut within a character");
}

#[test]
fn a_file_that_is_too_long_is_not_looked_at() {
    let length = MAX_FILE_BYTES as usize + 1;
    let error = PictureError::FileTooLong { bytes: MAX_FILE_BYTES + 1, max_bytes: MAX_FILE_BYTES };
    assert_eq!(inspect(&vec![0; length]), Err(error.clone()));
    assert_eq!(prepare(&vec![0; length], &generous()), Err(error));
}

/// A few bytes whose header says that decoding them takes gigabytes.
#[test]
fn bombs_are_refused_by_their_headers() {
    let mut header = [30_000_u32.to_be_bytes(), 30_000_u32.to_be_bytes()].concat();
    header.extend([8, 6, 0, 0, 0]);
    let png = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(b"IHDR", &header),
        chunk(b"IDAT", b"\x78\x9c"),
        chunk(b"IEND", b""),
    ];
    let mut jpeg = jpeg(&photo(16, 16));
    let frame = jpeg.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    jpeg[frame + 5..frame + 9].fill(0xff);
    let mut gif = gif(1);
    gif[6..10].fill(0xff);
    let webp = riff(&[riff_chunk(b"VP8L", &[0x2f, 0xff, 0xff, 0xff, 0x0f, 0])]);
    for file in [png.concat(), jpeg, gif, webp] {
        for error in [inspect(&file).unwrap_err(), prepare(&file, &generous()).unwrap_err()] {
            assert!(matches!(error, PictureError::TooManyPixels { .. }), "{error}");
        }
    }
}

/// A frame larger than the screen it is put onto: the header is harmless, the decoder's limit holds.
#[test]
fn a_frame_larger_than_its_gif_is_refused() {
    let mut file = gif(1);
    let frame = file.iter().rposition(|byte| *byte == 0x2c).unwrap();
    assert_eq!(file[frame + 5..frame + 9], [30, 0, 20, 0]);
    file[frame + 5..frame + 9].fill(0xff);
    assert!(matches!(verify(&file), Err(PictureError::Damaged { kind: MediaKind::Gif, .. })));
}

#[test]
fn kinds_that_few_programs_read_are_named() {
    let mut arithmetic = jpeg(&photo(16, 16));
    let frame = arithmetic.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    let mut twelve_bits = arithmetic.clone();
    arithmetic[frame + 1] = 0xc9;
    twelve_bits[frame + 4] = 12;
    let apple = with_chunks(&png(&photo(4, 4).into(), None), &[chunk(b"CgBI", &[0; 4])], &[]);
    for file in [arithmetic, twelve_bits, apple] {
        assert!(matches!(inspect(&file), Err(PictureError::Unsupported { .. })));
    }
}

#[test]
fn damage_inside_the_data_is_noticed() {
    let mut file = png(&photo(40, 40).into(), None);
    let middle = file.len() / 2;
    file[middle] ^= 0x55;
    assert!(inspect(&file).is_ok());
    for error in [verify(&file).unwrap_err(), prepare(&file, &generous()).unwrap_err()] {
        assert!(matches!(error, PictureError::Damaged { kind: MediaKind::Png, .. }), "{error}");
    }
}

#[test]
fn headers_without_an_image_are_damage() {
    let plain = png(&photo(4, 4).into(), None);
    let png = [&plain[..33], &plain[plain.len() - 12..]].concat();
    let files = [
        b"\xff\xd8\xff\xd9".to_vec(),
        png,
        b"GIF89a\x01\0\x01\0\0\0\0;".to_vec(),
        riff(&[extended(0, 4, 4)]),
    ];
    for file in files {
        assert!(matches!(inspect(&file), Err(PictureError::Damaged { .. })), "{}", file.escape_ascii());
    }
}
