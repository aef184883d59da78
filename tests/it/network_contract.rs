//! One story that every network must be able to tell, and the transport faults that every network must
//! survive.

mod content;
mod foreign_answers;
mod transport;

use std::sync::Arc;

use flockd::flock::NetworkKind;
use flockd::flock::account::Tokens;
use flockd::flock::post::Post;
use flockd::net::feed::Feed;
use flockd::net::offline::Paper;
use flockd::net::{Attached, Network, Outcome, ProbeResult, Session, Timeline};

use crate::support::fake_mastodon::{FakeMastodon, Software, brought};
use crate::support::fake_x::FakeX;
use crate::support::pds::{BlueskyFixture, Pds, PdsProxy};
use crate::support::{Signed, post, x_for};

/// A network under test.
struct Trial {
    kind: NetworkKind,
    network: Arc<dyn Network>,
    /// How many requests have reached it, if it receives any.
    requests: Box<dyn Fn() -> usize>,
    /// What it signs with, if it signs.
    tokens: Option<Tokens>,
    /// How many requests a post takes.
    per_post: usize,
}

async fn story(trial: Trial) {
    let Trial { kind, network, requests, tokens, per_post } = trial;
    assert_eq!(network.requires_auth(), tokens.is_some(), "{kind}");
    let mut session = Session { tokens, account: None };
    session.account = network.prepare(&session).await.unwrap();
    let before = requests();
    assert_eq!(network.prepare(&session).await, Ok(None), "{kind}: what is known is not learnt again");
    assert_eq!(requests(), before, "{kind}: nor asked again");

    let mut ids = Vec::new();
    for (number, text) in ["one", "two", "three\nlines"].iter().zip(1..).map(|(text, number)| (number, text))
    {
        let before = requests();
        let mut post = post(kind, number, text);
        let planned = requests();
        post.record =
            network.compose(post.id, text, post.planned_at, &Attached::default(), &session).await.unwrap();
        assert_eq!(requests(), planned, "{kind}: there is nothing in it to look up");
        let Outcome::Posted { remote_id, url, .. } =
            network.send(&post, &Attached::default(), &session).await.outcome
        else {
            panic!("{kind}: {text} was not posted")
        };
        assert_eq!(requests() - before, per_post, "{kind}: a post is as many requests as it should be");
        assert!(!remote_id.is_empty() && !ids.contains(&remote_id), "{kind}: {remote_id}");
        assert!(url.is_none_or(|url| url.starts_with("http")), "{kind}");
        found_again(&*network, &post, &session, &remote_id).await;
        ids.push(remote_id);
    }
}

/// A network that can be probed shows the post, both in a probe for it and in the account's timeline.
async fn found_again(network: &dyn Network, post: &Post, session: &Session, remote_id: &str) {
    let kind = post.network;
    assert!((1..=3).contains(&network.probe_delays().len()), "{kind}");
    match network.probe(post, &Attached::default(), session).await.unwrap() {
        ProbeResult::Candidates { doubtful, .. } if !doubtful.is_empty() => {
            panic!("{kind}: it is as it was sent: {doubtful:?}");
        }
        ProbeResult::Candidates { seen, cost, .. } => {
            assert!(seen.iter().any(|seen| seen.remote_id == remote_id), "{kind}: {seen:?}");
            assert_eq!(cost > 0, kind == NetworkKind::X, "{kind}: only X charges for a look");
            let since = network.timeline_since(post.planned_at, session).await.unwrap();
            let Timeline::Complete(all) = since else { panic!("{kind}: it was read a moment ago") };
            let last = all.last().unwrap();
            assert!(
                last.remote_id == remote_id && network.same_text(post.text.as_deref().unwrap(), &last.text)
            );
        }
        // Where the ledger is the post, a post missing from it exists nowhere.
        ProbeResult::Absent => assert!(matches!(kind, NetworkKind::Feed | NetworkKind::Paper), "{kind}"),
        ProbeResult::Unavailable(why) => panic!("{kind}: {why:?}"),
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

/// The status itself, and the query whether it is visible.
#[tokio::test]
async fn mastodon_and_compatible_servers() {
    for software in Software::ALL {
        let fake = Arc::new(FakeMastodon::start(software).await);
        let (network, tokens) = (Arc::new(fake.client()), Some(brought(&fake.token_of("walt"))));
        let seen = fake.clone();
        let requests = Box::new(move || seen.count());
        story(Trial { kind: NetworkKind::Mastodon, network, requests, tokens, per_post: 2 }).await;
        assert_eq!(fake.texts("walt"), ["one", "two", "three\nlines"], "{software:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bluesky() {
    let pds = Pds::shared();
    let (proxy, walt) = (Arc::new(PdsProxy::before(pds).await), pds.account("walt").await);
    let BlueskyFixture { bluesky, session, .. } = proxy.signed_in(&walt).await;
    let seen = proxy.clone();
    let requests = Box::new(move || seen.count());
    let network = Arc::new(bluesky);
    story(Trial { kind: NetworkKind::Bluesky, network, requests, tokens: session.tokens, per_post: 1 }).await;
    assert_eq!(pds.texts(&walt).await, ["one", "two", "three\nlines"]);
}
