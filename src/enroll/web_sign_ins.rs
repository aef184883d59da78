//! Sign-ins from the dashboard. Each runs as a task, while the person sees a page with its state. The web
//! server passes on what they type there, and the browser that returns from the network. Pages are rendered
//! elsewhere.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use rand::TryRng as _;
use rand::rngs::SysRng;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::callback::{
    CallbackChannel, CallbackOutcome, CallbackRequest, OUTCOME_TIMEOUT, QUERY_MAX, WaitingBrowser,
};
use super::pasted::{Param, Params};
use super::{Person, SignInMethod, SignInPlan, choose_method, new_grant, revoke_unused};
use crate::clock::Clock;
use crate::flock::account::{Account, Tokens};
use crate::flock::{Bot, BotName};
use crate::net::AccountApi;
use crate::store::CredentialRow;

/// The time limit for the person.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long the result of a sign-in is kept.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// The most sign-ins at a time.
const AT_ONCE: usize = 64;
/// Maximum number of lines, and of browsers, that may be queued.
const WAITING: usize = 8;
/// The message for a sign-in that a bug has ended.
const UNEXPECTED: &str = "the sign-in ended unexpectedly, and flockd's log says why: try again";

/// Provides clients for sign-ins, and saves their tokens.
#[async_trait]
pub trait CredentialSink: Send + Sync {
    /// A client for signing in to a bot's account, to which a browser may return at one of these addresses,
    /// and the bot's row in the ledger. The error is a sentence.
    async fn open(
        &self,
        bot: &Arc<Bot>,
        redirects: &[String],
    ) -> Result<(Arc<dyn AccountApi>, CredentialRow), String>;

    /// Saves verified tokens in place of the earlier ones, and notifies the engine. Returns notes for the
    /// person.
    async fn save(
        &self,
        bot: &Bot,
        account: &Account,
        tokens: &Tokens,
        before: &CredentialRow,
    ) -> Result<Vec<String>, String>;

    /// Called when something that the bot's pages show has changed.
    fn changed(&self, bot: &BotName);
}

/// The state of a sign-in.
#[derive(Clone, PartialEq, Eq)]
pub struct SignInStatus {
    /// The bot.
    pub bot: BotName,
    /// The lines that the person was shown.
    pub told: Vec<String>,
    /// The network's page on which to agree.
    pub link: Option<String>,
    /// The line that the person is asked for, if any.
    pub asked: Option<Prompt>,
    /// The result: notes for the person, or why it failed.
    pub end: Option<Result<Vec<String>, String>>,
}

/// Leaves out the link, which contains secrets of this sign-in.
impl fmt::Debug for SignInStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignInStatus")
            .field("bot", &self.bot)
            .field("told", &self.told)
            .field("link", &self.link.as_ref().map(|_| "…"))
            .field("asked", &self.asked)
            .field("end", &self.end)
            .finish()
    }
}

/// A line that the person is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The number of the question in this sign-in, from 1.
    pub question: u32,
    /// Whether the line must not be shown as it is typed.
    pub is_secret: bool,
}

/// What to tell a browser that has returned.
#[derive(Debug)]
pub struct CallbackResult {
    /// The ticket of its sign-in.
    pub ticket: String,
    /// The bot that is signed in.
    pub bot: BotName,
    /// The result.
    pub end: Result<String, String>,
}

/// The sign-ins in progress.
pub struct WebSignIns {
    sink: Arc<dyn CredentialSink>,
    clock: Arc<dyn Clock>,
    sign_ins: Mutex<HashMap<String, WebSignIn>>,
}

struct WebSignIn {
    view: watch::Receiver<SignInStatus>,
    lines: mpsc::Sender<(u32, String)>,
    arrivals: mpsc::Sender<CallbackRequest>,
    begun: Duration,
    task: AbortHandle,
}

impl Drop for WebSignIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for WebSignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSignIns({} sign-ins)", self.sign_ins().len())
    }
}

impl WebSignIns {
    /// No sign-ins yet.
    pub fn new(sink: Arc<dyn CredentialSink>, clock: Arc<dyn Clock>) -> Self {
        Self { sink, clock, sign_ins: Mutex::default() }
    }

