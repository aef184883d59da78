//! Weights and verdicts by our own table; beside it the published cases, and laws for any text.

mod laws;
mod published;

use super::*;

/// Texts and what they weigh, reckoned by hand from the rules.
const TABLE: &[(&str, usize)] = &[
    // Prose.
    ("", 0),
    ("A slow tram", 11),
    ("The kettle has forgiven the blue teapot", 39),
    ("two\nlines", 9),
    ("two\r\nlines", 10),
    ("tab\there", 8),
    ("Ça va, très bien", 16),
    ("Привет, мир", 11),
    ("γειά", 4),
    ("שלום", 4),
    ("สวัสดี", 6),
    // Accents composed and not: X counts in NFC.
    ("caf\u{E9}", 4),
    ("cafe\u{301}", 4),
    ("A\u{30A}\u{301}", 1),
    ("q\u{301}", 2),
    ("\u{1112}\u{1161}\u{11AB}", 2),
    // Signs: quotes and dashes weigh one, the ellipsis and what stands beyond the ranges two.
    ("“quoth”", 7),
    ("‘tis’", 5),
    ("–—", 2),
    ("wait…", 6),
    ("′″‴", 5 - 2),
    ("\u{10FF}\u{1100}", 3),
    ("\u{2000}\u{200D}\u{200E}\u{200F}", 6),
    ("\u{2010}\u{201F}\u{2020}", 4),
    ("\u{2031}\u{2032}\u{2037}\u{2038}", 6),
    ("a\u{200B}b", 3),
    ("a\u{2060}b", 4),
    ("€5", 3),
    ("ạ", 2),
    // Scripts that weigh two.
    ("日本語", 6),
    ("こんにちは。", 12),
    ("한국말", 6),
    ("the故人", 7),
    ("𝒜", 2),
    // Emoji.
    ("👋", 2),
    ("Hello, world! 👋", 16),
    ("👨\u{200D}👩\u{200D}👧\u{200D}👦", 2),
    ("🙋🏽👨\u{200D}🎤", 4),
    ("👩\u{200D}❤\u{FE0F}\u{200D}💋\u{200D}👩", 2),
    ("🇫🇷🇩🇪", 4),
    ("🇫", 2),
    ("🇫🇷🇩", 4),
    ("🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}", 2),
    ("1\u{FE0F}\u{20E3}", 2),
    ("#\u{20E3}", 2),
    ("☺", 2),
    ("☺\u{FE0F}", 2),
    ("☺\u{FE0E}", 4),
    ("©", 2),
    ("©\u{FE0F}", 2),
    ("😀\u{200D}😀", 5),
    ("🐱🏽", 4),
    // Spelt short, which X does not take for one but for keycaps.
    ("👩\u{200D}⚕", 5),
    ("👩\u{200D}⚕\u{FE0F}", 2),
    // Newer than X's published list, so by its parts.
    ("🐦\u{200D}🔥", 5),
    ("👩🏻\u{200D}❤\u{FE0F}\u{200D}💋\u{200D}👩🏿", 11),
    ("❤\u{FE0F}\u{200D}🔥", 5),
    ("🧑\u{200D}🎄", 5),
    ("♾\u{FE0F}", 4),
    // Links with a scheme.
    ("http://test.co", 23),
    ("a.gives", 23),
    ("a-word-and-another-word.baidu", 23),
    // One list has the domain and the other not: the larger count.
    ("a.web", 23),
    ("a-word-and-another-word.web", 27),
    ("https://a-word-and-another.mcdonalds", 36),
    ("HTTPS://Example.COM/Path", 23),
    ("https://example.com/a/very/long/path?with=query&and=more#anchor", 23),
    ("http://example.com:8080/x?y", 23),
    ("http://example.com:", 24),
    ("http://example.com/Русские_слова", 23),
    ("http://example.com/it_()", 25),
    ("http://example.com/a?b=c.", 24),
    ("http://example.com/a?", 24),
    ("https://example.com?x=1", 23),
    ("http://☃.net/", 23),
    ("http://münchen.de/straße", 23),
    ("http://例え.中国/a", 23),
    ("http://example.рф", 23),
    ("http://xn--e1afmkfd.xn--p1ai", 23),
    ("http://sub_domain.example.com", 23),
    ("(http://example.com)", 25),
    ("see http://example.com.", 28),
    ("http://example.com/a, b", 26),
    ("http://example.com/a…", 25),
    ("http://example.com/it_(film)", 23),
    ("http://example.com/it_(a_(b)_c)d", 23),
    ("http://example.com/it_(film", 23 + 5),
    ("http://example.com/it_(a(b(c)))", 23 + 9),
    ("“https://example.com”", 25),
    ("日本http://example.comの", 4 + 23 + 2),
    ("http://example.com http://example.com", 47),
    ("https://t.co/abcdefghij", 23),
    ("https://t.co/abcdefghij-k", 25),
    ("t.co/abcdefghij-k", 25),
    ("https://t.co/abcdefghijk", 24),
    ("a\nhttp://example.com\nb", 27),
    ("http://example.com.Then", 28),
    // Schemes that make no link, or none that is sure.
    ("http://", 7),
    ("http://localhost", 16),
    ("http://localhost.", 17),
    ("http://example.nowhere.", 24),
    ("xhttp://example.com", 8 + 23),
    ("ftp://example.com/", 6 + 23),
    ("http://example.nowhere", 23),
    ("http://user:pass@example.com", 28),
    ("http://192.168.10.1/", 23),
    ("http://a_b.c_d.com/and/some/more/path", 37),
    // Links without a scheme.
    ("example.com", 23),
    ("example.com test", 28),
    ("t.co", 23),
    ("foo.co.jp", 23),
    ("WWW.EXAMPLE.COM", 23),
    ("www.example.com/path/to/somewhere/else", 23),
    ("example.com/a.", 24),
    ("example.com:80", 26),
    ("example.com:80/a", 23),
    ("example.com?x=1", 27),
    ("(example.com)", 25),
    ("“example.com”", 25),
    ("日本語example.comです", 6 + 23 + 4),
    ("foo.comのbar.com", 23 + 2 + 23),
    ("example.рф", 23),
    ("say:example.com!", 28),
    ("www.example.nowhere", 23),
    ("www..nowhere", 12),
    ("example.中国ab", 25),
    ("日本-foo.com", 4 + 1 + 23),
    ("example.nowhere/else", 23),
    ("example.com-bound", 23 + 6),
    ("foo_example.com", 4 + 23),
    // Hosts so long that it shows whether a link is sure.
    ("a-very-long-host-name-indeed.com", 23),
    ("\u{3000}a-very-long-host-name-indeed.com", 2 + 23),
    ("\u{202A}a-very-long-host-name-indeed.com\u{202C}", 2 + 23 + 2),
    ("日本a-very-long-host-name-indeed.com", 4 + 32),
    ("_a-very-long-host-name-indeed.com", 1 + 32),
    ("a-very-long-host-name-indeed.com-bound", 32 + 6),
    ("a-very-long-host-name-indeed.nowhere/", 37),
    ("@http://example.com/and/a/path", 1 + 29),
    // What only looks like one.
    ("example.com2", 12),
    ("www.example.x", 13),
    ("a-.b.com", 8),
    ("a.com..b.com", 23 + 7),
    ("the end.Then", 12),
    ("the end.So", 27),
    ("3.14", 4),
    ("e.g. this, i.e. that", 20),
    ("at 5 p.m. in the U.S.A.", 23),
    ("wait...now", 10),
    ("and/or.Then", 11),
    ("and/or.so", 4 + 23),
    ("Mr.Smith", 8),
    ("he said.”", 9),
    ("said.—Then", 10),
    ("конец.Потом", 11),
    (".com", 4),
    ("-example.com", 12),
    ("a..com", 6),
    ("a@b.com", 7),
    ("first.me@example.com", 20),
    ("@name.com", 9),
    ("#tag.com", 1 + 23),
    ("$tag.com", 1 + 23),
    ("#tag.Then", 9),
    ("@mention and #hashtag", 21),
];

