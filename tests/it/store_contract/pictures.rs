//! The pictures that posts on feeds show.

use flockd::flock::NetworkKind;
use flockd::flock::content::FileDigest;
use flockd::flock::media::{MediaKind, Upload};
use flockd::flock::post::{Move, PostId, State};
use flockd::store::Draft;

use super::Ledger;
use crate::ledger::{at, by_hand};

impl Ledger {
    /// Keeps a picture, and has a post show it at this place.
    async fn show(&self, post: PostId, place: u32, bytes: &[u8]) -> FileDigest {
        let digest = FileDigest::of(bytes);
        self.one.keep_medium(digest, (MediaKind::Png, bytes), at(60)).await.unwrap();
        let upload = Upload {
            // The file was another one before it was made smaller.
            digest: FileDigest::of(b"original"),
            remote_id: digest.to_string(),
            media_key: None,
            width: 40,
            height: 30 + place,
            uploaded_at: at(60),
            expires_at: None,
            ready: true,
            cost: 0,
        };
        self.one.keep_upload(post, place, &upload, None).await.unwrap();
        digest
    }
}

fn on_feed(text: &str, seconds: i64) -> Draft {
    Draft { network: NetworkKind::Feed, ..by_hand("walt", text, seconds) }
}

pub(super) async fn pictures_of_several_posts_are_read_at_once(ledger: Ledger) {
    let one = ledger.post_in(State::Posted, on_feed("one", 10)).await;
    let two = ledger.post_in(State::Posted, on_feed("two", 20)).await;
    let owl = ledger.show(one.id, 0, b"an owl").await;
    let gull = ledger.show(one.id, 1, b"a gull").await;
    // Two posts may show the same picture.
    assert_eq!(ledger.show(two.id, 0, b"an owl").await, owl);
    let all = ledger.other.shown_pictures(&[one.id, two.id]).await.unwrap();
    let digests: Vec<_> = all[&one.id].iter().map(|(place, picture)| (*place, picture.digest)).collect();
    assert_eq!(digests, [(0, owl), (1, gull)]);
    let picture = &all[&one.id][&1];
    assert_eq!((picture.kind, picture.length, picture.width, picture.height), (MediaKind::Png, 6, 40, 31));
    let only = ledger.other.shown_pictures(&[two.id]).await.unwrap();
    assert_eq!((only.len(), only[&two.id][&0].digest), (1, owl));
    assert!(ledger.other.shown_pictures(&[]).await.unwrap().is_empty());
}

pub(super) async fn a_picture_is_shown_while_a_feed_has_its_post(ledger: Ledger) {
    let post = ledger.post_in(State::Posted, on_feed("one", 10)).await;
    let owl = ledger.show(post.id, 0, b"an owl").await;
    let elsewhere = ledger.post_in(State::Posted, by_hand("walt", "two", 20)).await;
    let gull = ledger.show(elsewhere.id, 0, b"a gull").await;
    let unsent = ledger.post_in(State::Refused, on_feed("three", 30)).await;
    let heron = ledger.show(unsent.id, 0, b"a heron").await;
    let is_shown = async |digest| ledger.other.is_shown(digest).await.unwrap();
    assert_eq!([is_shown(owl).await, is_shown(gull).await, is_shown(heron).await], [true, false, false]);
    ledger.one.advance(post.id, &Move::Delete, at(70)).await.unwrap();
    assert!(!is_shown(owl).await);
    // Once no post may show it any more, its bytes go.
    ledger.one.drop_unused_media(at(60 + 200_000)).await.unwrap();
    assert_eq!(ledger.other.medium(owl).await.unwrap(), None);
    assert!(ledger.other.medium(gull).await.unwrap().is_some());
}
