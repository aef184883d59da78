//! Extracts the text of a status from its HTML, to compare it with a line of ours.
//!
//! All tags are removed, line and paragraph ends become white space, and escapes are decoded. An incomplete
//! tag counts as text: then the comparison fails, and the status's source is read. This is not a sanitizer:
//! the result must not be shown as HTML.

use std::borrow::Cow;

use html5gum::{DefaultEmitter, Error, Token, Tokenizer};

/// Elements that begin and end a line.
const BLOCKS: &[&str] =
    &["p", "br", "div", "li", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"];

/// Elements that servers produce from plain text: line breaks, links and names.
const PLAIN: &[&str] = &["p", "br", "a", "span"];

/// The text that this HTML shows.
pub(super) fn text_of(html: &str) -> String {
    let (mut text, mut read, mut is_cut_off) = (String::with_capacity(html.len()), 0, false);
    for token in tokens(html) {
        let (shown, end) = match &token {
            Token::String(shown) => (String::from_utf8_lossy(shown), shown.span.end),
            Token::StartTag(tag) => (line_break(&tag.name), tag.span.end),
            Token::EndTag(tag) => (line_break(&tag.name), tag.span.end),
            Token::Comment(comment) => (Cow::default(), comment.span.end),
            Token::Doctype(doctype) => (Cow::default(), doctype.span.end),
            Token::Error(error) => {
                is_cut_off |= **error == Error::EofInTag;
                continue;
            }
        };
        text.push_str(&shown);
        read = end;
    }
    if is_cut_off {
        text.push_str(&html[read..]);
    }
    text.trim().to_owned()
}

/// Whether the HTML has other elements than lines, links and names, so that its source may differ from its
/// text: some servers accept Markdown.
pub(super) fn is_marked_up(html: &str) -> bool {
    tokens(html).any(|token| match token {
        Token::StartTag(tag) => !is_one_of(PLAIN, &tag.name),
        Token::EndTag(tag) => !is_one_of(PLAIN, &tag.name),
        Token::Comment(_) | Token::Doctype(_) => true,
        Token::String(_) | Token::Error(_) => false,
    })
}

/// The parts of an HTML document, with the end of each in bytes.
fn tokens(html: &str) -> impl Iterator<Item = Token<usize>> {
    let tokens = Tokenizer::new_with_emitter(html, DefaultEmitter::new_with_span());
    tokens.map(|Ok(token)| token)
}

/// The white space that replaces a tag.
fn line_break(name: &[u8]) -> Cow<'static, str> {
    if is_one_of(BLOCKS, name) { "\n".into() } else { Cow::default() }
}

fn is_one_of(elements: &[&str], name: &[u8]) -> bool {
    elements.iter().any(|element| element.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn html_of_servers_is_read() {
        for (html, text) in [
            ("<p>one</p>", "one"),
            ("<p>two<br />lines<br>here<br/>now</p>", "two\nlines\nhere\nnow"),
            ("<p>a</p><p>b</p>", "a\n\nb"),
            (
                "<p>Tom &amp; Jerry &lt;3 &gt; &quot;x&quot; &#39;y&#39; &#34;z&#34; &#x27;w&#X27; it&apos;s</p>",
                "Tom & Jerry <3 > \"x\" 'y' \"z\" 'w' it's",
            ),
            ("a&nbsp;b&#160;c", "a\u{A0}b\u{A0}c"),
            ("&amp;lt; &amp;amp;", "&lt; &amp;"),
            ("&eacute;&hellip;", "é…"),
            (
                "<p>see <a href=\"https://example.org/a-long-path/to?b=c&amp;d=e\" target=\"_blank\" rel=\"nofollow \
                 noopener\" translate=\"no\"><span class=\"invisible\">https://</span><span \
                 class=\"ellipsis\">example.org/a-long-path/to?b=c</span><span class=\"invisible\">&amp;d=e</span></a> \
                 now</p>",
                "see https://example.org/a-long-path/to?b=c&d=e now",
            ),
            (
                "<p><span class=\"h-card\" translate=\"no\"><a href=\"https://example.org/@walt\" class=\"u-url \
                 mention\">@<span>walt</span></a></span> <a href=\"https://example.org/tags/leaves\" class=\"mention \
                 hashtag\" rel=\"tag\">#<span>leaves</span></a></p>",
                "@walt #leaves",
            ),
            ("<a title=\"a > b\" href='>'>x</a><!-- <p>no</p> -->y", "xy"),
            ("<blockquote>q</blockquote><ul><li>a</li></ul>", "q\n\n\na"),
            ("plain", "plain"),
            ("", ""),
        ] {
            assert_eq!(text_of(html), text, "{html}");
        }
    }

    #[test]
    fn rendered_markdown_is_recognized() {
        for plain in [
            "",
            "plain <3",
            "<p>a<br />b</p><p><a href=\"x\">#<span>c</span></a></p>",
            "<p>&lt;em&gt;</p>",
            "<a title=\"<em>\">x</a>",
            "a <",
            "<em",
        ] {
            assert!(!is_marked_up(plain), "{plain}");
        }
        for marked in
            ["<p>a <em>b</em></p>", "<ul><li>a</li></ul>", "<H1>a</H1>", "< <code>a</code>", "</del>"]
        {
            assert!(is_marked_up(marked), "{marked}");
        }
    }

    #[test]
    fn broken_html_is_text() {
        for text in [
            "a < b",
            "1 <3",
            "a & b",
            "&unknown;",
            "&#;",
            "&",
            "<",
            "AT&T; 5 <",
            "<a href=\"x",
            "a</p",
            "é </p",
        ] {
            assert_eq!(text_of(text), text);
        }
        assert_eq!(text_of("&#xD800;"), "\u{FFFD}", "HTML's word for what is no character");
    }

    /// If this were not linear, the test would never end.
    #[test]
    fn hostile_html_is_read() {
        for part in ["<", "<a", "&", "&amp", "<!--", "<a \"", "<a>", "&#39;", "</"] {
            assert!(text_of(&part.repeat(256 * 1024 / part.len())).len() <= 256 * 1024, "{part}");
        }
    }

    proptest! {
        #[test]
        fn any_html_is_accepted(html in "\\PC*|[<>&;/#a-z\"'= !-]*") {
            prop_assert!(text_of(&html).len() <= html.len().max(1));
        }

        #[test]
        fn escapes_round_trip(text in "\\PC*") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
            prop_assert_eq!(text_of(&format!("<p>{escaped}</p>")), text.trim());
        }
    }
}
