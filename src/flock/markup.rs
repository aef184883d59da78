//! What an entry of a text file says beside its text: pictures, written as in Markdown at the end of a line or on lines of
//! their own, and lines `---` between the parts of a thread. How a file is split into entries is decided in
//! [`super::poem`].

use super::content::{Content, Medium, Part};
use super::entry::{EntryKey, Unit};
use super::picture_name;

/// The line between two parts of a thread.
const BETWEEN: &str = "---";

/// A line of a file and its number, from 1.
pub(super) type NumberedLine<'t> = (usize, &'t str);

/// Why a picture can't be posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the picture {reason}")]
pub struct MarkupError {
    /// The line in the file, from 1.
    pub line: usize,
    /// What is wrong with its name, and what to do.
    pub reason: String,
}

/// The entry on these lines of a file, at least one. `has_parts` tells whether it may be a thread.
pub(super) fn unit(lines: &[NumberedLine<'_>], has_parts: bool) -> Result<Unit, MarkupError> {
    let number = lines.first().map_or(0, |(number, _)| *number);
    let source = || lines.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
    let is_marked = |line: &str| line.contains("](") || (has_parts && line.contains(BETWEEN));
    if !lines.iter().any(|(_, line)| is_marked(line)) {
        return Ok(Unit::plain(number, source()));
    }
    let (mut parts, mut bare) = (vec![Part::default()], Vec::new());
    for (number, line) in lines.iter().copied() {
        if has_parts && line == BETWEEN {
            bare.push(line);
            parts.push(Part::default());
            continue;
        }
        let Line { text, source, media } = match line.strip_prefix('\\') {
            Some(BETWEEN) if has_parts => Line { text: BETWEEN.to_owned(), source: line, media: Vec::new() },
            _ => read_line(number, line)?,
        };
        bare.push(source);
        if let Some(part) = parts.last_mut() {
            // A picture on a line of its own leaves no line behind.
            if media.is_empty() || !text.is_empty() {
                part.text.extend([&*text, "\n"]);
            }
            part.media.extend(media);
        }
    }
    for part in &mut parts {
        part.text = part.text.trim_matches('\n').to_owned();
    }
    parts.retain(|part| !part.text.is_empty() || !part.media.is_empty());
    if parts.is_empty() {
        // Nothing but lines that separate parts: it is what it looks like.
        return Ok(Unit::plain(number, source()));
    }
    let content = Content { parts, ..Content::default() };
    let names: Vec<&str> = content.media().map(|medium| medium.name.as_str()).collect();
    let key = EntryKey::with_pictures(&bare.join("\n"), &names);
    Ok(Unit::of(number, key, content))
}

/// A line, taken apart.
struct Line<'t> {
    /// What is posted of it.
    text: String,
    /// The line as it is written, without its pictures.
    source: &'t str,
    media: Vec<Medium>,
}

/// Takes the pictures from the end of a line. A backslash before one makes it text.
fn read_line(number: usize, line: &str) -> Result<Line<'_>, MarkupError> {
    let (mut rest, mut media) = (line, Vec::new());
    while let Some(picture) = last_picture(rest) {
        if let Some(before) = picture.before.strip_suffix('\\') {
            let text = [before, &rest[picture.before.len()..]].concat();
            media.reverse();
            return Ok(Line { text, source: rest, media });
        }
        let name =
            picture_name::checked(picture.target).map_err(|reason| MarkupError { line: number, reason })?;
        media.push(Medium { name, alt: unescaped(picture.alt), digest: None });
        rest = picture.before.trim_end();
    }
    media.reverse();
    Ok(Line { text: rest.to_owned(), source: rest, media })
}

/// A picture in Markdown, and what comes before it.
struct Picture<'t> {
    before: &'t str,
    alt: &'t str,
    target: &'t str,
}

/// The picture that a line ends with.
fn last_picture(line: &str) -> Option<Picture<'_>> {
    let (head, target) = line.strip_suffix(')')?.rsplit_once("](")?;
    let target = target.trim();
    let target = target.strip_prefix('<').and_then(|it| it.strip_suffix('>')).unwrap_or(target);
    let (before, alt) = head.rsplit_once("![")?;
    let is_picture = picture_name::resembles_picture(target) && is_balanced(alt);
    is_picture.then_some(Picture { before, alt, target })
}

/// Whether each bracket that opens is closed, so that the text before it belongs to the same picture.
fn is_balanced(alt: &str) -> bool {
    let plain = alt.replace("\\[", "").replace("\\]", "");
    plain.matches('[').count() == plain.matches(']').count()
}

