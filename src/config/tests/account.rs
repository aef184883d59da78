use super::*;
use crate::flock::account::Profile;

/// A bot on X without tokens, whose keys start on line 5, followed by its app.
fn enrolled(keys: &str, app_keys: &str) -> String {
    feed(keys).replace("network = \"feed\"", "app = \"x\"") + "[apps.x]\nnetwork = \"x\"\n" + app_keys
}

const CONSUMER: &str = "consumer_key = { env = \"K\" }\nconsumer_secret = { env = \"S\" }\n";
const CLIENT: &str = "client_id = { env = \"C\" }\n";
const TOKEN: &str = "access_token = { env = \"T\" }";
const SECRET: &str = "access_token_secret = { env = \"TS\" }";

#[test]
fn accounts_and_tokens_belong_to_networks_that_have_such_things() {
    let handle = "`account` must be a handle on X: 1 to 15 letters, digits and `_`";
    for bad in ["walt-lines", "sixteen_letters_", "@", "@@walt", "wält"] {
        let expect = format!("error: flock.toml:7: bot walt: {handle}, not \"{bad}\"");
        check(on_x(&format!("app = \"x\"\naccount = \"{bad}\"")), &[&expect]);
    }
    check(
        feed("account = \"walt\"\naccess_token = \"t\""),
        &[
            "warning: flock.toml:5: bot walt: `account` has no effect on network feed: remove it",
            "error: flock.toml:6: bot walt: network feed needs no `access_token`: remove it",
        ],
    );
}

#[test]
fn tokens_may_be_left_to_enroll() {
    for app_keys in [CONSUMER, CLIENT, &format!("{CONSUMER}{CLIENT}")] {
        let input = enrolled("", app_keys);
        check(&input, &[]);
        let bot = walt(&input);
        assert!(bot.app.is_some() && bot.tokens.is_none() && bot.account.is_none());
    }
}

#[test]
fn a_token_does_not_come_without_its_secret() {
    check(
        enrolled(TOKEN, CONSUMER),
        &[
            "error: flock.toml:1: bot walt: `access_token_secret` is missing: console.x.com shows it beside `access_token`; or remove `access_token` and run `flockd enroll walt`",
        ],
    );
    check(
        enrolled(SECRET, CONSUMER),
        &[
            "error: flock.toml:1: bot walt: `access_token` is missing: console.x.com shows it beside `access_token_secret`; or remove `access_token_secret` and run `flockd enroll walt`",
        ],
    );
    // A key that is present but invalid isn't missing.
    check(
        enrolled(&format!("access_token = \"\"\n{SECRET}"), CONSUMER),
        &["error: flock.toml:5: bot walt: `access_token` is empty: write something, or remove the key"],
    );
}

#[test]
fn tokens_need_an_app_that_can_sign_with_them() {
    let tokens = format!("{TOKEN}\n{SECRET}");
    check(enrolled(&tokens, &format!("{CONSUMER}{CLIENT}")), &[]);
    check(
        enrolled(&tokens, CLIENT),
        &[
            "error: flock.toml:5: bot walt: `access_token` is for OAuth 1.0a, and app x has no `consumer_key` and `consumer_secret`: write them there, or remove both tokens here and run `flockd enroll walt`",
        ],
    );
    // Invalid consumer keys are reported once, at their own line.
    check(
        enrolled(&tokens, &format!("consumer_key = 1\nconsumer_secret = \"S\"\n{CLIENT}")),
        &[
            "error: flock.toml:9: app x: `consumer_key` must be a quoted string, { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }, not a number",
        ],
    );
    check(
        enrolled(&tokens, &format!("consumer_key\nconsumer_secret\n{CLIENT}")),
        &[
            "error: flock.toml:9: a key needs a value: write key = \"…\"",
            "error: flock.toml:10: a key needs a value: write key = \"…\"",
        ],
    );
}

#[test]
fn an_account_is_told_how_to_look() {
    let profile = |keys: &str| walt(&enrolled(&format!("[bots.walt.profile]\n{keys}"), CLIENT)).profile;
    assert_eq!(profile(""), Profile::default());
    assert_eq!(
        profile(
            "name = \" Walt \"\nbio = \"\"\"\nA bot.\r\n\nNobody else.\n\"\"\"\npicture = \"./walt.png\""
        ),
        Profile {
            name: Some("Walt".into()),
            bio: Some("A bot.\n\nNobody else.".into()),
            picture: Some("home/walt.png".into()),
        }
    );
    assert_eq!(profile("bio = \"\"").bio.as_deref(), Some(""), "what takes a bio away");
    let inline = walt(&enrolled("profile = { name = \"Walt\" }", CLIENT)).profile;
    assert_eq!(inline.name.as_deref(), Some("Walt"));
}

#[test]
fn a_profile_that_cannot_be_is_told_why() {
    let check = |keys: &str, expect: &[&str]| {
        check(enrolled(&format!("[bots.walt.profile]\n{keys}"), CLIENT), expect);
    };
    check(
        "name = \"\"\nbio = \"a\\tb\"\npicture = 5\nbanner = \"b.png\"",
        &[
            "error: flock.toml:6: bot walt: [profile]: `name` is empty: write something, or remove the key",
            "error: flock.toml:7: bot walt: [profile]: `bio` holds the control character U+0009: remove it",
            "error: flock.toml:8: bot walt: [profile]: `picture` must be a quoted string, not a number",
            "error: flock.toml:9: bot walt: [profile]: unknown key `banner`: remove it; flock.toml.example explains every key there is",
        ],
    );
    let long = format!("bio = \"{}\"\nname = \"Walt\\nWhitman\"\npictur = \"w.png\"", "b".repeat(4_097));
    check(
        &long,
        &[
            "error: flock.toml:6: bot walt: [profile]: `bio` has 4097 bytes, 4096 is the most: shorten it",
            "error: flock.toml:7: bot walt: [profile]: `name` holds the control character U+000A: remove it",
            "error: flock.toml:8: bot walt: [profile]: unknown key `pictur`: did you mean `picture`?",
        ],
    );
    super::check(
        enrolled("profile = \"walt.toml\"", CLIENT),
        &[
            "error: flock.toml:5: bot walt: `profile` must be a table: write [bots.walt.profile] on a line of its own, not a string",
        ],
    );
}

#[test]
fn a_profile_means_nothing_where_there_are_no_accounts() {
    for network in ["feed", "paper"] {
        let input = feed("\n[bots.walt.profile]\nname = \"Walt\"").replace("feed", network);
        let expect = format!(
            "warning: flock.toml:6: bot walt: `profile` has no effect on network {network}: remove it"
        );
        check(&input, &[&expect]);
        assert_eq!(walt(&input).profile, Profile::default());
    }
}
