//! The errors of servers that speak Mastodon's API: their format and their diagnoses. The message of an error
//! is in the account's language, so nothing depends on it.

use serde_json::Value;

use crate::flock::post::Cause;
use crate::net::diagnosis::{Api, Diagnosis, Effect, Retry, Rule};
use crate::net::rate_limit::{RateLimits, Window, of_bot};
use crate::net::response::{self, ApiError, ApiResponse, Protocol};

/// Mastodon's API. Its limits end at an instant in ISO 8601 (docs.joinmastodon.org, "Rate limits"). Some
/// other servers give seconds instead, since 1970 or from now.
pub(super) static API: Api = Api {
    protocol: Protocol { server: "the server", success: 200..=299, read_error },
    limits: RateLimits {
        windows: &[Window {
            remaining: "x-ratelimit-remaining",
            reset: "x-ratelimit-reset",
            per_post: 1,
            is_main: true,
            scope: of_bot,
        }],
        unannounced: None,
    },
    rules: &[
        Rule::any_sender(&[420, 429], &RATE_LIMITED),
        Rule::any_sender(&[404, 405, 410], &WRONG_ADDRESS),
        Rule::status(&[400, 413, 422], &TEXT_REFUSED),
        Rule::status(&[401], &TOKEN_REJECTED),
        Rule::status(&[403], &FORBIDDEN),
    ],
    moved: &MOVED,
    inconclusive: &INCONCLUSIVE,
    foreign: &FOREIGN,
    unexpected: &UNEXPECTED,
};

/// The header in which Pleroma says that it repeats its answer to an earlier request with the same key.
const REPLAYED: &str = "idempotent-replayed";

/// All diagnoses, for the manual.
pub(in crate::net) static ALL: &[&Diagnosis] = &[
    &TEXT_REFUSED,
    &PICTURE_REFUSED,
    &UPLOADS_REJECTED,
    &PARENT_GONE,
    &RATE_LIMITED,
    &TOKEN_REJECTED,
    &FORBIDDEN,
    &ACCOUNT_DISABLED,
    &SCOPE_MISSING,
    &MOVED,
    &WRONG_ADDRESS,
    &FOREIGN,
    &UNEXPECTED,
    &REPLAYED_ERROR,
    &INCONCLUSIVE,
];

static TEXT_REFUSED: Diagnosis = Diagnosis::new(
    "mastodon-text-refused",
    Cause::Text,
    "the server refused this text",
    "look at what it said, and change the line",
)
.effect(Effect::Refused);

/// Of an upload.
pub(super) static PICTURE_REFUSED: Diagnosis = Diagnosis::new(
    "mastodon-picture-refused",
    Cause::Picture,
    "the server refused this picture or its description",
    "look at what it said, and change the picture",
);

/// Of a post with pictures: the message does not say whether they are to blame.
pub(super) static UPLOADS_REJECTED: Diagnosis = Diagnosis::new(
    "mastodon-uploads-rejected",
    Cause::Picture,
    "the server refused the post, perhaps because of its pictures",
    "nothing to do, unless it happens again: then look at what it said, and change the entry",
)
.effect(Effect::UploadsRejected);

pub(super) static PARENT_GONE: Diagnosis = Diagnosis::new(
    "mastodon-parent-gone",
    Cause::Thread,
    "the server does not have the post that this one answers",
    "look at the thread on the server, and delete what is left of it if you like",
)
.effect(Effect::ParentGone);

pub(super) static RATE_LIMITED: Diagnosis = Diagnosis::new(
    "mastodon-rate-limited",
    Cause::Limits,
    "the server is rate-limiting the account",
    "nothing to do, unless it happens often: then post less often",
)
.retry(Retry::Announced)
.temporary();

/// There is no newer token to get.
static TOKEN_REJECTED: Diagnosis = Diagnosis::new(
    "mastodon-token-rejected",
    Cause::SignIn,
    "the server does not accept the bot's token",
    "sign in again",
)
.retry(Retry::Announced)
.temporary();

