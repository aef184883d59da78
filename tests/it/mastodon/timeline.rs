//! Probing for a post that may have arrived, and reading an account's timeline.

use chrono::{DateTime, TimeDelta, Utc};
use flockd::clock::Clock as _;
use flockd::flock::post::{Cause, Post};
use flockd::net::{Attached, Network as _, ProbeResult, Rejection, RemotePost, Timeline};
use serde_json::json;

use super::{MastodonFixture, NOON, status};
use crate::support::fake_mastodon::{Behaviour, Reply, Software};

async fn look(fixture: &MastodonFixture, post: &Post) -> Vec<RemotePost> {
    match fixture.client.probe(post, &Attached::default(), &fixture.walt).await.unwrap() {
        ProbeResult::Candidates { seen, doubtful, cost: 0 } if doubtful.is_empty() => seen,
        sight => panic!("{sight:?}"),
    }
}

/// Whether one status may be the post, and none is an exact match.
fn is_doubtful(sight: &ProbeResult) -> bool {
    matches!(sight, ProbeResult::Candidates { seen, doubtful, .. } if seen.is_empty() && doubtful.len() == 1)
}

fn noon_less(minutes: i64) -> DateTime<Utc> {
    NOON.parse::<DateTime<Utc>>().unwrap() - TimeDelta::minutes(minutes)
}

/// The server's clock at noon; an answer without it gets the machine's own time.
const AT_NOON: &str = "Fri, 20 Nov 2026 12:00:00 GMT";

/// Lines that servers show differently from how they were written.
const LINES: &[&str] = &[
    "one & only <three> \"four\" 'five' &amp; six",
    "two\nlines",
    "two\n\nparagraphs",
    "see https://example.org/a-rather-long-path/to?a=1&b=2#end now",
    "https://example.org/a_(b)",
    "hi @emily@other.example and @walt",
    "#Leaves of #grass",
    "se\u{301} \u{1f426}\u{200d}\u{2b1b} नमस्ते שָׁלוֹם",
    "  white   space  ",
];

#[tokio::test]
async fn each_line_is_found_as_each_server_renders_it() {
    for software in Software::ALL {
        let fixture = MastodonFixture::of(software).await;
        for (number, line) in (1..).zip(LINES) {
            let post = status(number, line);
            fixture.fake.next_post(Behaviour::StoreAndClose);
            fixture.send(&post).await;
            let newest = fixture.fake.posts().pop().unwrap();
            let before = fixture.fake.count();
            let seen = look(&fixture, &post).await;
            let ids: Vec<&str> = seen.iter().map(|seen| &*seen.remote_id).collect();
            assert_eq!(ids, [newest.id.as_str()], "{software:?}: {line}");
            assert_eq!(seen[0].at, newest.at);
            // Two pages, as only an empty one is the last. The HTML suffices for the line; only somewhat
            // similar statuses need their sources.
            assert!(fixture.fake.count() - before <= usize::from(number) + 1, "{software:?}: {line}");
        }
    }
}

#[tokio::test]
async fn the_source_decides_where_the_html_differs() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    fixture.send(&status(1, "a line")).await;
    let id = fixture.fake.posts()[0].id.clone();
    let odd =
        json!([{"id": id, "content": "<p>a :leaf: line, rendered</p>", "created_at": NOON, "reblog": null}]);
    let page = format!("/api/v1/accounts/{}", fixture.fake.account("walt").id);
    let reply = Reply::json(200, &odd).header("date", AT_NOON);
    let answer = || fixture.fake.next_at(&page, Behaviour::Answer(reply.clone()));
    answer();
    assert_eq!(look(&fixture, &status(1, "a line")).await[0].text, "a line");
    answer();
    assert!(look(&fixture, &status(1, "another line")).await.is_empty());
    // On a server without this call, the HTML has to do.
    answer();
    fixture.fake.next_at("/api/v1/statuses/", Behaviour::Answer(Reply::page(404, "")));
    let sight =
        fixture.client.probe(&status(1, "a line"), &Attached::default(), &fixture.walt).await.unwrap();
    assert!(is_doubtful(&sight), "it is similar: {sight:?}");
    assert!(look(&fixture, &status(1, "out of the cradle")).await.is_empty());
    // A source that is temporarily unavailable is requested again.
    answer();
    fixture.fake.next_at("/api/v1/statuses/", Behaviour::Answer(Reply::new(500, "")));
    assert_eq!(look(&fixture, &status(1, "a line")).await[0].text, "a line");
}

