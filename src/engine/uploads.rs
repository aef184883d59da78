//! A post's pictures: read from the poem's folder, made fit for the network, and uploaded before the post is sent. Uploads are
//! not visible until a post refers to them, so one that is in doubt is simply made again.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Semaphore;

use super::BotRun;
use super::tokens::NotReady;
use crate::flock::account::Account;
use crate::flock::content::{Content, FileDigest, Medium};
use crate::flock::event::Call;
use crate::flock::media::Upload;
use crate::flock::post::{Cause, Post, Why};
use crate::flock::thread::has_replies;
use crate::flock::{Bot, NetworkKind};
use crate::media::{self, PreparedPicture};
use crate::net::{self, Picture, Rejection, Session, UploadError};
use crate::sources::pictures::read_picture;
use crate::store::StoreError;

/// The pauses before each look at an upload that the network is processing: two minutes in all.
const PROCESSING: [Duration; 10] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(3),
    Duration::from_secs(4),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(15),
    Duration::from_secs(20),
    Duration::from_secs(30),
    Duration::from_secs(30),
];
/// A decoded picture takes much memory, so there is one at a time.
static DECODING: Semaphore = Semaphore::const_new(1);
/// An upload that expires within this time is made again: sending takes a moment, and clocks differ.
const EARLY: TimeDelta = TimeDelta::minutes(2);

/// Why a planned post can't be sent any more.
#[derive(Debug)]
pub(super) enum Unpostable {
    /// The network rejects one of its pictures: the entry is used up in this round.
    Refused(Why),
    /// A file is not what it was when the post was planned, for example: the entry is free again.
    GivenUp(Why),
}

/// Reads all pictures of an entry, and makes those of its first part ready to be uploaded.
///
/// # Errors
/// Which picture can't be posted, and why.
pub(super) async fn load(
    run: &BotRun<'_>,
    account: Option<&Account>,
    mut content: Content,
) -> Result<(Content, Vec<Picture>), Why> {
    let bot = &run.bound.bot;
    let mut first = Vec::new();
    for (number, part) in content.parts.iter_mut().enumerate() {
        for medium in &mut part.media {
            let bytes = read(run, medium).await?;
            medium.digest = Some(FileDigest::of(&bytes));
            let picture = prepare(bot, account, medium, bytes).await?;
            if number == 0 || !has_replies(bot.network) {
                first.push(picture);
            }
        }
    }
    Ok((content, first))
}

/// The uploads of a post's pictures, in their order: those that are still good, and new ones for the rest. `ready` are its
/// pictures, if they were just read.
pub(super) async fn ensure(
    run: &BotRun<'_>,
    post: &Post,
    session: &Session,
    ready: &[Picture],
) -> Result<Result<Vec<Upload>, Unpostable>, NotReady> {
    let mut uploads = Vec::new();
    let media = attached(post);
    if media.is_empty() {
        return Ok(Ok(uploads));
    }
    let kept = run.engine.store.uploads(post.id).await?;
    for (place, medium) in (0..).zip(media) {
        let before = kept.get(&place).filter(|upload| Some(upload.digest) == medium.digest);
        let is_good = |upload: &&Upload| is_good(run.bound.bot.network, upload, run.engine.clock.now());
        let made = match before.filter(is_good) {
            Some(upload) => Ok(upload.clone()),
            None => upload(run, post, (place, medium), session, ready.get(place as usize)).await?,
        };
        let upload = match made {
            Ok(upload) => upload,
            Err(trouble) => return Ok(Err(trouble)),
        };
        // What is sent was fixed with the earlier upload in it.
        if post.record.is_some() && before.is_some_and(|before| before.remote_id != upload.remote_id) {
            let why = trouble_with(medium, "uploaded once more, it became something else");
            return Ok(Err(Unpostable::GivenUp(why)));
        }
        match processed(run, (post, place), medium, upload, session).await? {
            Ok(upload) => uploads.push(upload),
            Err(trouble) => return Ok(Err(trouble)),
        }
    }
    Ok(Ok(uploads))
}

/// The pictures that a post carries: where a thread is one entry, all of them.
pub(super) fn attached(post: &Post) -> Vec<&Medium> {
    match &post.content {
        Some(content) if !has_replies(post.network) => content.media().collect(),
        _ => post.media().iter().collect(),
    }
}

/// Whether an upload will still be there when a post refers to it.
fn is_good(network: NetworkKind, upload: &Upload, now: DateTime<Utc>) -> bool {
    let longest = TimeDelta::from_std(network.profile().media.max_age).unwrap_or(TimeDelta::MAX);
    // A clock that was set back must not keep it alive.
    let age = (now - upload.uploaded_at).abs();
    age < longest && upload.expires_at.is_none_or(|end| end - now > EARLY)
}

