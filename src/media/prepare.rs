//! From any picture to the one that is uploaded: what a network takes, and the least that has to change for it.

use image::metadata::Orientation;

use super::container::Container;
use super::decode::decode;
use super::encode::{Targets, fit, times};
use super::error::PictureError;
use super::{PictureInfo, PreparedPicture, read};
use crate::flock::media::MediaKind;

/// The longest side of a picture that is encoded anew: X shows no more, and the others less.
const MAX_ENCODED_SIDE: u32 = 4096;

/// What a network takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PictureLimits {
    /// The formats of still pictures.
    pub kinds: Vec<MediaKind>,
    /// The formats that it shows moving.
    pub animated: Vec<MediaKind>,
    /// The most bytes of a still picture.
    pub max_bytes: u64,
    /// The most bytes of one that moves.
    pub max_animated_bytes: u64,
    /// The most pixels.
    pub max_pixels: Option<u64>,
    /// The longest side in pixels.
    pub max_side: Option<u32>,
}

impl PictureLimits {
    /// Whether it takes a picture of that size.
    fn takes_size(&self, width: u32, height: u32) -> bool {
        let pixels = u64::from(width) * u64::from(height);
        self.max_pixels.is_none_or(|most| pixels <= most)
            && self.max_side.is_none_or(|most| width.max(height) <= most)
    }

    /// Whether it takes a still picture as it is.
    fn takes(&self, info: &PictureInfo) -> bool {
        self.kinds.contains(&info.kind)
            && info.bytes <= self.max_bytes
            && self.takes_size(info.width, info.height)
    }

    /// The largest size that it takes, of the same shape.
    fn size_within(&self, (width, height): (u32, u32)) -> (u32, u32) {
        let side = self.max_side.unwrap_or(MAX_ENCODED_SIDE).min(MAX_ENCODED_SIDE);
        let by_side = f64::from(side) / f64::from(width.max(height));
        let pixels = f64::from(width) * f64::from(height);
        let by_pixels = self.max_pixels.map_or(1.0, |most| (most as f64 / pixels).sqrt());
        match by_side.min(by_pixels) {
            factor if factor < 1.0 => (times(width, factor), times(height, factor)),
            _ => (width, height),
        }
    }
}

/// Whether [`prepare`] can make it one that the network takes, as far as headers say. It doesn't look at the pixels.
pub fn fits(info: &PictureInfo, limits: &PictureLimits) -> Result<(), PictureError> {
    let PictureInfo { kind, width, height, animated, bytes } = *info;
    if !animated {
        let encodes = [MediaKind::Jpeg, MediaKind::Png].iter().any(|kind| limits.kinds.contains(kind));
        let taken = encodes || limits.kinds.contains(&kind);
        return if taken { Ok(()) } else { Err(not_taken(kind, limits)) };
    }
    if !limits.animated.contains(&kind) {
        return Err(PictureError::AnimationNotTaken(kind));
    }
    let PictureLimits { max_animated_bytes: max_bytes, max_pixels, max_side, .. } = *limits;
    if bytes <= max_bytes && limits.takes_size(width, height) {
        return Ok(());
    }
    Err(PictureError::AnimationTooLarge { kind, bytes, width, height, max_bytes, max_pixels, max_side })
}

/// Makes the picture one that the network takes.
///
/// Metadata are gone in any case. If nothing else has to change, the image's data are those of the file; it was decoded
/// all the same, to notice damage. Else it is turned as the camera says, scaled down and encoded anew, which changes a
/// HDR picture into an ordinary one. A picture that moves is never encoded anew.
pub fn prepare(bytes: &[u8], limits: &PictureLimits) -> Result<PreparedPicture, PictureError> {
    let container = read(bytes)?;
    let info = container.info();
    fits(&info, limits)?;
    let mut pixels = decode(bytes, &container)?;
    let upright = container.orientation == Orientation::NoTransforms;
    if info.animated || upright && limits.takes(&info) {
        drop(pixels);
        let PictureInfo { kind, width, height, .. } = info;
        return Ok(PreparedPicture { kind, width, height, bytes: container.kept.to_vec() });
    }
    let targets = targets(&container, limits).ok_or_else(|| not_taken(info.kind, limits))?;
    // Scaled before it is turned: turning needs as much memory again.
    let size = limits.size_within(pixels.size());
    pixels = pixels.scaled(size);
    pixels.image.apply_orientation(container.orientation);
    fit(pixels, targets, limits.max_bytes)
}

/// What the picture may be encoded as, if anything.
fn targets(container: &Container<'_>, limits: &PictureLimits) -> Option<Targets> {
    let takes = |kind| limits.kinds.contains(&kind);
    let targets =
        Targets { jpeg: takes(MediaKind::Jpeg), png: takes(MediaKind::Png), lossy: container.lossy };
    (targets.jpeg || targets.png).then_some(targets)
}

fn not_taken(kind: MediaKind, limits: &PictureLimits) -> PictureError {
    PictureError::KindNotTaken { kind, taken: limits.kinds.clone() }
}
