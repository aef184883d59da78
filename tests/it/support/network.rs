//! A network that follows a script and records what it is sent.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use flockd::clock::Clock;
use flockd::flock::account::{Account, Tokens};
use flockd::flock::media::Upload;
use flockd::flock::post::{Post, PostId};
use flockd::net::{
    Attached, Cooldown, Network, Outcome, Picture, ProbeResult, Rejection, ReplyTo, Sent as Sending, Session,
    Timeline, UploadError, Uploaded,
};
use tokio::sync::oneshot;

pub(crate) use super::answers::{
    account, cannot_tell, duplicate, like, nothing, posted, refused, setback, shown, silence, unreachable,
};
use super::clock::ManualClock;

/// The delays before it is probed.
const LOOKS: [Duration; 3] = [Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];

/// What the network does with the next request. With an empty script it accepts.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    /// It answers.
    Answer(Outcome),
    /// It answers nothing that settles the outcome; the post has arrived, or not.
    Silence { arrived: bool },
    /// It does not answer until [`ScriptedNetwork::release`]; the post has arrived, or not.
    Hold { arrived: bool },
    /// The client panics.
    Panic,
}

/// A request that reached the client.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) post: Post,
    pub(crate) account: Option<Account>,
    pub(crate) tokens: Option<Tokens>,
    pub(crate) at: DateTime<Utc>,
    /// The ids of the uploads that came with it.
    pub(crate) media: Vec<String>,
    /// The thread that it continues.
    pub(crate) reply_to: Option<ReplyTo>,
    /// Whether the post is public from now on.
    pub(crate) arrived: bool,
}

/// A picture that the network has accepted.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) picture: Picture,
    pub(crate) upload: Uploaded,
    pub(crate) at: DateTime<Utc>,
}

/// What a part of the script waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Only {
    /// A post with pictures.
    Pictures,
    /// A part of a thread after the first.
    Replies,
}

impl Only {
    fn is_met(self, attached: &Attached<'_>) -> bool {
        match self {
            Self::Pictures => !attached.uploads.is_empty(),
            Self::Replies => attached.reply_to.is_some(),
        }
    }
}

/// One bot's client.
pub(crate) struct ScriptedNetwork {
    clock: Arc<ManualClock>,
    looks: [Duration; 3],
    play: Mutex<Play>,
}

#[derive(Default)]
struct Play {
    next: VecDeque<Next>,
    next_of: VecDeque<(Only, Next)>,
    always: Option<Next>,
    sent: Vec<Sent>,
    held: Vec<oneshot::Sender<Outcome>>,
    prepare: Option<Result<Account, Rejection>>,
    known: Vec<Option<Account>>,
    sight: Option<Result<ProbeResult, Rejection>>,
    sights: VecDeque<Result<ProbeResult, Rejection>>,
    tells_truth: bool,
    looks: usize,
    cooldowns: Vec<Cooldown>,
    timeline: Option<Result<Timeline, Rejection>>,
    read_since: Vec<DateTime<Utc>>,
    alike: Option<String>,
    signs: bool,
    given: Option<Tokens>,
    renewals: VecDeque<Renewal>,
    renewed: Vec<Tokens>,
    waiting: Arc<()>,
    revoked: Vec<Tokens>,
    deleted: Vec<Post>,
    keeps: Option<Rejection>,
    composes: Option<VecDeque<Result<String, Rejection>>>,
    uploads: VecDeque<Result<Uploaded, UploadError>>,
    uploaded: Vec<Picture>,
    accepted: Vec<Accepted>,
    uploads_to_hold: usize,
    held_uploads: Vec<oneshot::Sender<()>>,
    processes: VecDeque<Result<bool, UploadError>>,
}

impl Play {
    /// A post is found by its id, and an answer also by what it says and answers.
    fn truth_of(&self, post: &Post, reply_to: Option<&ReplyTo>) -> ProbeResult {
        let is_it = |sent: &Sent| {
            let answers_alike = reply_to.is_some() && sent.reply_to.as_ref() == reply_to;
            sent.post.id == post.id || (answers_alike && sent.post.own_text() == post.own_text())
        };
        let mut arrived = self.sent.iter().zip(1..).filter(|(sent, _)| sent.arrived && is_it(sent));
        match arrived.next() {
            Some((_, number)) if post.looks > 0 => like(&format!("{}-{number}", post.bot)),
            _ => nothing(),
        }
    }
}

/// What the network does with the next token renewal.
pub(crate) enum Renewal {
    /// It answers.
    Answer(Box<Result<Tokens, Rejection>>),
    /// It answers when the test does.
    Wait(oneshot::Receiver<Result<Tokens, Rejection>>),
}

