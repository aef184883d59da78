//! OAuth 2.0 on the fake X: no access without consent.

use std::sync::Arc;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use chrono::TimeDelta;
use reqwest::Url;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::browser::{click, open};
use crate::support::fake_x::{CLIENT_ID, CLIENT_SECRET, FakeX};
use crate::support::rfc5849;
use crate::support::{StillClock, answer};

const CALLBACK: &str = "http://127.0.0.1:7881/callback";
const VERIFIER: &str = "a-verifier-has-to-have-forty-three-characters-at-least";
const SCOPES: &str = "tweet.read users.read tweet.write offline.access";

/// The address of the page, with some parameters changed.
fn page(fake: &FakeX, changes: &[(&str, &str)]) -> String {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPES),
        ("state", "the state & more"),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    for (name, value) in changes {
        parameters.retain(|(known, _)| known != name);
        parameters.push((name, value));
    }
    Url::parse_with_params(&format!("{}/i/oauth2/authorize", fake.url), parameters).unwrap().into()
}

fn query(url: &str, name: &str) -> Option<String> {
    let parameters = rfc5849::form_parameters(url.split_once('?')?.1).unwrap();
    rfc5849::value(&parameters, name).ok().map(str::to_owned)
}

/// Sends a form as the public client, with some fields changed.
async fn form(fake: &FakeX, path: &str, fields: &[(&str, &str)], changes: &[(&str, &str)]) -> (u16, Value) {
    let mut all = vec![("client_id", CLIENT_ID)];
    for (name, value) in fields.iter().chain(changes) {
        all.retain(|(known, _)| known != name);
        all.push((name, value));
    }
    all.retain(|(_, value)| !value.is_empty());
    let response =
        crate::support::http().post(format!("{}{path}", fake.url)).form(&all).send().await.unwrap();
    answer(response).await
}

async fn exchange(fake: &FakeX, code: &str, changes: &[(&str, &str)]) -> (u16, Value) {
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    form(fake, "/2/oauth2/token", &fields, changes).await
}

