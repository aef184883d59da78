//! Pictures and threads, the same for every network with accounts: they arrive as they were sent, are found again after a
//! lost answer, and are not mistaken for others.

mod rigs;

use flockd::flock::NetworkKind;
use flockd::flock::content::{Content, FileDigest, Medium, Part};
use flockd::flock::media::{MediaKind, Upload};
use flockd::flock::post::{Cause, Post};
use flockd::net::{
    Attached, Network, Outcome, Picture, ProbeResult, ReplyTo, Sent, Session, Timeline, UploadError,
};

use crate::support::fake_mastodon::Software;
use crate::support::fake_server::{Behaviour, FakeServer, Reply};
use crate::support::{code_of, post};
use rigs::{OnBluesky, OnMastodon, OnX};

/// The smallest PNG: one transparent pixel.
const PIXEL: &str = "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d49444154789c6360000002\
                     000001e221bc330000000049454e44ae426082";

/// A network with one account, whose server can be watched.
trait ContentRig {
    const KIND: NetworkKind;

    fn network(&self) -> &dyn Network;
    fn session(&self) -> &Session;
    fn server(&self) -> &FakeServer;

    /// What the server shows of a post: its text, the descriptions of its pictures, and the post that it answers.
    async fn shown(&self, remote_id: &str) -> (String, Vec<String>, Option<String>);

    /// Someone posts this text on the account, without pictures.
    async fn posts_by_hand(&self, text: &str);

    async fn upload(&self, number: u8, alt: &str) -> Upload {
        let uploaded = self.network().upload(&picture(number, alt), self.session()).await.unwrap();
        kept(&picture(number, alt), uploaded)
    }

    /// Composes and sends a post.
    async fn send(&self, number: u8, content: &Content, attached: &Attached<'_>) -> (Post, Sent) {
        let mut post = self.plan(number, content);
        let text = post.own_text().unwrap().to_owned();
        let composed = self.network().compose(post.id, &text, post.planned_at, attached, self.session());
        post.record = composed.await.unwrap();
        let sent = self.network().send(&post, attached, self.session()).await;
        (post, sent)
    }

    fn plan(&self, number: u8, content: &Content) -> Post {
        Post { content: Some(content.clone()), ..post(Self::KIND, number, &content.whole_text()) }
    }

    /// The posts that a probe takes for this one, and those that it does not know about.
    async fn probe(&self, post: &Post, attached: &Attached<'_>) -> (Vec<String>, Vec<String>) {
        let seen = self.network().probe(post, attached, self.session()).await.unwrap();
        let ProbeResult::Candidates { seen, doubtful, .. } = seen else { panic!("{seen:?}") };
        let ids =
            |posts: Vec<flockd::net::RemotePost>| posts.into_iter().map(|post| post.remote_id).collect();
        (ids(seen), ids(doubtful))
    }
}

fn picture(number: u8, alt: &str) -> Picture {
    // What follows the end of a PNG does not matter, but makes another file of it.
    let bytes = [hex::decode(PIXEL).unwrap(), vec![number]].concat();
    let name = format!("a/private-folder/{number}.png");
    Picture { bytes, kind: MediaKind::Png, width: 1, height: 1, name, alt: alt.to_owned() }
}

/// An upload as the ledger keeps it.
fn kept(picture: &Picture, uploaded: flockd::net::Uploaded) -> Upload {
    Upload {
        digest: FileDigest::of(&picture.bytes),
        remote_id: uploaded.remote_id,
        media_key: uploaded.media_key,
        width: picture.width,
        height: picture.height,
        uploaded_at: chrono::DateTime::UNIX_EPOCH,
        expires_at: None,
        ready: uploaded.ready,
        cost: uploaded.cost,
    }
}

fn with_pictures(text: &str, alts: &[&str]) -> Content {
    let medium = |(number, alt): (usize, &&str)| Medium {
        name: format!("{number}.png"),
        alt: (*alt).to_owned(),
        digest: None,
    };
    let media = alts.iter().enumerate().map(medium).collect();
    Content { parts: vec![Part { text: text.to_owned(), media }], ..Content::default() }
}

