//! Signing in with an app password, which the person types or pipes, and which opens a session. It is never
//! shown. The account's main password is accepted only if the person insists, because it gives access to
//! everything.

use super::{EnrollError, Person, SignInPlan};
use crate::clock::Clock;
use crate::flock::account::Tokens;
use crate::flock::secret::Secret;
use crate::net::AppPasswordApi;

/// Where app passwords are made.
const WHERE: &str = "bsky.app: Settings, Privacy and security, App passwords";

/// Asks for a handle and a password, and opens a session.
pub(super) async fn tokens(
    api: &dyn AppPasswordApi,
    plan: &SignInPlan,
    person: &mut dyn Person,
    clock: &dyn Clock,
) -> Result<Tokens, EnrollError> {
    let (account, password) = tokio::select! {
        told = told(api, plan, person) => told?,
        () = clock.sleep(plan.timeout) => return Err(nothing(plan)),
    };
    person.tell("checking with the network …");
    Ok(api.open_session(&account, &password).await?)
}

/// The account and its password, as the person has them.
async fn told(
    api: &dyn AppPasswordApi,
    plan: &SignInPlan,
    person: &mut dyn Person,
) -> Result<(String, Secret), EnrollError> {
    let account = match &plan.handle {
        Some(handle) => handle.clone(),
        None => {
            person.tell("the bot's full handle on Bluesky, like walt.bsky.social:");
            let line = person.line().await.unwrap_or_default();
            let account = line.trim().trim_start_matches('@').to_owned();
            if account.is_empty() { return Err(nothing(plan)) } else { account }
        }
    };
    let asked = format!("an app password of @{account}, not shown as you type (make one at {WHERE}):");
    let password = password(plan, person, &asked).await?;
    if api.is_app_password(&password) {
        return Ok((account, password));
    }
    let warning = "that is not an app password; it may be the account's main password, which gives access to everything";
    if !person.is_interactive() {
        person.tell(&format!("note: {warning}; make an app password at {WHERE} instead"));
        return Ok((account, password));
    }
    let asked = format!("{warning}. Enter an app password, or the same password again to use it anyway:");
    let second = self::password(plan, person, &asked).await?;
    if second == password || api.is_app_password(&second) {
        return Ok((account, second));
    }
    Err(EnrollError::PasswordMismatch { bot: plan.bot.clone() })
}

async fn password(plan: &SignInPlan, person: &mut dyn Person, asked: &str) -> Result<Secret, EnrollError> {
    let line = person.secret_line(asked).await.unwrap_or_default();
    match line.trim() {
        "" => Err(nothing(plan)),
        password => Ok(Secret::new(password)),
    }
}

fn nothing(plan: &SignInPlan) -> EnrollError {
    EnrollError::NoPassword { bot: plan.bot.clone() }
}
