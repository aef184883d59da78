//! Top-level domains: the words that, after a dot, turn what precedes them into a link.
//!
//! The words come from IANA's list in the `tld` crate. X's published parser has its own list, frozen in 2020. Where the
//! two differ, it is not sure whether X makes a link.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Words that X's parser knows, but that have been removed from the root zone since.
#[rustfmt::skip]
const RETIRED: &[&str] = &[
    "abarth", "active", "adac", "afamilycompany", "aigo", "alfaromeo", "an", "avianca", "bananarepublic",
    "bentley", "bl", "blanco", "bnl", "boots", "bq", "budapest", "bugatti", "cancerresearch", "cartier",
    "caseih", "cbs", "ceb", "chloe", "chrysler", "cityeats", "comcast", "cookingchannel", "csc", "dabur",
    "dodge", "doha", "doosan", "duck", "dunlop", "duns", "eh", "epost", "esurance", "etisalat", "everbank",
    "fiat", "flsmidth", "foodnetwork", "frontdoor", "fujixerox", "glade", "goo", "goodhands", "guardian",
    "helsinki", "hgtv", "honeywell", "hoteles", "htc", "iinet", "intel", "iselect", "iveco", "iwc", "jcp",
    "jlc", "juniper", "kerrylogistics", "kinder", "ladbrokes", "lancaster", "lancia", "lancome", "liaison",
    "linde", "lipsy", "lixil", "loft", "lupin", "macys", "maserati", "mcd", "mcdonalds", "meo", "metlife",
    "mf", "mobily", "montblanc", "mopar", "movistar", "mtpc", "mutual", "mutuelle", "nadex", "nationwide",
    "natura", "newholland", "northwesternmutual", "off", "oldnavy", "onion", "onyourside", "orientexpress",
    "pamperedchef", "panerai", "passagens", "piaget", "pramerica", "qvc", "raid", "redstone", "rightathome",
    "rmit", "rocher", "sapo", "sca", "scjohnson", "scor", "ses", "shaw", "showtime", "shriram", "spiegel",
    "spreadbetting", "srt", "starhub", "statoil", "swiftcover", "symantec", "telecity", "telefonica",
    "tiffany", "tp", "travelchannel", "uconnect", "um", "vista", "vistaprint", "volkswagen", "vuelos",
    "warman", "wolterskluwer", "xfinity", "xperia", "zippo", "اتصالات", "موبايلي", "大众汽车", "工行", "手表", "珠宝",
    "诺基亚",
];

/// Words that were added to the root zone after X's list was frozen.
#[rustfmt::skip]
const NEWER: &[&str] = &[
    "amazon", "kids", "merck", "music", "spa", "web", "ישראל", "アマゾン", "亚马逊",
];

/// The length of the longest ASCII word, in bytes. A longer one need not be looked up.
const LONGEST_ASCII: usize = 24;

/// The length of the longest word in another script, in characters.
const LONGEST_FOREIGN: usize = 17;

/// The words in other scripts, decoded: IANA lists them in Punycode.
static FOREIGN: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let encoded = tld::TLD.iter().filter(|word| word.starts_with("xn--"));
    encoded.map(|word| idna::domain_to_unicode(word).0).collect()
});

/// A domain at the start of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Domain {
    /// Where it ends, in bytes.
    pub(super) end: usize,
    /// Whether X's parser certainly knows it.
    pub(super) is_sure: bool,
}

/// The top-level domain that starts a text.
///
/// A domain in Latin letters must be a whole word (`com`, not the start of `comma`). In another script it may be
/// followed by more letters, as some scripts are written without spaces.
pub(super) fn at_start(text: &str) -> Option<Domain> {
    let latin = text.bytes().take(LONGEST_ASCII + 1).take_while(u8::is_ascii_alphanumeric).count();
    if text.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("xn--")) {
        return punycode_end(text).map(|end| Domain { end, is_sure: true });
    }
    match latin {
        0 if text.starts_with(|c: char| c.is_ascii()) => None,
        0 => foreign(text),
        // A few begin with Latin letters and continue in another script.
        _ if text[latin..].starts_with(|c: char| !c.is_ascii() && c.is_alphabetic()) => {
            domain(&text[..latin]).or_else(|| foreign(text))
        }
        _ => domain(&text[..latin]),
    }
}

/// The end of a word that begins with `xn--`. X takes every one of them for a domain.
fn punycode_end(text: &str) -> Option<usize> {
    let end = text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count();
    (end > "xn--".len()).then_some(end)
}

