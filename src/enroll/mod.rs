//! Signing a bot in: a person agrees on the network's own page, and what comes back becomes tokens.
//!
//! What came back may arrive by the browser, which is sent to a listener of ours (`callback`), or by a line
//! that the person pastes (`pasted`); `talk` waits for both. The ways to sign in are `oauth1` and `oauth2`,
//! and `app_password`, which needs no browser; their requests `net` makes. Tokens count only when it is proven whose they are and that they can post
//! ([`prove`]). Nothing is stored while that goes on, and there is no terminal, no signal and no configuration: whoever
//! calls keeps what is returned ([`keep()`]), and then lets the browser know ([`Signed::tell_browser`]). Sign-ins from the
//! dashboard are in the `reception`.

mod app_password;
mod callback;
mod error;
mod keep;
mod oauth1;
mod oauth2;
mod page;
mod pasted;
mod proof;
mod reception;
mod talk;
#[cfg(test)]
mod tests;
mod tokens;
mod way;

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::flock::account::{Account, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::post::{Cause, Why};
use crate::net::{AccountApi, Rejection, SignInApi};
use callback::{Browser, Verdict};
pub use error::EnrollError;
pub use keep::{NotKept, Proven, keep};
pub use proof::{Origin, give_back, prove};
pub use reception::{Asked, Desk, Reception, Return, View};
use talk::Talk;
pub use tokens::{Alone, BadTokens, is_whole, tokens_from};
pub use way::{NoWay, new_grant, way};

/// Whoever signs the bot in.
#[async_trait]
pub trait Person: Send {
    /// Has them read a line.
    fn tell(&mut self, line: &str);

    /// Shows them the address of a page, says what it is for, and opens it in a browser where there is one.
    async fn open(&mut self, url: &str);

    /// The next line that they type or paste; `None` when there will be no more. It must be cancel-safe: it
    /// is dropped and called again whenever something else happens meanwhile.
    async fn line(&mut self) -> Option<String>;

    /// Asks them for a line in these words. What they type is not shown, from before they are asked.
    async fn unseen_line(&mut self, asked: &str) -> Option<String> {
        self.tell(asked);
        self.line().await
    }

    /// What they do to hand in what they have typed.
    fn hand_in(&self) -> &'static str {
        "press Enter"
    }

    /// Whether they can be asked again: at a terminal, and not at the other end of a pipe.
    fn is_present(&self) -> bool {
        false
    }
}

/// A sign-in as it is meant to go.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The bot's name, for what people are told.
    pub bot: String,
    /// How.
    pub way: Way,
    /// The port of this machine to which the browser comes back; the two after it are tried if it is taken.
    pub port: u16,
    /// The handle, without `@`, as which the person has to sign in, if only one will do.
    pub handle: Option<String>,
    /// How long to wait for the person.
    pub timeout: Duration,
}

/// The ways to sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Way {
    /// OAuth 1.0a.
    OAuth1 {
        /// Whether nobody listens for a browser, and the person types the PIN that is shown instead.
        pin: bool,
    },
    /// OAuth 2.0.
    OAuth2 {
        /// What this sign-in is to be known by: a text that no other one has.
        grant: String,
        /// Whether nobody listens for a browser, and the person types the code that is shown instead, where the
        /// network shows one.
        pin: bool,
    },
    /// A password for programs, which the person types.
    AppPassword,
}

impl Way {
    const fn kind(&self) -> SignInKind {
        match self {
            Self::OAuth1 { .. } => SignInKind::OAuth1,
            Self::OAuth2 { .. } => SignInKind::OAuth2,
            Self::AppPassword => SignInKind::AppPassword,
        }
    }
}

/// A bot that is signed in: its tokens are proven, and not kept yet. A browser that waits for the end is told
/// that it went wrong if this is dropped.
#[derive(Debug)]
#[must_use = "the tokens are kept nowhere else"]
pub struct Signed {
    /// Whose the tokens are.
    pub account: Account,
    /// The tokens.
    pub tokens: Tokens,
    bot: String,
    browser: Browser,
}

