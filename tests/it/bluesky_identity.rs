//! From a handle to its account's server, and what can go wrong on the way.

use std::sync::Arc;

use flockd::clock::SystemClock;
use flockd::flock::PostOptions;
use flockd::flock::account::Tokens;
use flockd::flock::post::Cause;
use flockd::flock::secret::Secret;
use flockd::net::Rejection;
use serde_json::{Value, json};

use crate::support::code_of;
use crate::support::fake_server::{Behaviour, Reply};
use crate::support::pds::{Pds, PdsAccount, PdsProxy};

const RESOLVE: &str = "/xrpc/com.atproto.identity.resolveHandle";
const LOGIN: &str = "com.atproto.server.createSession";

async fn walt() -> (PdsProxy, PdsAccount) {
    (PdsProxy::before(Pds::shared()).await, Pds::shared().account("walt").await)
}

async fn sign_in(proxy: &PdsProxy, account: &str, poet: &PdsAccount) -> Result<Tokens, Rejection> {
    let bluesky = proxy.client(Arc::new(SystemClock), PostOptions::default(), None);
    bluesky.log_in(account, &Secret::new(&*poet.app_password)).await
}

/// The cause and reason; also checks that no server was shown a password.
async fn refused(proxy: &PdsProxy, account: &str, poet: &PdsAccount) -> (Cause, String) {
    let setback = sign_in(proxy, account, poet).await.unwrap_err();
    assert_eq!(proxy.calls(LOGIN), 0, "{setback}");
    (setback.why.cause, setback.to_string())
}

fn answer(body: &Value) -> Behaviour {
    Behaviour::Answer(Reply::new(200, body.to_string()).header("content-type", "application/json"))
}

