//! The text of a status out of the HTML in which servers show it, so that it can be compared with a line of ours.
//!
//! Servers write few elements, with their attributes in quotes, and escape all else. So tags are left out, whatever
//! they are, ends of lines and paragraphs become white space, and escapes what they stand for. What can't be read
//! as HTML is taken as text: a comparison then fails, and the source of the status is asked for. This is no
//! sanitiser: what comes out must not be shown as HTML.

/// The longest escape that is looked at, without `&` and `;`.
const ESCAPE_MAX: usize = 10;

/// Elements that begin a line of their own, and end it.
const BLOCKS: &[&str] =
    &["p", "br", "div", "li", "ul", "ol", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"];

/// Elements that stand for nothing but line breaks, links and names in a plain text.
const PLAIN: &[&str] = &["p", "br", "a", "span"];

/// The text that this HTML shows.
pub(super) fn text_of(html: &str) -> String {
    let (mut text, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(at) = rest.find(['<', '&']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with('&') {
            let (character, end) = escape(rest).unwrap_or(('&', 1));
            text.push(character);
            rest = &rest[end..];
            continue;
        }
        if !begins_tag(rest) {
            text.push('<');
            rest = &rest[1..];
            continue;
        }
        // What is open to the end is no tag, and neither is anything behind it.
        let Some(end) = tag_end(rest) else { break };
        if is_one_of(BLOCKS, &rest[..end]) {
            text.push('\n');
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    text.trim().to_owned()
}

/// Whether there are marks in it beyond lines, links and names, so that something else was written than is shown:
/// some servers take Markdown.
pub(super) fn is_marked_up(html: &str) -> bool {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at..];
        let end = if begins_tag(rest) { tag_end(rest) } else { Some(1) };
        let Some(end) = end else { return false };
        if begins_tag(rest) && !is_one_of(PLAIN, &rest[..end]) {
            return true;
        }
        rest = &rest[end..];
    }
    false
}

fn begins_tag(rest: &str) -> bool {
    let next = rest[1..].chars().next();
    next.is_some_and(|c| c.is_ascii_alphabetic() || matches!(c, '/' | '!'))
}

/// Where a tag that begins here ends; a `>` in quotes does not end it.
fn tag_end(rest: &str) -> Option<usize> {
    if rest.starts_with("<!--") {
        return rest.find("-->").map(|at| at + "-->".len());
    }
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at + 1),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            _ => {}
        }
    }
    None
}

fn is_one_of(elements: &[&str], tag: &str) -> bool {
    let name = tag.trim_start_matches(['<', '/']);
    let end = name.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(name.len());
    elements.iter().any(|element| element.eq_ignore_ascii_case(&name[..end]))
}

/// The character that an escape stands for, and where it ends.
fn escape(rest: &str) -> Option<(char, usize)> {
    let end = rest.bytes().take(ESCAPE_MAX + 2).position(|byte| byte == b';')?;
    let character = match &rest[1..end] {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{A0}',
        number => {
            let number = number.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            char::from_u32(code.ok()?)?
        }
    };
    Some((character, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_servers_write_is_read() {
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
    fn what_markdown_became_is_told_from_plain_text() {
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
    fn what_is_no_html_is_text() {
        for text in
            ["a < b", "1 <3", "a & b", "&unknown;", "&#xD800;", "&#;", "&", "<", "AT&T; 5 <", "<a href=\"x"]
        {
            assert_eq!(text_of(text), text);
        }
    }

    /// Were it not linear, this would not end.
    #[test]
    fn hostile_html_is_read() {
        for part in ["<", "<a", "&", "&amp", "<!--", "<a \"", "<a>", "&#39;", "</"] {
            assert!(text_of(&part.repeat(256 * 1024 / part.len())).len() <= 256 * 1024, "{part}");
        }
    }

    proptest! {
        #[test]
        fn no_html_is_too_odd(html in "\\PC*|[<>&;/#a-z\"'= !-]*") {
            prop_assert!(text_of(&html).len() <= html.len().max(1));
        }

        #[test]
        fn what_is_escaped_comes_back(text in "\\PC*") {
            let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
            prop_assert_eq!(text_of(&format!("<p>{escaped}</p>")), text.trim());
        }
    }
}
