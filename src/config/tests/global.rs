use std::net::SocketAddr;

use super::*;
use crate::flock::secret::SecretSource;
use crate::flock::{KeySource, Web};

fn with(table: &str, keys: &str) -> String {
    feed("") + &format!("[{table}]\n{keys}\n")
}

#[test]
fn the_ledger_lies_beside_the_file() {
    let database = |keys: &str| flock(&with("flock", keys)).database;
    assert_eq!(database(""), "sqlite:home/flock.db");
    assert_eq!(flock(&feed("")).database, "sqlite:home/flock.db");
    assert_eq!(database("database = \"sqlite:data/flock.db\""), "sqlite:home/data/flock.db");
    assert_eq!(database("database = \"sqlite://flock.db\""), "sqlite:home/flock.db");
    assert_eq!(
        database("database = \"sqlite:///var/lib/flockd/flock.db\""),
        "sqlite:/var/lib/flockd/flock.db"
    );
    let (flock, ..) = read(&feed(""), Path::new("flock.toml"), now());
    assert_eq!(flock.unwrap().database, "sqlite:flock.db");
}

#[test]
fn a_ledger_that_cannot_be_is_refused_without_its_password() {
    let check = |url: &str, expect: &str| {
        let expect = format!("error: flock.toml:7: [flock]: `database` {expect}");
        check(with("flock", &format!("database = \"{url}\"")), &[&expect]);
    };
    let postgres = "names a PostgreSQL server, which is not available yet: write \"sqlite:flock.db\"";
    check("postgres://walt:sesame@db/flock", postgres);
    check("postgresql://walt:sesame@db/flock", postgres);
    check("mysql://walt:sesame@db/flock", "must begin with `sqlite:`, like \"sqlite:flock.db\"");
    check("flock.db", "must begin with `sqlite:`, like \"sqlite:flock.db\"");
    check("sqlite:", "names no file: write \"sqlite:flock.db\"");
    check(
        "sqlite::memory:",
        "is a ledger that forgets everything at the end: name a file, like \"sqlite:flock.db\"",
    );
    check("sqlite:flock.db?mode=ro", "takes no options: remove everything from the `?` on");
    check("sqlite:data/", "is a folder: name a file in it, like \"sqlite:/var/lib/flockd/flock.db\"");
}

#[test]
fn the_vaults_key_lies_beside_the_ledger_or_where_it_is_said() {
    let file = |path: &str| KeySource::File(path.into());
    let key = |input: &str| flock(input).vault_key;
    assert_eq!(key(&feed("")), file("home/flock.key"));
    assert_eq!(key(&with("vault", "")), file("home/flock.key"));
    let ledger = "database = \"sqlite:/var/lib/flockd/walt.db\"";
    assert_eq!(key(&with("flock", ledger)), file("/var/lib/flockd/flock.key"));
    assert_eq!(key(&with("vault", "key_file = \"./keys/k\"")), file("home/keys/k"));
    assert_eq!(key(&with("vault", "key_file = \"/run/k\"")), file("/run/k"));
    let elsewhere = |source| KeySource::Elsewhere(source);
    assert_eq!(key(&with("vault", "key = { env = \"K\" }")), elsewhere(SecretSource::Env("K".into())));
    assert_eq!(
        key(&with("vault", "key = { credential = \"k\" }")),
        elsewhere(SecretSource::Credential("k".into()))
    );
    let (flock, ..) = read(&feed(""), Path::new("flock.toml"), now());
    assert_eq!(flock.unwrap().vault_key, file("flock.key"));
}

#[test]
fn a_vaults_key_has_one_place_and_that_is_not_flock_toml() {
    let check = |keys: &str, expect: &str| {
        let expect = format!("error: flock.toml:7: [vault]: {expect}");
        check(with("vault", keys), &[&expect]);
    };
    let ways = "{ env = \"NAME\" } or { credential = \"NAME\" }";
    check(
        "key = \"00112233\"",
        &format!("`key` does not belong in this file: write {ways}, or name a file with `key_file`"),
    );
    check("key = { file = \"k\" }", "`key` takes no `file`: write key_file = \"PATH\" instead");
    check("key = 7", &format!("`key` must be {ways}, not a number"));
    check("key = {}", "`key`: has 0 of `env`, `file` and `credential`: write exactly one");
    check(
        "key = { env = \"12-sesame\" }",
        "`key`: `env` must be the name of an environment variable, not the secret itself: take letters, digits and `_`",
    );
    check("key_file = \"\"", "`key_file` is empty: write something, or remove the key");
    check("key_fil = \"k\"", "unknown key `key_fil`: did you mean `key_file`?");
    super::check(
        with("vault", "key_file = \"k\"\nkey = { env = \"K\" }"),
        &["error: flock.toml:8: [vault]: has both `key_file` and `key`: remove one"],
    );
}

#[test]
fn the_web_server_is_for_this_machine_unless_told() {
    let web = |keys: &str| flock(&with("web", keys)).web;
    let expect = |listen: &str, public_url: &str| Web {
        listen: listen.parse().unwrap(),
        public_url: public_url.into(),
    };
    assert_eq!(web(""), expect("127.0.0.1:7878", "http://127.0.0.1:7878"));
    assert_eq!(web("listen = \"localhost:80\""), expect("127.0.0.1:80", "http://127.0.0.1:80"));
    assert_eq!(web("listen = \"[::1]:81\""), expect("[::1]:81", "http://[::1]:81"));
    assert_eq!(web("listen = \"0.0.0.0:82\""), expect("0.0.0.0:82", "http://127.0.0.1:82"));
    assert_eq!(web("listen = \"[::]:83\""), expect("[::]:83", "http://127.0.0.1:83"));
    let poems = "public_url = \"https://example.org/poems/\"";
    assert_eq!(web(poems), expect("127.0.0.1:7878", "https://example.org/poems"));
    assert_eq!(web("").listen, SocketAddr::from(([127, 0, 0, 1], 7878)));
}

#[test]
fn a_listener_that_cannot_be_or_that_others_reach_is_told() {
    let bad =
        "error: flock.toml:7: [web]: `listen` must be an IP address and a port, like \"127.0.0.1:7878\"";
    for listen in ["7878", ":7878", "example.org:80", "127.0.0.1", "127.0.0.1:70000", "localhost:x"] {
        check(with("web", &format!("listen = \"{listen}\"")), &[bad]);
    }
    check(
        with("web", "listen = \"0.0.0.0:7878\""),
        &[
            "warning: flock.toml:7: [web]: whoever reaches 0.0.0.0:7878 can read the page and the feeds: listen on 127.0.0.1 if others should not",
        ],
    );
    check(
        with("web", "public_url = \"example.org\""),
        &[
            "error: flock.toml:7: [web]: `public_url` must begin with http:// or https:// and name a host, like \"https://example.org\"",
        ],
    );
}

#[test]
fn places_tell_the_line_of_every_key() {
    let (_, _, places) = read(&with("web", "listen = \"127.0.0.1:0\""), Path::new("flock.toml"), now());
    let lines = ["bots.walt", "bots.walt.poem", "bots.walt.jitter", "web.listen", "flock.database"];
    assert_eq!(lines.map(|path| places.line_of(path)), [Some(1), Some(3), Some(1), Some(7), None]);
}
