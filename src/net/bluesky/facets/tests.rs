//! The published examples of AT Protocol, the results of `@atproto/api` for many other texts, and our
//! exceptions from it, each marked as one.

use proptest::prelude::*;

use super::*;

/// The facets of a text: each slice with its target.
fn found(text: &str) -> Vec<(&str, String)> {
    let facets = detect(text);
    let parts = facets.into_iter().map(|Facet { bytes, feature }| match feature {
        Feature::Link(what) | Feature::Tag(what) | Feature::Mention(what) => (&text[bytes], what),
    });
    parts.collect()
}

#[track_caller]
fn finds(text: &str, expected: &[(&str, &str)]) {
    let expected: Vec<_> = expected.iter().map(|(slice, what)| (*slice, (*what).to_owned())).collect();
    assert_eq!(found(text), expected, "{text:?}");
}

/// Each of these slices is a link to itself.
#[track_caller]
fn links(text: &str, slices: &[&str]) {
    finds(text, &slices.iter().map(|slice| (*slice, *slice)).collect::<Vec<_>>());
}

/// Each of these is a hashtag, without its sign.
#[track_caller]
fn tags(text: &str, tags: &[&str]) {
    let found = found(text);
    assert_eq!(found.iter().map(|(_, tag)| tag.as_str()).collect::<Vec<_>>(), tags, "{text:?}");
    for (slice, tag) in found {
        assert!(slice.strip_prefix(['#', '＃']).is_some_and(|rest| rest == tag), "{text:?}: {slice}");
    }
}

#[test]
fn published_mentions() {
    let handle = ("@handle.com", "handle.com");
    finds("no mention", &[]);
    finds("@handle.com middle end", &[handle]);
    finds("start @handle.com end", &[handle]);
    finds("start middle @handle.com", &[handle]);
    finds("@handle.com @handle.com @handle.com", &[handle; 3]);
    finds("@handle.com\n@handle.com", &[handle; 2]);
    finds("@full123-chars.test", &[("@full123-chars.test", "full123-chars.test")]);
    finds("not@right", &[]);
    finds("@handle.com!@#$chars", &[handle]);
    finds("parenthetical (@handle.com)", &[handle]);
    let text = "👨‍👩‍👧‍👧 @handle.com 👨‍👩‍👧‍👧";
    finds(text, &[handle]);
    assert_eq!(detect(text)[0].bytes, 26..37, "bytes, not characters");
}

#[test]
fn published_links() {
    for end in ["", "/foo/bar", "/foo/bar?baz=bux", "/foo/bar?baz=bux#hash"] {
        let (schemed, bare) = (format!("https://middle.com{end}"), format!("middle.com{end}"));
        for (before, after) in [("start ", " end"), ("", " end"), ("start ", ""), ("👨‍👩‍👧‍👧 ", " 👨‍👩‍👧‍👧")]
        {
            links(&format!("{before}{schemed}{after}"), &[&schemed]);
            finds(&format!("{before}{bare}{after}"), &[(&bare, &schemed)]);
        }
    }
    links("https://newline1.com\nhttps://newline2.com", &["https://newline1.com", "https://newline2.com"]);
    let bare = [("newline1.com", "https://newline1.com"), ("newline2.com", "https://newline2.com")];
    finds("newline1.com\nnewline2.com", &bare);
    for text in [
        "not.. a..url ..here",
        "e.g.",
        "something-cool.jpg",
        "website.com.jpg",
        "e.g./foo",
        "website.com.jpg/foo",
    ] {
        finds(text, &[]);
    }
    let article = "https://socket3.wordpress.com/2018/02/03/designing-windows-95s-user-interface/";
    links(&format!("Classic article {article} "), &[article]);
    let three = ["https://foo.com", "https://bar.com/whatever", "https://baz.com"];
    links("https://foo.com https://bar.com/whatever https://baz.com", &three);
    links("punctuation https://foo.com, https://bar.com/whatever; https://baz.com.", &three);
    links("parenthentical (https://foo.com)", &["https://foo.com"]);
    links("except for https://foo.com/thing_(cool)", &["https://foo.com/thing_(cool)"]);
}