/// A description as it is read: a backslash before a bracket goes.
fn unescaped(alt: &str) -> String {
    alt.replace("\\[", "[").replace("\\]", "]").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::{Poem, PoemError, Split};
    use proptest::prelude::*;

    /// An entry as text: its parts, each with its pictures.
    fn shown(file: &str, split: Split) -> Vec<String> {
        let poem = Poem::parse(file.as_bytes(), split).unwrap();
        let entry = |entry: &crate::flock::poem::Entry| {
            let Some(content) = &entry.content else { return entry.text.clone() };
            let part = |part: &Part| {
                let media: String = part.media.iter().map(|it| format!("<{}={}>", it.name, it.alt)).collect();
                format!("{}{media}", part.text)
            };
            content.parts.iter().map(part).collect::<Vec<_>>().join(" || ")
        };
        poem.entries().iter().map(entry).collect()
    }

    #[test]
    fn pictures_stand_at_the_end_of_a_line() {
        let file = "An owl. ![a small bronze owl](owl.jpg)\n![](./owls/barn.PNG)\nTwo ![one](1.gif)![two](2.webp) \n\
            ![a [tiny] owl](<my owl (1).jpg>)\n![\\]](a.jpg)\n";
        let expect = [
            "An owl.<owl.jpg=a small bronze owl>",
            "<owls/barn.PNG=>",
            "Two<1.gif=one><2.webp=two>",
            "<my owl (1).jpg=a [tiny] owl>",
            "<a.jpg=]>",
        ];
        assert_eq!(shown(file, Split::Line), expect);
    }

    #[test]
    fn texts_of_before_stay_texts() {
        for text in [
            "look ![here](owl.jpg) again",
            "![a](b)",
            "![a](owl.txt)",
            "wow ![ see [this](owl.jpg)",
            "[an owl](owl.jpg)",
            "![a](https://example.org/owl)",
            "![a](owl.jpg \"title\")",
            "a \\![b](c) d",
            "---",
            "a --- b",
        ] {
            let poem = Poem::parse(text.as_bytes(), Split::Line).unwrap();
            let entry = &poem.entries()[0];
            assert_eq!((entry.text.as_str(), &entry.content), (text, &None));
            assert_eq!(entry.id.key, EntryKey::of(text));
        }
    }

    #[test]
    fn a_backslash_makes_a_picture_a_text() {
        let poem = Poem::parse(b"write \\![alt](owl.jpg)\n", Split::Line).unwrap();
        let entry = &poem.entries()[0];
        assert_eq!(entry.text, "write ![alt](owl.jpg)");
        assert_eq!(entry.id.key, EntryKey::of("write \\![alt](owl.jpg)"), "it is the entry that it was");
        assert!(entry.content.is_some(), "the ledger has to know that its key is not that of its text");
        assert_eq!(shown("\\![a](a.jpg) ![b](b.jpg)", Split::Line), ["![a](a.jpg)<b.jpg=b>"]);
    }

    #[test]
    fn stanzas_have_pictures_and_parts() {
        let file = "one\n![first](1.jpg)\ntwo ![second](2.jpg)\n---\nthree\n  four\n\n![only](3.jpg)\n\n---\n\n\
            ---\nalone\n---\n---\n\n\\---\nnext\n";
        let expect = [
            "one\ntwo<1.jpg=first><2.jpg=second> || three\n  four",
            "<3.jpg=only>",
            "---",
            "alone",
            "---\nnext",
        ];
        assert_eq!(shown(file, Split::Stanza), expect);
        let fortunes = "one\n\n---\n\ntwo\n\nthree\n%\nfour\n";
        assert_eq!(shown(fortunes, Split::Percent), ["one || two\n\nthree", "four"]);
    }

    #[test]
    fn a_stanza_with_a_separator_is_the_entry_that_it_was() {
        for stanza in ["a\n---\nb", "---\na", "a\n---", "---", "a\n---\n---\nb", "\\---\na"] {
            let poem = Poem::parse(stanza.as_bytes(), Split::Stanza).unwrap();
            let entry = &poem.entries()[0];
            assert_eq!(entry.id.key, EntryKey::of(stanza), "{stanza:?}");
            assert_eq!(entry.content.is_none(), stanza == "---", "{stanza:?}");
        }
        let poem = Poem::parse(b"a\n---\nb", Split::Stanza).unwrap();
        assert_eq!(poem.entries()[0].text, "a\n\nb");
    }

    #[test]
    fn a_picture_elsewhere_is_refused_with_its_line() {
        for (target, say) in [
            ("https://example.org/owl.jpg", "is a URL"),
            ("/srv/owl.jpg", "outside"),
            ("../owl.jpg", "outside"),
            ("owls\\owl.jpg", "backslash"),
            ("owl.heic", "JPEG or PNG"),
        ] {
            for split in [Split::Line, Split::Stanza, Split::Percent] {
                let file = format!("fine\n# a comment\nfine ![alt]({target})\nfine\n");
                let Err(error @ PoemError::Markup(_)) = Poem::parse(file.as_bytes(), split) else {
                    panic!("{target} was taken")
                };
                assert_eq!(error.line(), 3, "{target}");
                assert!(error.to_string().contains(say), "{error}");
            }
        }
    }

    proptest! {
        /// Another description makes no new entry; another picture or text does.
        #[test]
        fn descriptions_are_no_part_of_the_identity(
            text in "[a-z \n]{0,20}[a-z]",
            alts in prop::collection::vec("[a-zA-Zäöü ,.()]{0,20}", 2..4),
            name in "[a-z]{1,8}",
        ) {
            let key = |text: &str, alt: &str, name: &str| {
                let file = format!("{text} ![{alt}]({name}.jpg)");
                Poem::parse(file.as_bytes(), Split::Percent).unwrap().entries()[0].id.key
            };
            let first = key(&text, &alts[0], &name);
            for alt in &alts {
                prop_assert_eq!(key(&text, alt, &name), first);
            }
            prop_assert_ne!(key(&text, "", &format!("{name}2")), first);
            prop_assert_ne!(key(&format!("{text}2"), "", &name), first);
            prop_assert_ne!(EntryKey::of(&text), first);
        }

        /// Whatever a file says, reading it does not fail for other reasons than names of pictures, and a text without
        /// marks is what it was.
        #[test]
        fn texts_without_marks_are_what_they_were(text in "[a-z!\\[\\]()\\\\. \n-]{1,60}") {
            let lines: Vec<_> = text.trim().lines().map(|line| (1, line.trim_end())).collect();
            prop_assume!(!lines.is_empty());
            let Ok(unit) = unit(&lines, true) else { return Ok(()) };
            if unit.content.is_none() {
                let joined = lines.iter().map(|(_, line)| *line).collect::<Vec<_>>().join("\n");
                prop_assert_eq!(unit.key, EntryKey::of(&joined));
                prop_assert_eq!(unit.text, joined);
            }
        }
    }
}
