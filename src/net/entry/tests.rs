//! What fits on which network.

use super::*;
use crate::flock::Mentions;
use crate::flock::samples;

/// A bot on a network.
fn on(network: NetworkKind) -> Bot {
    Bot { network, ..samples::bot("walt", "0 9 * * *") }
}

fn account(network: NetworkKind, access: &str) -> Account {
    Account {
        network,
        id: "1".to_owned(),
        server: None,
        handle: "walt".to_owned(),
        name: None,
        picture_url: None,
        access: Some(access.to_owned()).filter(|access| !access.is_empty()),
        automated: None,
        limits: None,
        pictures: None,
        credential_fingerprint: String::new(),
    }
}

/// A part with these pictures, by name and description.
fn part(text: &str, media: &[(&str, &str)]) -> Part {
    let medium = |(name, alt): &(&str, &str)| Medium {
        name: (*name).to_owned(),
        alt: (*alt).to_owned(),
        digest: None,
    };
    Part { text: text.to_owned(), media: media.iter().map(medium).collect() }
}

fn content(parts: &[Part]) -> Content {
    Content { parts: parts.to_vec(), ..Content::default() }
}

fn check_on(network: NetworkKind, parts: &[Part]) -> Result<(), EntryError> {
    validate_content(&on(network), None, &content(parts))
}

use NetworkKind::{Bluesky, Feed, Mastodon, Paper, X};

#[test]
fn a_picture_may_stand_without_a_text_and_a_part_may_not_be_empty() {
    for network in [X, Mastodon, Bluesky, Feed, Paper] {
        assert_eq!(check_on(network, &[part("", &[("a.jpg", "a gull")])]), Ok(()), "{network}");
        assert!(matches!(check_on(network, &[part(" ", &[])]), Err(EntryError::Text(_))), "{network}");
    }
    let empty = [part("one", &[]), part("", &[])];
    assert!(matches!(check_on(Bluesky, &empty), Err(EntryError::Part { part: 2, .. })));
    assert_eq!(check_on(Feed, &empty), Ok(()), "there it is one text");
}

#[test]
fn every_part_is_measured_for_itself() {
    let (short, long) = (part("sea", &[]), part(&"sea ".repeat(100), &[]));
    for network in [X, Bluesky] {
        let error = check_on(network, &[short.clone(), long.clone()]).unwrap_err();
        assert!(matches!(error, EntryError::Part { part: 2, error: TextError::TooLong { .. } }), "{error}");
        let parts: Vec<Part> = (0..100).map(|_| part("sea and sea", &[])).collect();
        assert_eq!(check_on(network, &parts), Ok(()), "{network}: together they may be long");
    }
    assert_eq!(check_on(Mastodon, &[short, long]), Ok(()));
}

#[test]
fn a_post_has_as_many_pictures_as_the_network_takes() {
    let five = [("a.jpg", ""), ("b.jpg", ""), ("c.jpg", ""), ("d.jpg", ""), ("e.jpg", "")];
    for network in [X, Mastodon, Bluesky] {
        assert_eq!(check_on(network, &[part("sea", &five[..4])]), Ok(()), "{network}");
        assert_eq!(check_on(network, &[part("a", &five[..3]), part("b", &five[3..])]), Ok(()), "{network}");
        let error = check_on(network, &[part("sea", &five)]).unwrap_err();
        assert_eq!(error, EntryError::TooManyPictures { network, count: 5, max: 4 });
    }
    let pictures = Some(ServerPictures { per_post: Some(6), ..ServerPictures::default() });
    let known = Account { pictures, ..account(Mastodon, "") };
    let five = content(&[part("sea", &five)]);
    assert_eq!(validate_content(&on(Mastodon), Some(&known), &five), Ok(()), "this server takes six");
}

#[test]
fn a_description_is_measured_as_the_network_counts() {
    // Two code points, and one character.
    for (network, max, unit) in [(X, 1_000, "e"), (Mastodon, 1_500, "e"), (Bluesky, 2_000, "e\u{301}")] {
        let of = |length: usize| check_on(network, &[part("sea", &[("a.png", &unit.repeat(length))])]);
        assert_eq!(of(max), Ok(()), "{network}");
        let error = of(max + 1).unwrap_err();
        let name = "a.png".to_owned();
        assert_eq!(error, EntryError::AltTooLong { network, name, length: max + 1, max });
    }
}