impl ScriptedNetwork {
    pub(crate) fn new(clock: Arc<ManualClock>) -> Self {
        Self { clock, looks: LOOKS, play: Mutex::default() }
    }

    /// Adds to the script.
    pub(crate) fn then(&self, next: impl Into<Next>) {
        self.play().next.push_back(next.into());
    }

    /// Adds to the script for posts of this kind, which goes first.
    pub(crate) fn then_of(&self, only: Only, next: impl Into<Next>) {
        self.play().next_of.push_back((only, next.into()));
    }

    /// What it does when the script is exhausted.
    pub(crate) fn always(&self, next: impl Into<Next>) {
        self.play().always = Some(next.into());
    }

    /// From now on it accepts whatever comes.
    pub(crate) fn forget_the_script(&self) {
        let mut play = self.play();
        play.next.clear();
        play.next_of.clear();
        play.uploads.clear();
        play.processes.clear();
        play.uploads_to_hold = 0;
        play.always = None;
    }

    /// What `prepare` returns from now on.
    pub(crate) fn prepares(&self, prepare: Result<Account, Rejection>) {
        self.play().prepare = Some(prepare);
    }

    /// What a probe returns from now on; without this it can't be probed.
    pub(crate) fn sees(&self, sight: ProbeResult) {
        self.play().sight = Some(Ok(sight));
    }

    /// Whether probes show the truth from now on, though never at the first probe; otherwise it can't be
    /// probed.
    pub(crate) fn tells_truth(&self, so: bool) {
        self.play().tells_truth = so;
    }

    /// The result of the next probe that has nothing in the script yet.
    pub(crate) fn then_sees(&self, sight: Result<ProbeResult, Rejection>) {
        self.play().sights.push_back(sight);
    }

    /// The cooldown that the next answer sets for later requests.
    pub(crate) fn cooldown(&self, cooldown: Cooldown) {
        self.play().cooldowns.push(cooldown);
    }

    /// What the account turns out to have posted; without this nothing.
    pub(crate) fn has_posted(&self, timeline: Result<Timeline, Rejection>) {
        self.play().timeline = Some(timeline);
    }

    /// From now on it can't tell apart texts that begin like this.
    pub(crate) fn shows_alike(&self, beginning: &str) {
        self.play().alike = Some(beginning.to_owned());
    }

    /// The start of each timeline query.
    pub(crate) fn read_since(&self) -> Vec<DateTime<Utc>> {
        self.play().read_since.clone()
    }

    /// From now on it requires sign-in.
    pub(crate) fn signs(&self) {
        self.play().signs = true;
    }

    /// From now on its bot uses these tokens, which `flock.toml` gives it.
    pub(crate) fn gives(&self, tokens: Tokens) {
        let mut play = self.play();
        (play.signs, play.given) = (true, Some(tokens));
    }

    /// The tokens that `flock.toml` gives the bot.
    pub(crate) fn given(&self) -> Option<Tokens> {
        self.play().given.clone()
    }

    /// The result of the next renewal that has nothing in the script yet.
    pub(crate) fn renews(&self, renewal: Result<Tokens, Rejection>) {
        self.play().renewals.push_back(Renewal::Answer(Box::new(renewal)));
    }

    /// The next renewal waits until something is sent here.
    pub(crate) fn renews_when_told(&self) -> oneshot::Sender<Result<Tokens, Rejection>> {
        let (tell, told) = oneshot::channel();
        self.play().renewals.push_back(Renewal::Wait(told));
        tell
    }

    /// The tokens that were to be renewed, in order.
    pub(crate) fn renewed(&self) -> Vec<Tokens> {
        self.play().renewed.clone()
    }

    /// The tokens that were revoked.
    pub(crate) fn revoked(&self) -> Vec<Tokens> {
        self.play().revoked.clone()
    }

    /// From now on it refuses deletions.
    pub(crate) fn keeps_all(&self, setback: Rejection) {
        self.play().keeps = Some(setback);
    }

    /// From now on a post is more than its text: the results of composing it, in order, and then a different
    /// text each time.
    pub(crate) fn composes(&self, records: impl IntoIterator<Item = Result<String, Rejection>>) {
        self.play().composes = Some(records.into_iter().collect());
    }

    /// The result of the next upload that has nothing in the script yet; without one it is accepted.
    pub(crate) fn then_uploads(&self, result: Result<Uploaded, UploadError>) {
        self.play().uploads.push_back(result);
    }

