//! Foreign answers: the network does what was asked, and something else answers. Then the outcome of a post
//! is unknown and it isn't resent, nothing counts as deleted or revoked, and no bot is signed out.

use flockd::flock::NetworkKind;
use flockd::flock::account::{Client, Tokens};
use flockd::flock::post::{Cause, Post};
use flockd::flock::secret::Secret;
use flockd::net::http::{self, Timeouts};
use flockd::net::oauth2::{Proof, Provider};
use flockd::net::{Attached, Network, Outcome, Rejection, Session};

use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::fake_server::{Behaviour, FakeServer, Reply};
use crate::support::fake_x::{CLIENT_ID, CLIENT_SECRET, FakeX};
use crate::support::foreign_answers::{STATUSES, errors, successes};
use crate::support::pds::{BlueskyFixture, Pds, PdsProxy};
use crate::support::{Signed, post, x_for};

/// A network, and what stands in front of it.
struct ProxiedNetwork<'p> {
    kind: NetworkKind,
    network: &'p dyn Network,
    session: &'p Session,
    proxy: &'p FakeServer,
}

impl ProxiedNetwork<'_> {
    async fn planned(&self, number: usize) -> Post {
        let mut post = post(self.kind, u8::try_from(number % 251).unwrap(), &format!("line {number}"));
        post.record = self
            .network
            .compose(
                post.id,
                post.text.as_deref().unwrap(),
                post.planned_at,
                &Attached::default(),
                self.session,
            )
            .await
            .unwrap();
        post
    }

    /// Stores a post and answers it like this.
    async fn answered(&self, number: usize, reply: &Reply) -> Outcome {
        self.proxy.next_post(Behaviour::StoreAndAnswer(reply.clone()));
        let (post, before) = (self.planned(number).await, self.proxy.count());
        let outcome = self.network.send(&post, &Attached::default(), self.session).await.outcome;
        let sent = self.proxy.requests().split_off(before);
        let writes = sent.iter().filter(|seen| seen.method != "GET").count();
        assert_eq!(writes, 1, "{:?}: one call is one attempt: {reply:?}", self.kind);
        outcome
    }

    /// No row of the table settles anything.
    async fn doubts_all(&self) {
        let all = STATUSES.iter().flat_map(|status| errors(*status)).chain(successes());
        for (number, reply) in all.enumerate() {
            match self.answered(number, &reply).await {
                Outcome::Unknown { reason } => {
                    assert!(reason.ends_with("whether it was posted is not known"), "{reason}");
                }
                outcome => panic!("{:?} took {reply:?} for {outcome:?}", self.kind),
            }
        }
    }

    /// No row of the table proves a deletion, as long as the post is there.
    async fn keeps_what_is_not_deleted(&self, path: &str) {
        let Outcome::Posted { remote_id, .. } =
            self.network.send(&self.planned(1).await, &Attached::default(), self.session).await.outcome
        else {
            panic!("it was not posted")
        };
        let post = Post { remote_id: Some(remote_id), ..self.planned(1).await };
        for reply in [401, 403, 404, 410, 301, 500].into_iter().flat_map(errors).chain(successes()) {
            self.proxy.next_at(path, Behaviour::Answer(reply.clone()));
            let done = self.network.delete(&post, self.session).await;
            let setback = done.err().unwrap_or_else(|| panic!("{:?}: deleted by {reply:?}", self.kind));
            assert!(!setback.token_rejected, "{:?}: {reply:?} renews the tokens: {setback}", self.kind);
        }
    }
}

#[tokio::test]
async fn on_x_a_foreign_answer_settles_no_post() {
    let fake = FakeX::start().await;
    fake.take_duplicates();
    let Signed { x, tokens } = x_for(&fake, &fake.account("walt_lines"));
    let session = Session { tokens: Some(tokens), account: None };
    let place = ProxiedNetwork { kind: NetworkKind::X, network: &x, session: &session, proxy: &fake };
    place.doubts_all().await;
    place.keeps_what_is_not_deleted("/2/tweets/").await;
}

