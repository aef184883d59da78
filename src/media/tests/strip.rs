//! Metadata go, and nothing else.

use super::super::{inspect, prepare};
use super::samples::*;
use crate::flock::media::MediaKind;

/// What a phone appends: a film.
const FILM: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom 51.4779N 0.0015W";

#[test]
fn a_jpeg_keeps_its_image_and_what_its_colors_mean() {
    let plain = jpeg(&photo(64, 40));
    let adobe = segment(0xee, b"Adobe\0\x64\0\0\0\0\x01");
    let color = [profile_segment(*b"RGB "), adobe.clone()];
    let mut camera = vec![
        exif_segment(1),
        segment(0xe1, &[b"http://ns.adobe.com/xap/1.0/\0", SECRET].concat()),
        exif_segment(1),
        color[0].clone(),
        segment(0xe2, &[b"MPF\0", SECRET].concat()),
        segment(0xe0, &[b"JFXX\0", SECRET].concat()),
        segment(0xed, &[b"Photoshop 3.0\0", SECRET].concat()),
        segment(0xeb, &[b"JP\0\0", SECRET].concat()),
        segment(0xfe, SECRET),
    ];
    camera.push(segment(0xee, &[&adobe[4..], SECRET].concat()));
    let mut file = with_segments(&plain, &camera);
    // A comment after the scan, more 0xff than needed before the end, and a film after it.
    let end = file.split_off(file.len() - 2);
    file.extend([&segment(0xfe, SECRET)[..], &[0xff, 0xff], &end, FILM].concat());
    let expected = with_segments(&plain, &color);
    let prepared = prepare(&file, &generous()).unwrap();
    assert!(contains(&file, SECRET));
    assert_eq!(prepared.bytes, expected);
    assert_eq!((prepared.kind, prepared.width, prepared.height), (MediaKind::Jpeg, 64, 40));
    assert_eq!(inspect(&file).unwrap().bytes, expected.len() as u64);
}

#[test]
fn a_jpeg_loses_the_thumbnail_in_its_jfif_header() {
    let plain = jpeg(&photo(16, 16));
    let thumbnail = [&plain[6..18], &[2, 2], &[9; 12]].concat();
    let file = [&plain[..2], &segment(0xe0, &thumbnail), &plain[20..]].concat();
    assert_eq!(prepare(&file, &generous()).unwrap().bytes, plain);
}

#[test]
fn a_png_keeps_its_image_and_what_its_colors_mean() {
    let image = drawing(40, 40).into();
    let plain = png(&image, Some(profile(*b"RGB ")));
    let early = [
        chunk(b"eXIf", &exif(1, true)),
        chunk(b"tEXt", &[b"Comment\0", SECRET].concat()),
        chunk(b"caBX", SECRET),
    ];
    let late = [
        chunk(b"iTXt", &[b"XML:com.adobe.xmp\0\0\0\0\0", SECRET].concat()),
        chunk(b"zTXt", &[b"Author\0\0", SECRET].concat()),
        chunk(b"tIME", &[7, 0xea, 1, 1, 1, 1, 1]),
    ];
    let file = [with_chunks(&plain, &early, &late), SECRET.to_vec()].concat();
    let prepared = prepare(&file, &generous()).unwrap();
    assert_eq!(prepared.bytes, plain);
    assert_eq!(pixels(&prepared.bytes), image);
    // What colors mean, and how large a pixel is, stays.
    let color = [chunk(b"gAMA", &[0, 0, 0xb1, 0x8f]), chunk(b"pHYs", &[0, 0, 0, 9, 0, 0, 0, 9, 1])];
    let file = with_chunks(&png(&image, None), &color, &[]);
    assert_eq!(prepare(&file, &generous()).unwrap().bytes, file);
}

