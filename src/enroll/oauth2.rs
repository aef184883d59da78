//! Signing in by OAuth 2.0 (RFC 6749, section 4.1): a page on which a person agrees, and a code.

use super::conversation::{AnsweredBy, Conversation, Judgement};
use super::pasted::{Param, Params, Pasted, same};
use super::{EnrollError, SignInPlan};
use crate::flock::account::Tokens;
use crate::flock::post::{Cause, Why};
use crate::flock::secret::Secret;
use crate::net::{OAuth2Api, Rejection, http};

/// Minimum length of a code that is pasted alone: servers' codes have 30 characters or more, and words are
/// shorter.
const CODE_MIN: usize = 16;

/// Gets tokens for an account whose owner agrees. On X a code is valid for 30 seconds, so it is used at once.
/// If no browser can return, the network shows the code, if it can.
pub(super) async fn tokens(
    api: &dyn OAuth2Api,
    plan: &SignInPlan,
    talk: &mut Conversation<'_>,
    grant: &str,
) -> Result<Tokens, EnrollError> {
    let (provider, scopes) = api.provider().await?;
    let shown = if talk.address().is_none() { api.out_of_band() } else { None };
    let request = match shown {
        Some(out_of_band) => provider.begin(out_of_band, scopes)?,
        None => provider.begin(&talk.any_address(), scopes)?,
    };
    if let Some(handle) = &plan.handle {
        talk.name_account(handle);
    }
    let what = if shown.is_some() {
        "the code that is shown"
    } else {
        "the address of the page it ends at, immediately"
    };
    talk.show(&request.url, what).await;
    let (code, _) = talk.code(|said, by| judge(said, by, &request.state, provider.name)).await?;
    Ok(provider.exchange(request, code.expose(), grant.to_owned()).await?)
}

/// An answer from a browser must have our state. One that a person pastes may lack it, but must not have
/// another.
fn judge(said: &Pasted<'_>, by: AnsweredBy, state: &str, network: &str) -> Judgement {
    let query = match *said {
        Pasted::Word(code) if code.len() >= CODE_MIN => return Judgement::Code(Secret::new(code)),
        Pasted::Word(_) => return Judgement::Unrelated("it is neither a code nor an address"),
        Pasted::Query(query) => Params::of(query),
    };
    match query.get("state") {
        Param::One(theirs) if same(theirs, state) => {}
        Param::Missing if by == AnsweredBy::Person => {}
        _ => return Judgement::Unrelated("it belongs to another sign-in"),
    }
    match (query.get("error"), query.code("code")) {
        (Param::One("access_denied"), _) => Judgement::Denied,
        (Param::One(error), _) => Judgement::Ended(ended(error, &query, network)),
        (Param::Missing, Some(code)) => Judgement::Code(Secret::new(code)),
        (Param::Missing, None) if query.get("client_id") != Param::Missing => {
            Judgement::Unrelated("it is the address to open, not the one at which the browser ends")
        }
        _ => Judgement::Unrelated("it contains no code"),
    }
}

fn ended(error: &str, query: &Params, network: &str) -> Rejection {
    let said = match query.get("error_description") {
        Param::One(description) => http::words(&format!("{error}: {description}")),
        _ => http::words(error),
    };
    let reason = format!(
        "{network} ended the sign-in ({said}): check that the app's settings there allow OAuth 2.0 and name the \
         callback address"
    );
    Rejection { answered: true, ..Rejection::unanswered(Why::new(Cause::App, reason)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enroll::pasted;

    fn judged(line: &str, by: AnsweredBy) -> Judgement {
        judge(&pasted::read(line).unwrap(), by, "sesame", "X")
    }

    #[test]
    fn a_code_counts_with_the_right_state() {
        for by in [AnsweredBy::Browser, AnsweredBy::Person] {
            assert_eq!(judged("?code=abc&state=sesame", by), Judgement::Code(Secret::new("abc")));
            assert_eq!(judged("?error=access_denied&state=sesame", by), Judgement::Denied);
            for line in [
                "?code=abc&state=other",
                "?code=abc&state=sesame&state=sesame",
                "?code=abc&code=abd&state=sesame",
                "?code=&state=sesame",
                "?state=sesame",
                "?error=access_denied&state=other",
                "?error=a&error=b&state=sesame",
                "https://x.com/i/oauth2/authorize?response_type=code&client_id=1&state=sesame",
            ] {
                assert!(matches!(judged(line, by), Judgement::Unrelated(_)), "{line}");
            }
        }
    }

    #[test]
    fn only_a_person_may_leave_the_state_out() {
        assert_eq!(judged("code=abc", AnsweredBy::Person), Judgement::Code(Secret::new("abc")));
        assert!(matches!(judged("code=abc", AnsweredBy::Browser), Judgement::Unrelated(_)));
        assert!(matches!(judged("error=access_denied", AnsweredBy::Browser), Judgement::Unrelated(_)));
        let code = "c".repeat(CODE_MIN);
        assert_eq!(judged(&code, AnsweredBy::Person), Judgement::Code(Secret::new(&*code)));
        assert!(matches!(judged("nonsense", AnsweredBy::Person), Judgement::Unrelated(_)));
    }

    #[test]
    fn what_the_network_says_is_cleaned_and_shown() {
        let line = "?error=invalid_scope&error_description=no%1b[31m%0asuch&state=sesame";
        let Judgement::Ended(rejection) = judged(line, AnsweredBy::Browser) else { panic!() };
        assert!(rejection.to_string().contains("(invalid_scope: no [31m such)"), "{rejection}");
    }
}
