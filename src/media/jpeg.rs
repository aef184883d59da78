//! The segments of a JPEG (ITU-T T.81, annex B).
//!
//! Kept are the frame, its tables and scans; of the application segments those that say what colors mean: JFIF (T.871),
//! the ICC profile (ICC.1, annex B.4) and Adobe's transform. Whatever follows the end of the image is dropped: a phone
//! appends a film there, or a second picture.

use image::metadata::Orientation;

use super::container::{Container, Kept, Scanner, memory, orientation};
use super::error::PictureError;
use crate::flock::media::MediaKind;

const SOF0: u8 = 0xc0;
const SOF2: u8 = 0xc2;
const DHT: u8 = 0xc4;
const JPG: u8 = 0xc8;
const DAC: u8 = 0xcc;
const SOF15: u8 = 0xcf;
const RST0: u8 = 0xd0;
const RST7: u8 = 0xd7;
const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const DQT: u8 = 0xdb;
const DRI: u8 = 0xdd;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP2: u8 = 0xe2;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;

/// What precedes the TIFF file in a segment of EXIF data: `Exif`, a zero and a byte of padding.
const EXIF: &[u8] = b"Exif\0";

/// Takes a JPEG apart.
pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, PictureError> {
    let mut walk = Walk::new(bytes);
    walk.scanner.take(2)?;
    walk.kept.keep(0..2);
    while walk.segment()? {}
    let Some(frame) = walk.frame.filter(|_| walk.scans > 0) else {
        return Err(damaged("it contains no image"));
    };
    Ok(Container {
        kind: MediaKind::Jpeg,
        width: frame.width,
        height: frame.height,
        animated: false,
        orientation: walk.orientation.unwrap_or(Orientation::NoTransforms),
        decoding: memory(frame.width, frame.height, frame.bytes_per_pixel(walk.scans)),
        lossy: true,
        kept: walk.kept,
    })
}

struct Walk<'a> {
    scanner: Scanner<'a>,
    kept: Kept<'a>,
    frame: Option<Frame>,
    orientation: Option<Orientation>,
    scans: u32,
}

impl<'a> Walk<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        let scanner = Scanner::new(MediaKind::Jpeg, bytes);
        Self { scanner, kept: Kept::new(bytes), frame: None, orientation: None, scans: 0 }
    }

    /// Reads one segment; whether another follows.
    fn segment(&mut self) -> Result<bool, PictureError> {
        let marker = self.marker()?;
        let start = self.scanner.at() - 2;
        if marker == EOI {
            self.kept.keep(start..start + 2);
            return Ok(false);
        }
        if !has_length(marker) {
            return Err(damaged(format!("marker {marker:02x} at byte {start}")));
        }
        let length = usize::from(u16::from_be_bytes(self.scanner.array()?));
        let content = length.checked_sub(2).ok_or_else(|| damaged(format!("length at byte {start}")))?;
        let content = self.scanner.take(content)?;
        self.content(marker, content, start)?;
        if marker == SOS {
            self.scan()?;
        }
        Ok(true)
    }

    /// The next marker. Any number of bytes 0xff may precede it; one stays (T.81, B.1.1.2).
    fn marker(&mut self) -> Result<u8, PictureError> {
        if self.scanner.byte()? != 0xff {
            return Err(damaged(format!("no marker at byte {}", self.scanner.at() - 1)));
        }
        self.after_fill()
    }

    /// Keeps a segment, or learns from it.
    fn content(&mut self, marker: u8, content: &[u8], start: usize) -> Result<(), PictureError> {
        let end = self.scanner.at();
        match marker {
            SOF0..=SOF2 => {
                if self.frame.replace(Frame::read(marker, content)?).is_some() {
                    return Err(damaged("it contains two images"));
                }
                self.kept.keep(start..end);
            }
            SOS => {
                self.scans += 1;
                self.kept.keep(start..end);
            }
            DHT | DQT | DRI => self.kept.keep(start..end),
            APP1 if content.starts_with(EXIF) && self.orientation.is_none() => {
                self.orientation = content.get(EXIF.len() + 1..).and_then(orientation);
            }
            APP2 if content.starts_with(b"ICC_PROFILE\0") => self.kept.keep(start..end),
            APP0 => self.kept.add(jfif(content)),
            // What a program adds to the twelve bytes that Adobe defined is its own.
            APP14 if content.starts_with(b"Adobe") && content.len() >= 12 => {
                self.kept.add([&[0xff, APP14, 0, 14], &content[..12]].concat());
            }
            APP1..=APP15 | COM => {}
            JPG | DAC | SOF0..=SOF15 => return Err(unusual(format!("process {:02x}", marker - SOF0))),
            _ => return Err(damaged(format!("marker {marker:02x} at byte {start}"))),
        }
        Ok(())
    }

    /// Keeps the coded data after a scan's header. In them, 0xff is followed by a zero or a restart marker.
    fn scan(&mut self) -> Result<(), PictureError> {
        let start = self.scanner.at();
        loop {
            self.scanner.find(0xff)?;
            let end = self.scanner.at();
            match self.after_fill()? {
                0 | RST0..=RST7 => {}
                _ => {
                    self.kept.keep(start..end);
                    self.scanner.go_back(end);
                    return Ok(());
                }
            }
        }
    }

    /// The first byte that isn't 0xff.
    fn after_fill(&mut self) -> Result<u8, PictureError> {
        loop {
            match self.scanner.byte()? {
                0xff => {}
                byte => return Ok(byte),
            }
        }
    }
}