/// Shows one altered status of walt's, on a server that does not return its source.
async fn changed(html: &str, line: &str) -> ProbeResult {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    fixture.send(&status(1, line)).await;
    let id = fixture.fake.posts()[0].id.clone();
    let page = json!([{"id": id, "content": html, "created_at": NOON, "reblog": null}]);
    let timeline = format!("/api/v1/accounts/{}", fixture.fake.account("walt").id);
    fixture
        .fake
        .next_at(&timeline, Behaviour::Answer(Reply::new(200, page.to_string()).header("date", AT_NOON)));
    let path = format!("/api/v1/statuses/{id}/source");
    (0..2).for_each(|_| fixture.fake.next_at(&path, Behaviour::Answer(Reply::new(500, ""))));
    fixture.client.probe(&status(1, line), &Attached::default(), &fixture.walt).await.unwrap()
}

#[tokio::test]
async fn without_the_source_the_rendered_text_decides() {
    for (line, html) in [
        ("The *quick* brown **fox**", "<p>The <em>quick</em> brown <strong>fox</strong></p>"),
        ("\"Who's there?\" -- not a soul", "<p>\u{201c}Who\u{2019}s there?\u{201d} \u{2013} not a soul</p>"),
        ("soft\u{ad}ly zero\u{200b}width", "<p>softly zerowidth</p>"),
        ("see [the map](https://example.org/m)", "<p>see <a href=\"https://example.org/m\">the map</a></p>"),
        ("cafe\u{301} with a na\u{ef}vete\u{301}", "<p>caf\u{e9} with a na\u{ef}vet\u{e9}</p>"),
    ] {
        let sight = changed(html, line).await;
        assert!(
            matches!(&sight, ProbeResult::Candidates { seen, .. } if seen.len() == 1),
            "{line}: {sight:?}"
        );
    }
    let sight =
        changed("<p>the wind blows through the leaves</p>", "the wind :leaf: blows through the leaves").await;
    assert!(is_doubtful(&sight), "{sight:?}");
}

