//! X's errors: their format, and what each of them means. The table follows X's documentation where there is any, and
//! otherwise what users have reported.

use chrono::TimeDelta;
use serde_json::Value;
use url::Url;

use crate::flock::post::Cause;
use crate::net::diagnosis::{Api, Diagnosis, Effect, Retry, Rule};
use crate::net::rate_limit::{LONGEST, RateLimits, Window, of_app, of_bot};
use crate::net::response::{self, ApiError, ApiResponse, Protocol};

/// X's API, version 2.
pub(super) static API: Api = Api {
    protocol: Protocol { server: "X", success: 200..=299, read_error },
    limits: RateLimits {
        windows: &[
            Window {
                remaining: "x-rate-limit-remaining",
                reset: "x-rate-limit-reset",
                per_post: 1,
                is_main: true,
                scope: of_bot,
            },
            Window {
                remaining: "x-user-limit-24hour-remaining",
                reset: "x-user-limit-24hour-reset",
                per_post: 1,
                is_main: false,
                scope: of_bot,
            },
            Window {
                remaining: "x-app-limit-24hour-remaining",
                reset: "x-app-limit-24hour-reset",
                per_post: 1,
                is_main: false,
                scope: of_app,
            },
        ],
        unannounced: Some(AN_HOUR),
    },
    rules: &[
        Rule::foreign(&[420, 429], &RATE_LIMITED),
        Rule::foreign(&[404, 405, 410], &WRONG_ADDRESS),
        Rule::status(&[402], &CREDITS_DEPLETED),
        Rule::code(&[CAP], &USAGE_CAPPED),
        Rule::status(&[420, 429], &RATE_LIMITED),
        // The numbers of the older API, which still occur.
        Rule::code(&["32", "89", "135", "215", "unsupported-authentication"], &KEYS_REJECTED),
        Rule::code(&["64", "user-suspended"], &ACCOUNT_SUSPENDED),
        Rule::code(&["88"], &RATE_LIMITED),
        Rule::code(&["185", "344"], &DAILY_LIMIT),
        // A parameter that refers to something that X does not have.
        Rule::code(&["324"], &UPLOADS_REJECTED),
        Rule::words(&["media ids", "media id ", "media_ids"], &UPLOADS_REJECTED),
        Rule::code(&["385"], &PARENT_GONE),
        Rule::words(&["deleted or not visible", "in_reply_to_tweet_id"], &PARENT_GONE),
        Rule::code(&["433"], &REPLIES_FORBIDDEN),
        Rule::words(&["reply to this conversation", "otherwise engaged"], &REPLIES_FORBIDDEN),
        Rule::code(&["186", "invalid-request"], &TEXT_REFUSED),
        Rule::code(&["187"], &DUPLICATE),
        Rule::code(&["326"], &ACCOUNT_LOCKED),
        Rule::code(&["415"], &CALLBACK_UNKNOWN),
        Rule::code(&["453"], &ACCESS_LEVEL),
        Rule::code(&["credits-depleted"], &CREDITS_DEPLETED),
        Rule::code(&["oauth1-permissions"], &READ_ONLY),
        Rule::code(&["client-forbidden"], &NO_API_PLAN),
        // Some errors differ only in their wording.
        Rule::words(&["duplicate content", "status is a duplicate"], &DUPLICATE),
        Rule::words(&["not permitted to perform this action"], &TEXT_REFUSED),
        Rule::status(&[401], &KEYS_REJECTED),
        Rule::status(&[403], &FORBIDDEN),
        Rule::status(&[404, 405, 410], &WRONG_ADDRESS),
    ],
    moved: &INCONCLUSIVE,
    inconclusive: &INCONCLUSIVE,
    foreign: &FOREIGN,
    unexpected: &UNEXPECTED,
};

/// The wait for a limit that X does not announce, by the hour or by the day.
const AN_HOUR: TimeDelta = TimeDelta::hours(1);