async fn renew(fake: &FakeX, tokens: &Value) -> (u16, Value) {
    let fields =
        [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    form(fake, "/2/oauth2/token", &fields, &[]).await
}

async fn revoke(fake: &FakeX, token: &Value) -> (u16, Value) {
    form(fake, "/2/oauth2/revoke", &[("token", token.as_str().unwrap())], &[]).await
}

async fn code(fake: &FakeX) -> String {
    query(&click(&page(fake, &[])).await, "code").unwrap()
}

/// Signs in as the person at the browser.
async fn sign_in(fake: &FakeX) -> Value {
    let (status, tokens) = exchange(fake, &code(fake).await, &[]).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn me(fake: &FakeX, tokens: &Value) -> (u16, Value) {
    let request = crate::support::http().get(format!("{}/2/users/me?user.fields=name", fake.url));
    let response = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    answer(response).await
}

async fn try_to_post(fake: &FakeX, tokens: &Value, text: &str) -> (u16, Value) {
    let request =
        crate::support::http().post(format!("{}/2/tweets", fake.url)).body(json!({"text": text}).to_string());
    let response = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    answer(response).await
}

fn refused(description: &str) -> (u16, Value) {
    (400, json!({"error": "invalid_request", "error_description": description}))
}

#[tokio::test]
async fn the_callback_carries_a_single_use_code() {
    let fake = FakeX::start().await;
    assert!(open(&page(&fake, &[])).await.1.contains("Sign in"), "no person is signed in yet");
    fake.person_is("walt_lines");
    let back = click(&page(&fake, &[])).await;
    assert_eq!(query(&back, "state").unwrap(), "the state & more");
    assert_eq!(fake.asked().last().unwrap().get("scope"), Some(SCOPES));
    let code = query(&back, "code").unwrap();
    let (status, tokens) = exchange(&fake, &code, &[]).await;
    assert_eq!(status, 200);
    assert_eq!((&tokens["expires_in"], &tokens["token_type"]), (&json!(7_200), &json!("bearer")));
    assert_eq!(tokens["scope"], SCOPES);
    assert_eq!(me(&fake, &tokens).await.1["data"]["username"], "walt_lines");
    assert_eq!(
        exchange(&fake, &code, &[]).await,
        refused("Value passed for the authorization code was invalid.")
    );

    let known = fake.secrets();
    for secret in [&tokens["access_token"], &tokens["refresh_token"], &json!(VERIFIER), &json!(CLIENT_SECRET)]
    {
        assert!(known.iter().any(|known| secret == known), "{secret}");
    }
    assert!(fake.passing_secrets().contains(&code));

    fake.person_denies();
    let back = click(&page(&fake, &[])).await;
    assert_eq!(query(&back, "error").unwrap(), "access_denied");
    assert_eq!((query(&back, "state").unwrap().as_str(), query(&back, "code")), ("the state & more", None));
}

#[tokio::test]
async fn the_page_requires_every_parameter() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let long = "s".repeat(501);
    for (name, value) in [
        ("response_type", "token"),
        ("client_id", "another"),
        ("redirect_uri", "http://localhost:7881/callback"),
        ("scope", ""),
        ("state", ""),
        ("state", &long),
        ("code_challenge", ""),
        ("code_challenge_method", "plain"),
    ] {
        let (status, text) = open(&page(&fake, &[(name, value)])).await;
        assert!(status == 400 && text.contains(name), "{name}: {text}");
    }
    fake.register_callbacks(&["http://127.0.0.1:7882/callback"]);
    assert_eq!(open(&page(&fake, &[])).await.0, 400);
}

#[tokio::test]
async fn a_code_works_briefly_and_only_for_its_client() {
    let clock = Arc::new(StillClock::at("2026-11-20T12:00:00Z"));
    let fake = FakeX::start_with(clock.clone()).await;
    fake.person_is("walt_lines");
    let invalid = refused("Value passed for the authorization code was invalid.");
    let other = [("redirect_uri", "http://127.0.0.1:7882/callback")];
    assert_eq!(exchange(&fake, &code(&fake).await, &other).await, invalid);
    let another = [("code_verifier", "another-verifier-of-forty-three-characters-or-more")];
    let mismatch = refused("Value passed for the code verifier did not match the code challenge.");
    assert_eq!(exchange(&fake, &code(&fake).await, &another).await, mismatch);
    let missing = refused("Missing required parameter [code_verifier].");
    assert_eq!(exchange(&fake, &code(&fake).await, &[("code_verifier", "")]).await, missing);
    assert_eq!(exchange(&fake, "nonsense", &[]).await, invalid);
    let odd = exchange(&fake, "a", &[("grant_type", "password")]).await;
    assert_eq!(odd.1["error"], "unsupported_grant_type");
    let late = code(&fake).await;
    clock.advance(TimeDelta::seconds(30));
    assert_eq!(exchange(&fake, &late, &[]).await, invalid);
}

#[tokio::test]
async fn a_confidential_client_must_authenticate() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let body = "{}";
    let response =
        crate::support::http().post(format!("{}/2/oauth2/token", fake.url)).body(body).send().await.unwrap();
    assert_eq!(response.status(), 400, "no form");
    let missing = refused("Missing required parameter [client_id].");
    assert_eq!(exchange(&fake, "a", &[("client_id", "")]).await, missing);
    assert_eq!(exchange(&fake, "a", &[("client_id", "another")]).await.0, 401);

    fake.make_confidential();
    let code = code(&fake).await;
    let (status, said) = exchange(&fake, &code, &[]).await;
    let description = "Missing valid authorization header";
    assert_eq!((status, said["error_description"].as_str()), (401, Some(description)));
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    for (secret, expected) in [("wrong", 401), (CLIENT_SECRET, 200)] {
        let request = crate::support::http().post(format!("{}/2/oauth2/token", fake.url)).form(&fields);
        assert_eq!(request.basic_auth(CLIENT_ID, Some(secret)).send().await.unwrap().status(), expected);
    }
}

