//! The errors of AT Protocol: their format and their diagnoses. The names are those of the lexicons and of
//! the reference PDS (atproto.com/specs/xrpc).

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::flock::post::Cause;
use crate::net::LimitScope;
use crate::net::diagnosis::{Api, Diagnosis, Effect, Retry, Rule};
use crate::net::rate_limit::{self, RateLimits, Window};
use crate::net::response::{self, ApiError, Protocol};

/// The API of the account's server. Its headers report the tightest of its limits (docs.bsky.app, "Rate
/// Limits").
pub(super) static API: Api = Api {
    protocol: Protocol { server: "the account's server", success: 200..=200, read_error },
    limits: RateLimits {
        windows: &[Window {
            remaining: "ratelimit-remaining",
            reset: "ratelimit-reset",
            per_post: 2,
            is_main: true,
            scope: scope_of_window,
        }],
        unannounced: None,
    },
    rules: &[
        Rule::foreign(&[404, 405, 410], &WRONG_ADDRESS),
        Rule::any_sender(&[429], &RATE_LIMITED),
        Rule::code(
            &["ExpiredToken", "InvalidToken", "AuthMissing", "AuthenticationRequired"],
            &SESSION_REJECTED,
        ),
        Rule::code(&["AuthFactorTokenRequired"], &CODE_REQUIRED),
        Rule::code(
            &["AccountTakedown", "AccountSuspended", "RepoTakendown", "RepoSuspended"],
            &ACCOUNT_TAKEN_DOWN,
        ),
        Rule::code(&["AccountDeactivated", "RepoDeactivated"], &ACCOUNT_DEACTIVATED),
        Rule::code(&["AccountNotFound", "RepoNotFound"], &ACCOUNT_ELSEWHERE),
        Rule::code(&["RateLimitExceeded"], &RATE_LIMITED),
        Rule::code(&["InvalidSwap"], &CONFLICT),
        Rule::code(&["RecordNotFound", "HandleNotFound"], &NOT_FOUND),
        Rule::code(&["MethodNotImplemented"], &WRONG_ADDRESS),
        Rule::code(&["BlobNotFound", "BlobTooLarge", "InvalidMimeType", "InvalidSize"], &UPLOADS_REJECTED),
        // The post's record contains its text.
        Rule::code(&["InvalidRequest"], &TEXT_REFUSED).starting(&["Invalid app.bsky.feed.post record"]),
        // The server does not show the account at all, because it was taken down or has moved away. This says
        // nothing about the requested record.
        Rule::code(&["InvalidRequest"], &ACCOUNT_ELSEWHERE)
            .starting(&["Could not locate record", "Could not find repo"]),
        Rule::status(&[401], &SESSION_REJECTED),
        Rule::status(&[404, 405, 410], &WRONG_ADDRESS),
    ],
    moved: &MOVED,
    inconclusive: &INCONCLUSIVE,
    foreign: &FOREIGN,
    unexpected: &UNEXPECTED,
};

/// The window, in seconds, of the limit on all requests from one address, which concerns every bot on that
/// server. The limits on one account's writes have windows of an hour and a day.
const WINDOW_OF_AN_ADDRESS_S: i64 = 300;

/// All diagnoses, for the manual.
pub(in crate::net) static ALL: &[&Diagnosis] = &[
    &TEXT_REFUSED,
    &PICTURE_REFUSED,
    &UPLOADS_REJECTED,
    &PARENT_GONE,
    &CONFLICT,
    &RATE_LIMITED,
    &SESSION_REJECTED,
    &PASSWORD_REJECTED,
    &CODE_REQUIRED,
    &ACCOUNT_TAKEN_DOWN,
    &ACCOUNT_DEACTIVATED,
    &ACCOUNT_ELSEWHERE,
    &NOT_FOUND,
    &MOVED,
    &WRONG_ADDRESS,
    &FOREIGN,
    &UNEXPECTED,
    &INCONCLUSIVE,
];

static TEXT_REFUSED: Diagnosis = Diagnosis::new(
    "bluesky-text-refused",
    Cause::Text,
    "Bluesky refused this text",
    "check whether it is too long, and change the line",
)
.effect(Effect::Refused);

/// Of an upload.
pub(super) static PICTURE_REFUSED: Diagnosis = Diagnosis::new(
    "bluesky-picture-refused",
    Cause::Picture,
    "the account's server refused this picture",
    "look at what it said, and change the picture",
);

static UPLOADS_REJECTED: Diagnosis = Diagnosis::new(
    "bluesky-uploads-rejected",
    Cause::Picture,
    "the account's server does not accept the uploaded pictures",
    "nothing to do, unless it happens again: then change the pictures",
)
.effect(Effect::UploadsRejected);

/// Found out before the post is sent, as a record names the version of the post that it answers.
pub(super) static PARENT_GONE: Diagnosis = Diagnosis::new(
    "bluesky-parent-gone",
    Cause::Thread,
    "the account's server does not have the post that this one answers",
    "look at the thread at bsky.app, and delete what is left of it if you like",
)
.effect(Effect::ParentGone);

/// Another record already has the key under which this one should be written.
pub(super) static CONFLICT: Diagnosis = Diagnosis::new(
    "bluesky-conflict",
    Cause::App,
    "something else was written there in the meantime",
    "try again",
);

static RATE_LIMITED: Diagnosis = Diagnosis::new(
    "bluesky-rate-limited",
    Cause::Limits,
    "the account's server is rate-limiting the account",
    "nothing to do, unless it happens often: then post less often",
)
.retry(Retry::Announced);

