//! Sign-ins from the dashboard: each goes on by itself, while the person looks at a page that shows how far it is. What they
//! type into that page, and the browser that comes back from the network, are handed in here. Pages are made elsewhere.

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

use super::callback::{Arrival, Browser, QUERY_MAX, VERDICT, Verdict, Visitor};
use super::pasted::{Part, Parts};
use super::{Person, Plan, Way, give_back, new_grant, sign_in_with, way};
use crate::clock::Clock;
use crate::flock::account::{Account, Tokens};
use crate::flock::{Bot, BotName};
use crate::net::AccountApi;
use crate::store::CredentialRow;

/// How long a person is waited for.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);
/// How long is remembered how a sign-in ended.
const REMEMBERED: Duration = Duration::from_secs(10 * 60);
/// So many sign-ins may be there at once.
const AT_ONCE: usize = 64;
/// So many lines, and so many visits, may wait.
const WAITING: usize = 8;
/// What is said of a sign-in that a bug has ended.
const UNEXPECTED: &str = "the sign-in ended unexpectedly, and flockd's log says why: try again";

/// Where accounts are opened and tokens are kept.
#[async_trait]
pub trait Desk: Send + Sync {
    /// A bot's account, to be signed in to by a browser that may come back to these addresses, and what is kept of it now.
    /// The error is a sentence.
    async fn open(
        &self,
        bot: &Arc<Bot>,
        redirects: &[String],
    ) -> Result<(Arc<dyn AccountApi>, CredentialRow), String>;

    /// Keeps what is proven in place of what was there before, and lets the bot know. Returns what is to be said about it.
    async fn keep(
        &self,
        bot: &Bot,
        account: &Account,
        tokens: &Tokens,
        before: &CredentialRow,
    ) -> Result<Vec<String>, String>;

    /// Something that the bot's pages show has changed.
    fn changed(&self, bot: &BotName);
}

/// How a sign-in stands.
#[derive(Clone, PartialEq, Eq)]
pub struct View {
    /// Which bot.
    pub bot: BotName,
    /// What the person was told.
    pub told: Vec<String>,
    /// The network's page on which to agree.
    pub link: Option<String>,
    /// Whether a line is waited for.
    pub asked: Option<Asked>,
    /// How it ended: what is to be said, or why it went wrong.
    pub end: Option<Result<Vec<String>, String>>,
}

/// What is in the link belongs to this sign-in alone.
impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("bot", &self.bot)
            .field("told", &self.told)
            .field("link", &self.link.as_ref().map(|_| "…"))
            .field("asked", &self.asked)
            .field("end", &self.end)
            .finish()
    }
}

/// A line that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Which question of this sign-in it answers, from 1.
    pub question: u32,
    /// Whether what is typed should not be seen.
    pub is_secret: bool,
}

/// What a browser that came back is told.
#[derive(Debug)]
pub struct Return {
    /// The sign-in that it belongs to.
    pub ticket: String,
    /// Which bot's that is.
    pub bot: BotName,
    /// How it ended.
    pub end: Result<String, String>,
}

/// The sign-ins that are under way.
pub struct Reception {
    desk: Arc<dyn Desk>,
    clock: Arc<dyn Clock>,
    attempts: Mutex<HashMap<String, Attempt>>,
}

struct Attempt {
    view: watch::Receiver<View>,
    lines: mpsc::Sender<(u32, String)>,
    arrivals: mpsc::Sender<Arrival>,
    begun: Duration,
    task: AbortHandle,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Reception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reception({} sign-ins)", self.attempts().len())
    }
}

impl Reception {
    /// Nobody signs in yet.
    pub fn new(desk: Arc<dyn Desk>, clock: Arc<dyn Clock>) -> Self {
        Self { desk, clock, attempts: Mutex::default() }
    }

