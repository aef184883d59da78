//! OAuth 1.0a on the fake X: no access without consent. The crate that signs for flockd signs these requests,
//! too; the signature verifier has its own tests.

use std::sync::Arc;

use chrono::TimeDelta;
use reqwest::{Method, Response};
use reqwest_oauth1::{DefaultSM, OAuthClientProvider as _, OAuthParameters, Secrets};
use serde_json::json;

use crate::support::browser::{click, open};
use crate::support::fake_x::{Behaviour, CONSUMER, FakeX, Reply};
use crate::support::rfc5849::{self, Parameters};
use crate::support::{StillClock, answer, x_for};

const CALLBACK: &str = "http://127.0.0.1:7881/callback";

/// The parameters of a signature, by the fake's clock.
fn now(fake: &FakeX) -> OAuthParameters<'static, DefaultSM> {
    OAuthParameters::new().timestamp(u64::try_from(fake.clock.now().timestamp()).unwrap())
}

async fn signed(
    fake: &FakeX,
    (method, path): (Method, &str),
    tokens: Option<(&str, &str)>,
    parameters: OAuthParameters<'static, DefaultSM>,
) -> Response {
    let secrets = Secrets::new(CONSUMER.0, CONSUMER.1);
    let secrets = match tokens {
        Some((token, secret)) => secrets.token(token, secret),
        None => secrets,
    };
    let client = crate::support::http().oauth1_with_params(secrets, parameters);
    client.request(method, format!("{}{path}", fake.url)).send().await.unwrap()
}

async fn ask(fake: &FakeX, callback: &'static str) -> Response {
    signed(fake, (Method::POST, "/oauth/request_token"), None, now(fake).callback(callback)).await
}

async fn form(response: Response) -> Parameters {
    assert_eq!(response.status(), 200);
    rfc5849::form_parameters(&response.text().await.unwrap()).unwrap()
}

/// The values of a form or of a URL's query.
fn get(parameters: &Parameters, name: &str) -> String {
    rfc5849::value(parameters, name).unwrap().to_owned()
}

fn query(url: &str) -> Parameters {
    rfc5849::form_parameters(url.split_once('?').unwrap().1).unwrap()
}

/// A request token and its secret.
async fn begin(fake: &FakeX, callback: &'static str) -> (String, String) {
    let begun = form(ask(fake, callback).await).await;
    assert_eq!(get(&begun, "oauth_callback_confirmed"), "true");
    (get(&begun, "oauth_token"), get(&begun, "oauth_token_secret"))
}

async fn finish(fake: &FakeX, (token, secret): &(String, String), verifier: String) -> Response {
    let parameters = now(fake).verifier(verifier);
    signed(fake, (Method::POST, "/oauth/access_token"), Some((token, secret)), parameters).await
}

async fn me(fake: &FakeX, (token, secret): &(String, String), fields: &str) -> Response {
    let path = format!("/2/users/me{fields}");
    signed(fake, (Method::GET, &path), Some((token, secret)), now(fake)).await
}

/// Signs in as the person at the browser, and returns the token pair.
async fn sign_in(fake: &FakeX) -> (String, String) {
    let request = begin(fake, CALLBACK).await;
    let back = click(&format!("{}/oauth/authorize?oauth_token={}", fake.url, request.0)).await;
    let done = form(finish(fake, &request, get(&query(&back), "oauth_verifier")).await).await;
    (get(&done, "oauth_token"), get(&done, "oauth_token_secret"))
}

#[tokio::test]
async fn the_callback_carries_a_single_use_verifier() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let request = begin(&fake, CALLBACK).await;
    let page =
        format!("{}/oauth/authorize?oauth_token={}&force_login=true&screen_name=walt", fake.url, request.0);
    let back = click(&page).await;
    assert!(back.starts_with(CALLBACK), "{back}");
    assert_eq!(get(&query(&back), "oauth_token"), request.0);
    let asked = fake.asked().pop().unwrap();
    assert_eq!((asked.path.as_str(), asked.get("force_login")), ("/oauth/authorize", Some("true")));
    assert_eq!((asked.get("screen_name"), asked.get("nonsense")), (Some("walt"), None));
    assert_eq!(open(&page).await.0, 403, "consent is given once");

    let verifier = get(&query(&back), "oauth_verifier");
    let wrong = finish(&fake, &request, "wrong".to_owned()).await;
    assert_eq!(wrong.status(), 401);
    assert!(wrong.text().await.unwrap().ends_with("Invalid oauth_verifier parameter"));
    let done = form(finish(&fake, &request, verifier.clone()).await).await;
    let account = fake.account("walt_lines");
    assert_eq!((get(&done, "user_id"), get(&done, "screen_name")), (account.id, account.handle));
    assert_eq!(finish(&fake, &request, verifier.clone()).await.status(), 401);

    let pair = (get(&done, "oauth_token"), get(&done, "oauth_token_secret"));
    assert_eq!(me(&fake, &pair, "").await.status(), 200);
    let (secrets, passing) = (fake.secrets(), fake.passing_secrets());
    for secret in [&pair.0, &pair.1, &rfc5849::encode(&pair.1), &request.1, &CONSUMER.1.to_owned()] {
        assert!(secrets.contains(secret), "{secret}");
    }
    assert!(passing.contains(&request.0) && passing.contains(&verifier));
}

