//! The networks of the story: a real PDS behind a proxy, the fakes of X and Mastodon, and what each shows of an account.

use std::sync::Arc;

use flockd::clock::Clock;
use flockd::flock::account::Tokens;
use flockd::flock::secret::Secret;
use flockd::flock::{NetworkKind, PostOptions};
use flockd::net::Network;
use flockd::net::feed::Feed;

use super::poems::Poem;
use crate::support::fake_mastodon::{FakeMastodon, Software, brought};
use crate::support::fake_x::FakeX;
use crate::support::pds::{Pds, PdsAccount, PdsProxy};
use crate::support::x_for;

/// A post as a server shows it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) id: String,
    pub(super) text: String,
    pub(super) pictures: Vec<SeenPicture>,
    /// The post that it answers.
    pub(super) parent: Option<String>,
    /// The first post of its thread, where a server says so.
    pub(super) root: Option<String>,
}

pub(super) struct SeenPicture {
    pub(super) alt: String,
    /// The file as it was uploaded.
    pub(super) bytes: Vec<u8>,
    /// Its size, where a post says so.
    pub(super) size: Option<(u32, u32)>,
}

impl std::fmt::Debug for SeenPicture {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} ({} bytes)", self.alt, self.bytes.len())
    }
}

/// All servers, each with an account for each poem.
pub(super) struct Networks {
    clock: Arc<dyn Clock>,
    x: FakeX,
    mastodon: FakeMastodon,
    proxy: PdsProxy,
    skies: Vec<(Poem, PdsAccount)>,
    /// The address of the feeds.
    web: String,
}

impl Networks {
    pub(super) async fn start(clock: Arc<dyn Clock>, web: String) -> Self {
        let (pds, mut skies) = (Pds::shared(), Vec::new());
        for poem in Poem::ALL {
            skies.push((poem, pds.account(poem.name()).await));
        }
        let x = FakeX::start_with(clock.clone()).await;
        // So that a repetition would be stored, and seen.
        x.take_duplicates();
        let mastodon = FakeMastodon::start_with(Software::Mastodon, clock.clone()).await;
        Self { x, mastodon, proxy: PdsProxy::before(pds).await, skies, clock, web }
    }

    /// The client of a bot, and its tokens.
    pub(super) async fn client(&self, kind: NetworkKind, poem: Poem) -> (Arc<dyn Network>, Option<Tokens>) {
        match kind {
            NetworkKind::X => {
                let signed = x_for(&self.x, &self.x.account(poem.name()));
                (Arc::new(signed.x), Some(signed.tokens))
            }
            NetworkKind::Mastodon => {
                let tokens = brought(&self.mastodon.token_of(poem.name()));
                (Arc::new(self.mastodon.client()), Some(tokens))
            }
            NetworkKind::Bluesky => {
                let (client, account) =
                    (self.proxy.client(self.clock.clone(), PostOptions::default(), None), self.account(poem));
                let tokens = client.log_in(&account.handle, &Secret::new(&*account.app_password)).await;
                (Arc::new(client), Some(tokens.unwrap()))
            }
            NetworkKind::Feed => (Arc::new(Feed::new(&*self.web)), None),
            NetworkKind::Paper => panic!("paper shows nothing"),
        }
    }

    fn account(&self, poem: Poem) -> &PdsAccount {
        &self.skies.iter().find(|(of, _)| *of == poem).unwrap().1
    }

    /// What an account shows, oldest first.
    pub(super) async fn seen(&self, kind: NetworkKind, poem: Poem) -> Vec<Seen> {
        match kind {
            NetworkKind::X => self.seen_on_x(poem),
            NetworkKind::Mastodon => self.seen_on_mastodon(poem),
            NetworkKind::Bluesky => self.seen_on_bluesky(self.account(poem)).await,
            NetworkKind::Feed | NetworkKind::Paper => panic!("{kind} has no accounts"),
        }
    }

    fn seen_on_x(&self, poem: Poem) -> Vec<Seen> {
        let uploads = self.x.uploads();
        let picture = |key: &String| {
            let upload = uploads.iter().find(|upload| upload.key == *key).unwrap();
            SeenPicture {
                alt: upload.alt.clone().unwrap_or_default(),
                bytes: upload.bytes.clone(),
                size: None,
            }
        };
        let own = self.x.posts().into_iter().filter(|post| post.handle == poem.name());
        own.map(|post| Seen {
            pictures: post.media.iter().map(picture).collect(),
            id: post.id,
            text: post.text,
            parent: post.reply_to,
            root: None,
        })
        .collect()
    }

    fn seen_on_mastodon(&self, poem: Poem) -> Vec<Seen> {
        let own = self.mastodon.posts().into_iter().filter(|post| post.handle == poem.name());
        own.map(|post| {
            let pictures = self.mastodon.pictures_of(&post.id).into_iter().map(|upload| SeenPicture {
                alt: upload.description.unwrap_or_default(),
                bytes: upload.bytes,
                size: None,
            });
            Seen {
                pictures: pictures.collect(),
                id: post.id,
                text: post.text,
                parent: post.reply_to,
                root: None,
            }
        })
        .collect()
    }

    async fn seen_on_bluesky(&self, account: &PdsAccount) -> Vec<Seen> {
        let pds = Pds::shared();
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let mut seen = Vec::new();
        for post in pds.posts(account).await {
            let record = &post["value"];
            let mut pictures = Vec::new();
            for image in record["embed"]["images"].as_array().into_iter().flatten() {
                let cid = image["image"]["ref"]["$link"].as_str().unwrap();
                let url = format!("{}/xrpc/com.atproto.sync.getBlob?did={}&cid={cid}", pds.url, account.did);
                let bytes = crate::support::get(url).await.unwrap().bytes().await.unwrap().to_vec();
                let side = |name: &str| u32::try_from(image["aspectRatio"][name].as_u64().unwrap()).unwrap();
                let size = Some((side("width"), side("height")));
                pictures.push(SeenPicture { alt: text(&image["alt"]).unwrap(), bytes, size });
            }
            seen.push(Seen {
                id: text(&post["uri"]).unwrap(),
                text: text(&record["text"]).unwrap(),
                pictures,
                parent: text(&record["reply"]["parent"]["uri"]),
                root: text(&record["reply"]["root"]["uri"]),
            });
        }
        threaded(seen)
    }
}

/// Each post followed by the one that answers it. On a clock that stands still the keys of a thread's records have one time, and
/// no order.
fn threaded(mut posts: Vec<Seen>) -> Vec<Seen> {
    let mut ordered: Vec<Seen> = Vec::new();
    while let Some(head) = posts.iter().position(|post| post.parent.is_none()) {
        let mut next = Some(head);
        while let Some(place) = next {
            let post = posts.remove(place);
            next = posts.iter().position(|other| other.parent.as_ref() == Some(&post.id));
            ordered.push(post);
        }
    }
    ordered.extend(posts);
    ordered
}
