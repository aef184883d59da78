//! What a file is that isn't one of our pictures, so that the message says more than "damaged". Recognized by the first
//! bytes; the name doesn't count.

/// A kind of file that can't be posted as a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignFile {
    /// What iPhones make.
    Heic,
    /// The picture format of AV1.
    Avif,
    /// JPEG's successor.
    JpegXl,
    /// JPEG 2000.
    Jpeg2000,
    /// Scans and prints; most raw photographs begin the same way.
    TiffOrRaw,
    /// Windows' bitmap.
    Bmp,
    /// Windows' icon.
    Icon,
    /// Photoshop's document.
    Photoshop,
    /// A drawing in lines and shapes.
    Svg,
    /// MP4, QuickTime, WebM, AVI: moving pictures.
    Video,
    /// Music or speech.
    Audio,
    /// A document of pages.
    Pdf,
    /// A web page, often one that says that the picture is gone.
    Html,
    /// What Git keeps in place of a large file.
    LfsPointer,
    /// Files in a file.
    Archive,
    /// Any other text.
    Text,
    /// Anything else.
    Unknown,
}

impl ForeignFile {
    /// What it is, for "the file is …".
    pub const fn what(self) -> &'static str {
        match self {
            Self::Heic => "a HEIC picture, which networks don't take",
            Self::Avif => "an AVIF picture, which flockd doesn't read",
            Self::JpegXl => "a JPEG XL picture, which networks don't take",
            Self::Jpeg2000 => "a JPEG 2000 picture, which networks don't take",
            Self::TiffOrRaw => "a TIFF picture or a raw photograph, which networks don't take",
            Self::Bmp => "a BMP picture, which networks don't take",
            Self::Icon => "an icon, not a picture",
            Self::Photoshop => "a Photoshop document, which networks don't take",
            Self::Svg => "an SVG drawing, which networks don't take",
            Self::Video => "a video, not a picture",
            Self::Audio => "a sound file, not a picture",
            Self::Pdf => "a PDF, not a picture",
            Self::Html => "an HTML page, not a picture",
            Self::LfsPointer => "a pointer of Git LFS, not the picture itself",
            Self::Archive => "an archive or a compressed file, not a picture",
            Self::Text => "a text, not a picture",
            Self::Unknown => "no picture that flockd knows",
        }
    }

    /// What to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Heic => "save it as JPEG (iPhone: Settings > Camera > Formats > Most Compatible)",
            Self::Avif | Self::JpegXl | Self::Jpeg2000 | Self::TiffOrRaw | Self::Photoshop => {
                "save it as JPEG or PNG"
            }
            Self::Bmp | Self::Icon => "save it as PNG",
            Self::Svg => "export it as PNG",
            Self::Pdf => "export the page as PNG",
            Self::Video | Self::Audio => "flockd posts pictures only",
            Self::Html => {
                "the download failed or stored the page around the picture; download the picture itself"
            }
            Self::LfsPointer => "run `git lfs pull`",
            Self::Archive => "unpack it",
            Self::Text | Self::Unknown => "take a JPEG, PNG, GIF or WebP",
        }
    }
}

/// First bytes that are enough.
const SIGNATURES: &[(&[u8], ForeignFile)] = &[
    (b"%PDF-", ForeignFile::Pdf),
    (b"\xff\x0a", ForeignFile::JpegXl),
    (b"\0\0\0\x0cJXL ", ForeignFile::JpegXl),
    (b"\0\0\0\x0cjP  ", ForeignFile::Jpeg2000),
    (b"II*\0", ForeignFile::TiffOrRaw),
    (b"MM\0*", ForeignFile::TiffOrRaw),
    (b"FUJIFILMCCD-RAW", ForeignFile::TiffOrRaw),
    (b"8BPS", ForeignFile::Photoshop),
    (b"\0\0\x01\0", ForeignFile::Icon),
    (b"\x1a\x45\xdf\xa3", ForeignFile::Video), // Matroska, WebM
    (b"ID3", ForeignFile::Audio),
    (b"OggS", ForeignFile::Audio),
    (b"fLaC", ForeignFile::Audio),
    (b"PK\x03\x04", ForeignFile::Archive),
    (b"\x1f\x8b", ForeignFile::Archive),
    (b"7z\xbc\xaf\x27\x1c", ForeignFile::Archive),
    (b"Rar!", ForeignFile::Archive),
    (b"\x28\xb5\x2f\xfd", ForeignFile::Archive),
    (b"version https://git-lfs", ForeignFile::LfsPointer),
];