fn id_of(sent: &Sent) -> String {
    match &sent.outcome {
        Outcome::Posted { remote_id, note: None, .. } => remote_id.clone(),
        other => panic!("not posted as it is: {other:?}"),
    }
}

async fn pictures_arrive_with_their_descriptions<R: ContentRig>(rig: &R) {
    let kind = R::KIND;
    let alts = ["a gull & a \"kite\"\nin the wind", "the harbour, ünter fog"];
    let content = with_pictures("two pictures", &alts);
    let uploads = [rig.upload(1, alts[0]).await, rig.upload(2, alts[1]).await];
    let attached = Attached { content: Some(&content), uploads: &uploads, reply_to: None };
    let (post, sent) = rig.send(1, &content, &attached).await;
    let id = id_of(&sent);
    let expected = ("two pictures".to_owned(), alts.map(str::to_owned).to_vec(), None);
    assert_eq!(rig.shown(&id).await, expected, "{kind}");
    assert_eq!(rig.probe(&post, &attached).await, (vec![id.clone()], Vec::new()), "{kind}");
    let requests = rig.server().requests();
    let leaks = |seen: &&crate::support::fake_server::Request| seen.body.contains("private-folder");
    assert_eq!(requests.iter().filter(leaks).count(), 0, "{kind}: where the file lies is not told");

    let since = rig.network().timeline_since(post.planned_at, rig.session()).await.unwrap();
    let Timeline::Complete(all) = since else { panic!("{kind}: {since:?}") };
    let last = all.last().unwrap();
    assert_eq!((&last.remote_id, last.pictures, &last.reply_to), (&id, 2, &None), "{kind}");
    assert!(rig.network().same_text("two pictures", &last.text), "{kind}: {last:?}");
}

async fn a_picture_needs_no_text<R: ContentRig>(rig: &R) {
    let content = with_pictures("", &["a gull"]);
    let uploads = [rig.upload(3, "a gull").await];
    let attached = Attached { content: Some(&content), uploads: &uploads, reply_to: None };
    let (post, sent) = rig.send(3, &content, &attached).await;
    let id = id_of(&sent);
    assert_eq!(rig.shown(&id).await, (String::new(), vec!["a gull".to_owned()], None), "{}", R::KIND);
    assert_eq!(rig.probe(&post, &attached).await, (vec![id], Vec::new()), "{}", R::KIND);
}

async fn a_post_with_pictures_is_found_after_a_lost_answer<R: ContentRig>(rig: &R) {
    let kind = R::KIND;
    rig.posts_by_hand("an old refrain").await;
    let content = with_pictures("an old refrain", &["a gull"]);
    let uploads = [rig.upload(4, "a gull").await];
    let attached = Attached { content: Some(&content), uploads: &uploads, reply_to: None };
    rig.server().next_post(Behaviour::Close);
    let (post, sent) = rig.send(4, &content, &attached).await;
    assert!(matches!(sent.outcome, Outcome::Unknown { .. }), "{kind}: {sent:?}");
    let nothing = (Vec::new(), Vec::new());
    assert_eq!(rig.probe(&post, &attached).await, nothing, "{kind}: a text without pictures is another post");
    rig.server().next_post(Behaviour::StoreAndClose);
    let (post, sent) = rig.send(4, &content, &attached).await;
    assert!(matches!(sent.outcome, Outcome::Unknown { .. }), "{kind}: {sent:?}");
    let (seen, doubtful) = rig.probe(&post, &attached).await;
    assert_eq!((seen.len(), doubtful.len()), (1, 0), "{kind}");
    assert_eq!(rig.shown(&seen[0]).await.1, ["a gull"], "{kind}");
}