/// What a probe shows of a status that is similar to the line and was posted with this app, if the server
/// reports the token's app like this.
async fn posted_with(client: serde_json::Value, app: Option<Reply>) -> ProbeResult {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let changed = json!([{
        "id": "7", "content": "<p>the wind blows through the leaves</p>", "created_at": NOON, "reblog": null,
        "application": client,
    }]);
    let timeline = format!("/api/v1/accounts/{}", fixture.fake.account("walt").id);
    let reply = Reply::new(200, changed.to_string()).header("date", AT_NOON);
    fixture.fake.next_at(&timeline, Behaviour::Answer(reply));
    for _ in 0..2 {
        fixture.fake.next_at("/api/v1/statuses/7/source", Behaviour::Answer(Reply::page(404, "")));
    }
    if let Some(app) = app {
        fixture.fake.next_at("/api/v1/apps/verify_credentials", Behaviour::Answer(app));
    }
    fixture
        .client
        .probe(&status(1, "the wind :leaf: blows through the leaves"), &Attached::default(), &fixture.walt)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_similar_status_counts_only_if_its_app_matches() {
    // As the fake names the apps of tokens.
    let own = || json!({"name": "made by hand", "website": null});
    let sight = posted_with(own(), None).await;
    let ProbeResult::Candidates { seen, doubtful, .. } = &sight else { panic!("{sight:?}") };
    assert_eq!((seen.len(), doubtful.len()), (1, 0), "{sight:?}");
    assert_eq!(seen[0].client.as_deref(), Some("made by hand"));
    // A person may have posted it; and the current token may not be the one that posted.
    let sight = posted_with(json!({"name": "Web"}), None).await;
    let ProbeResult::Candidates { doubtful, .. } = &sight else { panic!("{sight:?}") };
    assert!(is_doubtful(&sight) && doubtful[0].client.as_deref() == Some("Web"), "{sight:?}");
    for (client, app) in [
        (json!(null), None),
        (json!({"name": ""}), Some(Reply::json(200, &json!({"name": ""})))),
        (own(), Some(Reply::page(404, "no such page"))),
        (own(), Some(Reply::json(200, &json!({"name": null})))),
        (own(), Some(Reply::json(401, &json!({"error": "no", "name": "made by hand"})))),
    ] {
        let sight = posted_with(client, app).await;
        assert!(is_doubtful(&sight), "a missing app proves nothing: {sight:?}");
    }
}

#[tokio::test]
async fn a_server_without_a_date_hides_nothing_under_a_clock_that_is_half_an_hour_off() {
    for (minutes, date) in [(-31, None), (31, None), (-31, Some("noon"))] {
        let fixture = MastodonFixture::of(Software::Mastodon).await;
        let at = noon_less(0) + TimeDelta::minutes(minutes);
        let page =
            json!([{"id": "7", "content": "<p>a line</p>", "created_at": at.to_rfc3339(), "reblog": null}]);
        let timeline = format!("/api/v1/accounts/{}", fixture.fake.account("walt").id);
        let mut reply = Reply::new(200, page.to_string()).header("content-type", "application/json");
        reply.headers.extend(date.map(|date: &str| ("date", date.to_owned())));
        let empty = Reply::new(200, "[]").header("content-type", "application/json");
        for reply in [reply, empty] {
            fixture.fake.next_at(&timeline, Behaviour::AnswerUndated(reply));
        }
        assert_eq!(look(&fixture, &status(1, "a line")).await.len(), 1, "{minutes}");
    }
}

#[tokio::test]
async fn too_many_similar_statuses_are_not_taken_for_mismatches() {
    let fixture = MastodonFixture::of(Software::GoToSocial).await;
    fixture.send(&status(1, "a *line*")).await;
    let id = fixture.fake.posts()[0].id.clone();
    let shown =
        |id: &str| json!({"id": id, "content": "<p>a <em>line</em></p>", "created_at": NOON, "reblog": null});
    let others: Vec<String> =
        (0..21).map(|_| fixture.fake.posts_by_hand("walt", "a line", noon_less(0)).id).collect();
    let page: Vec<_> = others.iter().rev().chain([&id]).map(|id| shown(id)).collect();
    let timeline = format!("/api/v1/accounts/{}", fixture.fake.account("walt").id);
    let reply = Reply::json(200, &json!(page)).header("date", AT_NOON);
    fixture.fake.next_at(&timeline, Behaviour::Answer(reply));
    let sight =
        fixture.client.probe(&status(1, "a *line*"), &Attached::default(), &fixture.walt).await.unwrap();
    assert!(
        matches!(sight, ProbeResult::Unavailable(_)),
        "it is there, and its source was not requested: {sight:?}"
    );
}

#[tokio::test]
async fn posts_since_a_backup_are_matched_by_their_source() {
    let fixture = MastodonFixture::of(Software::GoToSocial).await;
    fixture.send(&status(1, "a *line*")).await;
    let id = fixture.fake.posts()[0].id.clone();
    let timeline = format!("/api/v1/accounts/{}", fixture.fake.account("walt").id);
    let shown = json!([{"id": id, "content": "<p>a <em>line</em></p>", "created_at": NOON, "reblog": null}]);
    let reply = Reply::json(200, &shown).header("date", AT_NOON);
    let answer = || fixture.fake.next_at(&timeline, Behaviour::Answer(reply.clone()));
    answer();
    let since = fixture.client.timeline_since(noon_less(3), &fixture.walt).await.unwrap();
    let Timeline::Complete(all) = since else { panic!("{since:?}") };
    assert_eq!(all[0].text, "a *line*");
    // On a server without this call it might be any line.
    answer();
    fixture.fake.next_at("/api/v1/statuses/", Behaviour::Answer(Reply::page(404, "")));
    let since = fixture.client.timeline_since(noon_less(3), &fixture.walt).await.unwrap();
    assert!(matches!(&since, Timeline::Partial(rest, _) if rest.is_empty()), "{since:?}");
}

#[tokio::test]
async fn pages_too_large_are_read_in_smaller_ones() {
    for software in Software::ALL {
        let fixture = MastodonFixture::of(software).await;
        for second in 0..20 {
            let long = format!("line {second} {}", "&".repeat(5_000));
            fixture.fake.posts_by_hand("walt", &long, noon_less(1) + TimeDelta::seconds(second));
        }
        fixture.fake.posts_by_hand("walt", "a short one", noon_less(2));
        assert_eq!(look(&fixture, &status(1, "a short one")).await.len(), 1, "{software:?}");
    }
}

#[tokio::test]
async fn only_statuses_from_the_first_attempt_on_count() {
    let fixture = MastodonFixture::of(Software::GoToSocial).await;
    let old = fixture.fake.posts_by_hand("walt", "a refrain", noon_less(7));
    let young = fixture.fake.posts_by_hand("walt", "a refrain", noon_less(5));
    fixture.fake.posts_by_hand("emily", "a refrain", noon_less(1));
    fixture.fake.posts_by_hand("walt", "another", noon_less(1));
    fixture.fake.posts_by_hand("walt", "a refrain", noon_less(25 * 60));
    let sight =
        fixture.client.probe(&status(1, "a refrain"), &Attached::default(), &fixture.walt).await.unwrap();
    let ProbeResult::Candidates { seen, doubtful, .. } = sight else { panic!("{sight:?}") };
    let ids = |seen: &[RemotePost]| seen.iter().map(|seen| seen.remote_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&seen), [young.id]);
    // Our clock may have been ahead when it was sent, and corrected since: a person can tell.
    assert_eq!(ids(&doubtful), [old.id]);
}