async fn upload(
    run: &BotRun<'_>,
    post: &Post,
    (place, medium): (u32, &Medium),
    session: &Session,
    ready: Option<&Picture>,
) -> Result<Result<Upload, Unpostable>, NotReady> {
    let BotRun { engine, bound, .. } = *run;
    let again;
    let picture = match ready {
        Some(picture) => picture,
        None => match read_again(run, session.account.as_ref(), medium).await {
            Ok(picture) => {
                again = picture;
                &again
            }
            Err(why) => return Ok(Err(Unpostable::GivenUp(why))),
        },
    };
    let made = engine.timed(bound, Call::Upload, bound.network.upload(picture, session), |_| None).await;
    let made = match made {
        Ok(made) => made,
        Err(UploadError::Failed(rejection)) => return Err(rejection.into()),
        Err(UploadError::Refused(reason)) => return Ok(Err(refused(medium, &reason))),
    };
    let now = engine.clock.now();
    if bound.bot.network == NetworkKind::Feed {
        let shown = FileDigest::of(&picture.bytes);
        engine.store.keep_medium(shown, (picture.kind, &picture.bytes), now).await?;
    }
    let upload = Upload {
        digest: medium.digest.unwrap_or_else(|| FileDigest::of(&picture.bytes)),
        remote_id: made.remote_id,
        media_key: made.media_key,
        width: picture.width,
        height: picture.height,
        uploaded_at: now,
        expires_at: made
            .lifetime
            .and_then(|lifetime| now.checked_add_signed(TimeDelta::from_std(lifetime).ok()?)),
        ready: made.ready,
        cost: made.cost,
    };
    let app = bound.bot.app.as_ref().map(|app| &*app.name);
    engine.store.keep_upload(post.id, place, &upload, app).await?;
    Ok(Ok(upload))
}

/// Waits until the network has processed an upload.
async fn processed(
    run: &BotRun<'_>,
    (post, place): (&Post, u32),
    medium: &Medium,
    upload: Upload,
    session: &Session,
) -> Result<Result<Upload, Unpostable>, NotReady> {
    if upload.ready {
        return Ok(Ok(upload));
    }
    let BotRun { engine, bound, .. } = *run;
    for pause in PROCESSING {
        engine.clock.sleep(pause).await;
        match bound.network.is_processed(&upload, session).await {
            Ok(true) => {
                engine.store.upload_processed(post.id, place).await?;
                return Ok(Ok(Upload { ready: true, ..upload }));
            }
            Ok(false) => {}
            Err(UploadError::Failed(rejection)) => return Err(rejection.into()),
            Err(UploadError::Refused(reason)) => {
                engine.store.expire_uploads(post.id, engine.clock.now()).await?;
                return Ok(Err(refused(medium, &reason)));
            }
        }
    }
    let reason = format!("the server has been processing {} for two minutes", medium.name);
    Err(Rejection::unanswered(Why::new(Cause::Unreachable, reason)).into())
}

/// A picture of a post that was planned before, as it was then.
async fn read_again(run: &BotRun<'_>, account: Option<&Account>, medium: &Medium) -> Result<Picture, Why> {
    let bytes = read(run, medium).await?;
    if medium.digest.is_some_and(|digest| digest != FileDigest::of(&bytes)) {
        return Err(trouble_with(medium, "the file was replaced since the post was planned"));
    }
    prepare(&run.bound.bot, account, medium, bytes).await
}

/// A picture's file: one that a person gave is in the ledger, all others are beside the poem.
async fn read(run: &BotRun<'_>, medium: &Medium) -> Result<Vec<u8>, Why> {
    if let Some(digest) = medium.digest {
        let kept = run.engine.store.medium(digest).await;
        let kept = kept.map_err(|error: StoreError| trouble_with(medium, &error.to_string()))?;
        if let Some((_, bytes)) = kept {
            return Ok(bytes);
        }
    }
    let read = read_picture(&run.bound.bot.poem, &medium.name).await;
    read.map_err(|error| Why::new(Cause::Picture, error.to_string()))
}

/// Makes a file fit for the bot's network, on a thread where that blocks nothing.
async fn prepare(
    bot: &Bot,
    account: Option<&Account>,
    medium: &Medium,
    bytes: Vec<u8>,
) -> Result<Picture, Why> {
    let limits = net::media_limits(bot, account).into();
    // The semaphore is never closed.
    let _one_at_a_time = DECODING.acquire().await.ok();
    let prepared = tokio::task::spawn_blocking(move || media::prepare(&bytes, &limits)).await;
    let PreparedPicture { kind, width, height, bytes } = match prepared {
        Ok(Ok(prepared)) => prepared,
        Ok(Err(error)) => return Err(trouble_with(medium, &error.to_string())),
        Err(error) => return Err(trouble_with(medium, &error.to_string())),
    };
    Ok(Picture { bytes, kind, width, height, name: medium.name.clone(), alt: medium.alt.clone() })
}

fn refused(medium: &Medium, reason: &str) -> Unpostable {
    Unpostable::Refused(trouble_with(medium, reason))
}

fn trouble_with(medium: &Medium, problem: &str) -> Why {
    Why::new(Cause::Picture, format!("{}: {problem}", medium.name))
}
