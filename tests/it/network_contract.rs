//! One story that every network must be able to tell.

use std::sync::Arc;

use flockd::flock::NetworkKind;
use flockd::flock::account::Tokens;
use flockd::net::feed::Feed;
use flockd::net::paper::Paper;
use flockd::net::{Network, Outcome, Session, Sight};

use crate::support::fake_x::FakeX;
use crate::support::{Signed, post, x_for};

/// A network to be put on trial.
struct Trial {
    kind: NetworkKind,
    network: Arc<dyn Network>,
    /// How many requests have reached it, where there is anything to reach.
    requests: Box<dyn Fn() -> usize>,
    /// What it signs with, where it signs.
    tokens: Option<Tokens>,
    /// How many requests a post takes.
    per_post: usize,
}

async fn story(trial: Trial) {
    let Trial { kind, network, requests, tokens, per_post } = trial;
    assert_eq!(network.signs(), tokens.is_some(), "{kind}");
    let mut session = Session { tokens, account: None };
    session.account = network.prepare(&session).await.unwrap();
    let before = requests();
    assert_eq!(network.prepare(&session).await, Ok(None), "{kind}: what is known is not learnt again");
    assert_eq!(requests(), before, "{kind}: nor asked again");

    let mut ids = Vec::new();
    for (number, text) in ["one", "two", "three\nlines"].iter().zip(1..).map(|(text, number)| (number, text))
    {
        let before = requests();
        let post = post(kind, number, text);
        let Outcome::Posted { remote_id, url } = network.send(&post, &session).await else {
            panic!("{kind}: {text} was not posted")
        };
        assert_eq!(requests() - before, per_post, "{kind}: a post is one request");
        assert!(!remote_id.is_empty() && !ids.contains(&remote_id), "{kind}: {remote_id}");
        assert!(url.is_none_or(|url| url.starts_with("http")), "{kind}");
        assert!(matches!(network.look(&post).await, Sight::NotThere | Sight::CannotTell), "{kind}");
        ids.push(remote_id);
    }
}

#[tokio::test]
async fn feed() {
    let network = Arc::new(Feed::new("http://127.0.0.1:7878"));
    story(Trial { kind: NetworkKind::Feed, network, requests: Box::new(|| 0), tokens: None, per_post: 0 })
        .await;
}

#[tokio::test]
async fn paper() {
    story(Trial {
        kind: NetworkKind::Paper,
        network: Arc::new(Paper),
        requests: Box::new(|| 0),
        tokens: None,
        per_post: 0,
    })
    .await;
}

#[tokio::test]
async fn x() {
    let fake = Arc::new(FakeX::start().await);
    let Signed { x, tokens } = x_for(&fake, &fake.account("walt_lines"));
    let (network, tokens) = (Arc::new(x), Some(tokens));
    let seen = fake.clone();
    let requests = Box::new(move || seen.requests().len());
    story(Trial { kind: NetworkKind::X, network, requests, tokens, per_post: 1 }).await;
    assert_eq!(fake.texts("walt_lines"), ["one", "two", "three\nlines"]);
}
