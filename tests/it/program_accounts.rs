//! Accounts: `whoami`, `unenroll`, `delete` and `profile`, with a daemon and without.

use serde_json::{Value, json};

use crate::support::bounded::Bounded as _;
use crate::support::fake_x::{Behaviour, FakeX, Reply, Request};
use crate::support::program::{CommandOutput, Folder};
use crate::support::signing::{
    OAUTH1, PUBLIC, SECRET, asked, enroll_by_paste, enroll_with_tokens, feed, flock, named, nth_request,
    posts_of, renewals, state_of,
};
use crate::support::{answer, rfc5849};

/// A bot on the feed.
const ROBIN: &str = "[bots.robin]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"@yearly\"\n";

/// A bot whose tokens are in the configuration.
const GIVEN: &str = "[bots.given]\napp = \"x\"\naccount = \"given_lines\"\npoem = \"walt.txt\"\n\
                     schedule = \"@yearly\"\naccess_token = { file = \"token\" }\n\
                     access_token_secret = { file = \"token-secret\" }\n";

/// A flock with bots of every kind: walt is signed in, `given` has its tokens in the configuration, sylvia is
/// not signed in, and robin needs no account.
fn all_kinds(fake: &FakeX) -> Folder {
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@yearly"), ("sylvia", "@yearly")]);
    folder.configure(&format!("{GIVEN}{ROBIN}"));
    let tokens = fake.account("given_lines").credentials;
    folder.write("token", tokens.access_token.expose().as_bytes());
    folder.write("token-secret", tokens.access_token_secret.expose().as_bytes());
    enroll_with_tokens(fake, &folder, "walt");
    folder
}

/// The bot walt, signed in with tokens.
fn walt(fake: &FakeX) -> Folder {
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@yearly"), ("emily", "@yearly")]);
    folder.configure(ROBIN);
    enroll_with_tokens(fake, &folder, "walt");
    folder
}