    fn attempts(&self) -> MutexGuard<'_, HashMap<String, Attempt>> {
        self.attempts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a sign-in, and ends an older one of the same bot. The browser comes back to `callback`, or, with `pin`, the
    /// person types what the network shows. Returns what the sign-in is known by; the error is a sentence.
    pub fn begin(&self, bot: &Arc<Bot>, callback: &str, pin: bool) -> Result<String, String> {
        let app = bot.app.as_deref().ok_or_else(|| format!("{} has no account to sign in to", bot.name))?;
        let (ticket, grant) =
            chance().zip(chance()).ok_or("the system has no randomness to give: try again")?;
        let way = way(app, pin, false, new_grant(grant)).map_err(|no_way| no_way.to_string())?;
        let plan = Plan {
            bot: bot.name.to_string(),
            way,
            port: app.callback_port,
            handle: bot.account.clone(),
            timeout: TIMEOUT,
        };
        let now = self.clock.uptime();
        let mut attempts = self.attempts();
        attempts.retain(|_, attempt| {
            let is_over = now.saturating_sub(attempt.begun) > TIMEOUT + REMEMBERED;
            !is_over && attempt.view.borrow().bot != bot.name
        });
        let under_way = attempts.values().filter(|attempt| attempt.view.borrow().end.is_none());
        if under_way.count() >= AT_ONCE {
            return Err("too many sign-ins are under way: wait some minutes".to_owned());
        }
        let ticket = new_grant(ticket);
        attempts.insert(ticket.clone(), self.spawn(bot.clone(), plan, callback.to_owned()));
        Ok(ticket)
    }

    fn spawn(&self, bot: Arc<Bot>, plan: Plan, callback: String) -> Attempt {
        let (lines, typed) = mpsc::channel(WAITING);
        let (arrivals, visits) = mpsc::channel(WAITING);
        let empty = View { bot: bot.name.clone(), told: Vec::new(), link: None, asked: None, end: None };
        let (sender, view) = watch::channel(empty);
        let guest = Guest { view: sender, lines: typed, questions: 0, desk: self.desk.clone() };
        let (desk, clock) = (self.desk.clone(), self.clock.clone());
        let comes_back = matches!(plan.way, Way::OAuth1 { pin: false } | Way::OAuth2 { pin: false, .. });
        let browser = if comes_back { Browser::of_site(callback.clone(), visits) } else { Browser::absent() };
        let task = tokio::spawn(async move {
            let mut guest = guest;
            let end = goes_on(desk, &*clock, bot, &plan, &mut guest, (browser, callback)).await;
            guest.end(end);
        });
        Attempt { view, lines, arrivals, begun: self.clock.uptime(), task: task.abort_handle() }
    }

    /// How a sign-in stands; `None` if there is none of that ticket.
    pub fn view(&self, ticket: &str) -> Option<View> {
        self.attempts().get(ticket).map(|attempt| attempt.view.borrow().clone())
    }

    /// Hands in what the person typed as the answer to a question. Whoever clicks twice has answered once: what comes when
    /// that question is answered is dropped.
    pub fn say(&self, ticket: &str, question: u32, line: String) {
        if let Some(attempt) = self.attempts().get(ticket) {
            let _ = attempt.lines.try_send((question, line));
        }
    }

    /// Ends a sign-in before its time.
    pub fn cancel(&self, ticket: &str) {
        let ended = self.attempts().remove(ticket);
        if let Some(attempt) = ended {
            self.desk.changed(&attempt.view.borrow().bot);
        }
    }

    /// A browser has come back with this query: waits until it is known how the sign-in ended that it belongs to. `None` if
    /// it belongs to none.
    pub async fn arrive(&self, query: &str) -> Option<Return> {
        let (visitor, verdict) = Visitor::waiting();
        let (ticket, bot) = {
            let attempts = self.attempts();
            let (ticket, attempt) =
                attempts.iter().find(|(_, attempt)| belongs(query, &attempt.view.borrow()))?;
            let arrival = Arrival { query: query.to_owned(), visitor };
            attempt.arrivals.try_send(arrival).ok()?;
            (ticket.clone(), attempt.view.borrow().bot.clone())
        };
        let end = match timeout(VERDICT, verdict).await {
            Ok(Ok(Verdict::Done(what))) => Ok(what),
            Ok(Ok(Verdict::Failed(why))) => Err(why),
            Ok(Ok(Verdict::Stranger(why))) => Err(why.to_owned()),
            Ok(Ok(Verdict::Late) | Err(_)) => Err("somebody came back from this page before".to_owned()),
            Err(_) => Err("the network is slow: the bot's page shows how it ends".to_owned()),
        };
        Some(Return { ticket, bot, end })
    }
}