/// The longest domain in another script at the start of a text.
fn foreign(text: &str) -> Option<Domain> {
    let ends = text.char_indices().take(LONGEST_FOREIGN).map(|(at, letter)| at + letter.len_utf8());
    ends.filter(|end| !text[..*end].is_ascii()).filter_map(|end| domain(&text[..end])).last()
}

/// A word as a domain that X may know.
fn domain(word: &str) -> Option<Domain> {
    let lower = lowercase(word);
    let is_listed = |list: &[&str]| list.binary_search(&lower.as_str()).is_ok();
    let end = word.len();
    if is_in_root(&lower) {
        Some(Domain { end, is_sure: !is_listed(NEWER) })
    } else {
        is_listed(RETIRED).then_some(Domain { end, is_sure: false })
    }
}

/// Whether a word, in any case, is a top-level domain today.
pub(in crate::net) fn is_known(word: &str) -> bool {
    is_in_root(&lowercase(word))
}

fn lowercase(word: &str) -> String {
    if word.is_ascii() { word.to_ascii_lowercase() } else { word.to_lowercase() }
}

fn is_in_root(lower: &str) -> bool {
    if lower.is_ascii() { tld::exist(lower) } else { FOREIGN.contains(lower) }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::is_nfc;

    use super::*;

    fn sure(text: &str) -> Option<(usize, bool)> {
        at_start(text).map(|domain| (domain.end, domain.is_sure))
    }

    /// X's list is IANA's with these differences. When a newer `tld` crate adds or removes words, add them to `NEWER`
    /// or `RETIRED`, and change this number.
    #[test]
    fn the_differences_belong_to_this_edition_of_ianas_list() {
        assert_eq!(tld::TLD.len(), 1_436);
        assert_eq!(tld::TLD.len() - NEWER.len() + RETIRED.len(), 1_574, "the length of X's list");
    }

    #[test]
    fn lists_are_sorted_and_differ_from_ianas_as_they_say() {
        assert!(RETIRED.is_sorted() && NEWER.is_sorted());
        for word in RETIRED.iter().chain(NEWER) {
            assert!(is_nfc(word) && word.to_lowercase() == **word, "{word}");
        }
        assert!(NEWER.iter().all(|word| is_known(word)));
        assert!(!RETIRED.iter().any(|word| is_known(word)));
    }

    #[test]
    fn every_word_is_found_in_any_case() {
        let listed = tld::TLD.iter().copied().filter(|word| !word.starts_with("xn--"));
        let listed = listed.chain(FOREIGN.iter().map(String::as_str)).chain(RETIRED.iter().copied());
        for word in listed {
            let is_sure = !RETIRED.contains(&word) && !NEWER.contains(&word);
            assert_eq!(sure(word), Some((word.len(), is_sure)), "{word}");
            let loud = word.to_uppercase();
            assert_eq!(sure(&loud), Some((loud.len(), is_sure)), "{loud}");
            assert!(word.len() <= LONGEST_ASCII || !word.is_ascii(), "{word}");
            assert!(word.chars().count() <= LONGEST_FOREIGN || word.is_ascii(), "{word}");
        }
    }

    #[test]
    fn words_that_are_domains_today_are_known() {
        for word in ["gives", "baidu", "chanel", "accenture", "aaa", "vermögensberater", "भारतम्", "淡马锡"]
        {
            assert_eq!(sure(word), Some((word.len(), true)), "{word}");
        }
        for word in ["web", "music", "amazon", "ישראל", "intel", "mcdonalds", "an", "诺基亚"] {
            assert_eq!(sure(word), Some((word.len(), false)), "{word}");
        }
        assert!(is_known("WEB") && is_known("рф") && !is_known("intel") && !is_known("then"));
    }

    #[test]
    fn a_word_ends_where_its_script_says() {
        let end = |text| at_start(text).map(|domain| domain.end);
        assert_eq!(end("com"), Some(3));
        assert_eq!(end("comma"), None);
        assert_eq!(end("com—then"), Some(3));
        assert_eq!(end("then"), None);
        assert_eq!(end("zz"), None);
        assert_eq!(end("中国人"), Some("中国".len()));
        assert_eq!(end("组织机构"), Some("组织机构".len()));
        assert_eq!(end("xn--p1ai/"), Some(8));
        assert_eq!(end("xn--"), None);
        assert_eq!(end(""), None);
    }
}
