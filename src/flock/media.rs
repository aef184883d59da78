//! The pictures of posts: their kinds, and what a network keeps of them until they are posted. What is in their files is the
//! business of `media`.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};

use super::content::FileDigest;
use super::post::PostId;
use super::words;

words! {
    /// The format of a picture, by its media type.
    MediaKind {
        /// Photographs. It has no transparency.
        Jpeg = "image/jpeg",
        /// Drawings and screenshots, without loss; it may be transparent or move.
        Png = "image/png",
        /// Up to 256 colors; it may move.
        Gif = "image/gif",
        /// With or without loss; it may be transparent or move.
        Webp = "image/webp",
    }
}

impl MediaKind {
    /// The extension of a file of this kind, without the dot.
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
            Self::Gif => "gif",
            Self::Webp => "webp",
        }
    }

    /// What people call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::Gif => "GIF",
            Self::Webp => "WebP",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_as_it_is_written() {
        for kind in MediaKind::ALL {
            assert_eq!(MediaKind::from_word(kind.as_str()), Some(*kind));
            assert_eq!(mime_subtype(*kind).replace("jpeg", "jpg"), kind.extension());
            assert_eq!(mime_subtype(*kind), kind.name().to_lowercase());
        }
        assert_eq!(MediaKind::from_word("image/heic"), None);
    }

    fn mime_subtype(kind: MediaKind) -> &'static str {
        kind.as_str().strip_prefix("image/").unwrap()
    }
}

/// A picture that a post on a feed shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPicture {
    /// The digest of its bytes, as they are served.
    pub digest: FileDigest,
    /// Its format.
    pub kind: MediaKind,
    /// The number of its bytes.
    pub length: u64,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
}

/// The pictures of posts on feeds, by the place among their post's pictures, from 0.
pub type ShownPictures = HashMap<PostId, BTreeMap<u32, ShownPicture>>;

/// A picture that a network has received, and that no post refers to yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// The file that it was made from.
    pub digest: FileDigest,
    /// What the network calls it when it is attached: an id, or on Bluesky the blob in JSON.
    pub remote_id: String,
    /// What a post that the network shows calls it, if that is something else.
    pub media_key: Option<String>,
    /// Its width in pixels, as uploaded.
    pub width: u32,
    /// Its height in pixels, as uploaded.
    pub height: u32,
    /// When it was uploaded.
    pub uploaded_at: DateTime<Utc>,
    /// When the network drops it, if it has said so.
    pub expires_at: Option<DateTime<Utc>>,
    /// Whether the network has processed it, so that it can be attached.
    pub ready: bool,
    /// What uploading it has cost, in thousandths of a US dollar.
    pub cost: u32,
}
