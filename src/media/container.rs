//! What the walks through the containers have in common: reading bytes without running past the end, and the pieces
//! that are kept.

use std::ops::Range;

use image::metadata::Orientation;

use super::PictureInfo;
use super::error::PictureError;
use crate::flock::media::MediaKind;

/// A picture's file, taken apart.
#[derive(Debug)]
pub(super) struct Container<'a> {
    pub(super) kind: MediaKind,
    /// The width as stored, before the orientation is applied.
    pub(super) width: u32,
    /// The height as stored.
    pub(super) height: u32,
    pub(super) animated: bool,
    /// How it has to be turned to be displayed. A picture that moves is displayed as stored.
    pub(super) orientation: Orientation,
    /// The bytes of memory that decoding takes.
    pub(super) decoding: u64,
    /// Whether the format has lost details already, so that a JPEG is no loss of quality.
    pub(super) lossy: bool,
    /// The file without its metadata.
    pub(super) kept: Kept<'a>,
}

impl Container<'_> {
    /// What others learn of it.
    pub(super) fn info(&self) -> PictureInfo {
        let (width, height) = match self.orientation {
            Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH => (self.height, self.width),
            _ => (self.width, self.height),
        };
        PictureInfo { kind: self.kind, width, height, animated: self.animated, bytes: self.kept.len() }
    }
}

/// The orientation in EXIF data (a TIFF file; tag 0x0112, EXIF 2.32, 4.6.4), if it says any.
pub(super) fn orientation(tiff: &[u8]) -> Option<Orientation> {
    Orientation::from_exif_chunk(tiff)
}

/// The memory for that many pixels, in bytes.
pub(super) fn memory(width: u32, height: u32, bytes_per_pixel: u64) -> u64 {
    (u64::from(width) * u64::from(height)).saturating_mul(bytes_per_pixel)
}

/// The parts of a file that are kept, in order. Neighbors become one, or a long animation would have millions.
#[derive(Debug)]
pub(super) struct Kept<'a> {
    source: &'a [u8],
    parts: Vec<Part>,
}

#[derive(Debug)]
enum Part {
    /// Bytes of the file.
    Of(Range<usize>),
    /// Bytes that replace some of the file.
    New(Vec<u8>),
}

impl<'a> Kept<'a> {
    /// Nothing of that file yet.
    pub(super) const fn new(source: &'a [u8]) -> Self {
        Self { source, parts: Vec::new() }
    }

    /// Keeps these bytes of the file.
    pub(super) fn keep(&mut self, range: Range<usize>) {
        match self.parts.last_mut() {
            Some(Part::Of(last)) if last.end == range.start => last.end = range.end,
            _ => self.parts.push(Part::Of(range)),
        }
    }

    /// Adds bytes that are not in the file.
    pub(super) fn add(&mut self, bytes: Vec<u8>) {
        self.parts.push(Part::New(bytes));
    }

    /// Puts bytes that are not in the file before all others.
    pub(super) fn put_first(&mut self, bytes: Vec<u8>) {
        self.parts.insert(0, Part::New(bytes));
    }

    /// Adds what another has kept of the same file.
    pub(super) fn append(&mut self, other: Self) {
        for part in other.parts {
            match part {
                Part::Of(range) => self.keep(range),
                Part::New(bytes) => self.add(bytes),
            }
        }
    }

    /// The length of all parts.
    pub(super) fn len(&self) -> u64 {
        self.slices().map(|slice| slice.len() as u64).sum()
    }

    /// All parts as one file.
    pub(super) fn to_vec(&self) -> Vec<u8> {
        let slices: Vec<&[u8]> = self.slices().collect();
        slices.concat()
    }

    fn slices(&self) -> impl Iterator<Item = &[u8]> {
        self.parts.iter().map(|part| match part {
            Part::Of(range) => &self.source[range.clone()],
            Part::New(bytes) => bytes,
        })
    }
}

/// A place in a file, which never leaves it.
pub(super) struct Scanner<'a> {
    kind: MediaKind,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    /// At the beginning of a file of that format.
    pub(super) const fn new(kind: MediaKind, bytes: &'a [u8]) -> Self {
        Self { kind, bytes, at: 0 }
    }

    /// The offset of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Goes back to an offset that was passed.
    pub(super) fn go_back(&mut self, at: usize) {
        self.at = at.min(self.at);
    }

    /// Whether all was read.
    pub(super) const fn at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], PictureError> {
        let end = self.at.checked_add(length).ok_or(PictureError::Truncated(self.kind))?;
        let taken = self.bytes.get(self.at..end).ok_or(PictureError::Truncated(self.kind))?;
        self.at = end;
        Ok(taken)
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], PictureError> {
        let taken = self.take(N)?;
        Ok(std::array::from_fn(|at| taken[at]))
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> Result<u8, PictureError> {
        self.array().map(|[byte]| byte)
    }

    /// Goes to the next byte of that value, and leaves it there.
    pub(super) fn find(&mut self, byte: u8) -> Result<(), PictureError> {
        let ahead = self.bytes[self.at..].iter().position(|next| *next == byte);
        self.at += ahead.ok_or(PictureError::Truncated(self.kind))?;
        Ok(())
    }
}
