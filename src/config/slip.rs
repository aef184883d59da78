//! Guesses what a person meant by a line that is not valid TOML, and suggests the correction. The parser only
//! knows which token it expected.
//!
//! A value is never displayed: it may be a secret.

use super::suggest::{named, short};

/// Quotation marks that word processors and chat programs substitute for `"` and `'`.
const TYPOGRAPHIC: [char; 14] = ['“', '”', '„', '‟', '«', '»', '‘', '’', '‚', '‛', '″', '′', '＂', '`'];

/// Boolean words of other formats.
const SWITCHES: [&str; 6] = ["true", "false", "yes", "no", "on", "off"];

/// Comment markers of other languages.
const REMARKS: [&str; 5] = ["//", ";", "--", "/*", "%"];

/// What to write instead of a line, if its intention is recognizable.
pub(super) fn meant(line: &str) -> Option<String> {
    if REMARKS.iter().any(|mark| line.starts_with(mark)) {
        return Some("a comment begins with `#`".into());
    }
    let (key, value) = match line.split_once('=') {
        Some((key, value)) if !key.contains('"') => (key.trim(), value.trim_start()),
        _ => return colon(line),
    };
    if let Some((before, _)) = key.split_once(':').filter(|(key, _)| is_key(key.trim())) {
        return Some(equals(before.trim()));
    }
    match key {
        _ if is_quoted_so(key) => Some("a key needs no quotes, and straight ones where it has some".into()),
        _ if is_words(key) => {
            let joined = key.split_whitespace().collect::<Vec<_>>().join("_");
            Some(format!("a key can't contain spaces: write {}", named(&joined)))
        }
        _ if is_key(key) => of_value(key, value),
        _ => None,
    }
}

/// The name in a table's header in which only the brackets are wrong.
pub(super) fn header_in_other_brackets(line: &str) -> Option<String> {
    let name = header(line)?;
    line.contains(&name).then_some(name)
}

/// The corrected name in a table's header that has other brackets, or other separators than dots.
pub(super) fn header(line: &str) -> Option<String> {
    let line = line.split('#').next().unwrap_or_default().trim();
    let is_bracket = |c: char| "[](){}<>".contains(c);
    let inner = line.trim_matches(is_bracket);
    let begins = line.starts_with(is_bracket) && line.ends_with(is_bracket) || line.starts_with('[');
    let words: Vec<&str> = inner.split(['.', ' ', ':', '/', '\t']).filter(|word| !word.is_empty()).collect();
    let is_right = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) == Some(&*words.join("."));
    let fits = !words.is_empty() && words.len() <= 3 && words.iter().all(|word| is_key(word));
    (begins && fits && !is_right).then(|| words.join("."))
}

/// A table's header in its correct form.
pub(super) fn square_brackets(name: &str) -> String {
    format!("a table's name is in square brackets, with dots between its parts: write [{}]", short(name))
}

/// Whether a line's intention is recognizable although the parser finds no key in it.
pub(super) fn has_no_key(line: &str) -> bool {
    let key = line.split_once('=').map_or("", |(key, _)| key.trim());
    !is_key(key) && meant(line).is_some()
}

/// `key: value`, as in YAML and JSON.
fn colon(line: &str) -> Option<String> {
    let (key, value) = line.split_once(':')?;
    let key = key.trim().trim_matches('"');
    (is_key(key) && !value.starts_with("//")).then(|| equals(key))
}

fn equals(key: &str) -> String {
    format!("write `=` and not `:`: {} = \"…\"", named(key))
}

/// What is wrong after the `=`.
fn of_value(key: &str, value: &str) -> Option<String> {
    let key = named(key);
    let Some(first) = value.chars().next() else { return Some(of_bare(key, value)) };
    match first {
        '=' | '>' => Some(format!("write `=` once: {key} = \"…\"")),
        _ if TYPOGRAPHIC.contains(&first) => {
            Some(format!("`{key}` has typographic quotes: write straight ones, {key} = \"…\""))
        }
        '"' | '\'' => of_quoted(key, value, first),
        '{' | '[' => None,
        _ => Some(of_bare(key, value)),
    }
}

fn of_quoted(key: &str, value: &str, quote: char) -> Option<String> {
    if value.starts_with("\"\"\"") || value.starts_with("'''") {
        return None;
    }
    let Some(end) = end_of_quoted(value, quote) else {
        let ends_so = |c: char| TYPOGRAPHIC.contains(&c) || c == '\'' || c == '"';
        let other = value.trim_end().chars().skip(1).last().is_some_and(ends_so);
        return Some(if other {
            format!("`{key}` begins and ends with different quotes: write {key} = {quote}…{quote}")
        } else {
            format!("the closing quote is missing: write {key} = {quote}…{quote}")
        });
    };
    let behind = value[end..].split('#').next().unwrap_or_default().trim();
    match behind {
        "" if quote == '"' && value[..end].contains('\\') => Some(format!(
            "`{key}` has a backslash, which begins an escape in double quotes: write `/` in a path, or single quotes"
        )),
        "" => None,
        "," | ";" => Some(format!("remove the `{behind}` at the end: {key} = {quote}…{quote}")),
        _ => Some(format!(
            "there is text after the closing quote of `{key}`: remove it, or move it inside the quotes"
        )),
    }
}

