//! The fake Mastodon itself: how it answers requests that flockd does not make.

use chrono::TimeDelta;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::support::fake_mastodon::{FakeMastodon, OUT_OF_BAND, Reply, Software};
use crate::support::{StillClock, answer};

/// A request with a token.
fn ask(fake: &FakeMastodon, method: Method, path: &str, token: &str) -> RequestBuilder {
    crate::support::http().request(method, format!("{}{path}", fake.url)).bearer_auth(token)
}

/// Posts with an idempotency key: status, body, and whether the answer is marked as replayed.
async fn posted(fake: &FakeMastodon, token: &str, key: &str, text: &str) -> (u16, Value, bool) {
    let request = ask(fake, Method::POST, "/api/v1/statuses", token).header("idempotency-key", key);
    let body = json!({"status": text}).to_string();
    let response = request.header("content-type", "application/json").body(body).send().await.unwrap();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let (status, body) = answer(response).await;
    (status, body, replayed)
}

async fn begun(software: Software) -> (FakeMastodon, std::sync::Arc<StillClock>, String) {
    let clock = std::sync::Arc::new(StillClock::at("2026-11-20T12:00:00Z"));
    let fake = FakeMastodon::start_with(software, clock.clone()).await;
    let token = fake.token_of("walt").expose().to_owned();
    (fake, clock, token)
}

#[tokio::test]
async fn mastodon_keeps_an_idempotency_key_for_an_hour_and_its_account() {
    let (fake, clock, walt) = begun(Software::Mastodon).await;
    let emily = fake.token_of("emily").expose().to_owned();
    let (status, first, _) = posted(&fake, &walt, "k", "one").await;
    assert_eq!((status, &first["content"]), (200, &json!("<p>one</p>")));
    assert_eq!(posted(&fake, &walt, "k", "two").await, (200, first.clone(), false), "whatever the text");
    assert_eq!(posted(&fake, &emily, "k", "one").await.1["account"]["acct"], "emily");
    fake.deletes_by_hand(first["id"].as_str().unwrap());
    assert_eq!(posted(&fake, &walt, "k", "one").await.0, 404);
    clock.advance(TimeDelta::minutes(61));
    assert_eq!(posted(&fake, &walt, "k", "one").await.0, 200);
    assert_eq!(fake.texts("walt"), ["one", "one"]);
    fake.fails_next_post(Reply::new(500, "{}"));
    assert_eq!(posted(&fake, &walt, "l", "three").await.0, 500);
    assert_eq!(posted(&fake, &walt, "l", "three").await.0, 200, "an error is not kept");
}

#[tokio::test]
async fn gotosocial_ignores_the_idempotency_key() {
    let (fake, _, walt) = begun(Software::GoToSocial).await;
    let (first, second) = (posted(&fake, &walt, "k", "one").await, posted(&fake, &walt, "k", "one").await);
    assert_eq!((first.0, second.0), (200, 200));
    assert_ne!(first.1["id"], second.1["id"]);
    assert_eq!(first.1["id"].as_str().unwrap().len(), 26);
}

#[tokio::test]
async fn pleroma_replays_an_idempotency_key_for_any_account() {
    let (fake, clock, walt) = begun(Software::Pleroma).await;
    let emily = fake.token_of("emily").expose().to_owned();
    let first = posted(&fake, &walt, "k", "one").await;
    assert_eq!(posted(&fake, &emily, "k", "two").await, (200, first.1, true));
    fake.fails_next_post(Reply::new(500, "{}"));
    assert_eq!(posted(&fake, &walt, "l", "two").await, (500, json!({}), false));
    assert_eq!(posted(&fake, &walt, "l", "two").await, (500, json!({}), true));
    clock.advance(TimeDelta::hours(6));
    assert_eq!(posted(&fake, &walt, "l", "two").await.0, 200);
}

#[tokio::test]
async fn rate_limits_are_announced_and_enforced() {
    let (fake, _, walt) = begun(Software::Mastodon).await;
    fake.allow_posts(1);
    let path = "/api/v1/accounts/verify_credentials";
    let left = async || {
        let response = ask(&fake, Method::GET, path, &walt).send().await.unwrap();
        let text = |name| response.headers()[name].to_str().unwrap().to_owned();
        (text("x-ratelimit-remaining"), text("x-ratelimit-reset"))
    };
    assert_eq!(left().await, ("1".to_owned(), "2026-11-20T15:00:00.000000Z".to_owned()));
    assert_eq!(posted(&fake, &walt, "a", "one").await.0, 200);
    assert_eq!(left().await.0, "0");
    assert_eq!(posted(&fake, &walt, "b", "two").await.0, 429);
    let long = "a".repeat(501);
    assert_eq!(posted(&fake, &walt, "c", &long).await.0, 422);
}

#[tokio::test]
async fn pages_continue_from_the_last_one() {
    for software in Software::ALL {
        let (fake, clock, walt) = begun(software).await;
        for number in 0..50 {
            clock.advance(TimeDelta::seconds(1));
            fake.posts_by_hand("walt", &format!("line {number}"), fake.clock.now());
        }
        let account = fake.account("walt").id;
        let mut seen = Vec::new();
        let mut path = format!("/api/v1/accounts/{account}/statuses?limit=99");
        while let (200, Value::Array(page)) =
            answer(ask(&fake, Method::GET, &path, &walt).send().await.unwrap()).await
        {
            let Some(last) = page.last() else { break };
            path = format!("/api/v1/accounts/{account}/statuses?max_id={}", last["id"].as_str().unwrap());
            assert!(page.len() <= 40);
            seen.extend(
                page.iter()
                    .map(|status| status["content"].as_str().unwrap().replace(['<', '>', 'p', '/'], "")),
            );
        }
        let all: Vec<String> = (0..50).rev().map(|number| format!("line {number}")).collect();
        assert_eq!(seen, all, "{software:?}");
    }
}

#[tokio::test]
async fn a_code_works_once_for_its_app_and_redirect_uri() {
    let (fake, ..) = begun(Software::Mastodon).await;
    let (app, other) = (fake.app(&[OUT_OF_BAND], "read write"), fake.app(&[OUT_OF_BAND], "read write"));
    fake.person_is("walt");
    let query = format!(
        "response_type=code&client_id={}&redirect_uri={OUT_OF_BAND}&scope=write:statuses",
        app.client_id
    );
    let page = crate::support::get(format!("{}/oauth/authorize?{query}", fake.url))
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    let code = page.split("value=\"").nth(1).unwrap().split('"').next().unwrap();
    let exchange = async |app: &crate::support::fake_mastodon::FakeApp, redirect: &str| {
        let form = format!(
            "grant_type=authorization_code&code={code}&client_id={}&client_secret={}&redirect_uri={redirect}",
            app.client_id, app.client_secret
        );
        let request = crate::support::http().post(format!("{}/oauth/token", fake.url)).body(form);
        answer(request.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap())
            .await
    };
    assert_eq!(exchange(&other, OUT_OF_BAND).await.1["error"], "invalid_grant");
    assert_eq!(exchange(&app, "http://127.0.0.1:1/").await.1["error"], "invalid_grant");
    let (status, tokens) = exchange(&app, OUT_OF_BAND).await;
    assert_eq!((status, &tokens["scope"]), (200, &json!("write:statuses")));
    assert_eq!(exchange(&app, OUT_OF_BAND).await.0, 400);
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(posted(&fake, token, "k", "one").await.0, 200);
    let me = ask(&fake, Method::GET, "/api/v1/accounts/verify_credentials", token).send().await.unwrap();
    assert_eq!(me.status(), 403, "it was not asked for");
}
