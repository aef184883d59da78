use super::*;
use crate::flock::Visibility;

/// A bot of this app, whose keys start on line 5, followed by the app's table.
fn bot_of(app: &str, keys: &str, app_keys: &str) -> String {
    feed(keys).replace("network = \"feed\"", &format!("app = \"{app}\""))
        + &format!("[apps.{app}]\n{app_keys}\n")
}

fn on_mastodon(keys: &str) -> String {
    bot_of("home", keys, "network = \"mastodon\"\napi_url = \"https://example.social/\"")
}

fn on_bluesky(keys: &str) -> String {
    feed(keys).replace("network = \"feed\"", "network = \"bluesky\"")
}

#[test]
fn a_server_of_mastodon_must_be_named() {
    check(
        bot_of("home", "", "network = \"mastodon\""),
        &[
            "error: flock.toml:6: app home: `api_url` is missing: write the address of the server, like \"https://mastodon.social\"",
        ],
    );
    let app = walt(&on_mastodon("")).app.unwrap();
    assert_eq!(app.api_url, "https://example.social");
    assert!(app.client.is_none() && app.consumer.is_none());
    check(
        on_bluesky("").replace("bluesky", "mastodon"),
        &[
            "error: flock.toml:2: bot walt: network mastodon needs an app: write app = \"mastodon\" instead, and a table [apps.mastodon] with the server's address as `api_url`",
        ],
    );
}

#[test]
fn each_network_has_keys_of_its_own() {
    let mastodon = |keys: &str| {
        bot_of("home", "", &format!("network = \"mastodon\"\napi_url = \"https://a.example\"\n{keys}"))
    };
    check(
        mastodon("consumer_key = \"k\"\nclient_id = \"c\""),
        &[
            "error: flock.toml:6: app home: `client_secret` is missing: the server shows both; or remove both, and flockd registers itself",
            "error: flock.toml:9: app home: network mastodon has no `consumer_key`: remove it",
        ],
    );
    check(
        mastodon("directory_url = \"https://b.example\""),
        &["warning: flock.toml:9: app home: `directory_url` has no effect on network mastodon: remove it"],
    );
    let whole = mastodon("client_id = \"c\"\nclient_secret = \"s\"");
    check(&whole, &[]);
    assert!(walt(&whole).app.unwrap().client.is_some());
    check(
        bot_of("sky", "", "network = \"bluesky\"\nclient_id = \"c\""),
        &["error: flock.toml:8: app sky: network bluesky has no `client_id`: remove it"],
    );
}

#[test]
fn a_bot_on_bluesky_needs_no_app_unless_there_is_one() {
    let bot = walt(&on_bluesky(""));
    let app = bot.app.as_deref().unwrap();
    assert_eq!((&*app.name, &*app.api_url), ("bluesky", "https://bsky.social"));
    assert_eq!((&*app.site_url, &*app.directory_url), ("https://bsky.app", "https://plc.directory"));
    check(
        on_bluesky("") + "[apps.sky]\nnetwork = \"bluesky\"\n",
        &[
            "error: flock.toml:2: bot walt: network bluesky needs an app: write app = \"sky\" instead",
            "warning: flock.toml:6: app sky: no bot uses it: remove it, or write app = \"sky\" in a bot",
        ],
    );
}

#[test]
fn a_handle_is_one_of_its_network() {
    for good in ["walt", "@walt", "walt@example.social", "Walt_1.x-y"] {
        check(on_mastodon(&format!("account = \"{good}\"")), &[]);
    }
    for bad in ["walt@", "walt@host", "@", "wa lt", "a@b@example.org"] {
        let expect = "must be a handle on its server, like \"walt\" or \"walt@example.social\"";
        check(
            on_mastodon(&format!("account = \"{bad}\"")),
            &[&format!("error: flock.toml:5: bot walt: `account` {expect}, not \"{bad}\"")],
        );
    }
    for good in ["walt.bsky.social", "@walt.example.org", "did:plc:abc", "did:web:example.org"] {
        check(on_bluesky(&format!("account = \"{good}\"")), &[]);
    }
    for bad in ["walt", "walt.", "-walt.example.org", "did:key:abc"] {
        let expect = "must be a handle on Bluesky, like \"walt.bsky.social\"";
        check(
            on_bluesky(&format!("account = \"{bad}\"")),
            &[&format!("error: flock.toml:5: bot walt: `account` {expect}, not \"{bad}\"")],
        );
    }
}

