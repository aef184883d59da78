//! What people paste: the address at which the browser ended, its query, or the PIN or code alone; and the
//! parameters of an answer. Each method of signing in judges whether it is the right answer.

use url::form_urlencoded;

/// The longest line that is read; the addresses to which networks send people have less than 2,000 bytes.
const LINE_MAX: usize = 8_192;

/// Maximum length of a code that is passed on. X's have about 100 characters, signed ones of other servers
/// 1,000.
const CODE_MAX: usize = 2_048;

/// The parameters of an OAuth answer: a line without any of these is not a query.
const KEYS: &[&str] = &["oauth_token", "oauth_verifier", "denied", "code", "state", "error"];

/// A pasted line. It has no `Debug`, as it contains a code.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pasted<'t> {
    /// The query of an address.
    Query(&'t str),
    /// A single word.
    Word(&'t str),
}

/// Reads a pasted line; `None` when it can't be an answer.
pub(super) fn read(line: &str) -> Option<Pasted<'_>> {
    let text = line.trim_matches(around);
    if text.is_empty() || text.len() > LINE_MAX {
        return None;
    }
    // Browsers hide the scheme, so an address is recognized by its `?` alone; the fragment never counts.
    let whole = text.split('#').next().unwrap_or_default();
    let query = whole.split_once('?').map(|(_, query)| query);
    match query {
        Some(query) => is_answer(query).then_some(Pasted::Query(query)),
        None if is_answer(whole) => Some(Pasted::Query(whole)),
        None => fit(text).filter(|word| !is_address(word)).map(Pasted::Word),
    }
}

/// A code, verifier or PIN that may be passed on: visible ASCII, and not too long.
pub(super) fn fit(code: &str) -> Option<&str> {
    let fits = (1..=CODE_MAX).contains(&code.len()) && code.bytes().all(|byte| byte.is_ascii_graphic());
    fits.then_some(code)
}

/// Characters that are often copied along from a terminal, a mail or a chat.
fn around(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "\"'`<>“”‘’\u{feff}\u{200b}".contains(c)
}

/// Whether it is an address without an answer, which is not a code.
fn is_address(word: &str) -> bool {
    word.contains("://") || word.ends_with("/callback")
}

fn is_answer(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(key, _)| KEYS.contains(&&*key))
}

/// The parameters of an answer. They have no `Debug`, as a code is among them.
pub(super) struct Params(Vec<(String, String)>);

/// The value of a parameter.
#[cfg_attr(test, derive(Debug))]
#[derive(PartialEq, Eq)]
pub(super) enum Param<'p> {
    /// Absent or empty.
    Missing,
    /// Once.
    One(&'p str),
    /// More than once, which is suspicious.
    Several,
}

impl Params {
    /// Parses the query of an answer.
    pub(super) fn of(query: &str) -> Self {
        Self(form_urlencoded::parse(query.as_bytes()).into_owned().collect())
    }

    /// The parameter with that name.
    pub(super) fn get(&self, name: &str) -> Param<'_> {
        let mut values = self.0.iter().filter(|(key, value)| key == name && !value.is_empty());
        match (values.next(), values.next()) {
            (None, _) => Param::Missing,
            (Some((_, value)), None) => Param::One(value),
            (Some(_), Some(_)) => Param::Several,
        }
    }

    /// The parameter with that name, if there is one and it may be passed on.
    pub(super) fn code(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Param::One(code) => fit(code),
            _ => None,
        }
    }
}

/// Whether two texts are equal, in a time that does not tell where they differ.
pub(super) fn same(one: &str, other: &str) -> bool {
    let differences = one.bytes().zip(other.bytes()).fold(0, |found, (one, other)| found | (one ^ other));
    one.len() == other.len() && differences == 0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_answer_is_found_in_whatever_form_it_is_pasted() {
        let query = "oauth_token=a&oauth_verifier=b";
        for line in [
            "oauth_token=a&oauth_verifier=b",
            "?oauth_token=a&oauth_verifier=b",
            "http://127.0.0.1:7881/callback?oauth_token=a&oauth_verifier=b",
            "127.0.0.1:7881/callback?oauth_token=a&oauth_verifier=b#_",
            "  \"http://127.0.0.1:7881/callback?oauth_token=a&oauth_verifier=b\"\r\n",
            "<http://127.0.0.1:7881/callback?oauth_token=a&oauth_verifier=b>",
            "\u{feff}'?oauth_token=a&oauth_verifier=b'",
        ] {
            assert_eq!(read(line), Some(Pasted::Query(query)), "{line}");
        }
        for (line, word) in [("1234567", "1234567"), (" `ab-c_d~e==` ", "ab-c_d~e=="), ("hello", "hello")] {
            assert_eq!(read(line), Some(Pasted::Word(word)), "{line}");
        }
    }

    #[test]
    fn what_is_no_answer_is_nothing() {
        let long = "1".repeat(CODE_MAX + 1);
        let longer = format!("?code={}", "1".repeat(LINE_MAX));
        for line in [
            "",
            " ",
            "\"\"",
            "two words",
            "https://x.com/home",
            "127.0.0.1:7881/callback",
            "?s=20",
            "?",
            "ümlaut",
            &long,
            &longer,
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn parts_count_once() {
        let parts = Params::of("a=1&b=2&b=3&c=&d=%20&e=%C3%BC&f=x%2By");
        assert_eq!(parts.get("a"), Param::One("1"));
        assert_eq!(parts.get("b"), Param::Several);
        assert_eq!((parts.get("c"), parts.get("z")), (Param::Missing, Param::Missing));
        assert_eq!([parts.code("a"), parts.code("b"), parts.code("c")], [Some("1"), None, None]);
        assert_eq!([parts.code("d"), parts.code("e"), parts.code("f")], [None, None, Some("x+y")]);
    }

    #[test]
    fn texts_are_the_same_only_if_they_are() {
        for (one, other) in [("", "a"), ("a", ""), ("ab", "ac"), ("ab", "abc"), ("abc", "ab")] {
            assert!(!same(one, other), "{one} {other}");
        }
        assert!(same("", "") && same("abc", "abc"));
    }

    proptest! {
        #[test]
        fn no_line_is_too_odd_to_be_read(line in "\\PC*|[?&=#%+<>\"' a-z0-9]*|.*") {
            match read(&line) {
                Some(Pasted::Word(word)) => prop_assert!(line.contains(word) && fit(word).is_some()),
                Some(Pasted::Query(query)) => {
                    let parts = Params::of(query);
                    prop_assert!(line.contains(query));
                    prop_assert!(KEYS.iter().all(|key| parts.code(key).is_none_or(|code| code.len() <= CODE_MAX)));
                }
                None => {}
            }
        }

        #[test]
        fn a_code_comes_through_an_address_unharmed(code in "[!-~]{1,200}") {
            let query: String = form_urlencoded::Serializer::new(String::new()).append_pair("code", &code).finish();
            let line = format!(" http://127.0.0.1:7881/callback?{query} ");
            let Some(Pasted::Query(query)) = read(&line) else { panic!("{line}") };
            let parts = Params::of(query);
            prop_assert_eq!(parts.code("code"), Some(code.as_str()));
        }
    }
}