fn document(did: &str, handle: &str, server: &str) -> Value {
    json!({
        "id": did,
        "alsoKnownAs": [format!("at://{handle}")],
        "service": [{ "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": server }],
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handle_in_any_spelling_and_a_did_lead_to_the_account() {
    let (proxy, walt) = walt().await;
    for account in
        [walt.handle.clone(), format!("@{}", walt.handle), walt.handle.to_uppercase(), walt.did.clone()]
    {
        let Ok(Tokens::AppPassword { did, server, .. }) = sign_in(&proxy, &account, &walt).await else {
            panic!("{account}")
        };
        assert_eq!((did, &server), (walt.did.clone(), &proxy.url));
    }
    assert!(
        proxy.bodies(LOGIN).iter().all(|body| body["identifier"] == walt.did),
        "handles may change hands"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unresolvable_handle_is_reported() {
    let (proxy, walt) = walt().await;
    for account in ["missing-handle.test", "walt", "walt@example.test", "a..b", ""] {
        let (cause, said) = refused(&proxy, account, &walt).await;
        assert_eq!(cause, Cause::Account, "{said}");
        let start =
            format!("the handle @{account} does not resolve: check it for typos; it must be a full handle");
        assert!(said.starts_with(&start), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn resolving_a_handle_may_fail() {
    let (proxy, walt) = walt().await;
    let odd = |body: &str| Behaviour::Answer(Reply::new(200, body));
    for behaviour in [
        Behaviour::Answer(Reply::new(503, "<html>")),
        Behaviour::Close,
        odd("<html>"),
        odd(r#"{"did":"walt"}"#),
        odd(r#"{"did":"did:plc:a/../b"}"#),
        odd("{}"),
    ] {
        proxy.next_at(RESOLVE, behaviour.clone());
        let (cause, said) = refused(&proxy, &walt.handle, &walt).await;
        assert_eq!(cause, Cause::Unreachable, "{behaviour:?}: {said}");
    }
    for (status, cause, code) in [
        (404, Cause::App, "bluesky-wrong-address"),
        (301, Cause::App, "bluesky-moved"),
        (429, Cause::Limits, "bluesky-rate-limited"),
        (403, Cause::App, "bluesky-foreign-answer"),
    ] {
        let reply = Reply::new(status, "no").header("location", "https://elsewhere.example/xrpc");
        proxy.next_at(RESOLVE, Behaviour::Answer(reply));
        let (found, said) = refused(&proxy, &walt.handle, &walt).await;
        assert_eq!((found, code_of(&said)), (cause, code), "{status}: {said}");
        assert!(status != 301 || said.contains("(HTTP 301, to https://elsewhere.example)"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_must_name_the_handle_and_a_server() {
    let (proxy, walt) = walt().await;
    let path = format!("/{}", walt.did);
    let good = document(&walt.did, &walt.handle, &proxy.url);
    let with = |field: &str, value: Value| {
        let mut document = good.clone();
        document[field] = value;
        document
    };
    let server = |url: &str| document(&walt.did, &walt.handle, url);
    for (document, expected) in [
        (with("service", json!([])), "names no server (PDS) for the account"),
        (with("service", json!([{ "id": "#atproto_pds", "type": "Other" }])), "names no server (PDS)"),
        (with("service", Value::Null), "names no server (PDS)"),
        (with("alsoKnownAs", json!(["at://other.test"])), "whose document does not name it"),
        (with("alsoKnownAs", json!([])), "whose document does not name it"),
        (
            server("http://pds.example.com"),
            "names http://pds.example.com as the account's server, which is not an https",
        ),
        (server("https://me:hush@pds.example.com"), "which is not an https address: nothing is sent there"),
        (server("javascript:alert(1)"), "which is not an https address"),
    ] {
        proxy.next_at(&path, answer(&document));
        let (cause, said) = refused(&proxy, &walt.handle, &walt).await;
        assert_eq!(cause, Cause::Account, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    for document in [with("id", json!("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")), json!([]), json!("x")] {
        proxy.next_at(&path, answer(&document));
        let (cause, said) = refused(&proxy, &walt.handle, &walt).await;
        assert_eq!(cause, Cause::Unreachable, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_did_without_a_document_is_reported() {
    let (proxy, walt) = walt().await;
    let (cause, said) = refused(&proxy, "did:plc:aaaaaaaaaaaaaaaaaaaaaaaa", &walt).await;
    assert_eq!(
        (cause, said.starts_with("there is no document of did:plc:aaaa")),
        (Cause::Account, true),
        "{said}"
    );
    for no in
        ["did:key:z6Mk", "did:plc:a/b", "did:web:a.example:path", "did:web:a%2Fb", "did:web:a.example%3A80"]
    {
        let (cause, said) = refused(&proxy, no, &walt).await;
        assert!(cause == Cause::Account && said.contains("is not a DID of an account"), "{said}");
    }
    proxy.next_at("/did:plc:", Behaviour::Answer(Reply::new(500, "")));
    assert_eq!(refused(&proxy, &walt.did, &walt).await.0, Cause::Unreachable);
}

#[tokio::test(flavor = "multi_thread")]
async fn did_web_accounts_work() {
    let (proxy, walt) = walt().await;
    let port = proxy.url.rsplit(':').next().unwrap().to_owned();
    let did = format!("did:web:localhost%3A{port}");
    proxy.next_at(RESOLVE, answer(&json!({ "did": did })));
    proxy.next_at("/.well-known/did.json", answer(&document(&did, "walt.example.test", &proxy.url)));
    let session =
        json!({ "did": did, "accessJwt": "access.of.walt", "refreshJwt": "refresh.of.walt", "active": true });
    proxy.next_at(&format!("/xrpc/{LOGIN}"), answer(&session));
    let Ok(Tokens::AppPassword { did: found, server, .. }) =
        sign_in(&proxy, "walt.example.test", &walt).await
    else {
        panic!("not signed in")
    };
    assert_eq!((found, &server), (did, &proxy.url));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_must_belong_to_its_account() {
    let (proxy, walt) = walt().await;
    let session = json!({ "did": walt.did, "accessJwt": "access.of.walt", "refreshJwt": "refresh.of.walt" });
    let with = |field: &str, value: Value| {
        let mut session = session.clone();
        session[field] = value;
        session
    };
    for session in [
        with("did", json!("did:plc:aaaaaaaaaaaaaaaaaaaaaaaa")),
        with("accessJwt", json!("")),
        with("accessJwt", json!("two lines\r\nx: y")),
        with("refreshJwt", Value::Null),
        json!([]),
    ] {
        proxy.next_at(&format!("/xrpc/{LOGIN}"), answer(&session));
        let setback = sign_in(&proxy, &walt.did, &walt).await.unwrap_err();
        assert_eq!(setback.why.cause, Cause::Unreachable, "{setback}");
    }
    for (status, remedy) in [
        ("takendown", "sign in at bsky.app and read"),
        ("suspended", "sign in at bsky.app"),
        ("deactivated", "activate it"),
    ] {
        let mut session = with("active", json!(false));
        session["status"] = json!(status);
        proxy.next_at(&format!("/xrpc/{LOGIN}"), answer(&session));
        let setback = sign_in(&proxy, &walt.did, &walt).await.unwrap_err();
        let said = setback.to_string();
        assert!(
            setback.why.cause == Cause::Account && said.contains(status) && said.contains(remedy),
            "{said}"
        );
    }
}
