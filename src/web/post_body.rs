//! What a post says, as pages show it: its texts as verse, and its pictures. Those that are posted to a feed are served by
//! [`media`](super::media); of others the page has only their descriptions.

use std::borrow::Cow;
use std::collections::BTreeMap;

use maud::{Markup, html};

use super::posts::{title, verse};
use super::site::Site;
use crate::flock::NetworkKind;
use crate::flock::content::{Content, Medium, Part, summary};
use crate::flock::media::{ShownPicture, ShownPictures};
use crate::flock::post::{Post, PostId};
use crate::store::StoreError;

/// The summary of pictures that are hidden until a reader asks for them.
const SENSITIVE: &str = "Sensitive pictures";

/// The pictures of those posts that are on feeds, by one read of the ledger.
pub(super) async fn pictures_of(site: &Site, posts: &[Post]) -> Result<ShownPictures, StoreError> {
    let has_pictures = |post: &&Post| {
        let content = post.content.as_ref();
        post.network == NetworkKind::Feed && content.is_some_and(|content| content.media().next().is_some())
    };
    let ids: Vec<PostId> = posts.iter().filter(has_pictures).map(|post| post.id).collect();
    if ids.is_empty() {
        return Ok(ShownPictures::new());
    }
    site.store.shown_pictures(&ids).await
}

/// A post in one line: its warning if it has one, or else its text, or else what its pictures show.
pub(super) fn headline(post: &Post) -> String {
    let text = post.text.as_deref().unwrap_or_default();
    headline_of(text, post.content.as_ref())
}

/// The same for a post to come.
pub(super) fn headline_of(text: &str, content: Option<&Content>) -> String {
    let warning = content.and_then(|content| content.spoiler_text.as_deref());
    title(&warning.map_or_else(|| summary(text, content), Cow::Borrowed))
}

/// The warning that precedes what a post says, or its pictures.
pub(super) fn warning(content: &Content) -> Option<&str> {
    let hides_pictures = content.sensitive && content.media().next().is_some();
    content.spoiler_text.as_deref().or(hides_pictures.then_some(SENSITIVE))
}

/// Pictures of a part, each with what is served of it.
type ShownMedia<'a> = Vec<(&'a Medium, Option<&'a ShownPicture>)>;

/// Each part, with its pictures and what is served of them.
pub(super) fn parts<'a>(
    content: &'a Content,
    shown: Option<&'a BTreeMap<u32, ShownPicture>>,
) -> Vec<(&'a Part, ShownMedia<'a>)> {
    let mut places = 0..;
    let mut of_part = |part: &'a Part| {
        let media = part.media.iter().zip(&mut places);
        media.map(|(medium, place)| (medium, shown.and_then(|shown| shown.get(&place)))).collect()
    };
    content.parts.iter().map(|part| (part, of_part(part))).collect()
}

/// All of a post. `root` is the relative path from the page to the front page.
pub(super) fn body(root: &str, post: &Post, pictures: &ShownPictures) -> Markup {
    let Some(content) = &post.content else { return verse(post.text.as_deref().unwrap_or_default()) };
    let parts = parts(content, pictures.get(&post.id));
    let all = |hides_pictures: bool| {
        html! {
            @for (part, media) in &parts {
                @if !part.text.is_empty() { (verse(&part.text)) }
                @if media.is_empty() {}
                @else if hides_pictures {
                    details.spoiler { summary { (SENSITIVE) } (media_of(root, media)) }
                } @else { (media_of(root, media)) }
            }
        }
    };
    match &content.spoiler_text {
        Some(warning) => html! {
            details.spoiler { summary { bdi lang="" { (warning) } } (all(false)) }
        },
        None => all(content.sensitive),
    }
}

fn media_of(root: &str, media: &[(&Medium, Option<&ShownPicture>)]) -> Markup {
    html! {
        div.media {
            @for (medium, shown) in media {
                @match shown {
                    Some(ShownPicture { digest, width, height, .. }) => {
                        img src={ (root) "media/" (digest) } alt=(medium.alt) width=(width) height=(height) loading="lazy";
                    },
                    None => p.described lang="" dir="auto" { span.unseen { "Picture: " } (medium.alt) },
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::content::FileDigest;
    use crate::flock::media::MediaKind;
    use crate::web::tests::samples;

    fn with_picture(content: Content) -> (Post, ShownPictures) {
        let post = Post { content: Some(content), ..samples::post("emily", 7, "one") };
        let digest = FileDigest::of(b"owl");
        let picture = ShownPicture { digest, kind: MediaKind::Png, length: 3, width: 40, height: 30 };
        let pictures = ShownPictures::from([(post.id, BTreeMap::from([(0, picture)]))]);
        (post, pictures)
    }

    fn owl(text: &str) -> Content {
        let medium = Medium { name: "owl.png".to_owned(), alt: "an \"owl\"".to_owned(), digest: None };
        let parts = vec![Part { text: text.to_owned(), media: vec![medium] }];
        Content { parts, ..Content::default() }
    }

    #[test]
    fn a_picture_has_its_size_and_description() {
        let (post, pictures) = with_picture(owl("one"));
        let page = body("../", &post, &pictures).into_string();
        let img = format!(
            "<img src=\"../media/{}\" alt=\"an &quot;owl&quot;\" width=\"40\" height=\"30\"",
            FileDigest::of(b"owl")
        );
        assert!(page.contains(&img) && page.contains("<span>one</span>"), "{page}");
        // One that is not kept is described.
        let page = body("../", &post, &ShownPictures::new()).into_string();
        assert!(
            !page.contains("<img") && page.contains("an \"owl\"") || page.contains("an &quot;owl&quot;"),
            "{page}"
        );
    }

    #[test]
    fn what_is_hidden_is_behind_its_warning() {
        let (post, pictures) = with_picture(Content { sensitive: true, ..owl("one") });
        let page = body("./", &post, &pictures).into_string();
        let (before, hidden) = page.split_once("<details").unwrap();
        assert!(before.contains("one") && hidden.contains("<img"), "{page}");

        let warned = Content { spoiler_text: Some("a fall".to_owned()), ..owl("one") };
        let (post, pictures) = with_picture(warned);
        let page = body("./", &post, &pictures).into_string();
        assert!(page.starts_with("<details") && page.contains("<bdi lang=\"\">a fall</bdi>"), "{page}");
        assert_eq!(headline(&post), "a fall");
    }

    #[test]
    fn pictures_without_text_have_a_headline() {
        assert_eq!(headline_of("", Some(&owl(""))), "[an \"owl\"]");
        assert_eq!(headline_of("one\ntwo", Some(&owl("one\ntwo"))), "one …");
    }
}