/// Runs `whoami --json` with more arguments; returns whether all was well, and the rows.
fn whoami(folder: &Folder, more: &[&str]) -> (bool, Value) {
    let said = folder.run(&[&["whoami", "--json"], more].concat());
    (said.code == 0, serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {said:?}")))
}

/// Checks that the command failed and that its error contains this.
#[track_caller]
fn fails(said: &CommandOutput, with: &str) {
    assert!(said.code == 1 && said.err.contains(with), "{with:?}: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoami_shows_every_bot_and_what_is_wrong() {
    let fake = FakeX::start().await;
    let folder = all_kinds(&fake);
    let requests = fake.requests().len();
    let (well, rows) = whoami(&folder, &[]);
    assert!(!well, "one is not signed in");
    assert_eq!(fake.requests().len(), requests, "the network was not asked");
    let account = fake.account("walt_lines");
    let mut row = named(&rows, "bot", "walt").clone();
    assert!(row["signed_in_at"].take().as_str().unwrap().ends_with('Z'));
    let host = fake.url.replace("http://", "https://");
    let picture = format!("{host}/profile_images/{}_normal.png", account.id);
    let expected = json!({
        "bot": "walt", "network": "x", "id": account.id, "handle": "walt_lines", "name": "The poet walt_lines",
        "picture_url": picture, "access": "read-write", "way": "oauth1", "signed_in_at": null, "problem": null, "code": null,
    });
    assert_eq!(row, expected);
    let given = named(&rows, "bot", "given");
    assert_eq!(
        (&given["way"], &given["handle"], &given["problem"]),
        (&"oauth1".into(), &Value::Null, &Value::Null)
    );
    assert_eq!(named(&rows, "bot", "robin")["problem"], Value::Null);
    assert_eq!(named(&rows, "bot", "sylvia")["code"], "sign-in", "{rows}");
    let problem = named(&rows, "bot", "sylvia")["problem"].as_str().unwrap();
    assert!(problem.contains("`flockd enroll sylvia`"), "{problem}");

    let table = folder.run(&["whoami"]);
    assert_eq!(table.code, 1);
    for part in ["@walt_lines", "read-write", "by flock.toml", "robin", "feed", "sylvia"] {
        assert!(table.out.contains(part), "{part:?}: {}", table.out);
    }
    assert!(whoami(&folder, &["walt"]).0 && whoami(&folder, &["robin"]).0);
    fails(&folder.run(&["whoami", "stranger"]), "stranger");
    let status = folder.status();
    let who = &named(&status["bots"], "name", "walt")["account"];
    let expected = json!({"id": account.id, "handle": "walt_lines", "name": "The poet walt_lines", "picture_url": picture});
    assert_eq!(who, &expected);
    assert_eq!(named(&status["bots"], "name", "robin")["account"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoami_refresh_asks_the_network_again() {
    let fake = FakeX::start().await;
    let folder = all_kinds(&fake);
    fake.set_name("walt_lines", "Walt & co");
    assert_eq!(named(&whoami(&folder, &["walt"]).1, "bot", "walt")["name"], "The poet walt_lines");
    let (_, rows) = whoami(&folder, &["--refresh"]);
    assert_eq!(named(&rows, "bot", "walt")["name"], "Walt & co");
    assert_eq!(named(&rows, "bot", "given")["handle"], "given_lines");
    assert_eq!(named(&whoami(&folder, &["walt"]).1, "bot", "walt")["name"], "Walt & co", "it is remembered");

    fake.revoke_all("walt_lines");
    assert!(whoami(&folder, &["walt"]).0, "that is not known yet");
    let (well, rows) = whoami(&folder, &["walt", "--refresh"]);
    let problem = named(&rows, "bot", "walt")["problem"].as_str().unwrap();
    assert!(!well && problem.contains("HTTP 401"), "{problem}");

    let flock = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", flock.replace("\"given_lines\"", "\"taken_lines\"").as_bytes());
    let (well, rows) = whoami(&folder, &["given", "--refresh"]);
    let problem = named(&rows, "bot", "given")["problem"].as_str().unwrap();
    assert!(!well && problem.contains("@given_lines") && problem.contains("@taken_lines"), "{problem}");
    drop(fake);
    let (well, rows) = whoami(&folder, &["walt", "--refresh"]);
    let row = named(&rows, "bot", "walt");
    assert!(!well && row["problem"].as_str().unwrap().contains("127.0.0.1"), "{row}");
    assert_eq!(row["handle"], "walt_lines", "what is known is shown all the same");
}

/// Method and path of the calls that X received after the first `before`, in order.
fn calls_since(fake: &FakeX, before: usize) -> Vec<String> {
    let calls = fake.requests().split_off(before);
    calls.iter().map(|call| format!("{} {}", call.method, call.parts().0)).collect()
}

const INVALIDATE: &str = "POST /1.1/oauth/invalidate_token.json";

#[tokio::test(flavor = "multi_thread")]
async fn unenroll_revokes_and_forgets() {
    let fake = FakeX::start().await;
    let folder = all_kinds(&fake);
    let before = fake.count();
    let said = folder.run(&["unenroll", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(calls_since(&fake, before), [INVALIDATE]);
    let row = named(&whoami(&folder, &["walt"]).1, "bot", "walt").clone();
    assert_eq!((&row["handle"], &row["signed_in_at"]), (&Value::Null, &Value::Null));
    for bot in ["walt", "robin", "stranger"] {
        fails(&folder.run(&["unenroll", bot]), bot);
    }
    fails(&folder.run(&["unenroll", "given"]), "flock.toml");
    assert_eq!(calls_since(&fake, before), [INVALIDATE], "there is nothing more to revoke");
    // At X they are worthless as well.
    let tokens = fake.account("walt_lines").credentials;
    let typed = json!({
        "access_token": tokens.access_token.expose(), "access_token_secret": tokens.access_token_secret.expose(),
    });
    let said = feed(folder.command(&["enroll", "walt", "--tokens", "-"]), &typed.to_string());
    fails(&said, "HTTP 401");
}

#[tokio::test(flavor = "multi_thread")]
async fn unenroll_ends_a_sign_in_of_oauth_2() {
    let fake = FakeX::start().await;
    fake.make_confidential();
    let folder = flock(&fake.url, &format!("{PUBLIC}{SECRET}"), &[("walt", "@yearly")]);
    enroll_by_paste(&fake, &folder, "walt").await;
    let before = fake.count();
    let said = folder.run(&["unenroll", "walt"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert_eq!(calls_since(&fake, before), ["POST /2/oauth2/revoke"; 2]);
    let calls = asked(&fake, "/2/oauth2/revoke");
    let form = |call: &Request| rfc5849::form_parameters(&call.body).unwrap();
    let [refresh_token, access_token] =
        [&calls[0], &calls[1]].map(|call| rfc5849::value(&form(call), "token").unwrap().to_owned());
    let bearer = asked(&fake, "/2/users/me").pop().unwrap();
    assert_eq!(bearer.header("authorization"), Some(&*format!("Bearer {access_token}")), "that one last");
    assert_ne!(refresh_token, access_token);
    let revoked = &calls[0];
    let fields = [("grant_type", "refresh_token"), ("refresh_token", &*refresh_token)];
    let renew = crate::support::http().post(format!("{}/2/oauth2/token", fake.url)).form(&fields);
    let renew = renew.header("authorization", revoked.headers["authorization"].clone());
    let (status, refusal) = answer(renew.send().await.unwrap()).await;
    assert_eq!(status, 400, "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unenroll_reports_tokens_that_it_could_not_revoke() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, OAUTH1, &[("walt", "@yearly"), ("emily", "@yearly")]);
    for bot in ["walt", "emily"] {
        enroll_with_tokens(&fake, &folder, bot);
    }
    let flock = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    let without_walt = flock.split("[bots.walt]").next().unwrap().to_owned();
    let emily = &flock[flock.find("[bots.emily]").unwrap()..];
    folder.write("flock.toml", format!("{without_walt}{emily}").as_bytes());
    let before = fake.count();
    fails(&folder.run(&["unenroll", "walt"]), "`flockd unenroll walt --forget`");
    assert!(!folder.sealed("walt").await.is_empty());
    let said = folder.run(&["unenroll", "walt", "--forget"]);
    assert_eq!(said.code, 0, "{said:?}");
    fails(&folder.run(&["unenroll", "walt"]), "flock.toml");
    assert_eq!(calls_since(&fake, before), [""; 0], "and not revoked");

    let unknown = Reply::new(401, r#"{"errors":[{"code":32,"message":"Could not authenticate you."}]}"#);
    fake.next_at("/1.1/oauth/invalidate_token", Behaviour::Answer(unknown));
    fails(&folder.run(&["unenroll", "emily"]), "emily");
    std::fs::rename(folder.path("flock.key"), folder.path("away")).unwrap();
    fails(&folder.run(&["unenroll", "emily"]), "emily");
    std::fs::rename(folder.path("away"), folder.path("flock.key")).unwrap();
    assert!(!folder.sealed("emily").await.is_empty(), "that X refuses, or a key is away, loses nothing");
    assert_eq!(calls_since(&fake, before), [INVALIDATE], "without the key there is nothing to send");

    drop(fake);
    let said = folder.run(&["unenroll", "emily"]);
    fails(&said, "127.0.0.1");
    assert_eq!(state_of(&folder, "emily").0, "suspended");
    fails(&folder.run(&["unenroll", "emily"]), "emily");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_bots_are_queried_concurrently() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    enroll_with_tokens(&fake, &folder, "emily");
    let before = asked(&fake, "/2/users/me").len();
    for _ in 0..2 {
        fake.next_at("/2/users/me", Behaviour::Hold);
    }
    let mut command = folder.command(&["whoami", "--refresh"]);
    let whoami = tokio::task::spawn_blocking(move || command.output_in_time().unwrap());
    // The second request arrives although the first has no answer yet.
    nth_request(&fake, "/2/users/me", before + 2).await;
    fake.let_go();
    fake.let_go();
    let said = CommandOutput::from(whoami.await.unwrap());
    assert!(
        said.code == 0 && said.out.contains("@walt_lines") && said.out.contains("@emily_lines"),
        "{said:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_can_be_deleted_by_id_network_id_or_url() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    enroll_with_tokens(&fake, &folder, "emily");
    for turn in 0..3 {
        let said = folder.run(&["post", "walt"]);
        assert_eq!(said.code, 0, "{said:?}");
        let post = posts_of(&folder, "walt").pop().unwrap();
        let name = post[["id", "remote_id", "url"][turn]].as_str().unwrap();
        // With a daemon in the second turn, and without one in the others.
        let daemon = (turn == 1).then(|| folder.start());
        fails(&folder.run(&["delete", "emily", name]), "emily");
        let said = folder.run(&["delete", "walt", name]);
        assert_eq!(said.code, 0, "{said:?}");
        fails(&folder.run(&["delete", "walt", name]), "deleted");
        drop(daemon);
    }
    assert!(fake.posts().len() == 3 && fake.posts().iter().all(|post| post.deleted), "{:?}", fake.posts());
    assert!(posts_of(&folder, "walt").iter().all(|post| post["state"] == "deleted"));
    assert_eq!(state_of(&folder, "walt").0, "exhausted", "no line is free again");
    fails(&folder.run(&["post", "walt"]), "");
    for nothing in
        ["0192f0c1-2b3c-7def-8123-456789abcdef", "1234567890", "https://x.com/walt_lines/status/1", ""]
    {
        fails(&folder.run(&["delete", "walt", nothing]), "`flockd posts walt` lists them");
    }
    assert_eq!(asked(&fake, "/2/tweets").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_on_the_feed_vanishes_from_it() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    let daemon = folder.start();
    for text in ["stays for good", "goes in a moment"] {
        assert_eq!(folder.run(&["post", "robin", text]).code, 0);
    }
    let feed =
        async || crate::support::get(folder.url("/feeds/robin.atom")).await.unwrap().text().await.unwrap();
    assert!(feed().await.contains("goes in a moment"));
    let post = posts_of(&folder, "robin").pop().unwrap();
    let said = folder.run(&["delete", "robin", post["url"].as_str().unwrap()]);
    assert_eq!(said.code, 0, "{said:?}");
    let rest = feed().await;
    assert!(rest.contains("stays for good") && !rest.contains("goes in a moment"), "{rest}");
    let entry = crate::support::get(post["url"].as_str().unwrap()).await.unwrap().status();
    assert!(entry == 410 || entry == 404, "{entry}");
    assert_eq!(daemon.stop(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_absent_post_counts_as_deleted_and_an_undeletable_one_does_not() {
    let fake = FakeX::start().await;
    let folder = flock(&fake.url, PUBLIC, &[("walt", "@yearly")]);
    enroll_by_paste(&fake, &folder, "walt").await;
    for _ in 0..2 {
        assert_eq!(folder.run(&["post", "walt"]).code, 0);
    }
    let [first, second] = &posts_of(&folder, "walt")[..] else { panic!() };
    fake.expire_access_tokens();
    let said = folder.run(&["delete", "walt", first["id"].as_str().unwrap()]);
    assert_eq!((said.code, renewals(&fake)), (0, 1), "the token had run out: {said:?}");
    assert!(fake.posts()[0].deleted);

    // The other one is deleted on X itself.
    let remote = second["remote_id"].as_str().unwrap();
    let bearer = asked(&fake, &format!("/2/tweets/{}", first["remote_id"].as_str().unwrap())).pop().unwrap();
    let delete = crate::support::http().delete(format!("{}/2/tweets/{remote}", fake.url));
    let delete = delete.header("authorization", bearer.headers["authorization"].clone());
    assert_eq!(delete.send().await.unwrap().status(), 200);
    let said = folder.run(&["delete", "walt", remote]);
    assert_eq!(said.code, 0, "{said:?}");

    assert_eq!(folder.run(&["post", "walt"]).code, 0);
    let third = posts_of(&folder, "walt").pop().unwrap();
    fake.revoke_all("walt_lines");
    let said = folder.run(&["delete", "walt", third["id"].as_str().unwrap()]);
    fails(&said, "");
    let third = posts_of(&folder, "walt").pop().unwrap();
    assert_eq!(third["state"], "posted", "the ledger says what is");
    drop(fake);
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_shows_a_diff_and_that_x_cannot_be_updated() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    fails(&folder.run(&["profile", "walt"]), "--name");
    let command = ["profile", "walt", "--name", "Walt, line by line", "--bio", "A bot."];
    let said = folder.run(&[&command[..], &["--dry-run"]].concat());
    let expected = "name: \"The poet walt_lines\" becomes \"Walt, line by line\"\n\
                    bio: \"The lines of walt_lines & friends\" becomes \"A bot.\"\n\
                    note: X ";
    assert!(said.code == 0 && said.out.starts_with(expected), "{said:?}");
    fails(&folder.run(&command), "X ");
    let same = ["profile", "walt", "--name", "The poet walt_lines"];
    let said = folder.run(&same);
    assert!(said.code == 0 && !said.out.contains("becomes"), "{said:?}");

    folder.configure(
        "[bots.walt.profile]\nname = \"From the file\"\nbio = \"The lines of walt_lines & friends\"\n",
    );
    let said = folder.run(&["profile", "walt", "--dry-run"]);
    assert_eq!(
        said.out.lines().next(),
        Some("name: \"The poet walt_lines\" becomes \"From the file\""),
        "{said:?}"
    );
    let said = folder.run(&[&same[..], &["--dry-run"]].concat());
    assert!(!said.out.contains("becomes"), "a flag goes before the file: {said:?}");
    fails(&folder.run(&["profile", "robin", "--name", "R"]), "feed");
    fails(&folder.run(&["profile", "emily", "--name", "E"]), "flockd enroll emily");
    assert_eq!(fake.requests().iter().filter(|seen| seen.method != "GET").count(), 0, "nothing was changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn profile_accepts_only_images_as_pictures() {
    let fake = FakeX::start().await;
    let folder = walt(&fake);
    let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
    large.resize(2 * 1024 * 1024, 0);
    folder.write("a.png", &large);
    folder.write("b.jpg", b"\xff\xd8\xff\xe0 and so on");
    large.push(0);
    folder.write("large.png", &large);
    folder.write("text.png", b"GIF89a");
    folder.write("empty.png", b"");
    let try_on = |picture: &str| folder.run(&["profile", "walt", "--dry-run", "--picture", picture]);
    for (picture, kind) in [("a.png", "(PNG, 2097152 bytes)"), ("b.jpg", "(JPEG, 14 bytes)")] {
        let said = try_on(picture);
        assert!(said.code == 0 && said.out.contains(kind) && said.out.contains("_normal.png"), "{said:?}");
    }
    let requests = fake.requests().len();
    for (picture, why) in [
        ("large.png", "2097152"),
        ("text.png", "PNG"),
        ("empty.png", "PNG"),
        ("none.png", "none.png"),
        (".", "folder"),
    ] {
        fails(&try_on(picture), why);
    }
    assert_eq!(fake.requests().len(), requests, "the network was not asked in vain");
    folder.configure("[bots.walt.profile]\npicture = \"b.jpg\"\n");
    let said = folder.run(&["profile", "walt", "--dry-run"]);
    assert!(said.code == 0 && said.out.contains("b.jpg (JPEG"), "{said:?}");
}
