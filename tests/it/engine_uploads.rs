//! Pictures: uploaded before the post is sent, made again when they are old or were lost, and never a reason to post twice.

use std::path::Path;

use flockd::flock::content::{Content, FileDigest, Medium, Part};
use flockd::flock::media::MediaKind;
use flockd::flock::post::{Cause, State};
use flockd::net::{Outcome, UploadError, Uploaded};
use flockd::store::{CommandKind, CommandResult, Store as _};

use crate::support::clock::{at, hours, minutes, seconds};
use crate::support::fixture::EngineFixture;
use crate::support::flock::{bot, cron, poem};
use crate::support::network::{Next, refused, unreachable};

/// A picture of one color.
fn picture(shade: u8) -> Vec<u8> {
    let image = image::RgbImage::from_pixel(8, 6, image::Rgb([shade, 0, 0]));
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn idle() -> EngineFixture {
    let mut walt = bot("walt");
    walt.schedule = cron("0 0 1 1 *");
    EngineFixture::of([(walt, poem("w", 9))]).await
}

/// Stores pictures as `flockd post --media` does. Returns what asks for a post with them.
async fn said(fixture: &EngineFixture, text: &str, shades: &[u8]) -> CommandKind {
    let mut media = Vec::new();
    for shade in shades {
        let bytes = picture(*shade);
        let digest = FileDigest::of(&bytes);
        fixture.ledger().keep_medium(digest, (MediaKind::Png, &bytes), fixture.now()).await.unwrap();
        let name = format!("{shade}.png");
        media.push(Medium { name, alt: format!("shade {shade}"), digest: Some(digest) });
    }
    let content = Content { parts: vec![Part { text: text.to_owned(), media }], ..Content::default() };
    CommandKind::PostContent { bot: "walt".to_owned(), content }
}

async fn post(fixture: &EngineFixture, text: &str, shades: &[u8]) -> CommandResult {
    let id = fixture.ask(said(fixture, text, shades).await).await;
    fixture.answer(id).await
}

fn uploaded(remote_id: &str) -> Uploaded {
    Uploaded { remote_id: remote_id.to_owned(), media_key: None, lifetime: None, ready: true, cost: 5 }
}

#[tokio::test]
async fn pictures_are_uploaded_in_order_and_attached() {
    let fixture = idle().await;
    assert!(post(&fixture, "two owls", &[1, 2]).await.done);
    let uploaded = fixture.net("walt").uploaded();
    let given: Vec<_> =
        uploaded.iter().map(|it| (it.name.as_str(), it.alt.as_str(), it.width, it.height)).collect();
    assert_eq!(given, [("1.png", "shade 1", 8, 6), ("2.png", "shade 2", 8, 6)]);
    let sent = fixture.net("walt").sent();
    assert_eq!((sent.len(), &sent[0].media), (1, &vec!["m1".to_owned(), "m2".to_owned()]));
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.text.as_deref(), row.media().len()), (State::Posted, Some("two owls"), 2));
}

#[tokio::test]
async fn a_crash_between_uploads_makes_only_the_missing_ones() {
    let mut fixture = idle().await;
    fixture.net("walt").then_uploads(Ok(uploaded("first")));
    fixture.net("walt").then_uploads(Ok(Uploaded { ready: false, ..uploaded("slow") }));
    for _ in 0..3 {
        fixture.net("walt").then_processes(Ok(false));
    }
    fixture.ask(said(&fixture, "a", &[1, 2]).await).await;
    fixture.clock.asleep_until(at("2024-03-05T12:00:01Z")).await;
    fixture.crash().await;
    fixture.start().await;
    fixture.pass(minutes(1)).await;
    let sent = fixture.net("walt").sent();
    assert_eq!((sent.len(), &sent[0].media), (1, &vec!["first".to_owned(), "slow".to_owned()]));
    assert_eq!(fixture.net("walt").uploaded().len(), 2);
}

#[tokio::test]
async fn a_slow_server_is_waited_for() {
    let fixture = idle().await;
    fixture.net("walt").then_uploads(Ok(Uploaded { ready: false, ..uploaded("slow") }));
    for _ in 0..7 {
        fixture.net("walt").then_processes(Ok(false));
    }
    let asked = fixture.ask(said(&fixture, "a", &[1]).await).await;
    fixture.pass(seconds(50)).await;
    assert_eq!(fixture.last("walt").await.state, State::Planned);
    fixture.pass(seconds(30)).await;
    assert!(fixture.answer(asked).await.done);
    assert_eq!((fixture.net("walt").uploaded().len(), fixture.net("walt").sent().len()), (1, 1));
}

#[tokio::test]
async fn what_the_network_refuses_is_not_sent() {
    let fixture = idle().await;
    fixture.net("walt").then_uploads(Err(UploadError::Refused("it is a map of nowhere".to_owned())));
    assert!(!post(&fixture, "a", &[1]).await.done);
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Refused, Some(Cause::Picture)));
    assert!(fixture.net("walt").sent().is_empty());
}

#[tokio::test]
async fn a_refusal_renews_the_uploads_once_before_the_post_is_blamed() {
    for blamed in [false, true] {
        let fixture = idle().await;
        let lost = || Outcome::UploadsRejected { reason: "your media ids are invalid".to_owned() };
        fixture.net("walt").then(lost());
        if blamed {
            fixture.net("walt").then(lost());
        }
        post(&fixture, "a", &[1]).await;
        fixture.pass(minutes(1)).await;
        let sent: Vec<_> = fixture.net("walt").sent().into_iter().map(|sent| sent.media).collect();
        assert_eq!(sent, [["m1"], ["m2"]], "new uploads");
        let row = fixture.last("walt").await;
        let expected = if blamed { (State::Refused, Some(Cause::Picture)) } else { (State::Posted, None) };
        assert_eq!((row.state, row.cause), expected);
    }
}

