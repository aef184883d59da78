use std::net::SocketAddr;

use super::*;
use crate::flock::KeySource;
use crate::flock::secret::SecretSource;
use crate::flock::web::{Dashboard, Open, Web};

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
        "is a ledger in memory, which is lost at exit: name a file, like \"sqlite:flock.db\"",
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
    let expect = |listen: &str, public_url: &str| Web::at(listen.parse().unwrap(), public_url.into());
    let off = |listen: &str| web(&format!("dashboard = \"off\"\nlisten = \"{listen}\"")).public_url;
    assert_eq!(web(""), expect("127.0.0.1:7878", "http://127.0.0.1:7878"));
    assert_eq!(web("listen = \"localhost:80\""), expect("127.0.0.1:80", "http://127.0.0.1:80"));
    assert_eq!(web("listen = \"[::1]:81\""), expect("[::1]:81", "http://[::1]:81"));
    assert_eq!([off("0.0.0.0:82"), off("[::]:83")], ["http://127.0.0.1:82", "http://127.0.0.1:83"]);
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
    let exposed = "error: flock.toml:7: [web]: other machines reach 0.0.0.0:7878, so the dashboard needs a password: write \
        the `password` that `flockd password` makes, or dashboard = \"off\"";
    check(with("web", "listen = \"0.0.0.0:7878\""), &[exposed]);
    check(with("web", "listen = \"0.0.0.0:7878\"\ndashboard = \"read-only\""), &[exposed]);
    check(
        with("web", "public_url = \"example.org\""),
        &[
            "error: flock.toml:7: [web]: `public_url` must begin with http:// or https:// and name a host, like \"https://example.org\"",
        ],
    );
}

#[test]
fn a_public_path_that_flockd_uses_itself_is_told() {
    for path in ["/feeds", "/bots/", "/api/flock"] {
        let shown = path.trim_end_matches('/');
        let expect = format!(
            "warning: flock.toml:7: [web]: `public_url` has the path {shown}, which flockd uses itself: the web server in \
             front must strip it from requests (`handle_path` in Caddy, a `proxy_pass` that ends in / in nginx), or choose \
             another path"
        );
        check(with("web", &format!("public_url = \"https://example.org{path}\"")), &[&expect]);
    }
    // Only a complete name counts, and only the first segment.
    for fine in ["", "/", "/flock", "/feedsome", "/flock/feeds"] {
        check(with("web", &format!("public_url = \"https://example.org{fine}\"")), &[]);
    }
}

/// The argon2id hash of "sesame".
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0$ZK6Qj5hVbyRiv6F1Oc2bTbxcDb6VFfZxN2XMxwVLmfI";

#[test]
fn the_dashboard_is_told_what_it_is_for() {
    let web = |keys: &str| flock(&with("web", keys)).web;
    let wide = web(&format!("listen = \"0.0.0.0:1\"\npassword = \"{HASH}\""));
    assert_eq!(wide.password.as_ref().map(crate::flock::secret::Secret::expose), Some(HASH));
    assert_eq!((web("").dashboard, web("").open), (Dashboard::On, Open::ALL.to_vec()));
    // Pages with bot names are not open to other machines unless configured.
    assert_eq!(wide.open, [Open::Feeds, Open::Health]);
    assert_eq!(web("open = []").open, []);
    assert_eq!(web("open = [\"metrics\"]\ndashboard = \"read-only\"").open, [Open::Metrics]);
    let proxies = web("proxies = [\"10.1.0.0/16\", \"::1\"]").proxies;
    assert_eq!(proxies, ["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
}

#[test]
fn a_dashboard_that_cannot_be_is_told() {
    let check = |keys: &str, expect: &str| {
        check(with("web", keys), &[&format!("error: flock.toml:7: [web]: {expect}")]);
    };
    let hash = "`password` must be an argon2id hash, not the password itself: `flockd password` makes it";
    for password in
        ["sesame", "$argon2id$v=19$m=64", &HASH.replace("2id", "2i"), &HASH.replace("m=64", "m=1")]
    {
        check(&format!("password = \"{password}\""), hash);
    }
    check("dashboard = \"of\"", "`dashboard` must be \"on\" or \"read-only\" or \"off\", not \"of\"");
    let open = "`open` must be a list of \"feeds\", \"health\", \"metrics\", each once at most";
    for list in ["\"feeds\"", "[\"feed\"]", "[1]", "[\"feeds\", \"feeds\"]"] {
        check(&format!("open = {list}"), open);
    }
    let proxies =
        "`proxies` must be a list of IP addresses or networks, like [\"127.0.0.1\", \"10.1.0.0/16\"]";
    for proxy in ["localhost", "10.0.0.0/33", "10.0.0.1:80"] {
        check(&format!("proxies = [\"{proxy}\"]"), proxies);
    }
}

#[test]
fn places_tell_the_line_of_every_key() {
    let (_, _, places) = read(&with("web", "listen = \"127.0.0.1:0\""), Path::new("flock.toml"), now());
    let lines = ["bots.walt", "bots.walt.poem", "bots.walt.jitter", "web.listen", "flock.database"];
    assert_eq!(lines.map(|path| places.line_of(path)), [Some(1), Some(3), Some(1), Some(7), None]);
}
