//! The timeline of the fake X: newest first, in pages, with X's own spelling of a text.

use std::sync::Arc;

use chrono::TimeDelta;
use flockd::clock::Clock as _;
use flockd::flock::NetworkKind;
use flockd::net::{Network as _, Outcome};
use reqwest_oauth1::{OAuthClientProvider as _, OAuthParameters, Secrets};
use serde_json::{Value, json};

use crate::support::fake_x::{Behaviour, CONSUMER, FakeAccount, FakeX, Reply};
use crate::support::{StillClock, answer, post, x_for};

const NOON: &str = "2026-11-20T12:00:00Z";

/// Reads an account's posts with this query, signed in as an account.
async fn look_at(fake: &FakeX, caller: &FakeAccount, id: &str, query: &str) -> (u16, Value) {
    let tokens = &caller.credentials;
    let secrets = Secrets::new(CONSUMER.0, CONSUMER.1)
        .token(tokens.access_token.expose(), tokens.access_token_secret.expose());
    let now = u64::try_from(fake.clock.now().timestamp()).unwrap();
    let client = crate::support::http().oauth1_with_params(secrets, OAuthParameters::new().timestamp(now));
    answer(client.get(format!("{}/2/users/{id}/tweets{query}", fake.url)).send().await.unwrap()).await
}

/// Reads the account's own posts.
async fn look(fake: &FakeX, query: &str) -> (u16, Value) {
    let walt = fake.account("walt_lines");
    look_at(fake, &walt, &walt.id, query).await
}

/// The texts of a page.
fn texts((status, page): &(u16, Value)) -> Vec<String> {
    assert_eq!(*status, 200, "{page}");
    let rows = page["data"].as_array().into_iter().flatten();
    rows.map(|row| row["text"].as_str().unwrap().to_owned()).collect()
}

/// A fake at noon, whose walt has posted `1` to `n`, one each minute, the last one at noon.
async fn with_posts(n: i64) -> (FakeX, Arc<StillClock>) {
    let clock = Arc::new(StillClock::at(NOON));
    let fake = FakeX::start_with(clock.clone()).await;
    for number in 1..=n {
        fake.posts_by_hand("walt_lines", &number.to_string(), clock.now() - TimeDelta::minutes(n - number));
    }
    (fake, clock)
}

#[tokio::test]
async fn the_newest_comes_first_with_id_and_text_alone() {
    let (fake, _) = with_posts(0).await;
    assert_eq!(look(&fake, "").await, (200, json!({"meta": {"result_count": 0}})));
    let x = x_for(&fake, &fake.account("walt_lines"));
    assert!(matches!(x.send(&post(NetworkKind::X, 1, "first"), None).await, Outcome::Posted { .. }));
    let second = fake.posts_by_hand("walt_lines", "second", fake.clock.now() + TimeDelta::seconds(1));
    fake.posts_by_hand("emily_lines", "hers", fake.clock.now());
    let first = fake.posts()[0].clone();
    // The id contains the time.
    let ms = (second.id.parse::<i64>().unwrap() >> 22) + 1_288_834_974_657;
    assert_eq!(ms, second.at.timestamp_millis());
    let row = |id: &str, text: &str| json!({"id": id, "text": text, "edit_history_tweet_ids": [id]});
    let expected = json!({
        "data": [row(&second.id, "second"), row(&first.id, "first")],
        "meta": {"result_count": 2, "newest_id": second.id, "oldest_id": first.id},
    });
    assert_eq!(look(&fake, "?max_results=100&exclude=retweets").await, (200, expected.clone()));
    let emily = fake.account("emily_lines");
    let id = fake.account("walt_lines").id;
    assert_eq!(look_at(&fake, &emily, &id, "").await, (200, expected), "posts are public");
    let dated = look(&fake, "?tweet.fields=created_at").await.1;
    assert_eq!(dated["data"][1]["created_at"], "2026-11-20T12:00:00.000Z");
    assert_eq!(fake.looks(), (4, 6));

    let (status, missing) = look_at(&fake, &emily, "1", "").await;
    assert!(status == 200 && missing["errors"][0]["type"].as_str().unwrap().ends_with("resource-not-found"));
    fake.revoke_all("walt_lines");
    assert_eq!(look(&fake, "").await.0, 401);
}