#[tokio::test]
async fn a_pin_is_shown_and_a_refusal_is_reported() {
    let fake = FakeX::start().await;
    let request = begin(&fake, "oob").await;
    let page = format!("{}/oauth/authorize?oauth_token={}", fake.url, request.0);
    assert!(open(&page).await.1.contains("Sign in"), "no person is signed in yet");
    fake.person_is("walt_lines");
    let (status, text) = open(&page).await;
    let pin = fake.pin();
    assert!(status == 200 && text.contains(&pin) && pin.len() == 7, "{text}");
    assert_eq!(finish(&fake, &request, pin).await.status(), 200);

    fake.person_denies();
    let (there, here) = (begin(&fake, CALLBACK).await, begin(&fake, "oob").await);
    let back = click(&format!("{}/oauth/authorize?oauth_token={}", fake.url, there.0)).await;
    assert_eq!(back, format!("{CALLBACK}?denied={}", there.0));
    let (status, text) = open(&format!("{}/oauth/authorize?oauth_token={}", fake.url, here.0)).await;
    assert!(status == 200 && text.contains("not signed in"), "{text}");
    assert_eq!(finish(&fake, &there, String::new()).await.status(), 401);
}

#[tokio::test]
async fn a_bad_request_gets_the_matching_error_code() {
    let clock = Arc::new(StillClock::at("2026-11-20T12:00:00Z"));
    let fake = FakeX::start_with(clock.clone()).await;
    let late = now(&fake).callback("oob");
    clock.advance(TimeDelta::minutes(6));
    let response = signed(&fake, (Method::POST, "/oauth/request_token"), None, late).await;
    assert_eq!(response.headers()["date"], "Fri, 20 Nov 2026 12:06:00 GMT");
    assert_eq!(answer(response).await.1["errors"][0]["code"], 135);

    for (consumer, secret) in [("another", CONSUMER.1), (CONSUMER.0, "wrong")] {
        let client = crate::support::http()
            .oauth1_with_params(Secrets::new(consumer, secret), now(&fake).callback("oob"));
        let response = client.post(format!("{}/oauth/request_token", fake.url)).send().await.unwrap();
        let expected = json!({"errors": [{"code": 32, "message": "Could not authenticate you."}]});
        assert_eq!(answer(response).await, (401, expected));
    }
    let response = signed(&fake, (Method::POST, "/oauth/request_token"), None, now(&fake)).await;
    assert_eq!(answer(response).await.1["errors"][0]["code"], 38);
    let unknown = ("no such token".to_owned(), "wrong".to_owned());
    assert_eq!(answer(finish(&fake, &unknown, "1".to_owned()).await).await.1["errors"][0]["code"], 89);

    for elsewhere in
        ["http://localhost:7881/callback", "https://127.0.0.1:7881/callback", "http://127.0.0.1:1/"]
    {
        assert_eq!(answer(ask(&fake, elsewhere).await).await.1["errors"][0]["code"], 415, "{elsewhere}");
    }
    fake.register_callbacks(&["http://127.0.0.1:7882/callback"]);
    let (status, refusal) = answer(ask(&fake, CALLBACK).await).await;
    assert_eq!((status, &refusal["errors"][0]["code"]), (403, &json!(415)));
    assert_eq!(ask(&fake, "http://127.0.0.1:7882/callback").await.status(), 200);
    assert_eq!(ask(&fake, "oob").await.status(), 200);
}

#[tokio::test]
async fn users_me_returns_the_requested_fields() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let pair = sign_in(&fake).await;
    fake.set_name("walt_lines", "Walt");
    let response = me(&fake, &pair, "").await;
    assert_eq!(response.headers()["x-access-level"], "read-write");
    let id = fake.account("walt_lines").id;
    let data = json!({"id": id, "name": "Walt", "username": "walt_lines"});
    assert_eq!(answer(response).await, (200, json!({"data": data})));

    // A comma in a query is signed in its encoded form, however it is sent.
    for comma in [",", "%2C"] {
        let fields = format!("?user.fields=profile_image_url{comma}description");
        let (status, said) = answer(me(&fake, &pair, &fields).await).await;
        assert_eq!(status, 200, "{said}");
        let picture = said["data"]["profile_image_url"].as_str().unwrap();
        assert!(picture.replace("https:", "http:").starts_with(&fake.url), "{picture}");
        assert!(said["data"]["description"].is_string() && said["data"]["name"] == "Walt");
    }
    assert_eq!(me(&fake, &pair, "?user.fields=shoe_size").await.status(), 400);
}