    fn sign_ins(&self) -> MutexGuard<'_, HashMap<String, WebSignIn>> {
        self.sign_ins.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a sign-in, and ends an older one of the same bot. The browser returns to `callback` or, with
    /// `pin`, the person types what the network shows. Returns the sign-in's ticket; the error is a sentence.
    pub fn begin(&self, bot: &Arc<Bot>, callback: &str, pin: bool) -> Result<String, String> {
        let app = bot.app.as_deref().ok_or_else(|| format!("{} has no account to sign in to", bot.name))?;
        let (ticket, grant) =
            random().zip(random()).ok_or("the system can't provide random numbers: try again")?;
        let method = choose_method(app, pin, false, new_grant(grant)).map_err(|no_way| no_way.to_string())?;
        let plan = SignInPlan {
            bot: bot.name.to_string(),
            method,
            port: app.callback_port,
            handle: bot.account.clone(),
            timeout: TIMEOUT,
        };
        let now = self.clock.uptime();
        let mut sign_ins = self.sign_ins();
        sign_ins.retain(|_, sign_in| {
            let is_over = now.saturating_sub(sign_in.begun) > TIMEOUT + REMEMBERED;
            !is_over && sign_in.view.borrow().bot != bot.name
        });
        let under_way = sign_ins.values().filter(|sign_in| sign_in.view.borrow().end.is_none());
        if under_way.count() >= AT_ONCE {
            return Err("too many sign-ins are in progress: wait a few minutes".to_owned());
        }
        let ticket = new_grant(ticket);
        sign_ins.insert(ticket.clone(), self.spawn(bot.clone(), plan, callback.to_owned()));
        Ok(ticket)
    }

    fn spawn(&self, bot: Arc<Bot>, plan: SignInPlan, callback: String) -> WebSignIn {
        let (lines, typed) = mpsc::channel(WAITING);
        let (arrivals, visits) = mpsc::channel(WAITING);
        let empty =
            SignInStatus { bot: bot.name.clone(), told: Vec::new(), link: None, asked: None, end: None };
        let (sender, view) = watch::channel(empty);
        let person = WebPerson { view: sender, lines: typed, questions: 0, sink: self.sink.clone() };
        let (sink, clock) = (self.sink.clone(), self.clock.clone());
        let comes_back = matches!(
            plan.method,
            SignInMethod::OAuth1 { pin: false } | SignInMethod::OAuth2 { pin: false, .. }
        );
        let browser = if comes_back {
            CallbackChannel::of_site(callback.clone(), visits)
        } else {
            CallbackChannel::absent()
        };
        let task = tokio::spawn(async move {
            let mut person = person;
            let end = run(sink, &*clock, bot, &plan, &mut person, (browser, callback)).await;
            person.end(end);
        });
        WebSignIn { view, lines, arrivals, begun: self.clock.uptime(), task: task.abort_handle() }
    }

    /// The state of a sign-in; `None` if there is none with that ticket.
    pub fn view(&self, ticket: &str) -> Option<SignInStatus> {
        self.sign_ins().get(ticket).map(|sign_in| sign_in.view.borrow().clone())
    }

    /// Passes on what the person typed as the answer to a question. A second answer to the same question, as
    /// from a double click, is dropped.
    pub fn say(&self, ticket: &str, question: u32, line: String) {
        if let Some(sign_in) = self.sign_ins().get(ticket) {
            let _ = sign_in.lines.try_send((question, line));
        }
    }

    /// Cancels a sign-in.
    pub fn cancel(&self, ticket: &str) {
        let ended = self.sign_ins().remove(ticket);
        if let Some(sign_in) = ended {
            self.sink.changed(&sign_in.view.borrow().bot);
        }
    }

    /// Passes on a browser that returned with this query, and waits until its sign-in has ended. `None` if no
    /// sign-in matches.
    pub async fn arrive(&self, query: &str) -> Option<CallbackResult> {
        let (visitor, verdict) = WaitingBrowser::waiting();
        let (ticket, bot) = {
            let sign_ins = self.sign_ins();
            let (ticket, sign_in) =
                sign_ins.iter().find(|(_, sign_in)| belongs(query, &sign_in.view.borrow()))?;
            let arrival = CallbackRequest { query: query.to_owned(), visitor };
            sign_in.arrivals.try_send(arrival).ok()?;
            (ticket.clone(), sign_in.view.borrow().bot.clone())
        };
        let end = match timeout(OUTCOME_TIMEOUT, verdict).await {
            Ok(Ok(CallbackOutcome::Done(what))) => Ok(what),
            Ok(Ok(CallbackOutcome::Failed(why))) => Err(why),
            Ok(Ok(CallbackOutcome::Unrelated(why))) => Err(why.to_owned()),
            Ok(Ok(CallbackOutcome::Late) | Err(_)) => {
                Err("the browser came back from this page before".to_owned())
            }
            Err(_) => Err("the network is slow: the bot's page will show the result".to_owned()),
        };
        Some(CallbackResult { ticket, bot, end })
    }
}

