//! The files that pages load: the style sheet, the dashboard's script and the icon, all compiled in.

use super::answer::Document;

/// The one style sheet.
const STYLE: &str = include_str!("style.css");

/// What keeps the dashboard up to date where there is a script.
const SCRIPT: &str = include_str!("script.js");

/// The icon in the browser's tab.
const ICON: &str = include_str!("icon.svg");

/// What tells these files from those of other versions, so that they may be kept for good.
const STYLE_VERSION: u32 = fingerprint(STYLE.as_bytes());
const SCRIPT_VERSION: u32 = fingerprint(SCRIPT.as_bytes());

/// How long something that can't change may be kept: a year, the longest that caches heed.
const FOR_GOOD: &str = "public, max-age=31536000, immutable";

/// How long the icon may be kept: a day.
const A_DAY: &str = "public, max-age=86400";

/// The style sheet's address, seen from the root.
pub(super) fn style_address() -> String {
    format!("style.css?v={STYLE_VERSION:08x}")
}

/// The style sheet, to be kept for good by whoever asked for this very version of it.
pub(super) fn style(query: Option<&str>) -> Document {
    versioned(STYLE, "text/css; charset=utf-8", STYLE_VERSION, query)
}

/// The script's address, seen from the root.
pub(super) fn script_address() -> String {
    format!("script.js?v={SCRIPT_VERSION:08x}")
}

/// The script, likewise.
pub(super) fn script(query: Option<&str>) -> Document {
    versioned(SCRIPT, "text/javascript; charset=utf-8", SCRIPT_VERSION, query)
}

fn versioned(text: &str, media_type: &'static str, version: u32, query: Option<&str>) -> Document {
    let asked = query.and_then(|query| query.strip_prefix("v="));
    let same = asked.is_some_and(|asked| asked == format!("{version:08x}"));
    let cache = if same { FOR_GOOD } else { "no-cache" };
    Document { body: text.into(), media_type, cache, modified: None }
}

/// The icon.
pub(super) fn icon() -> Document {
    Document { body: ICON.into(), media_type: "image/svg+xml", cache: A_DAY, modified: None }
}

/// FNV-1a, 32 bits: computed by the compiler, and only to tell versions apart.
const fn fingerprint(bytes: &[u8]) -> u32 {
    let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}