impl Signed {
    /// Tells the browser, if one waits, how it ended: that the tokens are kept, or why not. Takes a moment,
    /// and the listener is closed afterwards.
    pub async fn tell_browser(mut self, kept: Result<(), &str>) {
        let verdict = match kept {
            Ok(()) => Verdict::Done(format!("{} is signed in as @{}.", self.bot, self.account.handle)),
            Err(why) => Verdict::Failed(why.to_owned()),
        };
        self.browser.tell(verdict).await;
    }
}

/// Where a browser may come back to, if the first of these ports is `port`.
pub fn addresses(port: u16) -> Vec<String> {
    (0..callback::PORTS).map(|next| callback::address(port.saturating_add(next))).collect()
}

/// Signs a bot in. Nothing is left behind when it fails or is dropped half way.
///
/// # Errors
/// When the person does not agree in time, the network does not accept what comes back, or the tokens are not
/// what is wanted. The browser, if one waits, is told the same.
pub async fn sign_in(
    api: &dyn AccountApi,
    plan: &Plan,
    person: &mut dyn Person,
    clock: &dyn Clock,
) -> Result<Signed, EnrollError> {
    let sign_in = api.sign_in(plan.way.kind());
    let shows_code = matches!(sign_in, Some(SignInApi::OAuth2(oauth2)) if oauth2.out_of_band().is_some());
    let browser = expect_browser(plan, shows_code, person).await;
    sign_in_with(api, plan, person, clock, browser).await
}

/// The same where it is known already from where a browser comes back, if one does.
async fn sign_in_with(
    api: &dyn AccountApi,
    plan: &Plan,
    person: &mut dyn Person,
    clock: &dyn Clock,
    mut browser: Browser,
) -> Result<Signed, EnrollError> {
    match agree(api, plan, person, clock, &mut browser).await {
        Ok((account, tokens)) => Ok(Signed { account, tokens, bot: plan.bot.clone(), browser }),
        Err(error) => {
            browser.tell(Verdict::Failed(error.to_string())).await;
            Err(error)
        }
    }
}

/// The listener stands before anybody is shown an address that leads back to it. `shows_code` is whether the network
/// shows a code where no browser can come back.
async fn expect_browser(plan: &Plan, shows_code: bool, person: &mut dyn Person) -> Browser {
    match plan.way {
        Way::OAuth1 { pin: true } | Way::OAuth2 { pin: true, .. } | Way::AppPassword => {
            return Browser::absent();
        }
        Way::OAuth1 { pin: false } | Way::OAuth2 { pin: false, .. } => {}
    }
    let trouble = match Browser::expected_at(plan.port).await {
        Ok(browser) => return browser,
        Err(trouble) => trouble,
    };
    let instead = match plan.way {
        Way::OAuth1 { .. } => "a PIN will be shown there instead",
        Way::OAuth2 { .. } if shows_code => "a code will be shown there instead",
        Way::OAuth2 { .. } | Way::AppPassword => {
            "it will end at a page that can't be loaded, whose address is to be pasted"
        }
    };
    person.tell(&format!("the browser can't come back here by itself ({trouble}): {instead}"));
    Browser::absent()
}

async fn agree(
    api: &dyn AccountApi,
    plan: &Plan,
    person: &mut dyn Person,
    clock: &dyn Clock,
    browser: &mut Browser,
) -> Result<(Account, Tokens), EnrollError> {
    let tokens = match (&plan.way, api.sign_in(plan.way.kind())) {
        (Way::OAuth1 { .. }, Some(SignInApi::OAuth1(oauth1))) => {
            let mut talk = Talk::new(plan, person, clock, browser);
            oauth1::tokens(oauth1, plan, &mut talk).await?
        }
        (Way::OAuth2 { grant, .. }, Some(SignInApi::OAuth2(oauth2))) => {
            let mut talk = Talk::new(plan, person, clock, browser);
            oauth2::tokens(oauth2, plan, &mut talk, grant).await?
        }
        (Way::AppPassword, Some(SignInApi::AppPassword(password))) => {
            app_password::tokens(password, plan, person, clock).await?
        }
        _ => return Err(not_offered().into()),
    };
    let account = prove(api, &tokens, plan.handle.as_deref(), Origin::Fresh, &plan.bot).await?;
    Ok((account, tokens))
}

fn not_offered() -> Rejection {
    Rejection::unanswered(Why::new(Cause::App, "the network offers no such way to sign in: try without it"))
}