/// All diagnoses, for the manual.
pub(in crate::net) static ALL: &[&Diagnosis] = &[
    &TEXT_REFUSED,
    &DUPLICATE,
    &PICTURE_REFUSED,
    &UPLOADS_REJECTED,
    &REPLIES_FORBIDDEN,
    &PARENT_GONE,
    &PARENT_NOT_VISIBLE,
    &RATE_LIMITED,
    &DAILY_LIMIT,
    &USAGE_CAPPED,
    &KEYS_REJECTED,
    &APP_KEYS_REJECTED,
    &CODE_REJECTED,
    &CREDITS_DEPLETED,
    &ACCOUNT_SUSPENDED,
    &ACCOUNT_LOCKED,
    &READ_ONLY,
    &NO_API_PLAN,
    &ACCESS_LEVEL,
    &CALLBACK_UNKNOWN,
    &FORBIDDEN,
    &WRONG_ADDRESS,
    &FOREIGN,
    &UNEXPECTED,
    &INCONCLUSIVE,
];

static TEXT_REFUSED: Diagnosis = Diagnosis::new(
    "x-text-refused",
    Cause::Text,
    "X refused this text",
    "check whether it is too long or mentions others, and change the line",
)
.effect(Effect::Refused);

static DUPLICATE: Diagnosis = Diagnosis::new(
    "x-duplicate",
    Cause::Duplicate,
    "X has had this text from the account lately",
    "let other lines come between",
)
.effect(Effect::Duplicate);

/// Of an upload.
pub(super) static PICTURE_REFUSED: Diagnosis = Diagnosis::new(
    "x-picture-refused",
    Cause::Picture,
    "X refused this picture or its description",
    "look at what it said, and change the picture",
);

static UPLOADS_REJECTED: Diagnosis = Diagnosis::new(
    "x-uploads-rejected",
    Cause::Picture,
    "X does not accept the uploaded pictures",
    "nothing to do, unless it happens again: then change the pictures",
)
.effect(Effect::UploadsRejected);

/// X lets some apps answer only people who mention or quote the account (docs.x.com, changelog of 2026-02-23).
static REPLIES_FORBIDDEN: Diagnosis = Diagnosis::new(
    "x-replies-forbidden",
    Cause::Thread,
    "X does not let the app reply, not even to the account's own post",
    "ask X for the right to reply, or post entries of one part on X",
)
.effect(Effect::RepliesForbidden);

static PARENT_GONE: Diagnosis = Diagnosis::new(
    "x-parent-gone",
    Cause::Thread,
    "X does not have the post that this one answers",
    "look at the thread at x.com, and delete what is left of it if you like",
)
.effect(Effect::ParentGone);

/// The same a moment after the post that it answers.
pub(super) static PARENT_NOT_VISIBLE: Diagnosis = Diagnosis::new(
    "x-parent-not-visible",
    Cause::Unreachable,
    "X does not show the post yet that this one answers",
    "nothing to do",
)
.temporary();

static RATE_LIMITED: Diagnosis = Diagnosis::new(
    "x-rate-limited",
    Cause::Limits,
    "X is rate-limiting the account or the app",
    "nothing to do, unless it happens often: then post less often",
)
.retry(Retry::Announced)
.temporary();

static DAILY_LIMIT: Diagnosis = Diagnosis::new(
    "x-daily-limit",
    Cause::Limits,
    "the account has reached X's daily limit on posts",
    "post less often",
)
.retry(Retry::AnnouncedOr(AN_HOUR))
.temporary();

static USAGE_CAPPED: Diagnosis = Diagnosis::new(
    "x-usage-capped",
    Cause::App,
    "the app has reached its cap or spending limit",
    "raise it at console.x.com, or wait for the next period",
)
.retry(Retry::After(LONGEST))
.of_app();