#[test]
fn one_account_is_one_bots_however_it_is_written() {
    let other = "[bots.emily]\napp = \"home\"\npoem = \"e.txt\"\nschedule = \"@daily\"\n";
    check(
        on_mastodon("account = \"walt\"") + other + "account = \"Walt@example.social\"",
        &[
            "error: flock.toml:13: bot emily: bot walt has the account Walt@example.social too: a bot needs one of its own",
        ],
    );
    let elsewhere = "[apps.away]\nnetwork = \"mastodon\"\napi_url = \"https://b.example\"\n";
    let other = other.replace("home", "away") + "account = \"walt\"\n" + elsewhere;
    check(on_mastodon("account = \"walt\"") + &other, &[]);
}

#[test]
fn tokens_are_those_of_their_network() {
    let bot = walt(&on_mastodon("access_token = { env = \"T\" }"));
    assert!(bot.tokens.is_some_and(|tokens| tokens.access_token_secret.is_none()));
    check(
        on_mastodon("access_token = \"t\"\naccess_token_secret = \"s\""),
        &["error: flock.toml:6: bot walt: network mastodon needs no `access_token_secret`: remove it"],
    );
    check(
        on_bluesky("access_token = \"t\""),
        &["error: flock.toml:5: bot walt: network bluesky needs no `access_token`: remove it"],
    );
}

#[test]
fn manners_are_those_of_their_network() {
    let keys = "visibility = \"unlisted\"\nlanguage = \"pt-BR\"\nspoiler_text = \"the sea\"";
    let manner = walt(&on_mastodon(keys)).options;
    assert_eq!((manner.visibility, manner.languages), (Some(Visibility::Unlisted), vec!["pt-BR".to_owned()]));
    assert_eq!(manner.spoiler_text.as_deref(), Some("the sea"));
    let manner = walt(&on_bluesky("language = [\"en\", \"de\"]")).options;
    assert_eq!(manner.languages, ["en", "de"]);
    let nothing = |line: usize, key: &str, network: &str| {
        format!("warning: flock.toml:{line}: bot walt: `{key}` has no effect on network {network}: remove it")
    };
    check(on_bluesky(keys), &[&nothing(5, "visibility", "bluesky"), &nothing(7, "spoiler_text", "bluesky")]);
    check(
        feed(keys),
        &[
            &nothing(5, "visibility", "feed"),
            &nothing(6, "language", "feed"),
            &nothing(7, "spoiler_text", "feed"),
        ],
    );
}

#[test]
fn a_language_is_a_code() {
    let code = "the code of a language, like \"en\" or \"pt-BR\"";
    for (bad, expect) in [
        ("\"english\"", format!("`language` must be {code}, not \"english\"")),
        ("\"\"", format!("`language` must be {code}, not \"\"")),
        ("7", format!("`language` must be {code}, not a number")),
        ("[]", "`language` must have from 1 to 3 languages, and this one has 0".to_owned()),
        (
            "[\"en\", \"de\", \"fr\", \"it\"]",
            "`language` must have from 1 to 3 languages, and this one has 4".to_owned(),
        ),
    ] {
        check(
            on_bluesky(&format!("language = {bad}")),
            &[&format!("error: flock.toml:5: bot walt: {expect}")],
        );
    }
    check(
        on_mastodon("language = [\"en\"]"),
        &[&format!("error: flock.toml:5: bot walt: `language` must be {code}, not a list")],
    );
}

#[test]
fn one_poem_may_be_read_on_several_networks_and_not_twice_on_one() {
    let emily = |network: &str| {
        format!("[bots.emily]\nnetwork = \"{network}\"\npoem = \"walt.txt\"\nschedule = \"@daily\"\n")
    };
    check(on_mastodon("") + &emily("bluesky"), &[]);
    check(
        on_bluesky("") + &emily("bluesky"),
        &[
            "warning: flock.toml:8: bot emily: bot walt posts the same poem, and readers who follow both on bluesky see everything twice: give each its own",
        ],
    );
}
