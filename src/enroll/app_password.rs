//! Signing in by an app password: the person types it, or pipes it, and it opens a session. It is never shown, and the
//! account's own password is taken only from one who insists: a program needs no key to the whole house.

use super::{EnrollError, Person, Plan};
use crate::clock::Clock;
use crate::flock::account::Tokens;
use crate::flock::secret::Secret;
use crate::net::AppPasswordApi;

/// Where app passwords are made.
const WHERE: &str = "bsky.app: Settings, Privacy and security, App passwords";

/// Asks for what opens a session, and opens it.
pub(super) async fn tokens(
    api: &dyn AppPasswordApi,
    plan: &Plan,
    person: &mut dyn Person,
    clock: &dyn Clock,
) -> Result<Tokens, EnrollError> {
    let (account, password) = tokio::select! {
        told = told(api, plan, person) => told?,
        () = clock.sleep(plan.timeout) => return Err(nothing(plan)),
    };
    person.tell("checking it with the network …");
    Ok(api.open_session(&account, &password).await?)
}

/// The account and its password, as the person has them.
async fn told(
    api: &dyn AppPasswordApi,
    plan: &Plan,
    person: &mut dyn Person,
) -> Result<(String, Secret), EnrollError> {
    let account = match &plan.handle {
        Some(handle) => handle.clone(),
        None => {
            person.tell("the bot's handle on Bluesky, the whole of it, like walt.bsky.social:");
            let line = person.line().await.unwrap_or_default();
            let account = line.trim().trim_start_matches('@').to_owned();
            if account.is_empty() { return Err(nothing(plan)) } else { account }
        }
    };
    let asked = format!("an app password of @{account}, which is not shown (it is made at {WHERE}):");
    let password = password(plan, person, &asked).await?;
    if api.is_app_password(&password) {
        return Ok((account, password));
    }
    let warning =
        "that is no app password, but perhaps the account's own, with which everything can be done to it";
    if !person.is_present() {
        person.tell(&format!("note: {warning}: better make one at {WHERE}"));
        return Ok((account, password));
    }
    let asked = format!("{warning}. Give an app password, or the same once more to use it all the same:");
    let second = self::password(plan, person, &asked).await?;
    if second == password || api.is_app_password(&second) {
        return Ok((account, second));
    }
    Err(EnrollError::NotTwice { bot: plan.bot.clone() })
}

async fn password(plan: &Plan, person: &mut dyn Person, asked: &str) -> Result<Secret, EnrollError> {
    let line = person.unseen_line(asked).await.unwrap_or_default();
    match line.trim() {
        "" => Err(nothing(plan)),
        password => Ok(Secret::new(password)),
    }
}

fn nothing(plan: &Plan) -> EnrollError {
    EnrollError::NoPassword { bot: plan.bot.clone() }
}