/// The token does not allow this, or the account is restricted; another request tells which.
pub(super) static FORBIDDEN: Diagnosis = Diagnosis::new(
    "mastodon-forbidden",
    Cause::App,
    "the server forbids this",
    "look at the account on the server, and sign in again",
);

pub(super) static ACCOUNT_DISABLED: Diagnosis = Diagnosis::new(
    "mastodon-account-disabled",
    Cause::Account,
    "the account is disabled or suspended",
    "sign in to it on the server and see what its moderators say",
)
.retry(Retry::Announced)
.temporary();

pub(super) static SCOPE_MISSING: Diagnosis = Diagnosis::new(
    "mastodon-scope-missing",
    Cause::SignIn,
    "the bot's token does not allow this",
    "sign in again, and agree to everything",
);

static MOVED: Diagnosis =
    Diagnosis::new("mastodon-moved", Cause::App, "the server has moved", "set `api_url` to where it is now")
        .retry(Retry::Announced)
        .temporary();

static WRONG_ADDRESS: Diagnosis = Diagnosis::new(
    "mastodon-wrong-address",
    Cause::App,
    "there is no server here that speaks Mastodon's API",
    "check whether `api_url` is right",
);

static FOREIGN: Diagnosis = Diagnosis::new(
    "mastodon-foreign-answer",
    Cause::App,
    "something other than the server's API has answered",
    "check whether `api_url` is right, and ask the server's admin whether something in front of it turns bots away",
)
.retry(Retry::Announced)
.temporary();

static UNEXPECTED: Diagnosis = Diagnosis::new(
    "mastodon-unexpected",
    Cause::App,
    "the server did not accept the request",
    "look at what it said: it may be about this line, or about the account",
)
.effect(Effect::Unclear);

/// An error of an earlier attempt, repeated for the same key. This attempt did nothing.
pub(super) static REPLAYED_ERROR: Diagnosis = Diagnosis::new(
    "mastodon-replayed-error",
    Cause::Unreachable,
    "the server repeats an earlier error without trying again",
    "nothing to do, unless it persists",
)
.retry(Retry::Announced)
.temporary();

static INCONCLUSIVE: Diagnosis = Diagnosis::new(
    "mastodon-inconclusive",
    Cause::Silence,
    "the server's answer is inconclusive",
    "look at the account",
);

/// Whether the answer repeats an error of an earlier attempt.
pub(super) fn is_replayed_error(response: &ApiResponse) -> bool {
    let replayed = response.headers().get(REPLAYED).is_some_and(|value| value.as_bytes() == b"true");
    replayed && response.status() >= 400 && API.diagnose(response) == &INCONCLUSIVE
}

/// Whether the request is worth retrying later.
pub(super) fn may_pass(response: &ApiResponse) -> bool {
    let diagnosis = API.diagnose(response);
    diagnosis == &INCONCLUSIVE || diagnosis == &RATE_LIMITED
}

fn read_error(value: &Value, _status: u16) -> ApiError {
    let texts = ["error", "error_description", "message"].map(|field| value[field].as_str());
    let message = texts.into_iter().flatten().collect::<Vec<_>>().join(": ");
    ApiError { codes: Vec::new(), message, is_own: is_own(value) }
}

/// Whether this is an error of the API: `{"error": "..."}` (docs.joinmastodon.org, "Error"), or one of
/// Phoenix, on which Pleroma is built, or a validation error of Laravel, on which Pixelfed is built.
fn is_own(error: &Value) -> bool {
    if response::has_text(error, "error") {
        return response::has_only(error, &["error", "error_description", "details", "identifier"]);
    }
    let errors = &error["errors"];
    let phoenix = response::has_only(error, &["errors"]) && response::has_text(errors, "detail");
    let laravel = response::has_only(error, &["message", "errors"]) && errors.is_object();
    phoenix || (laravel && response::has_text(error, "message"))
}