/// Brands of the ISO base media format (ISO/IEC 14496-12, 4.3) that are not films.
const BRANDS: &[(&[u8], ForeignFile)] = &[
    (b"hei", ForeignFile::Heic), // heic, heix, heim, heis
    (b"hev", ForeignFile::Heic),
    (b"mif1", ForeignFile::Heic),
    (b"msf1", ForeignFile::Heic),
    (b"avi", ForeignFile::Avif), // avif, avis
    (b"crx ", ForeignFile::TiffOrRaw),
    (b"M4A", ForeignFile::Audio),
    (b"M4B", ForeignFile::Audio),
];

/// As much as is searched for the beginning of a web page or a drawing.
const TEXT_START: usize = 2_000;

/// What the file is, by its first bytes.
pub(super) fn recognize(bytes: &[u8]) -> ForeignFile {
    let signature = SIGNATURES.iter().find(|(start, _)| bytes.starts_with(start));
    match bytes {
        _ if signature.is_some() => signature.map_or(ForeignFile::Unknown, |(_, file)| *file),
        [_, _, _, _, b'f', b't', b'y', b'p', rest @ ..] => brand(rest),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'A', b'V', b'I', ..] => ForeignFile::Video,
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E', ..] => ForeignFile::Audio,
        // The sizes of a bitmap's headers; "BM" alone begins texts, too.
        [b'B', b'M', _, _, _, _, _, _, _, _, _, _, _, _, 12..=124, 0, 0, 0, ..] => ForeignFile::Bmp,
        _ => text(bytes),
    }
}

/// By the main brand. Of a picture in HEIF's own brands, those that it is compatible with say which kind it is.
fn brand(rest: &[u8]) -> ForeignFile {
    let main = BRANDS.iter().find(|(brand, _)| rest.starts_with(brand));
    let file = main.map_or(ForeignFile::Video, |(_, file)| *file);
    let compatible = rest.get(8..rest.len().min(64)).unwrap_or_default();
    let is_avif = compatible.chunks_exact(4).any(|brand| brand.starts_with(b"avi"));
    if file == ForeignFile::Heic && is_avif { ForeignFile::Avif } else { file }
}

/// A text, unless it isn't one: control characters occur in none.
fn text(bytes: &[u8]) -> ForeignFile {
    let start = &bytes[..bytes.len().min(TEXT_START)];
    let is_control = |byte: &u8| *byte < b' ' && !b"\t\n\x0c\r\x1b".contains(byte);
    // A character that is cut at the end is none of the text's faults.
    let is_text = match std::str::from_utf8(start) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none() && start.len() == TEXT_START,
    };
    if !is_text || start.iter().any(is_control) {
        return ForeignFile::Unknown;
    }
    let start =
        String::from_utf8_lossy(start).trim_start_matches('\u{feff}').trim_start().to_ascii_lowercase();
    let is_markup = start.starts_with('<');
    let has = |tag: &str| is_markup && start.contains(tag);
    // A page may contain a drawing, and a drawing's comment may name a page: what comes first counts.
    match (start.find("<svg"), has("<!doctype html") || has("<html") || has("<head") || has("<body")) {
        (Some(svg), _) if is_markup && !start[..svg].contains("<html") => ForeignFile::Svg,
        (_, true) => ForeignFile::Html,
        _ => ForeignFile::Text,
    }
}