static KEYS_REJECTED: Diagnosis = Diagnosis::new(
    "x-keys-rejected",
    Cause::SignIn,
    "X does not accept the bot's keys and tokens",
    "compare them with console.x.com, and sign in again if the tokens were revoked",
)
.temporary()
.token_rejected()
.may_be_clock();

/// The same before the person has signed in, when there are only the app's keys.
pub(super) static APP_KEYS_REJECTED: Diagnosis = Diagnosis::new(
    "x-app-keys-rejected",
    Cause::SignIn,
    "X does not accept the app's consumer key and secret",
    "compare `consumer_key` and `consumer_secret` with console.x.com",
)
.temporary()
.may_be_clock();

/// The same of a code: the keys were good a moment ago.
pub(super) static CODE_REJECTED: Diagnosis = Diagnosis::new(
    "x-code-rejected",
    Cause::SignIn,
    "X does not accept the code",
    "a code works once and for a few minutes, so sign in again",
);

static CREDITS_DEPLETED: Diagnosis = Diagnosis::new(
    "x-credits-depleted",
    Cause::Credits,
    "the app's credits are used up",
    "buy credits at console.x.com",
)
.of_app()
.temporary();

static ACCOUNT_SUSPENDED: Diagnosis = Diagnosis::new(
    "x-account-suspended",
    Cause::Account,
    "the account is suspended",
    "sign in to it at x.com and see what X asks for",
)
.temporary();

static ACCOUNT_LOCKED: Diagnosis = Diagnosis::new(
    "x-account-locked",
    Cause::Account,
    "the account is locked",
    "sign in to it at x.com and unlock it",
)
.temporary();

/// The cause is `SignIn`, as new tokens are needed in any case.
static READ_ONLY: Diagnosis = Diagnosis::new(
    "x-read-only",
    Cause::SignIn,
    "the app may only read",
    "set it to \"Read and write\" at console.x.com, then sign in again, as old tokens stay read-only",
);

static NO_API_PLAN: Diagnosis = Diagnosis::new(
    "x-no-api-plan",
    Cause::App,
    "the app has no API plan",
    "at console.x.com, under Manage apps, move it to Pay-per-use and the Production environment",
)
.of_app();

static ACCESS_LEVEL: Diagnosis = Diagnosis::new(
    "x-access-level",
    Cause::App,
    "the app's access level does not include this",
    "choose a package at console.x.com that may create posts",
)
.of_app();

static CALLBACK_UNKNOWN: Diagnosis = Diagnosis::new(
    "x-callback-unknown",
    Cause::App,
    "the app does not know the callback URL",
    "register it at console.x.com among the app's callback URLs, exactly as it is, or use --pin",
);

static FORBIDDEN: Diagnosis = Diagnosis::new(
    "x-forbidden",
    Cause::App,
    "X forbids this, for a reason not known here",
    "if X says so of this line only, change the line; if of every one, look at the app at console.x.com and at the account \
     at x.com",
)
.effect(Effect::Unclear);

static WRONG_ADDRESS: Diagnosis = Diagnosis::new(
    "x-wrong-address",
    Cause::App,
    "X's API is not at this address",
    "check whether api_url is right",
);

static FOREIGN: Diagnosis = Diagnosis::new(
    "x-foreign-answer",
    Cause::App,
    "something other than X's API has answered",
    "check whether api_url is right, and what stands between this machine and X",
)
.temporary();

static UNEXPECTED: Diagnosis = Diagnosis::new(
    "x-unexpected",
    Cause::App,
    "X did not accept the request",
    "read what it said: it may be about this line, the app or the account",
)
.effect(Effect::Unclear);

static INCONCLUSIVE: Diagnosis =
    Diagnosis::new("x-inconclusive", Cause::Silence, "X's answer is inconclusive", "look at the account");

/// The kind of problem that X answers with when the app has used up its posts of the month.
const CAP: &str = "usage-capped";