#[tokio::test]
async fn reusing_a_refresh_token_revokes_the_grant() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let (first, other) = (sign_in(&fake).await, sign_in(&fake).await);
    let (status, second) = renew(&fake, &first).await;
    assert_eq!(status, 200);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(me(&fake, &second).await.0, 200);
    assert_eq!(renew(&fake, &first).await, refused("Value passed for the token was invalid."));
    assert_eq!(renew(&fake, &second).await, refused("Value passed for the token was invalid."));
    for tokens in [&first, &second] {
        let (status, problem) = me(&fake, tokens).await;
        assert_eq!((status, &problem["title"]), (401, &json!("Unauthorized")));
    }
    assert_eq!(me(&fake, &other).await.0, 200, "a sign-in of its own");
    assert_eq!(renew(&fake, &json!({"refresh_token": "nonsense"})).await.0, 400);
}

#[tokio::test]
async fn access_tokens_expire() {
    let clock = Arc::new(StillClock::at("2026-11-20T12:00:00Z"));
    let fake = FakeX::start_with(clock.clone()).await;
    fake.person_is("walt_lines");
    fake.set_token_life(60);
    let tokens = sign_in(&fake).await;
    assert_eq!(tokens["expires_in"], 60);
    clock.advance(TimeDelta::seconds(59));
    assert_eq!(me(&fake, &tokens).await.0, 200);
    clock.advance(TimeDelta::seconds(1));
    assert_eq!(me(&fake, &tokens).await.0, 401);
    let (_, tokens) = renew(&fake, &tokens).await;
    assert_eq!(me(&fake, &tokens).await.0, 200);
    fake.expire_access_tokens();
    assert_eq!(me(&fake, &tokens).await.0, 401);
    assert_eq!(renew(&fake, &tokens).await.0, 200);
}

#[tokio::test]
async fn revoked_tokens_stop_working() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let tokens = sign_in(&fake).await;
    assert_eq!(revoke(&fake, &tokens["access_token"]).await, (200, json!({"revoked": true})));
    assert_eq!(me(&fake, &tokens).await.0, 401);
    let (_, tokens) = renew(&fake, &tokens).await;
    assert_eq!(revoke(&fake, &tokens["refresh_token"]).await.0, 200);
    assert_eq!(me(&fake, &tokens).await.0, 401);
    assert_eq!(renew(&fake, &tokens).await.0, 400);
    let tokens = sign_in(&fake).await;
    fake.revoke_all("walt_lines");
    assert_eq!(me(&fake, &tokens).await.0, 401);
    assert_eq!(renew(&fake, &tokens).await.0, 400);
}

#[tokio::test]
async fn granted_scopes_are_enforced() {
    let fake = FakeX::start().await;
    fake.person_is("walt_lines");
    let tokens = sign_in(&fake).await;
    assert_eq!(try_to_post(&fake, &tokens, "a").await.0, 201);
    let path = format!("{}/2/tweets/{}", fake.url, fake.post(1).await.id);
    let deleted = crate::support::http().delete(path).bearer_auth(tokens["access_token"].as_str().unwrap());
    assert_eq!(deleted.send().await.unwrap().status(), 200);
    assert!(fake.posts()[0].deleted);
    fake.grant_only(&["tweet.read", "users.read"]);
    let tokens = sign_in(&fake).await;
    assert_eq!((&tokens["scope"], &tokens["refresh_token"]), (&json!("tweet.read users.read"), &Value::Null));
    assert_eq!(me(&fake, &tokens).await.0, 200);
    assert_eq!(try_to_post(&fake, &tokens, "b").await.0, 403);
    assert_eq!(fake.texts("walt_lines"), ["a"]);
    for (scopes, status) in [(&["tweet.read", "users.read"][..], 200), (&["users.read"], 403)] {
        fake.grant_only(scopes);
        let tokens = sign_in(&fake).await;
        let own = format!("{}/2/users/{}/tweets", fake.url, fake.account("walt_lines").id);
        let looked = crate::support::http().get(own).bearer_auth(tokens["access_token"].as_str().unwrap());
        assert_eq!(looked.send().await.unwrap().status(), status, "{scopes:?}");
    }
}
