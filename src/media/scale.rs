//! Pixels become fewer.
//!
//! Lanczos on 8 bits by `fast_image_resize`, whose results are the same with every processor: it calculates with whole
//! numbers. What is transparent is multiplied by its alpha before and divided after, so that the color of invisible
//! pixels doesn't bleed into visible ones.

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, MulDiv, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{ColorType, DynamicImage, ImageBuffer};

use super::decode::Pixels;

/// More bytes of pixels than these are halved before the filter sees them: it needs as much again. A photograph of 33
/// megapixels is not concerned, and a longer one in the usual shape keeps more than 3,400 pixels a side.
const HALVE_ABOVE: usize = 100_000_000;

impl Pixels {
    /// Width and height.
    pub(super) fn size(&self) -> (u32, u32) {
        (self.image.width(), self.image.height())
    }

    /// Scaled down to that size, or to less if there are too many pixels for the filter.
    pub(super) fn scaled(self, (width, height): (u32, u32)) -> Self {
        if self.size() == (width, height) {
            return self;
        }
        let color = self.image.color();
        let mut source =
            Raw { width: self.image.width(), height: self.image.height(), bytes: self.image.into_bytes() };
        multiply(&mut source, color);
        while source.bytes.len() > HALVE_ABOVE && source.width > 1 && source.height > 1 {
            source.halve(channels(color));
        }
        let size = (width.min(source.width), height.min(source.height));
        let image = convolve(source, color, size);
        Self { image, profile: self.profile }
    }

    /// Without alpha, if nothing is transparent.
    pub(super) fn without_idle_alpha(self) -> Self {
        let color = self.image.color();
        let channels = channels(color);
        if !color.has_alpha()
            || self.image.as_bytes().chunks_exact(channels).any(|pixel| pixel[channels - 1] != 255)
        {
            return self;
        }
        let image =
            if color.has_color() { self.image.into_rgb8().into() } else { self.image.into_luma8().into() };
        Self { image, profile: self.profile }
    }
}

/// Pixels without a type.
struct Raw {
    width: u32,
    height: u32,
    bytes: Vec<u8>,
}

impl Raw {
    /// Averages squares of four pixels, in place: no second picture is needed. A last odd column or row is dropped.
    fn halve(&mut self, channels: usize) {
        let (width, height) = (self.width as usize, self.height as usize);
        let row = width * channels;
        let mut to = 0;
        for y in 0..height / 2 {
            for x in 0..width / 2 {
                for channel in 0..channels {
                    let from = 2 * y * row + 2 * x * channels + channel;
                    let four = [from, from + channels, from + row, from + row + channels];
                    let sum: u16 = four.iter().map(|at| u16::from(self.bytes[*at])).sum();
                    self.bytes[to] = ((sum + 2) / 4) as u8;
                    to += 1;
                }
            }
        }
        self.bytes.truncate(to);
        self.bytes.shrink_to_fit();
        (self.width, self.height) = (self.width / 2, self.height / 2);
    }
}

/// Multiplies colors by alpha.
fn multiply(source: &mut Raw, color: ColorType) {
    if color.has_alpha() {
        let mut image = view(source.width, source.height, &mut source.bytes, color);
        MulDiv::new().multiply_alpha_inplace(&mut image).expect("pixels with alpha");
    }
}

/// Applies the filter, and divides colors by alpha again.
fn convolve(mut source: Raw, color: ColorType, (width, height): (u32, u32)) -> DynamicImage {
    let mut scaled = Image::new(width, height, pixel_type(color));
    let lanczos = ResizeAlg::Convolution(FilterType::Lanczos3);
    let options = ResizeOptions::new().resize_alg(lanczos).use_alpha(false);
    let from = view(source.width, source.height, &mut source.bytes, color);
    Resizer::new().resize(&from, &mut scaled, &options).expect("both have the same type of pixels");
    if color.has_alpha() {
        MulDiv::new().divide_alpha_inplace(&mut scaled).expect("pixels with alpha");
    }
    image(width, height, scaled.into_vec(), color)
}

fn view(width: u32, height: u32, bytes: &mut [u8], color: ColorType) -> Image<'_> {
    Image::from_slice_u8(width, height, bytes, pixel_type(color))
        .expect("as many bytes as pixels and channels")
}

/// The image of these pixels.
fn image(width: u32, height: u32, bytes: Vec<u8>, color: ColorType) -> DynamicImage {
    let image = match color {
        ColorType::L8 => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageLuma8),
        ColorType::La8 => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageLumaA8),
        ColorType::Rgb8 => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageRgb8),
        _ => ImageBuffer::from_raw(width, height, bytes).map(DynamicImage::ImageRgba8),
    };
    image.expect("as many bytes as pixels and channels")
}

fn pixel_type(color: ColorType) -> PixelType {
    match channels(color) {
        1 => PixelType::U8,
        2 => PixelType::U8x2,
        3 => PixelType::U8x3,
        _ => PixelType::U8x4,
    }
}

fn channels(color: ColorType) -> usize {
    color.channel_count().into()
}