/// Whether a query names the sign-in of this link: by the state of OAuth 2.0 (RFC 6749, 4.1.2), or by the token of OAuth 1.0a
/// (RFC 5849, 2.2). Whether it is an answer is judged later.
fn belongs(query: &str, view: &View) -> bool {
    if query.is_empty() || query.len() > QUERY_MAX || view.end.is_some() {
        return false;
    }
    let Some((_, link)) = view.link.as_deref().and_then(|link| link.split_once('?')) else { return false };
    let (ours, theirs) = (Parts::of(link), Parts::of(query));
    let same = |our: &str, their: &str| match (ours.part(our), theirs.part(their)) {
        (Part::One(our), Part::One(their)) => super::pasted::same(our, their),
        _ => false,
    };
    same("state", "state") || same("oauth_token", "oauth_token") || same("oauth_token", "denied")
}

async fn goes_on(
    desk: Arc<dyn Desk>,
    clock: &dyn Clock,
    bot: Arc<Bot>,
    plan: &Plan,
    guest: &mut Guest,
    (browser, callback): (Browser, String),
) -> Result<Vec<String>, String> {
    let mut redirects = super::addresses(plan.port);
    redirects.push(callback);
    let (api, before) = desk.open(&bot, &redirects).await?;
    let signed = sign_in_with(&*api, plan, guest, clock, browser).await.map_err(|error| error.to_string())?;
    // From here on it is done, or not, whoever wants this sign-in to end.
    let seen_through = tokio::spawn(async move {
        let kept = desk.keep(&bot, &signed.account, &signed.tokens, &before).await;
        if kept.is_err() {
            give_back(&*api, &signed.tokens).await;
        }
        // The page that waits is told first: whoever looks at the other finds it done by then.
        let why = kept.as_ref().err().cloned();
        signed.tell_browser(why.as_deref().map_or(Ok(()), Err)).await;
        kept
    });
    seen_through.await.unwrap_or_else(|_| Err(UNEXPECTED.to_owned()))
}

fn chance() -> Option<u128> {
    let mut bytes = [0; 16];
    SysRng.try_fill_bytes(&mut bytes).ok()?;
    Some(u128::from_be_bytes(bytes))
}

/// Whoever sits before the page.
struct Guest {
    view: watch::Sender<View>,
    lines: mpsc::Receiver<(u32, String)>,
    questions: u32,
    desk: Arc<dyn Desk>,
}

impl Guest {
    fn change(&self, change: impl FnOnce(&mut View)) {
        self.view.send_modify(change);
        self.desk.changed(&self.view.borrow().bot);
    }

    fn end(&self, end: Result<Vec<String>, String>) {
        self.change(|view| {
            view.asked = None;
            view.link = None;
            view.end = Some(end);
        });
    }

    async fn next(&mut self, is_secret: bool) -> Option<String> {
        // Whoever waits for a browser too comes back to the same question.
        if self.view.borrow().asked.is_none() {
            self.questions += 1;
            let asked = Asked { question: self.questions, is_secret };
            self.change(|view| view.asked = Some(asked));
        }
        let line = loop {
            match self.lines.recv().await {
                Some((question, line)) if question == self.questions => break Some(line),
                // It was meant for an earlier one.
                Some(_) => {}
                None => break None,
            }
        };
        self.change(|view| view.asked = None);
        line
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        if self.view.borrow().end.is_none() {
            self.end(Err(UNEXPECTED.to_owned()));
        }
    }
}

#[async_trait]
impl Person for Guest {
    fn tell(&mut self, line: &str) {
        self.change(|view| view.told.push(line.to_owned()));
    }

    async fn open(&mut self, url: &str) {
        self.change(|view| view.link = Some(url.to_owned()));
    }

    async fn line(&mut self) -> Option<String> {
        self.next(false).await
    }

    async fn unseen_line(&mut self, asked: &str) -> Option<String> {
        self.tell(asked);
        self.next(true).await
    }

    fn hand_in(&self) -> &'static str {
        "choose Continue"
    }

    fn is_present(&self) -> bool {
        true
    }
}