async fn parts_answer_each_other<R: ContentRig>(rig: &R) {
    let kind = R::KIND;
    let texts = ["part one", "part two", "part three"];
    let (_, head) = rig.send(10, &Content::text(texts[0]), &Attached::default()).await;
    let head = id_of(&head);
    let (mut parent, mut parents) = (head.clone(), vec![head.clone()]);
    for (text, number) in texts.iter().zip(10..).skip(1) {
        let content = Content::text(*text);
        let place = ReplyTo { root: head.clone(), parent: parent.clone() };
        let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
        rig.server().next_post(Behaviour::StoreAndClose);
        let (post, sent) = rig.send(number, &content, &attached).await;
        assert!(matches!(sent.outcome, Outcome::Unknown { .. }), "{kind}: {sent:?}");
        let (seen, doubtful) = rig.probe(&post, &attached).await;
        assert_eq!((seen.len(), doubtful.len()), (1, 0), "{kind}: {text}");
        assert_eq!(
            rig.shown(&seen[0]).await,
            ((*text).to_owned(), Vec::new(), Some(parent.clone())),
            "{kind}"
        );
        parent = seen[0].clone();
        parents.push(parent.clone());
    }
    // The same text elsewhere in the thread is another part.
    if kind != NetworkKind::Bluesky {
        let content = Content::text("part three");
        let place = ReplyTo { root: head.clone(), parent: head.clone() };
        let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
        let seen = rig.probe(&rig.plan(12, &content), &attached).await;
        assert_eq!(seen, (Vec::new(), Vec::new()), "{kind}");
    }
    let at = rig.plan(10, &Content::text("")).planned_at;
    let since = rig.network().timeline_since(at, rig.session()).await.unwrap();
    let Timeline::Complete(all) = since else { panic!("{kind}: {since:?}") };
    let last = all.last().unwrap();
    assert_eq!((&last.remote_id, last.reply_to.as_ref()), (&parents[2], Some(&parents[1])), "{kind}");
}

async fn all<R: ContentRig>(rig: &R) {
    pictures_arrive_with_their_descriptions(rig).await;
    a_picture_needs_no_text(rig).await;
    a_post_with_pictures_is_found_after_a_lost_answer(rig).await;
    parts_answer_each_other(rig).await;
}

#[tokio::test]
async fn content_on_x() {
    all(&OnX::new().await).await;
}