#[tokio::test]
async fn a_text_comes_back_in_x_s_spelling() {
    let (fake, clock) = with_posts(0).await;
    for (text, expected) in [
        ("a & b <c> \"d\" 'e' &amp;", "a &amp; b &lt;c&gt; \"d\" 'e' &amp;amp;"),
        ("see https://example.com/a?b=c&d.", "see *."),
        ("(HTTP://Example.COM), then example.org/x", "(*), then *"),
        ("example.com", "*"),
        ("\u{201c}www.example.net\u{201d} & co.", "\u{201c}*\u{201d} &amp; co."),
        (
            "no.such.end, me@example.com, @example.com, 3.5, etc...",
            "no.such.end, me@example.com, @example.com, 3.5, etc...",
        ),
        ("two https://a.com two https://b.com", "two * two *"),
    ] {
        fake.posts_by_hand("walt_lines", text, clock.now());
        clock.advance(TimeDelta::seconds(1));
        let shown = texts(&look(&fake, "").await).remove(0);
        let words = shown.split("https://t.co/").collect::<Vec<_>>();
        let rest = words[1..].iter().map(|word| {
            let (code, rest) = word.split_at(10);
            assert!(code.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{shown}");
            format!("*{rest}")
        });
        assert_eq!([words[0].to_owned()].into_iter().chain(rest).collect::<String>(), expected, "{text}");
    }
    let links = texts(&look(&fake, "").await).remove(0);
    let codes: Vec<&str> = links.split_whitespace().filter(|word| word.starts_with("http")).collect();
    assert_ne!(codes[0], codes[1]);
}

#[tokio::test]
async fn pages_cover_every_post() {
    let (fake, _) = with_posts(23).await;
    let (mut seen, mut query) = (Vec::new(), String::new());
    for length in [10, 10, 3] {
        let page = look(&fake, &query).await;
        assert_eq!((texts(&page).len(), &page.1["meta"]["result_count"]), (length, &json!(length)));
        seen.extend(texts(&page));
        query = format!("?pagination_token={}", page.1["meta"]["next_token"].as_str().unwrap_or_default());
    }
    assert_eq!(query, "?pagination_token=", "the last page leads no further");
    assert_eq!(seen, (1..=23).rev().map(|number| number.to_string()).collect::<Vec<_>>());
    assert_eq!(texts(&look(&fake, "?max_results=23").await), seen);
    assert!(look(&fake, "?max_results=23").await.1["meta"]["next_token"].is_null());
}

#[tokio::test]
async fn the_query_filters_posts() {
    let (fake, clock) = with_posts(5).await;
    for text in ["RT @emily_lines: hers", "@emily_lines indeed"] {
        fake.posts_by_hand("walt_lines", text, clock.now() - TimeDelta::hours(1));
    }
    let third = fake.posts()[2].id.clone();
    for (query, expected) in [
        // To the second, and including that second.
        ("?start_time=2026-11-20T11:59:00Z".to_owned(), "5 4"),
        ("?start_time=2026-11-20T11:59:00.900Z".to_owned(), "5 4"),
        ("?start_time=2026-11-20T12:59:01%2B01:00".to_owned(), "5"),
        ("?start_time=2026-11-20T11:57:00Z&end_time=2026-11-20T11:59:00Z".to_owned(), "3 2"),
        (format!("?since_id={third}"), "5 4"),
        (format!("?until_id={third}&exclude=retweets,replies"), "2 1"),
        ("?exclude=retweets&end_time=2026-11-20T11:57:00Z".to_owned(), "1 @emily_lines indeed"),
        ("?exclude=replies&end_time=2026-11-20T11:57:00Z".to_owned(), "1 RT @emily_lines: hers"),
    ] {
        assert_eq!(texts(&look(&fake, &query).await).join(" "), expected, "{query}");
    }
    for wrong in [
        "max_results=4",
        "max_results=101",
        "max_results=many",
        "start_time=yesterday",
        "start_time=2026-11-20T12:00:00%2B01:00Z",
        "start_time=2026-11-20T11:00:00+00:00",
        "start_time=2026-11-20T12:00:01Z",
        "start_time=2006-03-21T00:00:00Z",
        "exclude=likes",
        "pagination_token=2",
        "since_id=x",
        "tweet.fields=shoe_size",
        "count=5",
    ] {
        let (status, said) = look(&fake, &format!("?{wrong}")).await;
        assert_eq!(status, 400, "{wrong}");
        assert!(said["type"].as_str().unwrap().ends_with("/invalid-request"), "{said}");
    }
}

#[tokio::test]
async fn deleted_and_too_recent_posts_are_hidden() {
    let (fake, _) = with_posts(1).await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    fake.hide_new_posts(2);
    let sent = x.send(&post(NetworkKind::X, 1, "new"), None).await;
    let Outcome::Posted { remote_id, .. } = sent else { panic!("{sent:?}") };
    let emily = fake.account("emily_lines");
    look_at(&fake, &emily, &emily.id, "").await;
    for expected in [&["1"][..], &["1"], &["new", "1"]] {
        assert_eq!(texts(&look(&fake, "").await), expected);
    }
    let mut gone = post(NetworkKind::X, 1, "new");
    gone.remote_id = Some(remote_id);
    x.x.delete(&gone, &x.session(None)).await.unwrap();
    assert_eq!(texts(&look(&fake, "").await), ["1"]);
}

#[tokio::test]
async fn reads_fail_on_command() {
    let (fake, _) = with_posts(1).await;
    fake.next_read(Behaviour::Answer(Reply::new(503, "{}")));
    assert_eq!(look(&fake, "").await.0, 503);
    let kind = "https://api.twitter.com/2/problems/client-forbidden";
    fake.refuse_looks(Some(Reply::problem(403, kind, "Client Forbidden", "")));
    for _ in 0..2 {
        let (status, said) = look(&fake, "").await;
        assert_eq!((status, &said["type"]), (403, &json!(kind)));
    }
    let walt = fake.account("walt_lines");
    assert!(x_for(&fake, &walt).prepare(None).await.is_ok(), "who one is may still be asked");
    fake.refuse_looks(None);
    assert_eq!(texts(&look(&fake, "").await), ["1"]);
    assert_eq!(look_at(&fake, &walt, "me", "").await.0, 400);
}

#[tokio::test]
async fn a_repeated_text_is_refused_unless_commanded() {
    let (fake, _) = with_posts(0).await;
    let x = x_for(&fake, &fake.account("walt_lines"));
    let send = async || x.send(&post(NetworkKind::X, 1, "again"), None).await;
    assert!(matches!(send().await, Outcome::Posted { .. }));
    assert!(matches!(send().await, Outcome::Duplicate { .. }));
    fake.take_duplicates();
    assert!(matches!(send().await, Outcome::Posted { .. }));
    assert_eq!(fake.texts("walt_lines"), ["again", "again"]);
}