/// Whether a query belongs to this sign-in: by the state of OAuth 2.0 (RFC 6749, 4.1.2), or by the token of
/// OAuth 1.0a (RFC 5849, 2.2). Whether it is a valid answer is judged later.
fn belongs(query: &str, view: &SignInStatus) -> bool {
    if query.is_empty() || query.len() > QUERY_MAX || view.end.is_some() {
        return false;
    }
    let Some((_, link)) = view.link.as_deref().and_then(|link| link.split_once('?')) else { return false };
    let (ours, theirs) = (Params::of(link), Params::of(query));
    let same = |our: &str, their: &str| match (ours.get(our), theirs.get(their)) {
        (Param::One(our), Param::One(their)) => super::pasted::same(our, their),
        _ => false,
    };
    same("state", "state") || same("oauth_token", "oauth_token") || same("oauth_token", "denied")
}

async fn run(
    sink: Arc<dyn CredentialSink>,
    clock: &dyn Clock,
    bot: Arc<Bot>,
    plan: &SignInPlan,
    person: &mut WebPerson,
    (browser, callback): (CallbackChannel, String),
) -> Result<Vec<String>, String> {
    let mut redirects = super::addresses(plan.port);
    redirects.push(callback);
    let (api, before) = sink.open(&bot, &redirects).await?;
    let signed =
        super::sign_in_with(&*api, plan, person, clock, browser).await.map_err(|error| error.to_string())?;
    // From here on nothing cancels the sign-in.
    let finished = tokio::spawn(async move {
        let kept = sink.save(&bot, &signed.account, &signed.tokens, &before).await;
        if kept.is_err() {
            revoke_unused(&*api, &signed.tokens).await;
        }
        // The browser is told first, so that the sign-in's page shows the result once the browser gets there.
        let why = kept.as_ref().err().cloned();
        signed.tell_browser(why.as_deref().map_or(Ok(()), Err)).await;
        kept
    });
    finished.await.unwrap_or_else(|_| Err(UNEXPECTED.to_owned()))
}

fn random() -> Option<u128> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).ok()?;
    Some(u128::from_be_bytes(bytes))
}

/// The person in front of the page.
struct WebPerson {
    view: watch::Sender<SignInStatus>,
    lines: mpsc::Receiver<(u32, String)>,
    questions: u32,
    sink: Arc<dyn CredentialSink>,
}

impl WebPerson {
    fn change(&self, change: impl FnOnce(&mut SignInStatus)) {
        self.view.send_modify(change);
        self.sink.changed(&self.view.borrow().bot);
    }

    fn end(&self, end: Result<Vec<String>, String>) {
        self.change(|view| {
            view.asked = None;
            view.link = None;
            view.end = Some(end);
        });
    }

    async fn next(&mut self, is_secret: bool) -> Option<String> {
        // A conversation that also waits for a browser asks the same question again.
        if self.view.borrow().asked.is_none() {
            self.questions += 1;
            let asked = Prompt { question: self.questions, is_secret };
            self.change(|view| view.asked = Some(asked));
        }
        let line = loop {
            match self.lines.recv().await {
                Some((question, line)) if question == self.questions => break Some(line),
                // This line answers an earlier question.
                Some(_) => {}
                None => break None,
            }
        };
        self.change(|view| view.asked = None);
        line
    }
}

impl Drop for WebPerson {
    fn drop(&mut self) {
        if self.view.borrow().end.is_none() {
            self.end(Err(UNEXPECTED.to_owned()));
        }
    }
}

#[async_trait]
impl Person for WebPerson {
    fn tell(&mut self, line: &str) {
        self.change(|view| view.told.push(line.to_owned()));
    }

    async fn open(&mut self, url: &str) {
        self.change(|view| view.link = Some(url.to_owned()));
    }

    async fn line(&mut self) -> Option<String> {
        self.next(false).await
    }

    async fn secret_line(&mut self, asked: &str) -> Option<String> {
        self.tell(asked);
        self.next(true).await
    }

    fn submit_hint(&self) -> &'static str {
        "choose Continue"
    }

    fn is_interactive(&self) -> bool {
        true
    }
}