#[tokio::test]
async fn tokens_live_side_by_side_until_each_is_revoked() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let (first, second) = (sign_in(&fake).await, sign_in(&fake).await);
    assert_ne!(first, second);
    let revoke = (Method::POST, "/1.1/oauth/invalidate_token.json");
    let response = signed(&fake, revoke.clone(), Some((&first.0, &first.1)), now(&fake)).await;
    assert_eq!(answer(response).await, (200, json!({"access_token": first.0})));
    let response = signed(&fake, revoke, Some((&first.0, &first.1)), now(&fake)).await;
    let (status, said) = answer(response).await;
    assert_eq!((status, &said["errors"][0]["code"]), (401, &json!(89)));
    assert_eq!(me(&fake, &first, "").await.status(), 401);
    assert_eq!(me(&fake, &second, "").await.status(), 200);
    fake.revoke_all("walt_lines");
    assert_eq!(answer(me(&fake, &second, "").await).await.1["title"], "Unauthorized");
}

/// Tries to post, and returns the status and the kind of problem.
async fn try_to_post(fake: &FakeX, (token, secret): &(String, String), text: &str) -> (u16, String) {
    let client = crate::support::http()
        .oauth1_with_params(Secrets::new(CONSUMER.0, CONSUMER.1).token(token, secret), now(fake));
    let request = client.post(format!("{}/2/tweets", fake.url)).generate_signature().unwrap();
    let body = json!({"text": text}).to_string();
    let (status, said) =
        answer(request.header("content-type", "application/json").body(body).send().await.unwrap()).await;
    (status, said["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap().to_owned())
}

#[tokio::test]
async fn a_refused_post_names_the_reason() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let early = sign_in(&fake).await;
    fake.set_read_only(true);
    let late = sign_in(&fake).await;
    assert_eq!(me(&fake, &late, "").await.headers()["x-access-level"], "read");
    assert_eq!(try_to_post(&fake, &late, "a").await, (403, "oauth1-permissions".to_owned()));
    assert_eq!(try_to_post(&fake, &early, "a").await.0, 201, "the level belongs to the token");
    fake.suspend("walt_lines");
    assert_eq!(try_to_post(&fake, &early, "b").await, (403, "user-suspended".to_owned()));
    assert_eq!(fake.texts("walt_lines"), ["a"]);
}

#[tokio::test]
async fn an_account_deletes_only_its_own_posts_and_once() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let walt = sign_in(&fake).await;
    fake.person_is("emily");
    let emily = sign_in(&fake).await;
    assert_eq!(try_to_post(&fake, &walt, "a").await.0, 201);
    let path = format!("/2/tweets/{}", fake.post(1).await.id);
    let delete = async |pair: &(String, String), path: &str| {
        answer(signed(&fake, (Method::DELETE, path), Some((&pair.0, &pair.1)), now(&fake)).await).await
    };
    assert_eq!(delete(&emily, &path).await.0, 403);
    assert!(!fake.posts()[0].deleted);
    assert_eq!(delete(&walt, &path).await, (200, json!({"data": {"deleted": true}})));
    assert!(fake.posts()[0].deleted);
    for gone in [path.as_str(), "/2/tweets/1"] {
        let (status, said) = delete(&walt, gone).await;
        assert_eq!(status, 404);
        assert!(said["type"].as_str().unwrap().ends_with("/resource-not-found"));
    }
    assert_eq!(try_to_post(&fake, &walt, "a").await.0, 201, "a deleted post causes no duplicate");
}

#[tokio::test]
async fn commands_reach_the_new_paths_by_their_beginning() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    fake.next_at("/oauth/request", Behaviour::Answer(Reply::new(503, "over capacity")));
    fake.next_at("/oauth/access", Behaviour::CloseUnread);
    fake.next_at("/oauth/access", Behaviour::StoreAndClose);
    fake.next_read(Behaviour::Answer(Reply::new(502, "")));
    assert_eq!(ask(&fake, CALLBACK).await.status(), 503);
    let request = begin(&fake, CALLBACK).await;
    let back = click(&format!("{}/oauth/authorize?oauth_token={}", fake.url, request.0)).await;
    let verifier = get(&query(&back), "oauth_verifier");
    for _ in 0..2 {
        let client = crate::support::http().oauth1_with_params(
            Secrets::new(CONSUMER.0, CONSUMER.1).token(request.0.clone(), request.1.clone()),
            now(&fake).verifier(verifier.clone()),
        );
        assert!(client.post(format!("{}/oauth/access_token", fake.url)).send().await.is_err());
    }
    assert_eq!(
        finish(&fake, &request, verifier).await.status(),
        401,
        "it was used, though the answer was lost"
    );
    let account = fake.account("walt_lines");
    assert!(x_for(&fake, &account).prepare(None).await.is_err(), "the page did not count as an API read");
    assert!(x_for(&fake, &account).prepare(None).await.is_ok());
}
