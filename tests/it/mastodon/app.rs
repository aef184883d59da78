//! Registering the app, and getting and revoking tokens.

use flockd::flock::account::{Client, Registration, Tokens};
use flockd::flock::post::Cause;
use flockd::flock::secret::Secret;
use flockd::net::{AccountApi as _, Network as _, OAuth2Api as _};
use serde_json::json;

use crate::support::browser;
use crate::support::fake_mastodon::{Behaviour, FakeMastodon, OUT_OF_BAND, Reply, Software, brought};

fn addresses() -> Vec<String> {
    [7881, 7882, 7883].map(|port| format!("http://127.0.0.1:{port}/callback")).to_vec()
}

async fn registered(fake: &FakeMastodon) -> Registration {
    fake.client().register(&addresses()).await.unwrap().expect("the server does not know the app")
}

/// Signs in as the person at the browser.
async fn tokens(fake: &FakeMastodon, registration: &Registration, redirect: &str) -> Tokens {
    let client = fake.client_as(Some(registration.clone()));
    let (provider, scopes) = client.provider().await.unwrap();
    let request = provider.begin(redirect, scopes).unwrap();
    let code = if redirect == OUT_OF_BAND {
        let (_, page) = browser::open(&request.url).await;
        page.split("value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
    } else {
        let back = reqwest::Url::parse(&browser::click(&request.url).await).unwrap();
        let pair =
            |name| back.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        assert_eq!(pair("state"), Some(request.state.clone()));
        pair("code").unwrap()
    };
    provider.exchange(request, &code, "grant".to_owned()).await.unwrap()
}

#[tokio::test]
async fn an_app_is_registered_once_with_all_redirect_uris() {
    for software in Software::ALL {
        let fake = FakeMastodon::start(software).await;
        let registration = registered(&fake).await;
        let app = &fake.apps()[0];
        assert_eq!(
            (&app.name, &app.client_id),
            (&"flockd".to_owned(), &registration.client.id),
            "{software:?}"
        );
        let all: Vec<String> = std::iter::once(OUT_OF_BAND.to_owned()).chain(addresses()).collect();
        assert_eq!((&app.redirects, &registration.redirects), (&all, &all));
        assert_eq!(app.scopes, "read:accounts read:statuses write:statuses write:accounts write:media");
        let again = fake.client_as(Some(registration.clone()));
        assert_eq!(again.register(&addresses()).await, Ok(None), "{software:?}: it is known");
        assert_eq!(fake.apps().len(), 1);
    }
}

#[tokio::test]
async fn a_forgotten_app_or_changed_redirect_uris_cause_a_new_registration() {
    let fake = FakeMastodon::start(Software::Mastodon).await;
    let first = registered(&fake).await;
    let other = ["http://127.0.0.1:9/callback".to_owned()];
    let second = fake.client_as(Some(first.clone())).register(&other).await.unwrap().unwrap();
    assert_ne!(first.client.id, second.client.id);
    fake.forget_apps();
    let third = fake.client_as(Some(first.clone())).register(&addresses()).await.unwrap().unwrap();
    assert_ne!(first.client.id, third.client.id);
    let elsewhere = Registration { server: "https://other.example".to_owned(), ..third.clone() };
    assert!(fake.client_as(Some(elsewhere)).register(&addresses()).await.unwrap().is_some());
    // A broken server says nothing about the app.
    fake.next_at("/oauth/token", Behaviour::Answer(Reply::page(502, "")));
    let setback = fake.client_as(Some(third)).register(&addresses()).await.unwrap_err();
    assert_eq!(setback.why.cause, Cause::Unreachable, "{setback}");
}

/// A server turns down a sign-in that asks for more than the app registered, so an app from before pictures is
/// registered anew, and one that a person made is asked for no more than it may.
#[tokio::test]
async fn an_app_for_texts_alone_is_registered_anew_and_its_tokens_stay() {
    let fake = FakeMastodon::start(Software::Mastodon).await;
    let texts = "read:accounts read:statuses write:statuses write:accounts";
    let made = fake.app(&[OUT_OF_BAND, &addresses()[0], &addresses()[1], &addresses()[2]], texts);
    let client = Client { id: made.client_id, secret: Some(Secret::new(made.client_secret)) };
    let redirects = std::iter::once(OUT_OF_BAND.to_owned()).chain(addresses()).collect();
    let old = Registration { server: fake.url.clone(), client, redirects, scopes: Vec::new() };
    let scopes = fake.client_as(Some(old.clone())).provider().await.unwrap().1;
    assert_eq!(scopes.join(" "), texts);
    fake.person_is("walt");
    let before = tokens(&fake, &old, OUT_OF_BAND).await;
    let new = fake.client_as(Some(old.clone())).register(&addresses()).await.unwrap().unwrap();
    assert_ne!(new.client.id, old.client.id);
    let client = fake.client_as(Some(new));
    assert!(client.provider().await.unwrap().1.contains(&"write:media"));
    let account = client.who_am_i(&before).await.unwrap();
    assert!(client.may_post(&account, &before).is_ok() && flockd::net::may_upload(&account).is_err());
}

#[tokio::test]
async fn a_server_that_refuses_registration_is_named() {
    let fake = FakeMastodon::start(Software::Mastodon).await;
    for (reply, part) in [
        (Reply::page(404, "nginx"), "check whether `api_url` is right"),
        (Reply::page(200, "Welcome"), "check whether `api_url` is right"),
        (Reply::json(200, &json!({"client_id": "a"})), "check whether `api_url` is right"),
        (Reply::json(422, &json!({"error": "Validierung"})), "HTTP 422: Validierung"),
        (
            Reply::new(308, "").header("location", "https://new.example/api"),
            "to https://new.example): set `api_url`",
        ),
    ] {
        fake.next_at("/api/v1/apps", Behaviour::Answer(reply));
        let setback = fake.client().register(&addresses()).await.unwrap_err();
        assert!(setback.why.cause == Cause::App && setback.to_string().contains(part), "{part}: {setback}");
    }
}

#[tokio::test]
async fn pkce_is_used_exactly_where_the_server_supports_it() {
    for software in Software::ALL {
        let fake = FakeMastodon::start(software).await;
        fake.person_is("walt");
        let registration = registered(&fake).await;
        for redirect in [OUT_OF_BAND, &addresses()[1]] {
            let tokens = tokens(&fake, &registration, redirect).await;
            let client = fake.client_as(Some(registration.clone()));
            let account = client.who_am_i(&tokens).await.unwrap();
            assert_eq!(account.handle, "walt@social.example", "{software:?}");
            assert!(client.may_post(&account, &tokens).is_ok());
        }
        let asked = &fake.asked()[0];
        assert_eq!(asked.get("code_challenge").is_some(), software == Software::Mastodon, "{software:?}");
        assert_eq!(asked.get("force_login"), Some("true"));
        assert_eq!(
            asked.get("scope"),
            Some("read:accounts read:statuses write:statuses write:accounts write:media")
        );
        let exchange =
            fake.requests().into_iter().find(|seen| seen.body.contains("authorization_code")).unwrap();
        assert!(exchange.header("authorization").is_none() && exchange.body.contains("client_secret="));
        assert_eq!(exchange.body.contains("code_verifier"), software == Software::Mastodon);
    }
}

#[tokio::test]
async fn only_the_app_that_got_a_token_revokes_it() {
    for software in Software::ALL {
        let fake = FakeMastodon::start(software).await;
        fake.person_is("walt");
        let registration = registered(&fake).await;
        let tokens = tokens(&fake, &registration, OUT_OF_BAND).await;
        let client = fake.client_as(Some(registration));
        assert_eq!(fake.tokens_alive("walt"), 1);
        for _ in 0..2 {
            assert_eq!(client.revoke(&tokens).await, Ok(()), "{software:?}");
        }
        assert_eq!(fake.tokens_alive("walt"), 0);
        let by_hand = brought(&fake.token_of("walt"));
        for client in [client, fake.client()] {
            let setback = client.revoke(&by_hand).await.unwrap_err();
            assert!(
                setback.answered && setback.to_string().contains("only the app that a token was issued to"),
                "{setback}"
            );
        }
        assert_eq!(fake.tokens_alive("walt"), 1);
    }
}
