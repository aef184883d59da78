//! A bot's Atom feed (RFC 4287). It depends only on the posts: the same posts give the same bytes, so a
//! client that polls gets 304.

use std::collections::BTreeMap;

use atom_syndication::{Content, Entry, Feed, FixedDateTime, Generator, Link, Person, Text, WriteConfig};
use chrono::DateTime;
use maud::{Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::post_body::{headline, parts, warning};
use super::posts::posted_at;
use super::response::Document;
use crate::flock::Bot;
use crate::flock::content::Content as PostContent;
use crate::flock::media::{ShownPicture, ShownPictures};
use crate::flock::post::Post;
use crate::flock::text::legal_in_xml;

/// The media type of RFC 4287.
const MEDIA_TYPE: &str = "application/atom+xml; charset=utf-8";

/// The feed of a bot with these posts, newest first.
pub(super) fn document(public_url: &str, bot: &Bot, posts: &[Post], pictures: &ShownPictures) -> Document {
    let feed = feed(public_url, bot, posts, pictures);
    let config = WriteConfig { write_document_declaration: true, indent_size: Some(2) };
    let body = feed.write_with_config(Vec::new(), config).expect("writing to memory does not fail");
    Document::dated(body, MEDIA_TYPE, feed.updated.to_utc())
}

fn feed(public_url: &str, bot: &Bot, posts: &[Post], pictures: &ShownPictures) -> Feed {
    let name = bot.name.to_string();
    let own = format!("{public_url}/feeds/{name}.atom");
    let read = format!("{public_url}/feeds/{name}");
    Feed {
        title: Text::plain(name.clone()),
        id: feed_id(&name),
        updated: feed_updated(posts),
        authors: vec![Person { name, ..Person::default() }],
        generator: Some(Generator { value: "flockd".to_owned(), ..Generator::default() }),
        links: vec![link("self", "application/atom+xml", own), link("alternate", "text/html", read)],
        entries: posts.iter().filter_map(|post| entry(public_url, post, pictures.get(&post.id))).collect(),
        ..Feed::default()
    }
}

/// The id of a bot's feed. It depends only on the name, so it survives a move to another address or port (RFC
/// 4287, 4.2.6). UUID version 8 leaves the bits to the application.
fn feed_id(name: &str) -> String {
    let digest = Sha256::digest(format!("flockd feed {name}"));
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    format!("urn:uuid:{}", uuid::Builder::from_custom_bytes(bytes).into_uuid())
}

/// When the newest entry was posted. RFC 4287 requires a time even for an empty feed: the Unix epoch.
fn feed_updated(posts: &[Post]) -> FixedDateTime {
    posts.iter().map(posted_at).max().unwrap_or(DateTime::UNIX_EPOCH).fixed_offset()
}

fn entry(public_url: &str, post: &Post, pictures: Option<&BTreeMap<u32, ShownPicture>>) -> Option<Entry> {
    let text = legal_in_xml(post.text.as_deref()?);
    let at = posted_at(post);
    let mut links = vec![link("alternate", "text/html", format!("{public_url}/posts/{}", post.id))];
    links.extend(
        pictures.into_iter().flat_map(BTreeMap::values).map(|picture| enclosure(public_url, picture)),
    );
    Some(Entry {
        title: Text::plain(legal_in_xml(&headline(post))),
        id: format!("urn:uuid:{}", post.id),
        updated: at.fixed_offset(),
        published: Some(at.fixed_offset()),
        links,
        content: Some(match post.content.as_ref().filter(|whole| is_more_than_text(whole)) {
            Some(whole) => html_content(&all(public_url, whole, pictures)),
            None => content(text),
        }),
        ..Entry::default()
    })
}

fn is_more_than_text(content: &PostContent) -> bool {
    content.parts.len() > 1 || content.media().next().is_some() || content.spoiler_text.is_some()
}

/// A picture as a file that belongs to the entry: many readers show the first.
fn enclosure(public_url: &str, picture: &ShownPicture) -> Link {
    let file = link("enclosure", picture.kind.as_str(), format!("{public_url}/media/{}", picture.digest));
    Link { length: Some(picture.length.to_string()), ..file }
}

/// A single line is plain text. Readers may fold the line breaks of plain text (RFC 4287, 3.1.1.1), so a
/// stanza is HTML.
fn content(text: String) -> Content {
    match text.contains('\n') {
        true => html_content(&with_breaks(&text)),
        false => Content { content_type: Some("text".to_owned()), value: Some(text), ..Content::default() },
    }
}

fn html_content(content: &Markup) -> Content {
    let value = content.clone().into_string();
    Content { content_type: Some("html".to_owned()), value: Some(value), ..Content::default() }
}

/// The warning first, as a reader may hide nothing, then the parts with their pictures.
fn all(public_url: &str, content: &PostContent, pictures: Option<&BTreeMap<u32, ShownPicture>>) -> Markup {
    html! {
        @if let Some(warning) = warning(content) { p { strong { (legal_in_xml(warning)) } } }
        @for (part, media) in parts(content, pictures) {
            @if !part.text.is_empty() { p { (with_breaks(&legal_in_xml(&part.text))) } }
            @for (medium, shown) in media {
                @match shown {
                    Some(ShownPicture { digest, width, height, .. }) => p {
                        img src={ (public_url) "/media/" (digest) } alt=(legal_in_xml(&medium.alt)) width=(width) height=(height);
                    },
                    None => p { "[" (legal_in_xml(&medium.alt)) "]" },
                }
            }
        }
    }
}

/// The lines separated by `<br>`, with their indents as no-break spaces, which HTML does not fold.
fn with_breaks(text: &str) -> Markup {
    let lines = text.split('\n').map(|line| {
        let verse = line.trim_start();
        (line[..line.len() - verse.len()].chars().count(), verse)
    });
    html! {
        @for (at, (indent, verse)) in lines.enumerate() {
            @if at > 0 { br; (PreEscaped("\n")) }
            ("\u{a0}".repeat(indent)) (verse)
        }
    }
}

fn link(rel: &str, media_type: &str, href: String) -> Link {
    Link { rel: rel.to_owned(), mime_type: Some(media_type.to_owned()), href, ..Link::default() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::samples;
    use super::*;
    use crate::flock::NetworkKind;
    use crate::flock::content::{FileDigest, Medium, Part};
    use crate::flock::media::MediaKind;

    fn rendered(posts: &[Post]) -> (Feed, String) {
        let bot = samples::bot("emily", NetworkKind::Feed);
        let xml = String::from_utf8(document("http://birds.test", &bot, posts, &ShownPictures::new()).body)
            .unwrap();
        (xml.parse().unwrap(), xml)
    }

    fn only_entry(text: &str) -> Entry {
        rendered(&[samples::post("emily", 7, text)]).0.entries.remove(0)
    }

    #[test]
    fn an_empty_feed_is_a_feed() {
        let (feed, xml) = rendered(&[]);
        assert!(xml.starts_with("<?xml version=\"1.0\"?>"), "{xml}");
        assert!(xml.contains("<updated>1970-01-01T00:00:00+00:00</updated>"), "{xml}");
        assert_eq!((feed.entries.len(), feed.title.as_str()), (0, "emily"));
    }

    #[test]
    fn the_feed_id_knows_neither_address_nor_posts() {
        // A fixed value, because the readers of every flock have stored it: another value would be a
        // different feed.
        assert_eq!(feed_id("emily"), "urn:uuid:c66a05f8-949a-8744-9bb8-19efc818df89");
        assert_eq!(rendered(&[samples::post("emily", 7, "one")]).0.id, feed_id("emily"));
        assert_ne!(feed_id("walt"), feed_id("emily"));
    }

    #[test]
    fn what_every_entry_must_have() {
        let post = samples::post("emily", 7, "one & <two>");
        let (feed, xml) = rendered(std::slice::from_ref(&post));
        let entry = &feed.entries[0];
        assert_eq!(entry.id, format!("urn:uuid:{}", post.id));
        assert_eq!(entry.title.as_str(), "one & <two>");
        assert_eq!(entry.updated.to_utc(), posted_at(&post));
        assert_eq!(entry.published, Some(entry.updated));
        assert_eq!(entry.links[0].href, format!("http://birds.test/posts/{}", post.id));
        assert_eq!(entry.content.as_ref().unwrap().value.as_deref(), Some("one & <two>"));
        assert!(xml.contains("<content type=\"text\">one &amp; &lt;two&gt;</content>"), "{xml}");
    }

    #[test]
    fn a_stanza_keeps_its_breaks_and_indents() {
        let content = only_entry("one <i>\n  two\n\nthree").content.unwrap();
        assert_eq!(content.content_type.as_deref(), Some("html"));
        let expect = "one &lt;i&gt;<br>\n\u{a0}\u{a0}two<br>\n<br>\nthree";
        assert_eq!(content.value.as_deref(), Some(expect));
    }

    #[test]
    fn pictures_are_in_the_content_and_beside_it() {
        let bot = samples::bot("emily", NetworkKind::Feed);
        let medium = |alt: &str| Medium { name: "owl.png".to_owned(), alt: alt.to_owned(), digest: None };
        let part = |text: &str, media| Part { text: text.to_owned(), media };
        let parts =
            vec![part("one\u{ffff}", vec![medium("an \"owl\"")]), part("two", vec![medium("a gull")])];
        let said = PostContent { parts, spoiler_text: Some("a <fall>".to_owned()), ..PostContent::default() };
        let post = Post { content: Some(said), ..samples::post("emily", 7, "one\u{ffff}\n\ntwo") };
        let digest = FileDigest::of(b"owl");
        let owl = ShownPicture { digest, kind: MediaKind::Png, length: 3, width: 40, height: 30 };
        let pictures = ShownPictures::from([(post.id, BTreeMap::from([(0, owl)]))]);
        let body = document("http://birds.test", &bot, &[post], &pictures).body;
        let entry = String::from_utf8(body).unwrap().parse::<Feed>().unwrap().entries.remove(0);
        assert_eq!(entry.title.as_str(), "a <fall>");
        let html = entry.content.unwrap().value.unwrap();
        let expect = format!(
            "<p><strong>a &lt;fall&gt;</strong></p><p>one\u{fffd}</p><p><img src=\"http://birds.test/media/{digest}\" \
             alt=\"an &quot;owl&quot;\" width=\"40\" height=\"30\"></p><p>two</p><p>[a gull]</p>"
        );
        assert_eq!(html, expect);
        let file = entry.links.iter().find(|link| link.rel == "enclosure").unwrap();
        assert_eq!(file.href, format!("http://birds.test/media/{digest}"));
        assert_eq!((file.mime_type.as_deref(), file.length.as_deref()), (Some("image/png"), Some("3")));
    }

    #[test]
    fn characters_that_xml_lacks_are_replaced() {
        assert_eq!(
            only_entry("a\u{ffff}b\u{fffe}").content.unwrap().value.as_deref(),
            Some("a\u{fffd}b\u{fffd}")
        );
    }
}
