//! The blocks of a GIF (GIF89a specification, CompuServe 1990, sections 17 to 27).
//!
//! Kept are the screen, the frames with their control blocks, how often the animation repeats, and a color profile.
//! Comments, plain texts and everything else that applications have added are dropped.

use image::metadata::Orientation;

use super::container::{Container, Kept, Scanner, memory};
use super::error::PictureError;
use crate::flock::media::MediaKind;

const EXTENSION: u8 = 0x21;
const IMAGE: u8 = 0x2c;
const TRAILER: u8 = 0x3b;

const GRAPHIC_CONTROL: u8 = 0xf9;
const APPLICATION: u8 = 0xff;
const PLAIN_TEXT: u8 = 0x01;

/// Takes a GIF apart.
pub(super) fn read(bytes: &[u8]) -> Result<Container<'_>, PictureError> {
    let mut walk = Walk {
        scanner: Scanner::new(MediaKind::Gif, bytes),
        kept: Kept::new(bytes),
        control: None,
        frames: 0,
    };
    let (width, height) = walk.screen()?;
    while walk.block()? {}
    if walk.frames == 0 || width == 0 || height == 0 {
        return Err(damaged("it contains no image"));
    }
    let (width, height) = (width.into(), height.into());
    Ok(Container {
        kind: MediaKind::Gif,
        width,
        height,
        animated: walk.frames > 1,
        orientation: Orientation::NoTransforms,
        // The screen, and the frame that is put onto it.
        decoding: memory(width, height, 8),
        lossy: false,
        kept: walk.kept,
    })
}

struct Walk<'a> {
    scanner: Scanner<'a>,
    kept: Kept<'a>,
    /// A control block that the next frame needs.
    control: Option<std::ops::Range<usize>>,
    frames: u32,
}

impl Walk<'_> {
    /// The logical screen with its colors; its size.
    fn screen(&mut self) -> Result<(u16, u16), PictureError> {
        self.scanner.take(6)?;
        let (width, height) =
            (u16::from_le_bytes(self.scanner.array()?), u16::from_le_bytes(self.scanner.array()?));
        let [flags, _, _] = self.scanner.array()?;
        self.colors(flags)?;
        self.kept.keep(0..self.scanner.at());
        Ok((width, height))
    }

    /// Skips a color table, if the flags say that one follows.
    fn colors(&mut self, flags: u8) -> Result<(), PictureError> {
        if flags & 0x80 != 0 {
            self.scanner.take(3 << ((flags & 7) + 1))?;
        }
        Ok(())
    }

    /// Reads one block; whether another follows.
    fn block(&mut self) -> Result<bool, PictureError> {
        let start = self.scanner.at();
        match self.scanner.byte()? {
            TRAILER => {
                self.kept.keep(start..start + 1);
                return Ok(false);
            }
            IMAGE => self.image(start)?,
            EXTENSION => self.extension(start)?,
            // Some encoders end data twice; other programs read on.
            0 => {}
            other => return Err(damaged(format!("block {other:02x} at byte {start}"))),
        }
        Ok(true)
    }

    fn image(&mut self, start: usize) -> Result<(), PictureError> {
        let descriptor: [u8; 9] = self.scanner.array()?;
        self.colors(descriptor[8])?;
        self.scanner.take(1)?;
        self.sub_blocks()?;
        if let Some(control) = self.control.take() {
            self.kept.keep(control);
        }
        self.kept.keep(start..self.scanner.at());
        self.frames = self.frames.saturating_add(1);
        Ok(())
    }

    fn extension(&mut self, start: usize) -> Result<(), PictureError> {
        match self.scanner.byte()? {
            GRAPHIC_CONTROL => {
                self.sub_blocks()?;
                self.control = Some(start..self.scanner.at());
            }
            APPLICATION => self.application(start)?,
            PLAIN_TEXT => {
                self.sub_blocks()?;
                // A control block belongs to the one that follows it.
                self.control = None;
            }
            _ => self.sub_blocks()?,
        }
        Ok(())
    }

    fn application(&mut self, start: usize) -> Result<(), PictureError> {
        let length = self.scanner.byte()?;
        let name = self.scanner.take(length.into())?;
        match name {
            b"NETSCAPE2.0" | b"ANIMEXTS1.0" => self.repetition(name)?,
            b"ICCRGBG1012" => {
                self.sub_blocks()?;
                self.kept.keep(start..self.scanner.at());
            }
            _ => self.sub_blocks()?,
        }
        Ok(())
    }

    /// Keeps how often the animation repeats: the sub-block that begins with 1, and no other.
    fn repetition(&mut self, name: &[u8]) -> Result<(), PictureError> {
        loop {
            let length = self.scanner.byte()?;
            match self.scanner.take(length.into())? {
                [] => return Ok(()),
                [1, low, high] => {
                    let block = [&[EXTENSION, APPLICATION, 11], name, &[3, 1, *low, *high, 0]];
                    self.kept.add(block.concat());
                }
                _ => {}
            }
        }
    }

    /// Skips data, which come in blocks of up to 255 bytes and end with an empty one.
    fn sub_blocks(&mut self) -> Result<(), PictureError> {
        loop {
            match self.scanner.byte()? {
                0 => return Ok(()),
                length => self.scanner.take(length.into())?,
            };
        }
    }
}

fn damaged(reason: impl Into<String>) -> PictureError {
    PictureError::damaged(MediaKind::Gif, reason)
}