#[test]
fn a_webp_keeps_its_image_and_profile() {
    let image = drawing(30, 20).into();
    let bitstream = webp(&image)[12..].to_vec();
    let color = riff_chunk(b"ICCP", &profile(*b"RGB "));
    let exif = riff_chunk(b"EXIF", &exif(1, false));
    let xmp = riff_chunk(b"XMP ", SECRET);
    let other = riff_chunk(b"odd ", &SECRET[..15]);
    let chunks = [extended(0x3c, 30, 20), color.clone(), other, bitstream.clone(), exif, xmp];
    let file = [riff(&chunks), SECRET.to_vec()].concat();
    let expected = riff(&[extended(0x30, 30, 20), color, bitstream]);
    let prepared = prepare(&file, &generous()).unwrap();
    assert_eq!(prepared.bytes, expected);
    assert_eq!(pixels(&prepared.bytes), image);
}

#[test]
fn a_frame_of_a_webp_loses_unknown_chunks() {
    // The first frame begins with its own header; its chunks follow that.
    let frame = MOVING_WEBP.windows(4).position(|name| name == b"ANMF").unwrap();
    let length = u32::from_le_bytes(MOVING_WEBP[frame + 4..frame + 8].try_into().unwrap()) as usize;
    let content = &MOVING_WEBP[frame + 8..frame + 8 + length];
    let longer = riff_chunk(b"ANMF", &[content, &riff_chunk(b"hide", SECRET)].concat());
    let rest = &MOVING_WEBP[frame + 8 + length + length % 2..];
    let file = riff(&[MOVING_WEBP[12..frame].to_vec(), longer, rest.to_vec()]);
    let prepared = prepare(&file, &generous()).unwrap();
    assert!(contains(&file, SECRET));
    assert_eq!(prepared.bytes, prepare(MOVING_WEBP, &generous()).unwrap().bytes);
}

#[test]
fn a_gif_keeps_its_frames_and_how_often_they_repeat() {
    let file = gif(3);
    // The screen, two colors, and the repetition.
    let (start, frames) = file.split_at(13 + 6 + 19);
    assert!(contains(start, b"NETSCAPE2.0"), "{}", start.escape_ascii());
    let secret = [&[SECRET.len() as u8][..], SECRET, &[0]].concat();
    let comment = [&[0x21, 0xfe][..], &secret].concat();
    let xmp = [&b"\x21\xff\x0bXMP DataXMP"[..], &secret].concat();
    let text =
        [&b"\x21\xf9\x04\0\x09\0\0\0\x21\x01\x0c\0\0\0\0\x08\0\x08\0\x08\x08\0\x01"[..], &secret].concat();
    let noisy = [start, &comment, &xmp, &text, frames, SECRET].concat();
    let prepared = prepare(&noisy, &generous()).unwrap();
    assert_eq!(prepared.bytes, file);
    assert!(inspect(&file).unwrap().animated);
    let color = [&b"\x21\xff\x0bICCRGBG1012\x03abc\0"[..]].concat();
    let colored = [start, &color, frames].concat();
    assert_eq!(prepare(&colored, &generous()).unwrap().bytes, colored);
}

#[test]
fn what_needs_no_change_is_not_changed() {
    let files = [
        jpeg(&photo(50, 30)),
        png(&photo(20, 20).into(), None),
        webp(&drawing(20, 20).into()),
        gif(1),
        gif(4),
        PROGRESSIVE.to_vec(),
        LOSSY.to_vec(),
        INTERLACED.to_vec(),
        MOVING_PNG.to_vec(),
        MOVING_WEBP.to_vec(),
        CMYK.to_vec(),
    ];
    for file in files {
        let info = inspect(&file).unwrap();
        let prepared = prepare(&file, &generous()).unwrap();
        assert_eq!(prepared.bytes, file, "{info:?}");
        assert_eq!((info.width, info.height), (prepared.width, prepared.height));
    }
}

#[test]
fn what_moves_is_told_from_what_does_not() {
    let moves = |bytes: &[u8]| inspect(bytes).unwrap().animated;
    assert!(moves(&gif(2)) && moves(MOVING_PNG) && moves(MOVING_WEBP));
    assert!(!moves(&gif(1)) && !moves(INTERLACED) && !moves(LOSSY));
}