/// Sent by a clock that was an hour ahead; the clock is corrected, and later it really is that late.
#[tokio::test]
async fn a_post_sent_by_a_clock_that_was_ahead_is_not_silently_resent() {
    for software in Software::ALL {
        let fixture = MastodonFixture::of(software).await;
        fixture.fake.next_post(Behaviour::StoreAndClose);
        fixture.send(&status(1, "a line")).await;
        fixture.clock.advance(TimeDelta::hours(3));
        let sent_at = Some(noon_less(-60));
        let sight = fixture
            .client
            .probe(&Post { sent_at, ..status(1, "a line") }, &Attached::default(), &fixture.walt)
            .await
            .unwrap();
        assert!(is_doubtful(&sight), "{software:?}: {sight:?}");
        let sight = fixture
            .client
            .probe(&Post { sent_at, ..status(1, "another line") }, &Attached::default(), &fixture.walt)
            .await
            .unwrap();
        let ProbeResult::Candidates { seen, doubtful, .. } = sight else { panic!("{sight:?}") };
        assert!(seen.is_empty() && doubtful.is_empty(), "{software:?}");
    }
}

/// Its clock was not set after power-on.
#[tokio::test]
async fn a_post_sent_by_a_clock_that_was_behind_is_found() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    fixture.send(&status(1, "a line")).await;
    for sent_at in [DateTime::UNIX_EPOCH, noon_less(60 * 24 * 30)] {
        let seen = look(&fixture, &Post { sent_at: Some(sent_at), ..status(1, "a line") }).await;
        assert_eq!(seen.len(), 1, "{sent_at}");
    }
}

