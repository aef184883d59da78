//! What a post carries besides its text, as clients see it: uploaded pictures, and the place in its thread.

use super::Rejection;
use crate::flock::content::{Content, FileDigest};
use crate::flock::media::{MediaKind, Upload};

/// What a post carries besides its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Attached<'a> {
    /// What is posted, if that is more than the text. Its first part is the one that is sent.
    pub content: Option<&'a Content>,
    /// Its pictures, uploaded, in their order.
    pub uploads: &'a [Upload],
    /// The post that it answers, for a part of a thread after the first.
    pub reply_to: Option<&'a ReplyTo>,
}

/// The place of a part in its thread, by the network's ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyTo {
    /// The first post of the thread.
    pub root: String,
    /// The post before it.
    pub parent: String,
}

/// A picture that is ready to be uploaded: within the network's limits, and without metadata.
#[derive(Debug, Clone)]
pub struct Picture {
    /// The file, as it is uploaded.
    pub bytes: Vec<u8>,
    /// Its type.
    pub kind: MediaKind,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The file's name in the poem's folder.
    pub name: String,
    /// Its description; may be empty.
    pub alt: String,
}

impl Picture {
    /// A name for the file that tells its type and nothing else: its own name stays here.
    pub(super) fn file_name(&self) -> String {
        format!("picture.{}", self.kind.as_str().trim_start_matches("image/"))
    }
}

/// What a network answered to an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// What the network calls it when it is attached.
    pub remote_id: String,
    /// What a post that the network shows calls it, if that is something else.
    pub media_key: Option<String>,
    /// For how long the network keeps it, if it said so.
    pub lifetime: Option<std::time::Duration>,
    /// Whether the network has processed it, so that it can be attached.
    pub ready: bool,
    /// What it cost, in thousandths of a US dollar.
    pub cost: u32,
}

impl Uploaded {
    /// What a network without a server knows a picture by: its digest.
    pub(super) fn locally(picture: &Picture) -> Self {
        let remote_id = FileDigest::of(&picture.bytes).to_string();
        Self { remote_id, media_key: None, lifetime: None, ready: true, cost: 0 }
    }
}

/// Why a picture was not uploaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// The network rejects this picture, and would reject it again: what it said.
    #[error("{0}")]
    Refused(String),
    /// It may be tried again.
    #[error(transparent)]
    Failed(#[from] Rejection),
}