#[test]
fn table_of_weights() {
    for (text, length) in TABLE {
        assert_eq!(weighted(text), *length, "{text:?}");
    }
    assert!(TABLE.len() >= 40);
}

#[test]
fn verdicts() {
    assert_eq!(check("a"), Ok(()));
    for blank in ["", " ", "\n\t\u{3000}"] {
        assert_eq!(check(blank), Err(TextError::Blank { network: NetworkKind::X }), "{blank:?}");
    }
    for character in ['\u{FFFE}', '\u{FEFF}', '\u{FFFF}'] {
        let text = format!("日本{character}x");
        let position = 3;
        assert_eq!(
            check(&text),
            Err(TextError::Character { network: NetworkKind::X, code: character.into(), position })
        );
    }
    assert_eq!(check("\u{202A}a\u{202C}"), Ok(()));
}

#[test]
fn the_limit_is_the_last_length_that_fits() {
    assert_eq!(check(&"x".repeat(MAX)), Ok(()));
    assert_eq!(check(&"あ".repeat(MAX / 2)), Ok(()));
    let too_long = TextError::TooLong { network: NetworkKind::X, length: 281, max: 280 };
    assert_eq!(check(&"x".repeat(MAX + 1)), Err(too_long));
}

#[test]
fn misfits_say_what_to_do() {
    let said = |text: &str| check(text).map_err(|misfit| misfit.to_string());
    assert_eq!(said(" "), Err("nothing in it that x would show: write something visible".into()));
    assert_eq!(said("ab\u{FEFF}"), Err("character 3 is U+FEFF, which x refuses: remove it".into()));
    assert_eq!(
        said(&"x".repeat(285)),
        Err("285 characters as x counts them, 280 is the most: shorten it".into())
    );
}

#[test]
fn labels_and_links_have_a_longest_size() {
    let host = |length: usize| format!("http://{}.com", "a".repeat(length));
    assert_eq!(weighted(&host(63)), 23);
    assert_eq!(weighted(&host(64)), 7 + 64 + 4);
    let path = |length: usize| format!("http://a.com/{}", "b".repeat(length));
    assert_eq!(weighted(&path(4000)), 23);
    assert_eq!(weighted(&path(4100)), 13 + 4100);
}
