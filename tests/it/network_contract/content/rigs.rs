//! The networks under test, each with an account that is signed in.

use flockd::flock::NetworkKind;
use flockd::flock::content::Content;
use flockd::net::mastodon::Mastodon;
use flockd::net::{Attached, Network, Session};

use super::{ContentRig, id_of};
use crate::support::fake_mastodon::{FakeMastodon, Software, brought};
use crate::support::fake_server::FakeServer;
use crate::support::fake_x::FakeX;
use crate::support::pds::{BlueskyFixture, Pds, PdsAccount, PdsProxy};
use crate::support::{Signed, x_for};

pub(super) struct OnX {
    pub(super) fake: FakeX,
    pub(super) signed: Signed,
    pub(super) session: Session,
}

impl OnX {
    pub(super) async fn new() -> Self {
        let fake = FakeX::start().await;
        // A refrain may come again.
        fake.take_duplicates();
        let signed = x_for(&fake, &fake.account("walt_lines"));
        let account = signed.prepare(None).await.unwrap();
        let session = signed.session(account.as_ref());
        Self { fake, signed, session }
    }
}

impl ContentRig for OnX {
    const KIND: NetworkKind = NetworkKind::X;

    fn network(&self) -> &dyn Network {
        &self.signed.x
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn server(&self) -> &FakeServer {
        &self.fake
    }

    async fn shown(&self, remote_id: &str) -> (String, Vec<String>, Option<String>) {
        let post = self.fake.posts().into_iter().find(|post| post.id == remote_id).unwrap();
        let uploads = self.fake.uploads();
        let alt = |key: &String| {
            let upload = uploads.iter().find(|upload| upload.key == *key).unwrap();
            upload.alt.clone().unwrap_or_default()
        };
        (post.text, post.media.iter().map(alt).collect(), post.reply_to)
    }

    async fn posts_by_hand(&self, text: &str) {
        self.fake.posts_by_hand("walt_lines", text, self.fake.clock.now());
    }
}

pub(super) struct OnMastodon {
    pub(super) fake: FakeMastodon,
    pub(super) client: Mastodon,
    pub(super) session: Session,
}

impl OnMastodon {
    pub(super) async fn new(software: Software) -> Self {
        let fake = FakeMastodon::start(software).await;
        let client = fake.client();
        let tokens = Some(brought(&fake.token_of("walt")));
        let mut session = Session { tokens, account: None };
        session.account = client.prepare(&session).await.unwrap();
        Self { fake, client, session }
    }
}

impl ContentRig for OnMastodon {
    const KIND: NetworkKind = NetworkKind::Mastodon;

    fn network(&self) -> &dyn Network {
        &self.client
    }

    fn session(&self) -> &Session {
        &self.session
    }

    fn server(&self) -> &FakeServer {
        &self.fake
    }

    async fn shown(&self, remote_id: &str) -> (String, Vec<String>, Option<String>) {
        let post = self.fake.posts().into_iter().find(|post| post.id == remote_id).unwrap();
        let pictures = self.fake.pictures_of(remote_id).into_iter();
        (post.text, pictures.map(|picture| picture.description.unwrap_or_default()).collect(), post.reply_to)
    }

    async fn posts_by_hand(&self, text: &str) {
        self.fake.posts_by_hand("walt", text, self.fake.clock.now());
    }
}

pub(super) struct OnBluesky {
    pub(super) pds: &'static Pds,
    pub(super) proxy: PdsProxy,
    pub(super) walt: PdsAccount,
    pub(super) sky: BlueskyFixture,
}

impl OnBluesky {
    pub(super) async fn new() -> Self {
        let pds = Pds::shared();
        let (proxy, walt) = (PdsProxy::before(pds).await, pds.account("walt").await);
        let sky = proxy.signed_in(&walt).await;
        Self { pds, proxy, walt, sky }
    }

    pub(super) async fn record(&self, uri: &str) -> serde_json::Value {
        let posts = self.pds.posts(&self.walt).await;
        posts.into_iter().find(|post| post["uri"] == uri).unwrap()["value"].clone()
    }
}

impl ContentRig for OnBluesky {
    const KIND: NetworkKind = NetworkKind::Bluesky;

    fn network(&self) -> &dyn Network {
        &self.sky.bluesky
    }

    fn session(&self) -> &Session {
        &self.sky.session
    }

    fn server(&self) -> &FakeServer {
        &self.proxy
    }

    async fn shown(&self, remote_id: &str) -> (String, Vec<String>, Option<String>) {
        let record = self.record(remote_id).await;
        let images = record["embed"]["images"].as_array().cloned().unwrap_or_default();
        let alts = images.iter().map(|image| image["alt"].as_str().unwrap().to_owned()).collect();
        let parent = record["reply"]["parent"]["uri"].as_str().map(str::to_owned);
        (record["text"].as_str().unwrap().to_owned(), alts, parent)
    }

    async fn posts_by_hand(&self, text: &str) {
        let (post, sent) = self.send(99, &Content::text(text), &Attached::default()).await;
        drop((post, id_of(&sent)));
    }
}