    /// The next upload is not answered until [`ScriptedNetwork::release_uploads`].
    pub(crate) fn holds_an_upload(&self) {
        self.play().uploads_to_hold += 1;
    }

    /// Answers all held uploads.
    pub(crate) fn release_uploads(&self) {
        for held in self.play().held_uploads.drain(..) {
            let _ = held.send(());
        }
        self.clock.stir();
    }

    /// How many uploads wait for [`ScriptedNetwork::release_uploads`].
    pub(crate) fn held_uploads(&self) -> usize {
        self.play().held_uploads.iter().filter(|held| !held.is_closed()).count()
    }

    /// Every picture that it has accepted, in order.
    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        self.play().accepted.clone()
    }

    /// The answer to the next question whether an upload is processed; without one it is.
    pub(crate) fn then_processes(&self, result: Result<bool, UploadError>) {
        self.play().processes.push_back(result);
    }

    /// Every picture that it was given, in order.
    pub(crate) fn uploaded(&self) -> Vec<Picture> {
        self.play().uploaded.clone()
    }

    /// The deleted posts.
    pub(crate) fn deleted(&self) -> Vec<Post> {
        self.play().deleted.clone()
    }

    /// Every request, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.play().sent.clone()
    }

    /// The texts of the requests, in order.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.sent().into_iter().filter_map(|sent| sent.post.text).collect()
    }

    /// The known details that `prepare` was given, each time.
    pub(crate) fn known(&self) -> Vec<Option<Account>> {
        self.play().known.clone()
    }

    /// How often it was probed.
    pub(crate) fn looks(&self) -> usize {
        self.play().looks
    }

    /// How many requests wait for [`ScriptedNetwork::release`].
    pub(crate) fn held(&self) -> usize {
        let play = self.play();
        let uploads = play.held_uploads.iter().filter(|held| !held.is_closed()).count();
        let posts = play.held.iter().filter(|held| !held.is_closed()).count();
        Arc::strong_count(&play.waiting) - 1 + uploads + posts
    }

    /// Answers all held requests.
    pub(crate) fn release(&self, outcome: &Outcome) {
        for held in self.play().held.drain(..) {
            let _ = held.send(outcome.clone());
        }
        self.clock.stir();
    }

    /// Makes the waiting client panic.
    pub(crate) fn breaks(&self) {
        self.play().held.clear();
        self.clock.stir();
    }

    fn play(&self) -> MutexGuard<'_, Play> {
        self.play.lock().unwrap()
    }

    /// Records a request, and decides what becomes of it.
    fn receive(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        session: &Session,
    ) -> Result<Outcome, oneshot::Receiver<Outcome>> {
        let mut play = self.play();
        let of = play.next_of.iter().position(|(only, _)| only.is_met(attached));
        let next = of.and_then(|of| play.next_of.remove(of)).map(|(_, next)| next);
        let next = next.or_else(|| play.next.pop_front()).or_else(|| play.always.clone());
        let next = next.unwrap_or_else(|| posted(&format!("{}-{}", post.bot, play.sent.len() + 1)).into());
        let arrived = match &next {
            Next::Answer(outcome) => matches!(outcome, Outcome::Posted { .. }),
            Next::Silence { arrived } | Next::Hold { arrived } => *arrived,
            Next::Panic => false,
        };
        let Session { tokens, account } = session.clone();
        let media = attached.uploads.iter().map(|upload| upload.remote_id.clone()).collect();
        let (post, at, reply_to) = (post.clone(), self.clock.now(), attached.reply_to.cloned());
        play.sent.push(Sent { post, account, tokens, at, media, reply_to, arrived });
        match next {
            Next::Answer(outcome) => Ok(outcome),
            Next::Silence { .. } => Ok(silence()),
            Next::Hold { .. } => {
                let (hold, held) = oneshot::channel();
                play.held.push(hold);
                Err(held)
            }
            Next::Panic => {
                drop(play);
                panic!("the script says so");
            }
        }
    }
}

#[async_trait]
impl Network for ScriptedNetwork {
    fn requires_auth(&self) -> bool {
        self.play().signs
    }

    async fn revoke(&self, tokens: &Tokens) -> Result<(), Rejection> {
        self.play().revoked.push(tokens.clone());
        Ok(())
    }

    async fn renew(&self, tokens: &Tokens) -> Result<Tokens, Rejection> {
        let renewal = {
            let mut play = self.play();
            play.renewed.push(tokens.clone());
            play.renewals.pop_front().expect("a renewal that the script knows of")
        };
        match renewal {
            Renewal::Answer(answer) => *answer,
            Renewal::Wait(told) => {
                // Also given back when the waiting task is ended, as by a crash.
                let _waiting = self.play().waiting.clone();
                self.clock.stir();
                told.await.expect("the script says so")
            }
        }
    }