/// The end of a quoted text, after its closing quote.
fn end_of_quoted(value: &str, quote: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in value.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' if quote == '"' => escaped = true,
            _ if c == quote => return Some(at + c.len_utf8()),
            _ => {}
        }
    }
    None
}

/// A value without quotes. Numbers, and values written like numbers, need none.
fn of_bare(key: &str, value: &str) -> String {
    let value = value.split('#').next().unwrap_or_default().trim();
    let word = value.trim_end_matches([',', ';']);
    let is_number = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let is_switch = SWITCHES.iter().any(|switch| switch.eq_ignore_ascii_case(word));
    match word {
        _ if is_number && word != value => format!("remove the `{}` at the end", &value[word.len()..]),
        _ if is_switch => {
            format!("`{key}` needs a value in quotes, or, for a switch, true or false in lower case")
        }
        _ => format!("`{key}` needs a value in quotes: write {key} = \"…\""),
    }
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
}

fn is_words(text: &str) -> bool {
    text.contains(char::is_whitespace) && text.split_whitespace().all(is_key)
}

fn is_quoted_so(text: &str) -> bool {
    text.starts_with(TYPOGRAPHIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks a part of each answer; lines without an answer get the parser's message.
    #[test]
    fn a_line_is_understood() {
        for (line, expect) in [
            ("network: feed", "write `=` and not `:`: network"),
            ("\"network\": \"feed\"", "write `=` and not `:`: network"),
            ("network : feed = x", "write `=` and not `:`: network"),
            ("network == \"feed\"", "`=` once"),
            ("network => \"feed\"", "`=` once"),
            ("network = “feed”", "typographic"),
            ("network = ‘feed’", "typographic"),
            ("“network” = \"feed\"", "straight"),
            ("network = \"feed”", "different quotes"),
            ("network = \"feed'", "different quotes"),
            ("network = \"feed", "closing quote is missing"),
            ("network = 'feed", "closing quote is missing"),
            ("network = \"feed\",", "remove the `,`"),
            ("network = \"feed\"; # a comment", "remove the `;`"),
            ("max_per_hour = 5,", "remove the `,`"),
            ("poem = \"poems\\walt.txt\"", "`/`"),
            ("poem = \"C:\\Users\\walt.txt\"", "single quotes"),
            ("poem = \"a\" b", "after the closing quote"),
            ("max per hour = 5", "max_per_hour"),
            ("network = feed", "in quotes: write network ="),
            ("network = true,", "true or false"),
            ("order = True", "true or false"),
            ("order = YES", "true or false"),
            ("// a comment", "`#`"),
            ("; a comment", "`#`"),
        ] {
            let said = meant(line);
            assert!(said.as_ref().is_some_and(|said| said.contains(expect)), "{line}: {said:?}");
        }
        // Each letter that begins a TOML keyword: `false`, `true`, `inf`, `nan`.
        for word in ["feed", "twitter", "indigo", "nostr", "x", "10m", "-5x", "Feed", "über"] {
            assert!(meant(&format!("network = {word}")).unwrap().contains("in quotes"), "{word}");
        }
    }

    #[test]
    fn a_value_is_never_shown() {
        for line in [
            "key = \"hush",
            "key = hush",
            "key: hush",
            "key = \"hush\" hush",
            "key == hush",
            "key = “hush”",
            "key = 'hush',",
        ] {
            let said = meant(line).unwrap_or_default();
            assert!(!said.is_empty() && !said.contains("hush"), "{line}: {said}");
        }
    }

    #[test]
    fn what_is_no_key_is_not_shown() {
        for line in ["aHVzaA==", "c2VzYW1lIG9wZW4=", "s3same: x", "HUSH HUSH = 1"] {
            let said = meant(line).unwrap();
            assert!(said.contains("KEY"), "{line}: {said}");
        }
    }

    #[test]
    fn what_shows_nothing_is_left_to_the_parser() {
        for line in
            ["", "sesame", "\"a\", \"b\"", "key = [1,", "key = { env = ", "key = '''a", "https://example.org"]
        {
            assert_eq!(meant(line), None, "{line}");
        }
    }

    #[test]
    fn a_header_in_other_brackets_is_known() {
        for line in [
            "[bots walt]",
            "(bots.walt)",
            "{bots.walt}",
            "<bots.walt>",
            "[bots.walt}",
            "[bots.walt",
            "[bots:walt] # he",
            "[bots/walt]",
        ] {
            assert_eq!(header(line).as_deref(), Some("bots.walt"), "{line}");
        }
        for line in ["[bots.walt]", "poem = \"a\"", "[bots.w!lt]", "{ env = \"A\" }", "[1, 2", "]"] {
            assert!(header(line).is_none_or(|header| header == "1.2"), "{line}: {:?}", header(line));
        }
    }
}