/// The hosts in the `type` of X's problem documents.
const HOSTS: &[&str] = &["x.com", "twitter.com"];

/// The meaning of an error about a post that answers another: X words the ban on replies as it does others.
pub(super) fn of_reply(response: &ApiResponse) -> &'static Diagnosis {
    let diagnosis = API.diagnose(response);
    let is_unknown = || response.error().codes.iter().any(|code| code == "resource-not-found");
    match response.status() {
        403 if diagnosis == &TEXT_REFUSED => &REPLIES_FORBIDDEN,
        404 if is_unknown() => &PARENT_GONE,
        _ => diagnosis,
    }
}

/// Reads an error in any of X's JSON formats: a problem document, a list of numbered errors, or a single one.
fn read_error(value: &Value, status: u16) -> ApiError {
    let errors = value["errors"].as_array().map_or(&[][..], Vec::as_slice);
    let first = errors.first().unwrap_or(&Value::Null);
    let numbers = errors.iter().chain([value]).filter_map(|error| error["code"].as_u64());
    // The last segment of `type`: its host has changed over the years.
    let kind = value["type"].as_str().or_else(|| first["type"].as_str());
    let kind = kind.and_then(|kind| kind.rsplit('/').next()).filter(|kind| !kind.is_empty());
    // The cap stops the whole app for a day, whatever number comes with it.
    let (cap, kind) = if kind == Some(CAP) { (kind, None) } else { (None, kind) };
    let numbers = numbers.map(|number| number.to_string());
    ApiError {
        codes: cap.map(str::to_owned).into_iter().chain(numbers).chain(kind.map(str::to_owned)).collect(),
        message: sentences(value, first),
        is_own: is_own(value, status),
    }
}

/// Whether an error has one of X's formats.
fn is_own(value: &Value, status: u16) -> bool {
    is_problem(value, status)
        || is_numbered(value, status)
        || value["errors"].as_array().is_some_and(|errors| {
            let is_own =
                |error: &Value| is_problem(error, status) || is_numbered(error, status) || is_invalid(error);
            !errors.is_empty() && errors.iter().all(is_own)
        })
}

/// A problem document: with one of X's types, or without a type but with all other members that X sends.
fn is_problem(value: &Value, status: u16) -> bool {
    match value["type"].as_str() {
        None | Some("about:blank") => {
            let fits = value["status"].as_u64() == Some(u64::from(status));
            let fields = &["type", "title", "detail", "status"];
            fits && response::has_only(value, fields)
                && response::has_text(value, "title")
                && response::has_text(value, "detail")
        }
        Some(kind) => is_of_x(kind),
    }
}

/// A type such as `https://api.x.com/2/problems/credits-depleted`.
fn is_of_x(kind: &str) -> bool {
    let url = Url::parse(kind).ok().filter(|url| url.path().contains("/problems/"));
    let host = url.as_ref().and_then(Url::host_str).unwrap_or_default();
    HOSTS.iter().any(|own| host.strip_suffix(own).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

/// An error of the older API. Gateways repeat the status where X has a number of its own.
fn is_numbered(value: &Value, status: u16) -> bool {
    let code = value["code"].as_u64().is_some_and(|code| code != u64::from(status));
    code && response::has_text(value, "message")
}

/// An error within a problem document: what was wrong with which parameter.
fn is_invalid(value: &Value) -> bool {
    value["parameters"].is_object() && response::has_text(value, "message")
}

/// The message of an error for people: the general sentence, then the specific one.
fn sentences(value: &Value, first: &Value) -> String {
    let places = [
        &value["detail"],
        &first["message"],
        &first["detail"],
        &value["message"],
        &value["error_description"],
    ];
    let mut texts: Vec<&str> = places.into_iter().filter_map(Value::as_str).collect();
    texts.dedup();
    if texts.is_empty() {
        texts.extend(value["title"].as_str().or_else(|| value["error"].as_str()));
    }
    texts.join(" ")
}