#[tokio::test]
async fn content_on_mastodon_and_compatible_servers() {
    for software in Software::ALL {
        all(&OnMastodon::new(software).await).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn content_on_bluesky() {
    all(&OnBluesky::new().await).await;
}

/// Until it is processed an upload can't be attached.
async fn a_slow_upload_has_to_be_waited_for<R: ContentRig>(rig: &R) {
    let kind = R::KIND;
    let content = with_pictures("a slow one", &["a gull"]);
    let uploads = [rig.upload(5, "a gull").await];
    assert!(!uploads[0].ready, "{kind}");
    let attached = Attached { content: Some(&content), uploads: &uploads, reply_to: None };
    let (_, early) = rig.send(5, &content, &attached).await;
    assert!(matches!(early.outcome, Outcome::UploadsRejected { .. }), "{kind}: {early:?}");
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(rig.network().is_processed(&uploads[0], rig.session()).await.unwrap());
    }
    assert_eq!(answers, [false, false, true], "{kind}");
    let mut post = rig.plan(5, &content);
    post.errors = 1;
    let sent = rig.network().send(&post, &attached, rig.session()).await;
    assert_eq!(rig.shown(&id_of(&sent)).await.1, ["a gull"], "{kind}");
}

#[tokio::test]
async fn slow_uploads_on_x_and_mastodon() {
    let x = OnX::new().await;
    x.fake.processes_slowly(2);
    a_slow_upload_has_to_be_waited_for(&x).await;
    let mastodon = OnMastodon::new(Software::Mastodon).await;
    mastodon.fake.processes_slowly(2);
    a_slow_upload_has_to_be_waited_for(&mastodon).await;
}

/// The refusal names the uploads, nothing is posted, and new uploads help.
async fn forgotten_uploads_are_told_apart<R: ContentRig>(rig: &R, forget: impl Fn(), code: &str) {
    let kind = R::KIND;
    let content = with_pictures("forgotten", &["a gull"]);
    let uploads = [rig.upload(6, "a gull").await];
    forget();
    assert_eq!(rig.network().is_processed(&uploads[0], rig.session()).await, Ok(true), "{kind}");
    let attached = Attached { content: Some(&content), uploads: &uploads, reply_to: None };
    let (mut post, sent) = rig.send(6, &content, &attached).await;
    let Outcome::UploadsRejected { reason } = sent.outcome else { panic!("{kind}: {sent:?}") };
    assert_eq!(code_of(&reason), code, "{reason}");
    let uploads = [rig.upload(6, "a gull").await];
    let attached = Attached { uploads: &uploads, ..attached };
    post.errors = 1;
    let sent = rig.network().send(&post, &attached, rig.session()).await;
    assert_eq!(rig.shown(&id_of(&sent)).await.1, ["a gull"], "{kind}");
}

#[tokio::test]
async fn forgotten_uploads_on_x_and_mastodon() {
    let x = OnX::new().await;
    forgotten_uploads_are_told_apart(&x, || x.fake.forgets_uploads(), "x-uploads-rejected").await;
    for software in Software::ALL {
        let rig = OnMastodon::new(software).await;
        let forget = || rig.fake.forgets_uploads();
        forgotten_uploads_are_told_apart(&rig, forget, "mastodon-uploads-rejected").await;
    }
}

/// A blob that the account does not have.
#[tokio::test(flavor = "multi_thread")]
async fn unknown_blobs_on_bluesky() {
    let rig = OnBluesky::new().await;
    let mut upload = rig.upload(7, "").await;
    let mut blob: serde_json::Value = serde_json::from_str(&upload.remote_id).unwrap();
    blob["ref"]["$link"] = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy".into();
    upload.remote_id = blob.to_string();
    let content = with_pictures("forgotten", &[""]);
    let attached = Attached { content: Some(&content), uploads: &[upload], reply_to: None };
    let (_, sent) = rig.send(7, &content, &attached).await;
    let Outcome::UploadsRejected { reason } = sent.outcome else { panic!("{sent:?}") };
    assert_eq!(code_of(&reason), "bluesky-uploads-rejected", "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_on_bluesky_has_sizes_languages_and_the_label_that_hides_pictures() {
    let rig = OnBluesky::new().await;
    let upload = rig.upload(8, "a gull").await;
    let content = Content {
        sensitive: true,
        languages: vec!["de".to_owned(), "en".to_owned()],
        ..with_pictures("hidden", &["a gull"])
    };
    let attached = Attached { content: Some(&content), uploads: &[upload], reply_to: None };
    let (_, sent) = rig.send(8, &content, &attached).await;
    let record = rig.record(&id_of(&sent)).await;
    assert_eq!(record["embed"]["images"][0]["aspectRatio"], serde_json::json!({"width": 1, "height": 1}));
    assert_eq!(record["labels"]["values"], serde_json::json!([{"val": "graphic-media"}]));
    assert_eq!(record["langs"], serde_json::json!(["de", "en"]));
}

/// The network says that the post before it is gone.
async fn a_lost_parent_is_told_apart<R: ContentRig>(rig: &R, parent: &str, code: &str) {
    let kind = R::KIND;
    let content = Content::text("part two");
    let place = ReplyTo { root: parent.to_owned(), parent: parent.to_owned() };
    let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
    let (_, sent) = rig.send(9, &content, &attached).await;
    let Outcome::ParentGone { reason } = sent.outcome else { panic!("{kind}: {sent:?}") };
    assert_eq!(code_of(&reason), code, "{reason}");
}

#[tokio::test]
async fn lost_parents_on_x_and_mastodon() {
    let x = OnX::new().await;
    a_lost_parent_is_told_apart(&x, "1445880548472328192", "x-parent-gone").await;
    for software in Software::ALL {
        let rig = OnMastodon::new(software).await;
        a_lost_parent_is_told_apart(&rig, "112900000000000", "mastodon-parent-gone").await;
    }
}

/// A record names the version of its parent, so it can't even be composed.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_parent_on_bluesky_stops_the_composing() {
    let rig = OnBluesky::new().await;
    let content = Content::text("part two");
    let post = rig.plan(9, &content);
    for parent in ["3jzfcijpj2z2a", "no key"] {
        let uri = format!("at://{}/app.bsky.feed.post/{parent}", rig.walt.did);
        let place = ReplyTo { root: uri.clone(), parent: uri };
        let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
        let composed = rig.network().compose(post.id, "part two", post.planned_at, &attached, rig.session());
        let rejection = composed.await.unwrap_err();
        assert_eq!((rejection.why.cause, rejection.answered), (Cause::Thread, true), "{rejection}");
        assert_eq!(code_of(&rejection.why.reason), "bluesky-parent-gone");
    }
}

/// X may not show a post at once to those that answer it.
#[tokio::test]
async fn a_parent_of_a_moment_ago_is_waited_for_on_x() {
    let rig = OnX::new().await;
    let head = rig.fake.posts_by_hand("walt_lines", "part one", rig.fake.clock.now());
    let detail = "You attempted to reply to a Tweet that is deleted or not visible to you.";
    rig.fake.next_post(Behaviour::Answer(Reply::problem(403, "about:blank", "Forbidden", detail)));
    let content = Content::text("part two");
    let place = ReplyTo { root: head.id.clone(), parent: head.id };
    let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
    let (post, sent) = rig.send(9, &content, &attached).await;
    let Outcome::NotAccepted(rejection) = sent.outcome else { panic!("{sent:?}") };
    assert!(rejection.answered && rejection.retry_at.is_some(), "{rejection:?}");
    assert_eq!(code_of(&rejection.why.reason), "x-parent-not-visible");
    let sent = rig.network().send(&post, &attached, rig.session()).await;
    assert_eq!(rig.shown(&id_of(&sent)).await.2, Some(place.parent));
}

#[tokio::test]
async fn an_app_that_may_not_reply_on_x_is_told_apart() {
    let rig = OnX::new().await;
    let (_, head) = rig.send(1, &Content::text("part one"), &Attached::default()).await;
    rig.fake.forbids_replies();
    let content = Content::text("part two");
    let head = id_of(&head);
    let place = ReplyTo { root: head.clone(), parent: head };
    let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
    let (_, sent) = rig.send(2, &content, &attached).await;
    let Outcome::RepliesForbidden { reason } = sent.outcome else { panic!("{sent:?}") };
    assert_eq!(code_of(&reason), "x-replies-forbidden", "{reason}");
}

/// Without its description a picture is not uploaded.
#[tokio::test]
async fn a_failed_description_on_x_fails_the_upload() {
    let rig = OnX::new().await;
    for (reply, refused) in [
        (Reply::new(503, ""), false),
        (Reply::page(200, "sign in to this hotel"), false),
        (Reply::problem(429, "about:blank", "Too Many Requests", "Too Many Requests"), false),
        (
            Reply::json(
                400,
                &serde_json::json!({"title": "Invalid Request", "detail": "too long",
            "type": "https://api.twitter.com/2/problems/invalid-request"}),
            ),
            true,
        ),
    ] {
        rig.fake.next_at("/2/media/metadata", Behaviour::Answer(reply));
        let error = rig.network().upload(&picture(1, "a gull"), rig.session()).await.unwrap_err();
        assert_eq!(matches!(error, UploadError::Refused(_)), refused, "{error}");
    }
    let undescribed = rig.network().upload(&picture(1, ""), rig.session()).await.unwrap();
    let described = rig.network().upload(&picture(1, "a gull"), rig.session()).await.unwrap();
    assert_eq!((undescribed.cost, described.cost), (0, 5), "only a description costs");
    assert_eq!(described.lifetime, Some(std::time::Duration::from_secs(24 * 60 * 60)));
}

#[tokio::test]
async fn a_picture_that_the_server_rejects_is_refused_and_other_failures_are_not() {
    let mastodon = OnMastodon::new(Software::Mastodon).await;
    let text = |status: u16| Reply::json(status, &serde_json::json!({"error": "nein"}));
    for (reply, cause) in [
        (text(422), None),
        (text(429), Some(Cause::Limits)),
        (text(401), Some(Cause::SignIn)),
        (text(403), Some(Cause::SignIn)),
        (Reply::page(413, "too large for this proxy"), Some(Cause::App)),
        (Reply::new(502, ""), Some(Cause::Unreachable)),
    ] {
        mastodon.fake.next_at("/api/v2/media", Behaviour::Answer(reply.clone()));
        let error = mastodon.network().upload(&picture(1, "a"), mastodon.session()).await.unwrap_err();
        let found = match error {
            UploadError::Refused(_) => None,
            UploadError::Failed(rejection) => Some(rejection.why.cause),
        };
        assert_eq!(found, cause, "{reply:?}");
    }
}

/// Parts after the first stay out of public timelines, and none is seen by more people than the first.
#[tokio::test]
async fn a_part_on_mastodon_is_seen_by_no_more_people_than_the_first() {
    use flockd::flock::{PostOptions, Visibility};
    for (own, head, expected) in [
        (None, "public", "unlisted"),
        (None, "private", "private"),
        (Some(Visibility::Public), "public", "unlisted"),
        (Some(Visibility::Private), "private", "private"),
    ] {
        let mut rig = OnMastodon::new(Software::Mastodon).await;
        let options = PostOptions { visibility: own, ..PostOptions::default() };
        let timeouts = flockd::net::http::Timeouts::default();
        rig.client = rig.fake.client_with(&rig.fake.url, &timeouts, None, options);
        let parent = rig.fake.posts_by_hand("walt", "part one", rig.fake.clock.now());
        rig.fake.sets_visibility(&parent.id, head);
        let content = Content { sensitive: true, ..Content::text("part two") };
        let place = ReplyTo { root: parent.id.clone(), parent: parent.id };
        let attached = Attached { content: Some(&content), uploads: &[], reply_to: Some(&place) };
        let (_, sent) = rig.send(1, &content, &attached).await;
        let id = id_of(&sent);
        let stored = rig.fake.posts().into_iter().find(|post| post.id == id).unwrap();
        assert_eq!((&*stored.visibility, stored.sensitive), (expected, true), "{own:?} after {head}");
    }
}

/// Some servers drop pictures silently, or show them under other ids.
#[tokio::test]
async fn pictures_that_a_server_drops_or_renames_are_noticed() {
    let rig = OnMastodon::new(Software::Mastodon).await;
    let content = with_pictures("two pictures", &["a", "b"]);
    let uploads = [rig.upload(1, "a").await, rig.upload(2, "b").await];
    let attached = Attached { content: Some(&content), uploads: &uploads, reply_to: None };
    rig.fake.renames_pictures();
    rig.fake.next_post(Behaviour::StoreAndClose);
    let (post, sent) = rig.send(1, &content, &attached).await;
    assert!(matches!(sent.outcome, Outcome::Unknown { .. }), "{sent:?}");
    let (seen, doubtful) = rig.probe(&post, &attached).await;
    assert_eq!((seen.len(), doubtful.len()), (0, 1), "a person has to look");
    rig.fake.ignores_unknown_pictures();
    let (_, sent) = rig.send(2, &content, &attached).await;
    let Outcome::Posted { note: Some(note), .. } = sent.outcome else { panic!("{sent:?}") };
    assert!(note.contains("0 of its 2"), "{note}");
}
