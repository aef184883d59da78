//! The kinds of pictures that a post may carry. What is in their files is the business of `media`.

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
