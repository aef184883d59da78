//! What holds for any text, and for texts made to be slow.

use proptest::prelude::*;
use unicode_normalization::UnicodeNormalization;

use super::super::{MAX, TextError, check, link, weighted};

/// What might make a scanner look at the same text again and again, ten megabytes at last: were the
/// count not linear, this would not end.
#[test]
fn hostile_texts_are_counted() {
    const MILLION: usize = 1_000_000;
    let parts = [
        "a.",
        "a.co(",
        "a.co/(",
        "a.co/((b,",
        "a.co/a,",
        "http://",
        "http://a.",
        "-.",
        "..",
        "a-",
        "あ.",
        "あ",
        "e\u{301}",
        "\u{301}\u{323}",
        "👩\u{200D}",
        "🇫",
        "1\u{FE0F}",
        "@a.",
        "www.a/",
        "xn--",
        "a.co?",
        "http://あ.co/(",
        "http",
        ":1",
        "中国.",
        "a.中",
    ];
    for part in parts {
        assert!(weighted(&part.repeat(MILLION / 4 / part.len())) > MAX, "{part:?}");
    }
    assert_eq!(weighted(&"a.co/((b, ".repeat(MILLION)), 28 * MILLION);
}

/// Pieces of text that mean something to the count, so that random texts reach its corners.
fn piece() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "http://",
        "https://",
        "www.",
        ".",
        "..",
        ".com",
        ".co",
        ".рф",
        ".中国",
        "example",
        "t.co",
        "a",
        "B",
        "é",
        "e\u{301}",
        "日",
        "한",
        "/",
        "(",
        ")",
        "?",
        "#",
        "@",
        "$",
        "-",
        "_",
        ":",
        ":80",
        "=",
        ",",
        "“",
        "”",
        "…",
        "👩",
        "\u{200D}",
        "❤\u{FE0F}",
        "🏽",
        "🇫🇷",
        "1\u{FE0F}\u{20E3}",
        "\u{202A}",
        "\u{FEFF}",
        "\u{301}",
        "\u{3000}",
        "xn--p1ai",
        "1",
    ]);
    prop_oneof![4 => known.prop_map(String::from), 1 => any::<String>()]
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(piece(), 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_panics_and_agrees_with_the_verdict(text in text()) {
        let length = weighted(&text);
        match check(&text) {
            Ok(()) => prop_assert!((1..=MAX).contains(&length)),
            Err(TextError::TooLong { length: said, max, .. }) => {
                prop_assert_eq!((said, max), (length, MAX));
                prop_assert!(length > MAX);
            }
            Err(TextError::TooHeavy { .. }) => prop_assert!(false, "X counts no bytes"),
            Err(TextError::Mention { .. }) => prop_assert!(false, "whom it mentions is asked elsewhere"),
            Err(TextError::Blank { .. }) => prop_assert!(text.trim().is_empty()),
            Err(TextError::Character { code, position, .. }) => {
                prop_assert_eq!(text.chars().nth(position - 1).map(u32::from), Some(code));
            }
        }
    }

    #[test]
    fn normal_form_makes_no_difference(text in text()) {
        let length = weighted(&text);
        prop_assert_eq!(weighted(&text.nfc().collect::<String>()), length);
        prop_assert_eq!(weighted(&text.nfd().collect::<String>()), length);
    }

    #[test]
    fn a_space_parts_the_count(first in text(), second in text()) {
        let joined = weighted(&format!("{first} {second}"));
        prop_assert_eq!(joined, weighted(&first) + 1 + weighted(&second));
    }

    #[test]
    fn links_are_in_order_and_on_characters(text in text()) {
        let text: String = text.nfc().collect();
        let mut at = 0;
        for link in link::links(&text) {
            prop_assert!(at <= link.start && link.start < link.end);
            prop_assert!(text.get(link.start..link.end).is_some_and(|link| link.contains('.')));
            at = link.end;
        }
    }

    #[test]
    fn without_links_and_emoji_each_character_counts(text in "[ a-zé日本—“”…,!?\n]{0,300}") {
        let heavy = text.chars().filter(|c| "日本…".contains(*c)).count();
        prop_assert_eq!(weighted(&text), text.chars().count() + heavy);
    }

    #[test]
    fn a_letter_before_never_loses_weight_from_prose(text in "[ a-z日,👩\u{200D}🏽]{0,99}") {
        prop_assert_eq!(weighted(&format!("x{text}")), 1 + weighted(&text));
    }
}
