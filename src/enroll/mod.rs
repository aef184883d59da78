//! Signing a bot in: a person agrees on the network's own page, and the answer is exchanged for tokens.
//!
//! The answer arrives through the browser, which is sent to a listener of ours (`callback`), or on a line
//! that the person pastes (`pasted`); `conversation` waits for both. The methods are `oauth1`, `oauth2`, and
//! `app_password`, which needs no browser; `net` makes their requests. Tokens count only once their account
//! and their write access are verified ([`verify()`]). Nothing here stores anything, or knows of terminals,
//! signals and configuration: the caller saves the result ([`save()`]) and then tells the browser
//! ([`SignedIn::tell_browser`]). `web_sign_ins` has the sign-ins from the dashboard.

mod app_password;
mod callback;
mod conversation;
mod error;
mod oauth1;
mod oauth2;
mod page;
mod pasted;
mod plan;
mod save;
#[cfg(test)]
mod tests;
mod tokens;
mod verify;
mod web_sign_ins;

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Clock;
use crate::flock::account::{Account, Tokens};
use crate::flock::network::SignInKind;
use crate::flock::post::{Cause, Why};
use crate::net::{AccountApi, Rejection, SignInApi};
use callback::{CallbackChannel, CallbackOutcome};
use conversation::Conversation;
pub use error::EnrollError;
pub use plan::{MethodUnavailable, choose_method, new_grant};
pub use save::{SaveError, Verified, save};
pub use tokens::{BadTokens, BareTokens, is_whole, tokens_from};
pub use verify::{Origin, revoke_unused, verify};
pub use web_sign_ins::{CallbackResult, CredentialSink, Prompt, SignInStatus, WebSignIns};

/// The person who signs the bot in.
#[async_trait]
pub trait Person: Send {
    /// Shows them a line.
    fn tell(&mut self, line: &str);

    /// Shows them the address of the page to agree on, and opens it in a browser if there is one.
    async fn open(&mut self, url: &str);

    /// The next line that they type or paste; `None` when the input has ended. It must be cancel-safe: it is
    /// dropped and called again whenever something else happens first.
    async fn line(&mut self) -> Option<String>;

    /// Asks them for a line that is not shown as they type it.
    async fn secret_line(&mut self, asked: &str) -> Option<String> {
        self.tell(asked);
        self.line().await
    }

    /// How they submit a line.
    fn submit_hint(&self) -> &'static str {
        "press Enter"
    }

    /// Whether they can be asked again: not if the input is a pipe.
    fn is_interactive(&self) -> bool {
        false
    }
}

/// How to sign a bot in.
#[derive(Debug, Clone)]
pub struct SignInPlan {
    /// The bot's name, for messages.
    pub bot: String,
    /// The method.
    pub method: SignInMethod,
    /// The port on this machine to which the browser returns; if it is taken, the next two are tried.
    pub port: u16,
    /// The handle, without `@`, of the account to sign in to, if a particular one is expected.
    pub handle: Option<String>,
    /// How long to wait for the person.
    pub timeout: Duration,
}

/// A method of signing in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInMethod {
    /// OAuth 1.0a.
    OAuth1 {
        /// Whether the person types a PIN, and no browser returns.
        pin: bool,
    },
    /// OAuth 2.0.
    OAuth2 {
        /// Identifies this sign-in: a unique text.
        grant: String,
        /// Whether the person types the code that the network shows, if it shows one, and no browser returns.
        pin: bool,
    },
    /// An app password, which the person types.
    AppPassword,
}

impl SignInMethod {
    const fn kind(&self) -> SignInKind {
        match self {
            Self::OAuth1 { .. } => SignInKind::OAuth1,
            Self::OAuth2 { .. } => SignInKind::OAuth2,
            Self::AppPassword => SignInKind::AppPassword,
        }
    }
}

/// A completed sign-in: its tokens are verified, and not saved yet. If this is dropped, the waiting browser
/// is told that the sign-in failed.
#[derive(Debug)]
#[must_use = "the tokens are saved nowhere else"]
pub struct SignedIn {
    /// The account of the tokens.
    pub account: Account,
    /// The tokens.
    pub tokens: Tokens,
    bot: String,
    browser: CallbackChannel,
}