#[tokio::test]
async fn a_clock_ahead_of_the_servers_is_allowed_for() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    // Created when the request was sent, by a server whose clock is half an hour behind ours.
    fixture.fake.posts_by_hand("walt", "a", noon_less(30));
    let account = fixture.fake.account("walt").id;
    let shown =
        json!([{"id": "5", "content": "<p>a</p>", "created_at": "2026-11-20T11:30:00.000Z", "reblog": null}]);
    let behind = Reply::json(200, &shown).header("date", "Fri, 20 Nov 2026 11:30:05 GMT");
    fixture.fake.next_at(&format!("/api/v1/accounts/{account}"), Behaviour::Answer(behind));
    assert_eq!(look(&fixture, &status(1, "a")).await.len(), 1);
}

#[tokio::test]
async fn further_pages_are_read_until_it_is_old_enough() {
    for software in Software::ALL {
        let fixture = MastodonFixture::of(software).await;
        for second in 0..50 {
            let at = noon_less(4) + TimeDelta::seconds(second);
            fixture.fake.posts_by_hand("walt", &format!("line {second}"), at);
        }
        let since = fixture.client.timeline_since(noon_less(3), &fixture.walt).await.unwrap();
        let Timeline::Complete(all) = since else { panic!("{since:?}") };
        let texts: Vec<String> = all.iter().map(|seen| seen.text.clone()).collect();
        assert_eq!(texts, (0..50).map(|second| format!("line {second}")).collect::<Vec<_>>(), "{software:?}");
        assert!(all.is_sorted_by_key(|seen| seen.at) && all[0].url.is_some());
        assert_eq!(look(&fixture, &status(1, "line 0")).await.len(), 1, "on the third page");
    }
}

#[tokio::test]
async fn the_number_of_pages_is_limited() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let status_of = |id: u8| json!({"id": id.to_string(), "content": "", "created_at": NOON, "reblog": null});
    let page: Vec<_> = (0..20).rev().map(status_of).collect();
    fixture.fake.refuse_looks(Some(Reply::json(200, &json!(page)).header("date", AT_NOON)));
    let before = fixture.fake.count();
    let sight = fixture.client.probe(&status(1, "a"), &Attached::default(), &fixture.walt).await.unwrap();
    assert!(matches!(sight, ProbeResult::Candidates { .. }), "a repeated page is the end: {sight:?}");
    assert_eq!(fixture.fake.count() - before, 2);
    fixture.fake.refuse_looks(None);
    for second in 0..2_050 {
        fixture.fake.posts_by_hand("walt", "a refrain", noon_less(0) - TimeDelta::milliseconds(second));
    }
    let since = fixture.client.timeline_since(noon_less(3), &fixture.walt).await.unwrap();
    let Timeline::Partial(part, why) = since else { panic!("all of it was read") };
    assert_eq!(part.len(), 2_000);
    assert!(why.reason.contains("more than 2000 posts"), "{why:?}");
}

#[tokio::test]
async fn forbidden_reads_are_reported_and_temporary_errors_retried() {
    let fixture = MastodonFixture::of(Software::Mastodon).await;
    let json = |status| Reply::json(status, &json!({"error": "nein"}));
    for (reply, cannot_tell) in [
        (json(403), Some(Cause::App)),
        (json(404), Some(Cause::App)),
        (json(422), Some(Cause::App)),
        (json(401), None),
        (json(429), None),
        (Reply::new(502, "<html>"), None),
        (Reply::page(403, "a wall"), None),
        (Reply::page(200, "sign in to this hotel"), None),
        (Reply::new(301, ""), None),
        (Reply::json(200, &json!([{"id": "1"}])), None),
    ] {
        fixture.fake.refuse_looks(Some(reply.clone()));
        let told = match fixture.client.probe(&status(1, "a"), &Attached::default(), &fixture.walt).await {
            Ok(ProbeResult::Unavailable(why)) => Some(why.cause),
            Ok(sight) => panic!("{reply:?}: {sight:?}"),
            Err(Rejection { .. }) => None,
        };
        assert_eq!(told, cannot_tell, "{reply:?}");
    }
    fixture.fake.refuse_looks(None);
    fixture.clock.advance(TimeDelta::seconds(1));
    assert!(fixture.clock.now() > noon_less(0) && look(&fixture, &status(1, "a")).await.is_empty());
}