#[tokio::test]
async fn on_mastodon_servers_a_foreign_answer_settles_no_post() {
    for software in Software::ALL {
        let fake = FakeMastodon::start(software).await;
        fake.allow_posts(usize::MAX);
        let client = fake.client();
        let walt = fake.walt(&client).await;
        let place =
            ProxiedNetwork { kind: NetworkKind::Mastodon, network: &client, session: &walt, proxy: &fake };
        place.doubts_all().await;
        place.keeps_what_is_not_deleted("/api/v1/statuses/").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_real_pds_a_foreign_answer_settles_no_post() {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let BlueskyFixture { bluesky, session, .. } = proxy.signed_in(&walt).await;
    let place =
        ProxiedNetwork { kind: NetworkKind::Bluesky, network: &bluesky, session: &session, proxy: &proxy };
    place.doubts_all().await;
    place.keeps_what_is_not_deleted("/xrpc/com.atproto.repo.deleteRecord").await;
    let renewals = proxy.calls("com.atproto.server.refreshSession");
    assert_eq!(renewals, 0, "a foreign page causes no session refresh");
}

/// What may be said about tokens without ending a bot's session.
fn is_harmless(setback: &Rejection) -> bool {
    !setback.token_rejected && setback.why.cause != Cause::SignIn && setback.why.cause != Cause::Account
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_answer_signs_no_bluesky_bot_out() {
    let pds = Pds::shared();
    let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
    let sky = proxy.signed_in(&walt).await;
    for (path, reply) in [400, 401, 403, 302, 200].into_iter().flat_map(|status| {
        let replies = if status == 200 { successes() } else { errors(status) };
        let of = |path: &'static str| replies.clone().into_iter().map(move |reply| (path, reply));
        of("/xrpc/com.atproto.server.refreshSession").collect::<Vec<_>>()
    }) {
        proxy.next_at(path, Behaviour::Answer(reply.clone()));
        let setback = sky.bluesky.renew(sky.tokens()).await.unwrap_err();
        assert!(is_harmless(&setback), "{reply:?}: {setback}");
    }
    assert_eq!(proxy.calls("com.atproto.server.createSession"), 1, "the password was sent only at sign-in");
}

#[tokio::test]
async fn a_foreign_answer_signs_no_x_bot_out() {
    let fake = FakeX::start().await;
    let Signed { x, tokens } = x_for(&fake, &fake.account("walt_lines"));
    let session = Session { tokens: Some(tokens.clone()), account: None };
    for reply in [400, 401, 403, 302].into_iter().flat_map(errors) {
        fake.next_read(Behaviour::Answer(reply.clone()));
        let setback = x.prepare(&session).await.unwrap_err();
        assert!(is_harmless(&setback), "{reply:?}: {setback}");
    }
    for reply in [400, 401, 403, 302].into_iter().flat_map(errors) {
        fake.next_at("/1.1/oauth/invalidate_token.json", Behaviour::Answer(reply.clone()));
        assert!(x.revoke(&tokens).await.is_err(), "{reply:?}");
    }
    fake.next_at("/1.1/oauth/invalidate_token.json", Behaviour::Answer(Reply::page(200, "Welcome")));
    assert!(x.revoke(&tokens).await.is_err(), "a foreign page revokes nothing");
}

#[tokio::test]
async fn a_foreign_answer_ends_no_oauth2_sign_in() {
    let fake = FakeX::start().await;
    let (id, secret) = (CLIENT_ID.to_owned(), Some(Secret::new(CLIENT_SECRET)));
    let provider = Provider {
        http: http::client(&Timeouts::default()).unwrap(),
        clock: fake.clock.clone(),
        name: "X",
        authorize_url: format!("{}/i/oauth2/authorize", fake.url),
        token_url: format!("{}/2/oauth2/token", fake.url),
        revoke_url: format!("{}/2/oauth2/revoke", fake.url),
        client: Client { id, secret },
        pkce: true,
        proof: Proof::Header,
        besides: &[],
    };
    let tokens = Tokens::OAuth2 {
        access_token: Secret::new("access-token-of-walt"),
        refresh_token: Some(Secret::new("refresh-token-of-walt")),
        expires_at: None,
        scopes: Vec::new(),
        grant: "one".to_owned(),
    };
    for reply in [302, 400, 401, 403, 404].into_iter().flat_map(errors).chain(successes()) {
        fake.next_at("/2/oauth2/token", Behaviour::Answer(reply.clone()));
        let setback = provider.renew(&tokens).await.unwrap_err();
        assert!(is_harmless(&setback), "{reply:?}: {setback}");
    }
    for reply in [302, 400, 401, 403, 404].into_iter().flat_map(errors) {
        fake.next_at("/2/oauth2/revoke", Behaviour::Answer(reply.clone()));
        assert!(provider.revoke(&tokens).await.is_err(), "{reply:?}");
    }
    let own = Reply::new(400, r#"{"error":"invalid_grant","error_description":"spent"}"#);
    fake.next_at("/2/oauth2/token", Behaviour::Answer(own));
    assert_eq!(provider.renew(&tokens).await.unwrap_err().why.cause, Cause::SignIn, "its own answer does");
}
