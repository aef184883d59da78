//! Signing in by OAuth 1.0a (RFC 5849, section 2): a request token, a person who agrees, a verifier.

use super::conversation::{AnsweredBy, Conversation, Judgement};
use super::pasted::{Param, Params, Pasted, same};
use super::{EnrollError, SignInPlan};
use crate::flock::account::Tokens;
use crate::flock::post::Cause;
use crate::flock::secret::Secret;
use crate::net::OAuth1Api;

/// The number of digits of a PIN: X's have 7.
const PIN: std::ops::RangeInclusive<usize> = 4..=12;

/// Minimum length of a verifier that is pasted alone: X's have 32 characters, and words are shorter.
const VERIFIER_MIN: usize = 20;

/// Gets tokens for an account whose owner agrees.
pub(super) async fn tokens(
    api: &dyn OAuth1Api,
    plan: &SignInPlan,
    talk: &mut Conversation<'_>,
) -> Result<Tokens, EnrollError> {
    let address = talk.address();
    let request = api.request_token(address.as_deref()).await?;
    let shown = if address.is_some() {
        "the address of the page it ends at, or the PIN if it shows one"
    } else {
        "the PIN that is shown"
    };
    talk.show(&api.authorize_url(&request, plan.handle.as_deref()), shown).await;
    loop {
        let (verifier, by) = talk.code(|said, _| judge(said, &request.token)).await?;
        match api.access_token(&request, verifier.expose()).await {
            // The request token remains valid after a mistyped PIN.
            Err(rejection) if by == AnsweredBy::Person && rejection.why.cause == Cause::SignIn => {
                talk.again(rejection)?;
            }
            answer => return Ok(answer?),
        }
    }
}

/// An answer must name our request token; only a verifier pasted alone does not.
fn judge(said: &Pasted<'_>, token: &str) -> Judgement {
    let query = match *said {
        Pasted::Word(word) if is_verifier(word) => return Judgement::Code(Secret::new(word)),
        Pasted::Word(_) => return Judgement::Unrelated("it is neither a PIN nor an address"),
        Pasted::Query(query) => Params::of(query),
    };
    if matches!(query.get("denied"), Param::One(denied) if same(denied, token)) {
        return Judgement::Denied;
    }
    match (query.get("oauth_token"), query.code("oauth_verifier")) {
        (Param::Missing, _) => Judgement::Unrelated("the answer names no sign-in"),
        (Param::One(named), Some(verifier)) if same(named, token) => Judgement::Code(Secret::new(verifier)),
        (Param::One(named), None) if same(named, token) => {
            Judgement::Unrelated("it is the address to open, not the one at which the browser ends")
        }
        _ => Judgement::Unrelated("it belongs to another sign-in"),
    }
}

fn is_verifier(word: &str) -> bool {
    let is_pin = PIN.contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_digit());
    is_pin || (word.len() >= VERIFIER_MIN && word.bytes().all(|byte| byte.is_ascii_alphanumeric()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enroll::pasted;

    fn judged(line: &str) -> Judgement {
        judge(&pasted::read(line).unwrap(), "tok")
    }

    #[test]
    fn a_verifier_counts_with_the_right_token_or_alone() {
        let code = |code: &str| Judgement::Code(Secret::new(code));
        assert_eq!(judged("?oauth_token=tok&oauth_verifier=ver"), code("ver"));
        assert_eq!(judged("oauth_verifier=a%2Fb&oauth_token=tok"), code("a/b"));
        assert_eq!(judged("1234567"), code("1234567"));
        let verifier = "a".repeat(VERIFIER_MIN);
        assert_eq!(judged(&verifier), code(&verifier));
        assert_eq!(judged("?denied=tok"), Judgement::Denied);
    }

    #[test]
    fn everything_else_is_unrelated() {
        for line in [
            "?oauth_token=other&oauth_verifier=ver",
            "?oauth_token=toktok&oauth_verifier=ver",
            "?oauth_verifier=ver",
            "?oauth_token=tok&oauth_token=tok&oauth_verifier=ver",
            "?oauth_token=tok&oauth_verifier=a&oauth_verifier=b",
            "?oauth_token=tok&oauth_verifier=",
            "https://api.x.com/oauth/authorize?oauth_token=tok&force_login=true",
            "?denied=other",
            "?denied=",
            "?code=1234567",
            "123",
            "1234567a",
            "hello",
        ] {
            assert!(matches!(judged(line), Judgement::Unrelated(_)), "{line}: {:?}", judged(line));
        }
    }
}
