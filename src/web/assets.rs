//! The files that pages load, compiled into the binary: the style sheet, the dashboard's script and the icon.

use axum::http::{HeaderMap, Uri};
use axum::response::Response;

use super::response::{self, Document};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");
const ICON: &str = include_str!("icon.svg");

/// Versions in the addresses, so that browsers can cache the files forever.
const STYLE_VERSION: u32 = fnv1a(STYLE.as_bytes());
const SCRIPT_VERSION: u32 = fnv1a(SCRIPT.as_bytes());

/// For a file that never changes at its address: a year, the longest time that caches honor.
pub(super) const IMMUTABLE: &str = "public, max-age=31536000, immutable";
const ONE_DAY: &str = "public, max-age=86400";

/// The style sheet's address, relative to the front page.
pub(super) fn style_address() -> String {
    format!("style.css?v={STYLE_VERSION:08x}")
}

/// The script's address, relative to the front page.
pub(super) fn script_address() -> String {
    format!("script.js?v={SCRIPT_VERSION:08x}")
}

/// `GET /style.css`.
pub(super) async fn style(uri: Uri, headers: HeaderMap) -> Response {
    let document = versioned(STYLE, "text/css; charset=utf-8", STYLE_VERSION, uri.query());
    response::conditional(&headers, document)
}

/// `GET /script.js`.
pub(super) async fn script(uri: Uri, headers: HeaderMap) -> Response {
    let document = versioned(SCRIPT, "text/javascript; charset=utf-8", SCRIPT_VERSION, uri.query());
    response::conditional(&headers, document)
}

/// `GET /icon.svg`.
pub(super) async fn icon(headers: HeaderMap) -> Response {
    let document =
        Document { body: ICON.into(), media_type: "image/svg+xml", cache: ONE_DAY, modified: None };
    response::conditional(&headers, document)
}

/// Immutable only if the address names this version.
fn versioned(text: &str, media_type: &'static str, version: u32, query: Option<&str>) -> Document {
    let requested = query.and_then(|query| query.strip_prefix("v="));
    let is_current = requested.is_some_and(|requested| requested == format!("{version:08x}"));
    let cache = if is_current { IMMUTABLE } else { "no-cache" };
    Document { body: text.into(), media_type, cache, modified: None }
}

/// FNV-1a, 32 bits, computed at compile time. It distinguishes versions and has no security purpose.
const fn fnv1a(bytes: &[u8]) -> u32 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}
