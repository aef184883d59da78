//! The PDS that the tests talk to is what it should be: a real one, on this machine only, with no behavior
//! that a real one lacks.

use serde_json::{Value, json};

use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{Pds, PdsAccount, PdsProxy};

async fn sign_in(proxy: &PdsProxy, poet: &PdsAccount, password: &str) -> (u16, Value) {
    call(
        proxy,
        "com.atproto.server.createSession",
        "",
        &json!({ "identifier": poet.did, "password": password }),
    )
    .await
}

async fn call(proxy: &PdsProxy, method: &str, token: &str, body: &Value) -> (u16, Value) {
    let request = crate::support::http().post(format!("{}/xrpc/{method}", proxy.url)).bearer_auth(token);
    let body = if body.is_null() { String::new() } else { body.to_string() };
    crate::support::answer(
        request.header("content-type", "application/json").body(body).send().await.unwrap(),
    )
    .await
}

async fn get(proxy: &PdsProxy, path: &str, token: &str) -> (u16, Value) {
    let request = crate::support::http().get(format!("{}{path}", proxy.url)).bearer_auth(token);
    crate::support::answer(request.send().await.unwrap()).await
}

fn put(poet: &PdsAccount, text: &str) -> Value {
    let record =
        json!({ "$type": "app.bsky.feed.post", "text": text, "createdAt": "2026-11-20T12:00:00.000Z" });
    json!({
        "repo": poet.did, "collection": "app.bsky.feed.post", "rkey": "3m5zzzzzzzz22", "swapRecord": null,
        "record": record,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_proxy_acts_as_the_server_of_its_accounts() {
    let pds = Pds::shared();
    assert!(pds.url.starts_with("http://localhost:"), "{}", pds.url);
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let (_, resolved) =
        get(&proxy, &format!("/xrpc/com.atproto.identity.resolveHandle?handle={}", walt.handle), "").await;
    assert_eq!(resolved["did"], walt.did);
    let (_, document) = get(&proxy, &format!("/{}", walt.did), "").await;
    assert_eq!(document["service"][0]["serviceEndpoint"], proxy.url);
    assert_eq!(document["alsoKnownAs"][0], format!("at://{}", walt.handle));
    proxy.next_read(Behaviour::Answer(Reply::new(502, "")));
    let reached = crate::support::get(format!("{}/{}", proxy.url, walt.did)).await.unwrap();
    assert_eq!(reached.status().as_u16(), 502);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_record_under_the_same_key_is_written_once() {
    let (pds, walt) = (Pds::shared(), Pds::shared().account("walt").await);
    let proxy = PdsProxy::before(pds).await;
    let (status, session) = sign_in(&proxy, &walt, &walt.app_password).await;
    assert_eq!(status, 200, "{session}");
    let token = session["accessJwt"].as_str().unwrap();
    let method = "com.atproto.repo.putRecord";
    let first = call(&proxy, method, token, &put(&walt, "a")).await;
    let again = call(&proxy, method, token, &put(&walt, "a")).await;
    assert_eq!((first.0, again.0, &first.1["cid"]), (200, 200, &again.1["cid"]));
    let (status, other) = call(&proxy, method, token, &put(&walt, "b")).await;
    assert_eq!((status, &other["error"]), (400, &json!("InvalidSwap")));
    assert_eq!(pds.texts(&walt).await, ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_expire_on_command() {
    let (pds, walt) = (Pds::shared(), Pds::shared().account("walt").await);
    let proxy = PdsProxy::before(pds).await;
    let (_, session) = sign_in(&proxy, &walt, &walt.app_password).await;
    let [access, refresh] =
        ["accessJwt", "refreshJwt"].map(|name| session[name].as_str().unwrap().to_owned());
    let asked = "/xrpc/com.atproto.server.getSession";
    assert_eq!(get(&proxy, asked, &access).await.0, 200);
    pds.expire(&walt).await;
    let (status, said) = get(&proxy, asked, &access).await;
    assert_eq!((status, &said["error"]), (400, &json!("ExpiredToken")));
    let renew = "com.atproto.server.refreshSession";
    let (_, renewed) = call(&proxy, renew, &refresh, &Value::Null).await;
    assert_eq!(get(&proxy, asked, renewed["accessJwt"].as_str().unwrap()).await.0, 200);
    pds.forget(&walt).await;
    let (status, said) = call(&proxy, renew, renewed["refreshJwt"].as_str().unwrap(), &Value::Null).await;
    assert_eq!((status, &said["error"]), (400, &json!("ExpiredToken")));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_can_lose_its_password_or_be_taken_down() {
    let (pds, walt) = (Pds::shared(), Pds::shared().account("walt").await);
    let proxy = PdsProxy::before(pds).await;
    pds.revoke_app_password(&walt).await;
    assert_eq!(sign_in(&proxy, &walt, &walt.app_password).await.1["error"], "AuthenticationRequired");
    pds.take_down(&walt, true).await;
    assert_eq!(sign_in(&proxy, &walt, &walt.password).await.1["error"], "AccountTakedown");
    pds.take_down(&walt, false).await;
    assert_eq!(sign_in(&proxy, &walt, &walt.password).await.0, 200);
    pds.deactivate(&walt).await;
    assert_eq!(sign_in(&proxy, &walt, &walt.password).await.1["active"], false);
}