/// The frame's header (T.81, B.2.2).
struct Frame {
    width: u32,
    height: u32,
    progressive: bool,
    /// Horizontal and vertical sampling factors of the components.
    sampling: Vec<(u64, u64)>,
}

impl Frame {
    fn read(marker: u8, content: &[u8]) -> Result<Self, PictureError> {
        let [precision, h0, h1, w0, w1, count, components @ ..] = content else {
            return Err(damaged("frame header"));
        };
        let sampling: Vec<(u64, u64)> =
            components.chunks_exact(3).map(|of| (u64::from(of[1] >> 4), u64::from(of[1] & 15))).collect();
        let (width, height) = (u16::from_be_bytes([*w0, *w1]), u16::from_be_bytes([*h0, *h1]));
        let whole = sampling.len() == usize::from(*count) && components.len() == 3 * sampling.len();
        let factors_are_right = sampling.iter().all(|(x, y)| (1..=4).contains(x) && (1..=4).contains(y));
        if !whole || !factors_are_right || width == 0 {
            return Err(damaged("frame header"));
        }
        if *precision != 8 {
            return Err(unusual(format!("{precision} bits a sample")));
        }
        if height == 0 {
            return Err(unusual("its height is given after the image"));
        }
        if ![1, 3, 4].contains(count) {
            return Err(unusual(format!("{count} color components")));
        }
        Ok(Self { width: width.into(), height: height.into(), progressive: marker == SOF2, sampling })
    }

    /// The pixel itself, and all its coefficients if no row of it is complete before the last scan.
    fn bytes_per_pixel(&self, scans: u32) -> u64 {
        let pixel = if self.sampling.len() == 1 { 1 } else { 3 };
        let widest = self.sampling.iter().map(|(x, _)| x).max().unwrap_or(&1);
        let highest = self.sampling.iter().map(|(_, y)| y).max().unwrap_or(&1);
        let coefficients: u64 = self.sampling.iter().map(|(x, y)| x * y).sum();
        if self.progressive || scans > 1 {
            pixel + (2 * coefficients).div_ceil(widest * highest)
        } else {
            pixel
        }
    }
}

/// The segment of JFIF without its thumbnail, which may show what was cut away; nothing if it is another.
fn jfif(content: &[u8]) -> Vec<u8> {
    match content {
        [b'J', b'F', b'I', b'F', 0, header @ ..] if header.len() >= 9 => {
            [&[0xff, APP0, 0, 16], &content[..12], &[0, 0]].concat()
        }
        _ => Vec::new(),
    }
}

/// Whether a segment follows a marker.
const fn has_length(marker: u8) -> bool {
    marker >= SOF0 && !(marker >= RST0 && marker <= EOI)
}

fn damaged(reason: impl Into<String>) -> PictureError {
    PictureError::damaged(MediaKind::Jpeg, reason)
}

fn unusual(feature: impl Into<String>) -> PictureError {
    PictureError::Unsupported { kind: MediaKind::Jpeg, feature: feature.into() }
}
