//! Answers for scripted networks, and results of probes.

use chrono::{DateTime, Utc};
use flockd::flock::NetworkKind;
use flockd::flock::account::Account;
use flockd::flock::post::{Cause, Why};
use flockd::net::{Outcome, ProbeResult, Rejection, RemotePost};

/// The account can't be probed.
pub(crate) fn cannot_tell() -> ProbeResult {
    ProbeResult::Unavailable(Why::new(Cause::App, "the script allows no look"))
}

/// A probe shows this post, which may be the one.
pub(crate) fn like(remote_id: &str) -> ProbeResult {
    ProbeResult::Candidates {
        seen: vec![shown(remote_id, "", DateTime::UNIX_EPOCH)],
        doubtful: Vec::new(),
        cost: 5,
    }
}

/// A probe shows nothing that may be it.
pub(crate) fn nothing() -> ProbeResult {
    ProbeResult::Candidates { seen: Vec::new(), doubtful: Vec::new(), cost: 0 }
}

/// A post as the account shows it.
pub(crate) fn shown(remote_id: &str, text: &str, at: DateTime<Utc>) -> RemotePost {
    let url = Some(format!("https://example.org/{remote_id}"));
    let (remote_id, text) = (remote_id.to_owned(), text.to_owned());
    RemotePost { remote_id, url, text, at, client: None, pictures: 0, reply_to: None }
}

pub(crate) fn posted(remote_id: &str) -> Outcome {
    let url = Some(format!("https://example.org/{remote_id}"));
    Outcome::Posted { remote_id: remote_id.to_owned(), url, note: None }
}

pub(crate) fn refused() -> Outcome {
    Outcome::Refused { reason: "the network dislikes this text".to_owned() }
}

pub(crate) fn duplicate() -> Outcome {
    Outcome::Duplicate { reason: "the network has had this text".to_owned() }
}

pub(crate) fn silence() -> Outcome {
    Outcome::Unknown { reason: "no answer came".to_owned() }
}

/// The network is unreachable, and does not say for how long.
pub(crate) fn unreachable() -> Rejection {
    setback(Cause::Unreachable, None)
}

/// Nothing was accepted, for this cause, with or without a Retry-After.
pub(crate) fn setback(cause: Cause, retry_at: Option<DateTime<Utc>>) -> Rejection {
    let answered = cause != Cause::Unreachable;
    Rejection {
        why: Why::new(cause, format!("{cause}, says the script")),
        retry_at,
        answered,
        token_rejected: false,
    }
}

pub(crate) fn account(handle: &str) -> Account {
    Account {
        network: NetworkKind::X,
        id: format!("id-{handle}"),
        handle: handle.to_owned(),
        name: None,
        picture_url: None,
        access: None,
        server: None,
        credential_fingerprint: "these tokens".to_owned(),
        automated: None,
        limits: None,
        pictures: None,
    }
}
