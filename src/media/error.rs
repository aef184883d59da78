//! What is wrong with a picture, and what to do about it. The caller adds the file's name.

use super::foreign::ForeignFile;
use crate::flock::media::MediaKind;

/// Why a file can't be posted as a picture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PictureError {
    /// There is nothing in it.
    #[error("the file is empty: export the picture again")]
    Empty,
    /// It is something else, whatever its name says.
    #[error("the file is {}: {}", .0.what(), .0.remedy())]
    NotAPicture(ForeignFile),
    /// It is longer than any file that is read as a picture.
    #[error("the file has {bytes} bytes, of {max_bytes} allowed: save the picture smaller")]
    FileTooLong {
        /// Its length.
        bytes: u64,
        /// The most that is read.
        max_bytes: u64,
    },
    /// The end is missing.
    #[error("the {} ends too early: part of the file is missing; copy or export it again", .0.name())]
    Truncated(MediaKind),
    /// Its structure or data contradict the format.
    #[error("the {} is damaged ({reason}): export it again", .kind.name())]
    Damaged {
        /// The format that it begins as.
        kind: MediaKind,
        /// What is wrong.
        reason: String,
    },
    /// A variety of its format that few programs read.
    #[error("the {} is of a kind that flockd can't read ({feature}): save it as an ordinary JPEG or PNG", .kind.name())]
    Unsupported {
        /// The format.
        kind: MediaKind,
        /// What makes it special.
        feature: String,
    },
    /// Decoding it would take too much memory.
    #[error(
        "decoding {width} x {height} pixels takes {} MB of memory, of {} allowed: scale the picture down",
        memory / 1_000_000, max_memory / 1_000_000
    )]
    TooManyPixels {
        /// The width as stored.
        width: u32,
        /// The height as stored.
        height: u32,
        /// The bytes that it takes.
        memory: u64,
        /// The bytes that it may take.
        max_memory: u64,
    },
    /// The network takes neither this format nor one that the picture could be turned into.
    #[error("the network takes no {} pictures: save it as one of {}", .kind.name(), names(taken))]
    KindNotTaken {
        /// The picture's format.
        kind: MediaKind,
        /// Those that the network takes.
        taken: Vec<MediaKind>,
    },
    /// It moves, and the network would not show that.
    #[error("the {} moves, and the network shows no moving {}: post a still picture", .0.name(), .0.name())]
    AnimationNotTaken(MediaKind),
    /// It moves, and is too large; scaling would spoil it.
    #[error(
        "the moving {} has {bytes} bytes and {width} x {height} pixels, more than the network takes \
         ({max_bytes} bytes{}{}): scale it down, or shorten it", .kind.name(), pixels(*max_pixels), side(*max_side)
    )]
    AnimationTooLarge {
        /// Its format.
        kind: MediaKind,
        /// Its length without metadata.
        bytes: u64,
        /// Its width.
        width: u32,
        /// Its height.
        height: u32,
        /// The most bytes that the network takes.
        max_bytes: u64,
        /// The most pixels that the network takes.
        max_pixels: Option<u64>,
        /// The longest side that the network takes.
        max_side: Option<u32>,
    },
    /// Even scaled to a stamp it has more bytes than the network takes.
    #[error("the picture doesn't fit into {max_bytes} bytes, however small: use another one")]
    DoesNotFit {
        /// The most that the network takes.
        max_bytes: u64,
    },
}

impl PictureError {
    /// A file of this format whose structure is wrong.
    pub(super) fn damaged(kind: MediaKind, reason: impl Into<String>) -> Self {
        Self::Damaged { kind, reason: reason.into() }
    }
}

/// Formats for a sentence.
fn names(kinds: &[MediaKind]) -> String {
    kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(", ")
}

fn pixels(most: Option<u64>) -> String {
    most.map(|most| format!(", {most} pixels")).unwrap_or_default()
}

fn side(most: Option<u32>) -> String {
    most.map(|most| format!(", {most} pixels a side")).unwrap_or_default()
}