impl SignedIn {
    /// Tells the waiting browser, if there is one, that the tokens are saved, or why not. Then closes the
    /// listener.
    pub async fn tell_browser(mut self, kept: Result<(), &str>) {
        let verdict = match kept {
            Ok(()) => {
                CallbackOutcome::Done(format!("{} is signed in as @{}.", self.bot, self.account.handle))
            }
            Err(why) => CallbackOutcome::Failed(why.to_owned()),
        };
        self.browser.tell(verdict).await;
    }
}

/// The addresses to which a browser may return, from this port on.
pub fn addresses(port: u16) -> Vec<String> {
    (0..callback::PORTS).map(|next| callback::address(port.saturating_add(next))).collect()
}

/// Signs a bot in. Leaves nothing behind when it fails or is dropped halfway.
///
/// # Errors
/// When the person does not agree in time, the network does not accept the answer, or the tokens are not the right ones. The
/// waiting browser, if there is one, is told the same.
pub async fn sign_in(
    api: &dyn AccountApi,
    plan: &SignInPlan,
    person: &mut dyn Person,
    clock: &dyn Clock,
) -> Result<SignedIn, EnrollError> {
    let sign_in = api.sign_in(plan.method.kind());
    let shows_code = matches!(sign_in, Some(SignInApi::OAuth2(oauth2)) if oauth2.out_of_band().is_some());
    let browser = expect_browser(plan, shows_code, person).await;
    sign_in_with(api, plan, person, clock, browser).await
}

/// Like [`sign_in`], with a given channel for the browser.
async fn sign_in_with(
    api: &dyn AccountApi,
    plan: &SignInPlan,
    person: &mut dyn Person,
    clock: &dyn Clock,
    mut browser: CallbackChannel,
) -> Result<SignedIn, EnrollError> {
    match agree(api, plan, person, clock, &mut browser).await {
        Ok((account, tokens)) => Ok(SignedIn { account, tokens, bot: plan.bot.clone(), browser }),
        Err(error) => {
            browser.tell(CallbackOutcome::Failed(error.to_string())).await;
            Err(error)
        }
    }
}

/// Starts the listener before the person sees an address that leads back to it. `shows_code` is whether the
/// network shows a code if no browser can return.
async fn expect_browser(plan: &SignInPlan, shows_code: bool, person: &mut dyn Person) -> CallbackChannel {
    match plan.method {
        SignInMethod::OAuth1 { pin: true }
        | SignInMethod::OAuth2 { pin: true, .. }
        | SignInMethod::AppPassword => {
            return CallbackChannel::absent();
        }
        SignInMethod::OAuth1 { pin: false } | SignInMethod::OAuth2 { pin: false, .. } => {}
    }
    let trouble = match CallbackChannel::expected_at(plan.port).await {
        Ok(browser) => return browser,
        Err(trouble) => trouble,
    };
    let instead = match plan.method {
        SignInMethod::OAuth1 { .. } => "the page will show a PIN instead",
        SignInMethod::OAuth2 { .. } if shows_code => "the page will show a code instead",
        SignInMethod::OAuth2 { .. } | SignInMethod::AppPassword => {
            "it will end at a page that can't be loaded: paste the address of that page"
        }
    };
    person.tell(&format!("the browser can't come back here by itself ({trouble}): {instead}"));
    CallbackChannel::absent()
}

async fn agree(
    api: &dyn AccountApi,
    plan: &SignInPlan,
    person: &mut dyn Person,
    clock: &dyn Clock,
    browser: &mut CallbackChannel,
) -> Result<(Account, Tokens), EnrollError> {
    let tokens = match (&plan.method, api.sign_in(plan.method.kind())) {
        (SignInMethod::OAuth1 { .. }, Some(SignInApi::OAuth1(oauth1))) => {
            let mut talk = Conversation::new(plan, person, clock, browser);
            oauth1::tokens(oauth1, plan, &mut talk).await?
        }
        (SignInMethod::OAuth2 { grant, .. }, Some(SignInApi::OAuth2(oauth2))) => {
            let mut talk = Conversation::new(plan, person, clock, browser);
            oauth2::tokens(oauth2, plan, &mut talk, grant).await?
        }
        (SignInMethod::AppPassword, Some(SignInApi::AppPassword(password))) => {
            app_password::tokens(password, plan, person, clock).await?
        }
        _ => return Err(not_offered().into()),
    };
    let account = verify(api, &tokens, plan.handle.as_deref(), Origin::Fresh, &plan.bot).await?;
    Ok((account, tokens))
}

fn not_offered() -> Rejection {
    Rejection::unanswered(Why::new(
        Cause::App,
        "the network does not offer this sign-in method: omit the option",
    ))
}
