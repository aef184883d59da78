use super::*;
use crate::flock::account::App;
use crate::flock::secret::SecretSource;

/// A bot with tokens and its app, whose keys start on line 8.
fn app(keys: &str) -> String {
    on_x("app = \"x\"").replace(APP, "") + "[apps.x]\n" + keys
}

/// A bot without tokens and its app on X, whose keys start on line 9.
fn enrolling(keys: &str) -> String {
    let tokens = "access_token = { env = \"T\" }\naccess_token_secret = { env = \"TS\" }";
    app(&format!("network = \"x\"\n{keys}")).replace(tokens, "\n")
}

#[track_caller]
fn read_app(keys: &str) -> App {
    App::clone(walt(&enrolling(keys)).app.as_deref().unwrap())
}

fn env(name: &str) -> SecretSource {
    SecretSource::Env(name.into())
}

const CONSUMER: &str = "consumer_key = { env = \"K\" }\nconsumer_secret = { env = \"S\" }\n";
const CLIENT: &str = "client_id = { env = \"C\" }\n";
const NO_KEYS: &str = "flock.toml:7: app x: has no keys: write `consumer_key` and `consumer_secret` to sign in by OAuth 1.0a, or `client_id` by OAuth 2.0; console.x.com shows them";

#[test]
fn apps_are_complete_and_used() {
    let secrets = CONSUMER;
    check(
        app(""),
        &[
            "error: flock.toml:7: app x: `network` is missing: write network = \"x\"",
            &format!("error: {NO_KEYS}"),
        ],
    );
    check(
        app(&format!("network = \"paper\"\n{secrets}")),
        &[
            "error: flock.toml:8: app x: network paper needs no app: remove this table and write network = \"paper\" in the bot",
        ],
    );
    check(
        app(&format!("network = \"x\"\n{secrets}api_url = \"http://api.example.org\"")),
        &[
            "error: flock.toml:11: app x: `api_url` must begin with https://: plain http sends the secrets unencrypted",
        ],
    );
    check(
        app(&format!("network = \"x\"\n{}", secrets.replace("\"S\"", "\"K\""))),
        &[
            "error: flock.toml:10: app x: `consumer_secret` is the same as `consumer_key`: the two must differ",
        ],
    );
    let local = format!("network = \"x\"\n{secrets}api_url = \"http://127.0.0.1:9/x/\"");
    assert_eq!(walt(&app(&local)).app.unwrap().api_url, "http://127.0.0.1:9/x");
    check(
        feed("[apps.\"a b\"]\nnetwork = \"x\"\n") + secrets,
        &[
            "error: flock.toml:5: app a b: the name is not usable: take 1 to 64 letters, digits, `-` and `_`",
            "warning: flock.toml:5: app a b: no bot uses it: remove it, or write app = \"a b\" in a bot",
        ],
    );
}

#[test]
fn an_app_has_one_way_to_sign_in_or_both() {
    let one = read_app(CONSUMER);
    let consumer = one.consumer.unwrap();
    assert_eq!((consumer.key, consumer.secret), (env("K"), env("S")));
    assert!(one.client.is_none());
    let public = read_app(CLIENT);
    let client = public.client.unwrap();
    assert_eq!((client.id, client.secret), (env("C"), None));
    assert!(public.consumer.is_none());
    let both = read_app(&format!("{CONSUMER}client_id = \"id\"\nclient_secret = {{ credential = \"c\" }}"));
    assert_eq!(both.client.unwrap().secret, Some(SecretSource::Credential("c".into())));
    assert!(both.consumer.is_some());
    check(enrolling(""), &[&format!("error: {NO_KEYS}")]);
}

#[test]
fn keys_come_in_pairs() {
    let check = |keys: &str, missing: &str, half: &str| {
        let expect = format!(
            "error: flock.toml:7: app x: `{missing}` is missing: console.x.com shows it beside `{half}`; write {{ env = \"NAME\" }} or {{ file = \"PATH\" }}"
        );
        check(enrolling(keys), &[&expect]);
    };
    check("consumer_key = \"k\"", "consumer_secret", "consumer_key");
    check("consumer_secret = \"s\"", "consumer_key", "consumer_secret");
    check("client_secret = \"s\"", "client_id", "client_secret");
    check(&format!("{CONSUMER}client_secret = \"s\""), "client_id", "client_secret");
    check(&format!("{CLIENT}consumer_key = \"k\""), "consumer_secret", "consumer_key");
}

#[test]
fn what_the_console_shows_is_not_pasted_twice() {
    let check = |keys: &str, line: usize, one: &str, other: &str| {
        let expect =
            format!("error: flock.toml:{line}: app x: `{other}` is the same as `{one}`: the two must differ");
        check(enrolling(keys), &[&expect]);
    };
    check("client_id = \"sesame\"\nclient_secret = \"sesame\"", 10, "client_id", "client_secret");
    check(&format!("{CONSUMER}client_id = {{ env = \"K\" }}"), 11, "consumer_key", "client_id");
    check(
        &format!("{CONSUMER}{CLIENT}client_secret = {{ env = \"S\" }}"),
        12,
        "consumer_secret",
        "client_secret",
    );
}

#[test]
fn every_key_takes_the_forms_of_a_secret() {
    let way = "a quoted string, { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }";
    check(
        enrolling("client_id = 12345\nclient_secret = { file = \"s\", env = \"S\" }"),
        &[
            &format!("error: flock.toml:9: app x: `client_id` must be {way}, not a number"),
            "error: flock.toml:10: app x: `client_secret`: has 2 of `env`, `file` and `credential`: write exactly one",
        ],
    );
}

#[test]
fn where_people_sign_in_can_be_set() {
    let app = read_app(CLIENT);
    assert_eq!((app.api_url.as_str(), app.site_url.as_str()), ("https://api.x.com", "https://x.com"));
    let app = read_app(&format!("{CLIENT}site_url = \"http://127.0.0.1:9/site/\""));
    assert_eq!(
        (app.api_url.as_str(), app.site_url.as_str()),
        ("https://api.x.com", "http://127.0.0.1:9/site")
    );
    check(
        enrolling(&format!("{CLIENT}site_url = \"http://example.org\"")),
        &[
            "error: flock.toml:10: app x: `site_url` must begin with https://: plain http sends the secrets unencrypted",
        ],
    );
    check(
        enrolling(&format!("{CLIENT}site_url = \"https://x.com/?a=b\"")),
        &["error: flock.toml:10: app x: `site_url` must end before any `?` or `#`: paths are added to it"],
    );
}

#[test]
fn the_callback_port_leaves_room_for_two_more() {
    let port = |value: &str| format!("{CLIENT}callback_port = {value}");
    assert_eq!(read_app(CLIENT).callback_port, 7_881);
    assert_eq!(read_app(&port("1024")).callback_port, 1_024);
    assert_eq!(read_app(&port("65533")).callback_port, 65_533);
    for bad in ["1023", "65534", "0", "-1", "70000"] {
        let expect = "error: flock.toml:10: app x: `callback_port` must be from 1024 to 65533";
        check(enrolling(&port(bad)), &[expect]);
    }
    check(
        enrolling(&port("\"7881\"")),
        &["error: flock.toml:10: app x: `callback_port` must be a whole number, not a string"],
    );
}
