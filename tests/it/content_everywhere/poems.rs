//! The poems of the story: a table of pictures, a folder, and threads; and what has to be posted of them. Some pictures know
//! where they were taken.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

use crate::support::program::Folder;

/// How many rows the table has.
pub(super) const ROWS: usize = 200;
/// How many pictures the folder has.
const FILES: usize = 8;
/// How many threads there are.
const THREADS: usize = 20;
/// What the metadata of some pictures say, which no server may ever see.
pub(super) const SECRET: &str = "behind the third dune";

/// A post as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) text: String,
    pub(super) pictures: Vec<WantedPicture>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct WantedPicture {
    pub(super) alt: String,
    /// As people see it. No two pictures have the same.
    pub(super) size: (u32, u32),
}

/// One of the three poems.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Poem {
    Table,
    Folder,
    Threads,
}

impl Poem {
    pub(super) const ALL: [Self; 3] = [Self::Table, Self::Folder, Self::Threads];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Folder => "folder",
            Self::Threads => "threads",
        }
    }

    /// Its path, relative to the flock's folder.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Table => "table.csv",
            Self::Folder => "folder/",
            Self::Threads => "threads.txt",
        }
    }

    /// Writes it into the flock's folder. Returns what has to be posted, in its order: the parts of each entry.
    pub(super) fn write(self, folder: &Folder) -> Vec<Vec<Wanted>> {
        let mut album = Album { folder, taken: self as u32 * 1_000 };
        match self {
            Self::Table => table(&mut album),
            Self::Folder => pictures_with_texts(&mut album),
            Self::Threads => threads(&mut album),
        }
    }
}

/// Makes pictures, each of its own size.
struct Album<'f> {
    folder: &'f Folder,
    taken: u32,
}

impl Album<'_> {
    /// Writes a picture; its name gets the ending of its type.
    fn take(&mut self, name: &str, alt: String) -> (String, WantedPicture) {
        self.taken += 1;
        let (width, height) = (10 + self.taken % 50, 10 + self.taken / 50);
        let shade = |x: u32, y: u32| Rgb([(x * 5) as u8, (y * 5) as u8, (self.taken * 7) as u8]);
        let picture = DynamicImage::from(RgbImage::from_fn(width, height, shade));
        let (end, bytes, size) = match self.taken % 3 {
            0 => ("png", with_comment(&encoded(&picture, ImageFormat::Png)), (width, height)),
            // Lies on its side, and its metadata say so.
            1 => ("jpg", with_place(&encoded(&picture, ImageFormat::Jpeg)), (height, width)),
            _ => ("png", encoded(&picture, ImageFormat::Png), (width, height)),
        };
        let name = format!("{name}.{end}");
        self.folder.write(&name, &bytes);
        (name, WantedPicture { alt, size })
    }
}

fn encoded(picture: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

/// A JPEG with Exif: on its side, and taken at a place; and with XMP, which names it.
fn with_place(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"II*\0\x08\0\0\0".to_vec();
    // Two fields: the orientation, 6; and where the fields of GPS begin.
    tiff.extend(b"\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x25\x88\x04\0\x01\0\0\0\x26\0\0\0\0\0\0\0");
    // One field: the name of the place.
    let length = u32::try_from(SECRET.len()).unwrap();
    tiff.extend([&b"\x01\0\x1c\0\x07\0"[..], &length.to_le_bytes(), b"\x38\0\0\0\0\0\0\0"].concat());
    tiff.extend(SECRET.as_bytes());
    let exif = segment(&[b"Exif\0\0", &tiff[..]].concat());
    let xmp = segment(format!("http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>{SECRET}</x:xmpmeta>").as_bytes());
    [&jpeg[..2], &exif, &xmp, &jpeg[2..]].concat()
}

/// The segment APP1.
fn segment(body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len() + 2).unwrap().to_be_bytes();
    [&[0xff, 0xe1], &length[..], body].concat()
}

/// A PNG with a comment, after its header.
fn with_comment(png: &[u8]) -> Vec<u8> {
    const HEADER_END: usize = 33;
    let chunk = [b"tEXtComment\0", SECRET.as_bytes()].concat();
    let length = u32::try_from(chunk.len() - 4).unwrap().to_be_bytes();
    let sum = crc32(&chunk).to_be_bytes();
    [&png[..HEADER_END], &length, &chunk, &sum, &png[HEADER_END..]].concat()
}

/// The checksum of PNG's chunks.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |sum: u32| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, byte| (0..8).fold(sum ^ u32::from(*byte), |sum, _| step(sum)))
}

/// Rows with one, two or four pictures, some without a text.
fn table(album: &mut Album<'_>) -> Vec<Vec<Wanted>> {
    let mut csv = "text,image,alt,image2,alt2,image3,alt3,image4,alt4\n".to_owned();
    let mut wanted = Vec::new();
    for row in 0..ROWS {
        let text = match (row % 50, row % 9) {
            (7, _) => String::new(),
            (_, 4) => format!("row {row}, \"in quotes\",\nand on a second line"),
            _ => format!("row {row}: a gull & a <kite>, übers Meer"),
        };
        let count = if row % 40 == 5 { 4 } else { 1 + usize::from(row % 10 == 3) };
        let mut fields = vec![text.clone()];
        let mut pictures = Vec::new();
        for place in 0..count {
            let alt = format!("picture {place} of row {row}: \"a kite\", far out");
            let (name, picture) = album.take(&format!("pictures/{row}-{place}"), alt.clone());
            fields.extend([name, alt]);
            pictures.push(picture);
        }
        fields.resize(9, String::new());
        let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
        csv += &(fields.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n");
        wanted.push(vec![Wanted { text, pictures }]);
    }
    album.folder.write(Poem::Table.path(), csv.as_bytes());
    wanted
}

/// Pictures with the texts beside them, and a text alone.
fn pictures_with_texts(album: &mut Album<'_>) -> Vec<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for file in 1..=FILES {
        let (text, alt) = (format!("owl {file}, at last"), format!("owl {file} on a post, looking back"));
        album
            .folder
            .write(&format!("folder/owl{file}.txt"), format!("{text}\nalt: {alt}\n\na note\n").as_bytes());
        let (_, picture) = album.take(&format!("folder/owl{file}"), alt);
        wanted.push(vec![Wanted { text, pictures: vec![picture] }]);
    }
    album.folder.write("folder/words.txt", b"no owl today\n");
    wanted.push(vec![Wanted { text: "no owl today".to_owned(), pictures: Vec::new() }]);
    wanted
}

/// Threads of two to four parts; the second part of every other one has a picture.
fn threads(album: &mut Album<'_>) -> Vec<Vec<Wanted>> {
    let (mut stanzas, mut wanted) = (Vec::new(), Vec::new());
    for thread in 0..THREADS {
        let (mut written, mut parts) = (Vec::new(), Vec::new());
        for part in 0..2 + thread % 3 {
            let text = format!("thread {thread},\npart {part}");
            if part == 1 && thread % 2 == 0 {
                let alt = format!("the lamp of thread {thread}");
                let (name, picture) = album.take(&format!("lamp{thread}"), alt.clone());
                written.push(format!("{text} ![{alt}]({name})"));
                parts.push(Wanted { text, pictures: vec![picture] });
            } else {
                written.push(text.clone());
                parts.push(Wanted { text, pictures: Vec::new() });
            }
        }
        stanzas.push(written.join("\n---\n"));
        wanted.push(parts);
    }
    album.folder.write(Poem::Threads.path(), (stanzas.join("\n\n") + "\n").as_bytes());
    wanted
}
