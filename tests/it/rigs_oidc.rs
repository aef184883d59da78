//! The third-party OAuth 2.0 server does what the sign-in tests take for granted: the code with PKCE,
//! single-use refresh tokens, and an API behind its access tokens.

use std::time::Duration;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::answer;
use crate::support::browser::click;
use crate::support::oidc::{CONFIDENTIAL_CLIENT, Oidc, PUBLIC_CLIENT};
use crate::support::rfc5849;

const CALLBACK: &str = "http://127.0.0.1:7881/callback";
const VERIFIER: &str = "a-verifier-has-to-have-forty-three-characters-at-least";
const SCOPES: &str = "tweet.read users.read tweet.write offline.access";
const TWO_HOURS: Duration = Duration::from_secs(7_200);

/// The parameters of the redirect back.
async fn sent_back(oidc: &Oidc, client: &str, pkce: bool) -> rfc5849::Parameters {
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(VERIFIER));
    let mut parameters = vec![
        ("response_type", "code"),
        ("client_id", client),
        ("redirect_uri", CALLBACK),
        ("scope", SCOPES),
        ("state", "the state & more"),
    ];
    if pkce {
        parameters.extend([("code_challenge", &*challenge), ("code_challenge_method", "S256")]);
    }
    let page = Url::parse_with_params(&format!("{}/i/oauth2/authorize", oidc.url), parameters).unwrap();
    let back = click(page.as_str()).await;
    assert!(back.starts_with(CALLBACK), "{back}");
    rfc5849::form_parameters(back.split_once('?').unwrap().1).unwrap()
}

/// A token request by the public client.
fn as_public(oidc: &Oidc, fields: &[(&str, &str)]) -> RequestBuilder {
    let fields: Vec<_> = fields.iter().chain(&[("client_id", PUBLIC_CLIENT)]).collect();
    crate::support::http().post(format!("{}/2/oauth2/token", oidc.url)).form(&fields)
}

fn exchange_fields(code: &str) -> [(&str, &str); 4] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

async fn sign_in(oidc: &Oidc) -> Value {
    let back = sent_back(oidc, PUBLIC_CLIENT, true).await;
    assert_eq!(rfc5849::value(&back, "state").unwrap(), "the state & more");
    let code = rfc5849::value(&back, "code").unwrap();
    let (status, tokens) = answer(as_public(oidc, &exchange_fields(code)).send().await.unwrap()).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

async fn renew(oidc: &Oidc, tokens: &Value) -> (u16, Value) {
    let token = tokens["refresh_token"].as_str().unwrap();
    let fields = [("grant_type", "refresh_token"), ("refresh_token", token)];
    answer(as_public(oidc, &fields).send().await.unwrap()).await
}

async fn me(oidc: &Oidc, tokens: &Value) -> (u16, Value) {
    let token = tokens["access_token"].as_str().unwrap();
    let request = crate::support::http().get(format!("{}/2/users/me", oidc.url)).bearer_auth(token);
    answer(request.send().await.unwrap()).await
}

#[tokio::test]
async fn a_code_is_exchanged_for_working_tokens() {
    let oidc = Oidc::start("walt_lines", TWO_HOURS);
    let tokens = sign_in(&oidc).await;
    assert_eq!((&tokens["scope"], &tokens["expires_in"]), (&json!(SCOPES), &json!(7_200)));
    assert_eq!(me(&oidc, &tokens).await.1["data"]["username"], "walt_lines");
    let token = tokens["access_token"].as_str().unwrap();
    let text = "eine Zeile – \"&\" 詩";
    let post =
        crate::support::http().post(format!("{}/2/tweets", oidc.url)).body(json!({"text": text}).to_string());
    let (status, posted) = answer(post.bearer_auth(token).send().await.unwrap()).await;
    assert_eq!(status, 201);
    let id = posted["data"]["id"].as_str().unwrap();
    let stored = json!({"id": id, "handle": "walt_lines", "text": text, "deleted": false});
    assert_eq!(oidc.posts().await, [stored]);
    for expected in [200, 404] {
        let delete = crate::support::http().delete(format!("{}/2/tweets/{id}", oidc.url)).bearer_auth(token);
        assert_eq!(delete.send().await.unwrap().status(), expected);
    }
    assert_eq!(oidc.posts().await[0]["deleted"], true);
    assert_eq!(me(&oidc, &json!({"access_token": "nonsense"})).await.0, 401);
}

#[tokio::test]
async fn reusing_a_refresh_token_revokes_the_grant() {
    let oidc = Oidc::start("walt_lines", Duration::from_secs(60));
    let (first, other) = (sign_in(&oidc).await, sign_in(&oidc).await);
    let (status, second) = renew(&oidc, &first).await;
    assert_eq!((status, &second["expires_in"]), (200, &json!(60)));
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(me(&oidc, &second).await.0, 200);
    for spent in [&first, &second] {
        let (status, refusal) = renew(&oidc, spent).await;
        assert_eq!((status, &refusal["error"]), (400, &json!("invalid_grant")));
    }
    assert_eq!(me(&oidc, &second).await.0, 401);
    assert_eq!(me(&oidc, &other).await.0, 200, "a separate sign-in");

    let token = other["refresh_token"].as_str().unwrap();
    let fields = [("token", token), ("client_id", PUBLIC_CLIENT)];
    let revoke = crate::support::http().post(format!("{}/2/oauth2/revoke", oidc.url)).form(&fields);
    assert_eq!(revoke.send().await.unwrap().status(), 200);
    assert_eq!(renew(&oidc, &other).await.0, 400);
}

#[tokio::test]
async fn confidential_clients_need_a_secret_and_all_need_a_verifier() {
    let oidc = Oidc::start("walt_lines", TWO_HOURS);
    let (id, secret) = CONFIDENTIAL_CLIENT;
    let back = sent_back(&oidc, id, true).await;
    let fields = exchange_fields(rfc5849::value(&back, "code").unwrap());
    assert_eq!(as_public(&oidc, &fields).send().await.unwrap().status(), 400);
    for (secret, expected) in [("wrong", 401), (secret, 200)] {
        let request = crate::support::http().post(format!("{}/2/oauth2/token", oidc.url)).form(&fields);
        assert_eq!(request.basic_auth(id, Some(secret)).send().await.unwrap().status(), expected);
    }
    let back = sent_back(&oidc, PUBLIC_CLIENT, false).await;
    assert_eq!(rfc5849::value(&back, "error").unwrap(), "invalid_request");
}

#[tokio::test]
async fn declining_also_redirects_back() {
    let oidc = Oidc::start("", TWO_HOURS);
    let back = sent_back(&oidc, PUBLIC_CLIENT, true).await;
    assert_eq!(rfc5849::value(&back, "error").unwrap(), "access_denied");
    assert_eq!(rfc5849::value(&back, "state").unwrap(), "the state & more");
}