    async fn prepare(&self, session: &Session) -> Result<Option<Account>, Rejection> {
        let known = session.account.as_ref();
        let mut play = self.play();
        play.known.push(known.cloned());
        match &play.prepare {
            None => Ok(None),
            Some(Ok(account)) if known == Some(account) => Ok(None),
            Some(Ok(account)) => Ok(Some(account.clone())),
            Some(Err(setback)) => Err(setback.clone()),
        }
    }

    async fn compose(
        &self,
        id: PostId,
        text: &str,
        at: DateTime<Utc>,
        _attached: &Attached<'_>,
        _session: &Session,
    ) -> Result<Option<String>, Rejection> {
        let mut play = self.play();
        let Some(records) = &mut play.composes else { return Ok(None) };
        let fresh = || Ok(format!("{text} by {id} of {at}, made at {}", self.clock.now()));
        records.pop_front().unwrap_or_else(fresh).map(Some)
    }

    async fn send(&self, post: &Post, attached: &Attached<'_>, session: &Session) -> Sending {
        let outcome = match self.receive(post, attached, session) {
            Ok(outcome) => outcome,
            Err(held) => {
                self.clock.stir();
                held.await.expect("the script says so")
            }
        };
        let cooldowns = std::mem::take(&mut self.play().cooldowns);
        Sending { outcome, cooldowns, room: None }
    }

    async fn upload(&self, picture: &Picture, _session: &Session) -> Result<Uploaded, UploadError> {
        let held = {
            let mut play = self.play();
            play.uploaded.push(picture.clone());
            (play.uploads_to_hold > 0).then(|| {
                play.uploads_to_hold -= 1;
                let (hold, held) = oneshot::channel();
                play.held_uploads.push(hold);
                held
            })
        };
        if let Some(held) = held {
            self.clock.stir();
            held.await.expect("the script says so");
        }
        let mut play = self.play();
        let remote_id = format!("m{}", play.uploaded.len());
        let accepted = Uploaded { remote_id, media_key: None, lifetime: None, ready: true, cost: 5 };
        let answer = play.uploads.pop_front().unwrap_or(Ok(accepted));
        if let Ok(upload) = &answer {
            let (picture, upload, at) = (picture.clone(), upload.clone(), self.clock.now());
            play.accepted.push(Accepted { picture, upload, at });
        }
        answer
    }

    async fn is_processed(&self, upload: &Upload, _session: &Session) -> Result<bool, UploadError> {
        let mut play = self.play();
        let answer = play.processes.pop_front().unwrap_or(Ok(true));
        if answer == Ok(true) {
            let known = play.accepted.iter_mut().find(|known| known.upload.remote_id == upload.remote_id);
            known.into_iter().for_each(|known| known.upload.ready = true);
        }
        answer
    }

    fn probe_delays(&self) -> &[Duration] {
        &self.looks
    }

    async fn probe(
        &self,
        post: &Post,
        attached: &Attached<'_>,
        _session: &Session,
    ) -> Result<ProbeResult, Rejection> {
        let mut play = self.play();
        play.looks += 1;
        if play.tells_truth {
            return Ok(play.truth_of(post, attached.reply_to));
        }
        play.sights.pop_front().or_else(|| play.sight.clone()).unwrap_or_else(|| Ok(cannot_tell()))
    }

    async fn timeline_since(&self, since: DateTime<Utc>, _session: &Session) -> Result<Timeline, Rejection> {
        let mut play = self.play();
        play.read_since.push(since);
        play.timeline.clone().unwrap_or_else(|| Ok(Timeline::Complete(Vec::new())))
    }

    fn same_text(&self, ours: &str, theirs: &str) -> bool {
        let alike = self.play().alike.clone();
        let both =
            alike.is_some_and(|beginning| ours.starts_with(&beginning) && theirs.starts_with(&beginning));
        both || ours == theirs
    }

    async fn delete(&self, post: &Post, _session: &Session) -> Result<(), Rejection> {
        let mut play = self.play();
        if let Some(setback) = &play.keeps {
            return Err(setback.clone());
        }
        play.deleted.push(post.clone());
        Ok(())
    }
}

impl From<Outcome> for Next {
    fn from(outcome: Outcome) -> Self {
        Self::Answer(outcome)
    }
}

impl From<Rejection> for Next {
    fn from(setback: Rejection) -> Self {
        Self::Answer(Outcome::NotAccepted(setback))
    }
}