#[test]
fn a_gif_stands_alone_or_not_at_all() {
    let (alone, beside) = ([("wave.GIF", "")], [("a.png", ""), ("wave.GIF", "")]);
    for network in [X, Mastodon, Feed] {
        assert_eq!(check_on(network, &[part("sea", &alone)]), Ok(()), "{network}");
    }
    assert!(matches!(check_on(Bluesky, &[part("sea", &alone)]), Err(EntryError::GifRefused { .. })));
    assert!(matches!(check_on(X, &[part("sea", &beside)]), Err(EntryError::GifNotAlone { .. })));
    assert_eq!(check_on(Mastodon, &[part("sea", &beside)]), Ok(()));
    assert_eq!(check_on(Bluesky, &[part("sea", &[("gif", "")])]), Ok(()), "a name without an extension");
}

#[test]
fn a_warning_without_a_place_keeps_an_entry_away_unless_the_bot_ignores_it() {
    let sensitive = Content { sensitive: true, ..Content::text("sea") };
    let spoiler = Content { spoiler_text: Some("the sea".to_owned()), ..Content::text("sea") };
    for (network, shows_sensitive, shows_spoiler) in
        [(X, false, false), (Bluesky, true, false), (Mastodon, true, true), (Feed, true, true)]
    {
        for (content, fits) in [(&sensitive, shows_sensitive), (&spoiler, shows_spoiler)] {
            let checked = validate_content(&on(network), None, content);
            assert_eq!(checked.is_ok(), fits, "{network}: {checked:?}");
            let bot = Bot { warnings: Warnings::Ignore, ..on(network) };
            assert_eq!(validate_content(&bot, None, content), Ok(()), "{network}");
        }
    }
}

#[test]
fn an_entrys_own_content_warning_counts_towards_its_length() {
    let text = "a".repeat(495);
    let with = |spoiler: &str| Content { spoiler_text: Some(spoiler.to_owned()), ..Content::text(&*text) };
    assert_eq!(validate_content(&on(Mastodon), None, &with("12345")), Ok(()));
    let error = validate_content(&on(Mastodon), None, &with("123456")).unwrap_err();
    assert!(matches!(error, EntryError::Text(TextError::TooLong { length: 501, .. })), "{error}");
}

#[test]
fn pictures_need_the_right_to_upload_and_texts_do_not() {
    let old_x = "tweet.read users.read tweet.write offline.access";
    let old_mastodon = "read:accounts read:statuses write:statuses write:accounts";
    for (network, access, may) in [
        (X, old_x, false),
        (X, &*format!("{old_x} media.write"), true),
        (X, "read-write", true),
        (X, "", true),
        (Mastodon, old_mastodon, false),
        (Mastodon, "read write follow", true),
        (Mastodon, "read:accounts,write:statuses,write:media", true),
        (Mastodon, "", true),
        (Bluesky, "app password", true),
    ] {
        let known = account(network, access);
        assert_eq!(may_upload(&known).is_ok(), may, "{network}: {access}");
        let picture = content(&[part("sea", &[("a.jpg", "")])]);
        assert_eq!(
            validate_content(&on(network), Some(&known), &picture).is_ok(),
            may,
            "{network}: {access}"
        );
        assert_eq!(validate_content(&on(network), Some(&known), &Content::text("sea")), Ok(()));
    }
}

#[test]
fn no_part_mentions_people_where_the_bot_must_not() {
    let parts = [part("sea", &[]), part("for @walt_lines", &[])];
    let bot = Bot { mentions: Mentions::Refuse, ..on(X) };
    let error = validate_content(&bot, None, &content(&parts)).unwrap_err();
    assert!(matches!(error, EntryError::Part { part: 2, error: TextError::Mention { .. } }), "{error}");
    assert_eq!(check_on(X, &parts), Ok(()));
}

#[test]
fn an_entry_costs_all_of_its_posts_and_descriptions() {
    let parts = [part("sea", &[("a.jpg", "a gull"), ("b.jpg", "")]), part("https://example.org", &[])];
    assert_eq!(price_of(X, &content(&parts)), 15 + 5 + 200);
    assert_eq!(price_of(Mastodon, &content(&parts)), 0);
    assert_eq!(price_of(X, &Content::text("sea")), price(X, "sea"));
}