#[tokio::test]
async fn a_refused_text_is_blamed_after_the_uploads() {
    let fixture = idle().await;
    fixture.net("walt").then(refused());
    fixture.net("walt").then(refused());
    post(&fixture, "a", &[1]).await;
    fixture.pass(minutes(1)).await;
    let row = fixture.last("walt").await;
    assert_eq!(
        (row.state, row.cause, fixture.net("walt").sent().len()),
        (State::Refused, Some(Cause::Text), 2)
    );
}

#[tokio::test]
async fn a_lost_answer_is_settled_and_nothing_is_posted_twice() {
    for arrived in [true, false] {
        let fixture = idle().await;
        fixture.net("walt").tells_truth(true);
        fixture.net("walt").then(Next::Silence { arrived });
        post(&fixture, "a", &[1]).await;
        fixture.pass(minutes(20)).await;
        let public = fixture.net("walt").sent().iter().filter(|sent| sent.arrived).count();
        let state = fixture.last("walt").await.state;
        assert_eq!((public, state), if arrived { (1, State::Posted) } else { (0, State::Released) });
    }
}

/// A bot with a picture in its poem's folder, as a row of a table.
async fn illustrated(schedule: &str) -> EngineFixture {
    let mut walt = bot("walt");
    (walt.schedule, walt.split) = (cron(schedule), flockd::flock::poem::Split::Csv);
    let fixture = EngineFixture::of([(walt, "text,image,alt\nan owl,owl.png,a small owl\nno owl,,\n")]).await;
    put(fixture.poems(), "owl.png", 1);
    fixture
}

fn put(folder: &Path, name: &str, shade: u8) {
    std::fs::write(folder.join(name), picture(shade)).unwrap();
}

#[tokio::test]
async fn an_entry_is_posted_with_the_picture_beside_its_poem() {
    let fixture = illustrated("0 * * * *").await;
    fixture.pass(hours(2)).await;
    assert_eq!(fixture.history("walt").await, ["13:00:00 posted an owl", "14:00:00 posted no owl"]);
    let sent = fixture.net("walt").sent();
    assert_eq!((&sent[0].media, &sent[1].media), (&vec!["m1".to_owned()], &Vec::new()));
}

#[tokio::test]
async fn a_broken_picture_gives_its_slot_to_the_next_entry() {
    for damage in ["missing", "html", "link"] {
        let fixture = illustrated("0 * * * *").await;
        let owl = fixture.poems().join("owl.png");
        std::fs::remove_file(&owl).unwrap();
        match damage {
            "html" => std::fs::write(&owl, "<!doctype html><title>404</title>").unwrap(),
            "link" => std::os::unix::fs::symlink("/etc/hostname", &owl).unwrap(),
            _ => {}
        }
        fixture.pass(hours(1)).await;
        assert_eq!(fixture.history("walt").await, ["13:00:00 posted no owl"], "{damage}");
        assert_eq!(fixture.count(|event| event.name() == "picture-broken"), 1, "{damage}");
        std::fs::remove_file(&owl).ok();
        put(fixture.poems(), "owl.png", 1);
        fixture.pass(hours(1)).await;
        assert_eq!(
            fixture.history("walt").await[1],
            "14:00:00 posted an owl",
            "{damage}: it was not used up"
        );
    }
}

#[tokio::test]
async fn a_picture_that_was_replaced_frees_its_entry() {
    let fixture = illustrated("0 * * * *").await;
    fixture.net("walt").then_uploads(Err(UploadError::Failed(unreachable())));
    fixture.pass(hours(1)).await;
    assert_eq!(fixture.last("walt").await.state, State::Planned);
    put(fixture.poems(), "owl.png", 2);
    fixture.pass(minutes(30)).await;
    let row = fixture.last("walt").await;
    assert_eq!((row.state, row.cause), (State::Released, Some(Cause::Picture)));
    fixture.pass(minutes(31)).await;
    assert_eq!(fixture.history("walt").await[1], "14:00:00 posted an owl", "with the new picture");
}

#[tokio::test]
async fn old_uploads_are_made_again() {
    let fixture = illustrated("0 * * * *").await;
    fixture.net("walt").then(unreachable());
    fixture.pass(hours(1)).await;
    fixture.pass(seconds(30)).await;
    let sent: Vec<_> = fixture.net("walt").sent().into_iter().map(|sent| sent.media).collect();
    assert_eq!(sent, [["m1"], ["m1"]], "an upload of a moment ago is used again");

    let fixture = illustrated("0 * * * *").await;
    let dying = Uploaded { lifetime: Some(minutes(3)), ..uploaded("dying") };
    fixture.net("walt").then_uploads(Ok(dying));
    for _ in 0..6 {
        fixture.net("walt").then(unreachable());
    }
    fixture.pass(hours(2)).await;
    let media = fixture.net("walt").sent().into_iter().map(|sent| sent.media[0].clone());
    let media: Vec<String> = media.take(7).collect();
    assert!(media[0] == "dying" && media[6] != "dying", "{media:?}");
}