#[test]
fn published_hashtags() {
    for (text, expected) in [
        ("#a #b", &["a", "b"][..]),
        ("#1", &[]),
        ("body #1", &[]),
        ("body #a1", &["a1"]),
        ("body #a__b", &["a__b"]),
        ("body #b_", &["b"]),
        ("body #a--b", &["a--b"]),
        ("#", &[]),
        ("text # text", &[]),
        ("strips trailing #punctuation, #like. #this!", &["punctuation", "like", "this"]),
        ("I like #turtles!!!", &["turtles"]),
        ("works with #🦋 emoji, and #butter🦋fly, and #🦋🦋🦋", &["🦋", "butter🦋fly", "🦋🦋🦋"]),
        ("#👍🏻 #👍🏿", &["👍🏻", "👍🏿"]),
        ("#same #same #but #diff", &["same", "same", "but", "diff"]),
        ("works #with,punctuation", &["with,punctuation"]),
        ("some #n0n3s@n5e!", &["n0n3s@n5e"]),
        ("its a #double#rainbow", &["double#rainbow"]),
    ] {
        tags(text, expected);
    }
    assert_eq!(detect("strips trailing #punctuation, #like.")[1].bytes, 30..35);
    assert_eq!(detect("works with #🦋 emoji")[0].bytes, 11..16);
    finds("bsky.app/profile#header", &[("bsky.app/profile#header", "https://bsky.app/profile#header")]);
    let long = "t".repeat(64);
    tags(&format!("#{long} #{long}t"), &[&long]);
}

#[test]
fn hashtags_of_any_script() {
    tags("#俳句 ＃俳句 #俳句。", &["俳句"; 3]);
    tags("#日本（にほん） #詩・歌 #ハイク\u{3000}#春", &["日本（にほん", "詩・歌", "ハイク", "春"]);
    tags("#قصيدة، #שירה!", &["قصيدة", "שירה"]);
    tags("#कविता। #कविता?", &["कविता"; 2]);
    tags("#e\u{301}te\u{301}!", &["e\u{301}te\u{301}"]);
    tags("#١٢٣ #१२ #①", &["①"]);
    tags("#a\u{200b}b", &["a"]);
    tags("#️⃣ #\u{301}a", &[]);
    let family = "👨‍👩‍👧‍👦".repeat(64);
    tags(&format!("#🇩🇪 #{}", &family[..25 * 25]), &["🇩🇪", &family[..25 * 25]]);
    tags(&format!("#{family}"), &[]);
}

#[test]
fn a_hashtag_is_not_cut_within_a_character() {
    // The package stops at the joiner, within a family emoji and within words that contain one.
    tags("#👨‍👩‍👧 #क्‍ष #می‌خواهم", &["👨‍👩‍👧", "क्‍ष", "می‌خواهم"]);
}

#[test]
fn ticker_symbols() {
    finds("$AAPL ($aapl) $a,b", &[("$AAPL", "$AAPL"), ("$aapl", "$AAPL"), ("$a", "$A")]);
    finds("$toolong $5 $ US$AAPL $a-b", &[]);
}

#[test]
fn punctuation_and_brackets_stay_outside() {
    links("(https://foo.com/thing_(cool))", &["https://foo.com/thing_(cool)"]);
    links("(see https://foo.com/a).", &["https://foo.com/a"]);
    links("https://foo.com... https://foo.com?!", &["https://foo.com"; 2]);
    links(
        "https://foo.com/“ https://foo.com/a’, https://foo.com/a」。",
        &["https://foo.com/", "https://foo.com/a", "https://foo.com/a"],
    );
    links("見て https://foo.com。", &["https://foo.com"]);
    links("https://ja.wikipedia.org/wiki/俳句、", &["https://ja.wikipedia.org/wiki/俳句"]);
    links("https://a.b/c?d=(e) https://a.b/[1]", &["https://a.b/c?d=(e)", "https://a.b/[1]"]);
    links("https://a.b/_x_ https://a.b/-", &["https://a.b/_x_", "https://a.b/-"]);
    finds("(foo.com) foo.com. foo.com’s", &[("foo.com", "https://foo.com"); 3]);
    finds("foo.comを見て", &[("foo.com", "https://foo.com")]);
    links("foo(https://bar.com/x", &["https://bar.com/x"]);
    for text in ["\"https://foo.com\"", "<https://foo.com>", "see:foo.com", "ftp://foo.com"] {
        finds(text, &[]);
    }
}

