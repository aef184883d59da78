//! What an entry says: its parts, each a text with pictures, and how it is shown. Where entries come from is decided in
//! [`super::poem`], what a picture's file holds in [`super::media`].

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What stands between the parts of a thread where all of it is shown as one text.
const BETWEEN_PARTS: &str = "\n\n";

/// What an entry says, if that is more than one text: pictures, several parts, or how it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its parts, at least one; more than one make a thread.
    pub parts: Vec<Part>,
    /// The text that is displayed until a reader opens the post, instead of the bot's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spoiler_text: Option<String>,
    /// Whether its pictures are hidden until a reader asks for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sensitive: bool,
    /// The languages it is written in, as BCP 47 codes, instead of the bot's; empty if it does not say.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub languages: Vec<String>,
}

/// One post of a thread, or the only one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its text; may be empty beside pictures.
    pub text: String,
    /// Its pictures, in their order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<Medium>,
}

/// A picture of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Medium {
    /// Its file, relative to the folder of its poem, with `/` between folders.
    pub name: String,
    /// Its description for people who can't see it; may be empty.
    pub alt: String,
    /// The SHA-256 of its file, once the file was read for a post.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<FileDigest>,
}

/// The SHA-256 of a file.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct FileDigest([u8; 32]);

impl FileDigest {
    /// The digest of a file's contents.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The bytes, for the ledger.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The digest from the ledger; `None` if it is not 32 bytes long.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl std::fmt::Display for FileDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::fmt::Debug for FileDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

impl From<FileDigest> for String {
    fn from(digest: FileDigest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for FileDigest {
    type Error = &'static str;

    fn try_from(digits: String) -> Result<Self, &'static str> {
        let bytes = hex::decode(digits).ok();
        bytes.and_then(|bytes| Self::from_bytes(&bytes)).ok_or("a digest has 64 hexadecimal digits")
    }
}

/// A text for lists: the post's own, or what its pictures show if it has no text.
pub fn summary<'a>(text: &'a str, content: Option<&'a Content>) -> Cow<'a, str> {
    match content {
        Some(content) if text.trim().is_empty() => {
            let alts: Vec<&str> = content.media().map(|medium| medium.alt.as_str()).collect();
            Cow::Owned(format!("[{}]", alts.join("; ")))
        }
        _ => Cow::Borrowed(text),
    }
}

impl Content {
    /// A single text without pictures.
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part { text: text.into(), media: Vec::new() }], ..Self::default() }
    }

    /// Whether it says no more than its text, so that the text alone stands for it.
    pub fn is_plain(&self) -> bool {
        let Self { parts, spoiler_text, sensitive, languages } = self;
        parts.len() == 1
            && parts[0].media.is_empty()
            && spoiler_text.is_none()
            && !sensitive
            && languages.is_empty()
    }

    /// The whole text, without pictures.
    pub fn whole_text(&self) -> String {
        let texts = self.parts.iter().map(|part| part.text.as_str()).filter(|text| !text.is_empty());
        texts.collect::<Vec<_>>().join(BETWEEN_PARTS)
    }

    /// All pictures, in their order.
    pub fn media(&self) -> impl Iterator<Item = &Medium> {
        self.parts.iter().flat_map(|part| &part.media)
    }

    /// What is left to say after the first part; `None` if that is all.
    pub fn rest(&self) -> Option<Self> {
        let parts = self.parts.get(1..).filter(|parts| !parts.is_empty())?.to_vec();
        Some(Self { parts, ..self.clone() })
    }
}