/// The access token has expired or was revoked.
pub(super) static SESSION_REJECTED: Diagnosis = Diagnosis::new(
    "bluesky-session-rejected",
    Cause::SignIn,
    "the account's server does not accept the session",
    "sign in again",
)
.token_rejected();

/// The same for a request with a password.
pub(super) static PASSWORD_REJECTED: Diagnosis = Diagnosis::new(
    "bluesky-password-rejected",
    Cause::SignIn,
    "the account's server does not accept the password",
    "make an app password at bsky.app under Settings, Privacy and security, and sign in with it",
);

static CODE_REQUIRED: Diagnosis = Diagnosis::new(
    "bluesky-code-required",
    Cause::SignIn,
    "the account requires an emailed code in addition to its main password",
    "make an app password at bsky.app under Settings, Privacy and security, and sign in with it",
);

static ACCOUNT_TAKEN_DOWN: Diagnosis = Diagnosis::new(
    "bluesky-account-taken-down",
    Cause::Account,
    "the account was taken down",
    "sign in at bsky.app and read what it says",
);

static ACCOUNT_DEACTIVATED: Diagnosis = Diagnosis::new(
    "bluesky-account-deactivated",
    Cause::Account,
    "the account is deactivated",
    "activate it at bsky.app, then sign in again",
);

static ACCOUNT_ELSEWHERE: Diagnosis = Diagnosis::new(
    "bluesky-account-elsewhere",
    Cause::Account,
    "the account is not on its server",
    "look at it at bsky.app, then sign in again",
);

/// The record, handle or document does not exist.
pub(super) static NOT_FOUND: Diagnosis = Diagnosis::new(
    "bluesky-not-found",
    Cause::App,
    "the server does not have it",
    "look at bsky.app whether it is there",
);

static MOVED: Diagnosis = Diagnosis::new(
    "bluesky-moved",
    Cause::App,
    "the server is at another address",
    "check whether api_url and directory_url are right",
);

pub(super) static WRONG_ADDRESS: Diagnosis = Diagnosis::new(
    "bluesky-wrong-address",
    Cause::App,
    "there is no server here that speaks AT Protocol",
    "check whether api_url and directory_url are right",
);

static FOREIGN: Diagnosis = Diagnosis::new(
    "bluesky-foreign-answer",
    Cause::App,
    "something other than the API of the account's server has answered",
    "look at what stands between this machine and the server",
);

static UNEXPECTED: Diagnosis = Diagnosis::new(
    "bluesky-unexpected",
    Cause::App,
    "the account's server did not accept the request",
    "look at what it said: it may be about this line, or about the account at bsky.app",
)
.effect(Effect::Unclear);

static INCONCLUSIVE: Diagnosis = Diagnosis::new(
    "bluesky-inconclusive",
    Cause::Silence,
    "the answer of the account's server is inconclusive",
    "try again",
);

/// Whether the account may have moved to another server that accepts the request.
pub(super) fn may_have_moved(diagnosis: &Diagnosis) -> bool {
    [&ACCOUNT_DEACTIVATED, &ACCOUNT_ELSEWHERE, &MOVED].contains(&diagnosis)
}

fn read_error(value: &Value, _status: u16) -> ApiError {
    let field = |name: &str| value[name].as_str().filter(|text| !text.is_empty());
    let name = field("error");
    ApiError {
        codes: name.map(str::to_owned).into_iter().collect(),
        message: field("message").or(name).unwrap_or_default().to_owned(),
        is_own: is_own(value),
    }
}

/// Whether this is an error of XRPC: a name in one word, and perhaps a sentence (atproto.com/specs/xrpc).
fn is_own(error: &Value) -> bool {
    let name = error["error"].as_str().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_uppercase());
    is_name
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && response::has_only(error, &["error", "message"])
}

/// What a limit applies to, judged by the window of its policy, such as `5000;w=3600`.
fn scope_of_window(headers: &HeaderMap) -> LimitScope {
    let policy = rate_limit::text(headers, "ratelimit-policy").unwrap_or_default();
    let window: Option<i64> = policy.split(';').find_map(|part| part.trim().strip_prefix("w=")?.parse().ok());
    let of_address = window.is_some_and(|seconds| seconds <= WINDOW_OF_AN_ADDRESS_S);
    if of_address { LimitScope::App } else { LimitScope::Bot }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    #[test]
    fn an_exhausted_limit_holds_its_scope() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let of = |left: &str, reset: &str, policy: &str| {
            let headers =
                [("ratelimit-remaining", left), ("ratelimit-reset", reset), ("ratelimit-policy", policy)];
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let spent = API.limits.spent(&headers, now);
            spent.first().map(|(scope, at)| (*scope, (*at - now).num_seconds()))
        };
        assert_eq!(of("2", "1800000100", "5000;w=3600"), None);
        assert_eq!(of("1", "1800000100", "5000;w=3600"), Some((LimitScope::Bot, 100)));
        assert_eq!(of("0", "1800000100", "35000;w=86400"), Some((LimitScope::Bot, 100)));
        assert_eq!(of("0", "1800000100", "3000;w=300"), Some((LimitScope::App, 100)));
        assert_eq!(of("0", "1800000100", "odd"), Some((LimitScope::Bot, 100)));
        assert_eq!(of("0", "1799999999", "3000;w=300"), Some((LimitScope::App, 60)), "already past");
        assert_eq!(of("0", "soon", "3000;w=300"), None);
    }
}