#[test]
fn only_existing_domains_are_links() {
    for domain in ["example.gives", "example.web", "example.baidu"] {
        finds(domain, &[(domain, &format!("https://{domain}"))]);
    }
    finds("example.mcdonalds example.then", &[]);
}

#[test]
fn hosts_are_valid() {
    links(
        "http://localhost https://localhost:3000/x HTTPS://Foo.COM/x",
        &["http://localhost", "https://localhost:3000/x", "HTTPS://Foo.COM/x"],
    );
    finds(
        "my-site.com foo.com:8080/x",
        &[("my-site.com", "https://my-site.com"), ("foo.com:8080/x", "https://foo.com:8080/x")],
    );
    for text in [
        "http://",
        "https://... x",
        "https://!",
        "end.So then",
        "-a.com",
        "a-.com",
        "me@foo.com",
        "foo.com@bar",
        "foo.com_x",
        "don't.do",
        "3.14.am",
    ] {
        finds(text, &[]);
    }
}

#[test]
fn handles_are_valid() {
    finds("@handle.comさん @handle.com. @handle.com/foo", &[("@handle.com", "handle.com"); 3]);
    for text in ["@handle", "@a..com", "@-a.com", "@a-.com", "@handle.com_x", "@a.1", "@", "＠handle.com"] {
        finds(text, &[]);
    }
    let label = "a".repeat(64);
    finds(&format!("@{label}.com"), &[]);
}

#[test]
fn nothing_overlaps() {
    finds("#foo(https://bar.com)", &[("#foo", "foo"), ("https://bar.com", "https://bar.com")]);
    links("https://foo.com/(@walt.test)", &["https://foo.com/(@walt.test)"]);
    finds("@walt.test(https://x.com)", &[("@walt.test", "walt.test"), ("https://x.com", "https://x.com")]);
}

#[test]
fn right_to_left_texts_have_correct_byte_ranges() {
    let text = "قصيدة https://foo.com #شعر";
    links("قصيدة https://foo.com/شعر\u{200F}", &["https://foo.com/شعر"]);
    finds(text, &[("https://foo.com", "https://foo.com"), ("#شعر", "شعر")]);
    let facets = detect(text);
    assert!(facets[0].bytes.end < facets[1].bytes.start);
}

/// Pieces that may be a facet, or break one.
const PIECES: &[&str] = &[
    "https://",
    "http://",
    "foo.com",
    "example.org",
    "/",
    "path",
    "?q=1",
    "#",
    "＃",
    "@",
    "walt.test",
    "$",
    "AAPL",
    "(",
    ")",
    "「",
    "」",
    ".",
    ",",
    "!",
    " ",
    "\n",
    "\u{3000}",
    "\u{200d}",
    "\u{FE0F}",
    "\u{301}",
    "👨‍👩‍👧",
    "🇩🇪",
    "क्ष",
    "俳句",
    "שיר",
    "é",
    "1",
    "_",
    "-",
    "’",
    "\u{FEFF}",
];

/// Texts made of these pieces.
fn texts() -> impl Strategy<Value = String> {
    let any = prop_oneof![4 => proptest::sample::select(PIECES).prop_map(str::to_owned), 1 => ".{0,4}"];
    proptest::collection::vec(any, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn facets_lie_within_the_text_in_order(text in texts()) {
        let mut free = 0;
        for Facet { bytes, feature } in detect(&text) {
            prop_assert!(free <= bytes.start && bytes.start < bytes.end, "{:?} in {:?}", bytes, text);
            let slice = text.get(bytes.clone());
            prop_assert!(slice.is_some(), "{:?} cuts a character of {:?}", bytes, text);
            let slice = slice.unwrap();
            free = bytes.end;
            match feature {
                Feature::Link(uri) => prop_assert!(uri == slice || uri == format!("https://{slice}"), "{}", uri),
                Feature::Tag(tag) if slice.starts_with('$') => prop_assert_eq!(tag, slice.to_ascii_uppercase()),
                Feature::Tag(tag) => prop_assert!(slice == format!("#{tag}") || slice == format!("＃{tag}"), "{}", tag),
                Feature::Mention(handle) => prop_assert_eq!(format!("@{handle}"), slice),
            }
        }
    }

    #[test]
    fn any_text_is_accepted(text: String) {
        detect(&text);
    }
}
