//! `flockd explain`: what a state, a cause or a network's answer means, and what to do. The tables of
//! docs/messages.md are generated from the same entries, and a test compares them.

use std::ffi::OsStr;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap_complete::engine::CompletionCandidate;

use super::output;
use crate::config::nearest;
use crate::flock::post::Cause;
use crate::net::{self, Explanation};
use crate::store::health_state::HealthState;

fn entry(code: &'static str, (meaning, remedy): (&str, &'static str)) -> Explanation {
    Explanation { code, meaning: meaning.to_owned(), remedy }
}

/// Prints the entry for a code, or lists all codes.
pub(super) fn explain(code: Option<&str>) -> Result<ExitCode> {
    let Some(code) = code else { return list() };
    let entries: Vec<Explanation> = sections().into_iter().flat_map(|(_, entries)| entries).collect();
    let Some(entry) = entries.iter().find(|entry| entry.code == code.trim_matches(['[', ']'])) else {
        let hint = nearest(code, entries.iter().map(|entry| entry.code));
        let hint = hint.map_or_else(String::new, |near| format!(" did you mean `{near}`?"));
        bail!("no message has the code {code:?}:{hint} `flockd explain` lists them all");
    };
    output::say_wrapped(&format!("{}: {}.", entry.code, entry.meaning))?;
    output::say_wrapped(&format!("What to do: {}.", entry.remedy))?;
    Ok(ExitCode::SUCCESS)
}

fn list() -> Result<ExitCode> {
    for (heading, entries) in sections() {
        output::say(&format!("{heading}:"))?;
        let width = entries.iter().map(|entry| entry.code.len()).max().unwrap_or_default();
        for entry in entries {
            output::say_wrapped(&format!("  {:<width$}  {}", entry.code, entry.meaning))?;
        }
        output::say("")?;
    }
    output::say("`flockd explain CODE` says what to do.")?;
    Ok(ExitCode::SUCCESS)
}

/// Completes codes.
pub(super) fn codes(typed: &OsStr) -> Vec<CompletionCandidate> {
    let typed = typed.to_string_lossy();
    let entries = sections().into_iter().flat_map(|(_, entries)| entries);
    let meant = entries.filter(|entry| entry.code.starts_with(&*typed));
    meant.map(|entry| CompletionCandidate::new(entry.code).help(Some(entry.meaning.into()))).collect()
}

/// All entries, by heading.
fn sections() -> [(&'static str, Vec<Explanation>); 3] {
    let states = HealthState::ALL.iter().map(|state| entry(state.as_str(), of_state(*state)));
    let causes = CAUSES.iter().map(|(cause, meaning, remedy)| entry(cause.as_str(), (meaning, remedy)));
    let alerts = ALERTS.iter().map(|(code, meaning, remedy)| entry(code, (meaning, remedy)));
    [
        ("States of a bot", states.collect()),
        ("Causes", causes.chain(alerts).collect()),
        ("Answers of networks", net::explanations().collect()),
    ]
}

fn of_state(state: HealthState) -> (&'static str, &'static str) {
    match state {
        HealthState::Suspended => (
            "the bot can't post: it is not signed in, its tokens were revoked, its account, app or credits have a problem, no poem \
             can be read, or the clock was ahead",
            "see the reason; a sign-in or the next successful post ends it",
        ),
        HealthState::Unknown => (
            "its last post may or may not have arrived, and the bot waits until that is settled",
            "nothing while flockd is checking; otherwise check the account, then `flockd settle`",
        ),
        HealthState::Overdue => (
            "a slot has passed by more than `max_late`, or was tried until it was too late",
            "start the daemon if it is not running; otherwise the reason says what prevented it",
        ),
        HealthState::Paused => (
            "the bot posts nothing on schedule, because you paused it or because its ledger comes from a backup and its account can't \
             be read",
            "`flockd resume` when it may post again",
        ),
        HealthState::Exhausted => (
            "no line is left and `at_end = \"stop\"`, or none of the lines fits the network",
            "add lines to the poem",
        ),
        HealthState::Waiting => (
            "a post is being tried again, or the daemon has not seen this bot yet",
            "nothing, unless the reason says otherwise",
        ),
        HealthState::Ok => ("the bot posts on schedule", "nothing"),
    }
}

/// The causes stored in the ledger, with meaning and remedy.
const CAUSES: &[(Cause, &str, &str)] = &[
    (
        Cause::Text,
        "the network rejected this text, and the line counts as used in this round",
        "change the line; `flockd posts --state refused` lists these posts",
    ),
    (
        Cause::Duplicate,
        "the network recently received the same text from this account, so another line comes first",
        "nothing; a poem whose lines repeat needs other lines in between",
    ),
    (
        Cause::Unreachable,
        "the network could not be reached, and the post is tried again until `max_late` has passed",
        "nothing, unless it lasts: `flockd doctor` tests the connection",
    ),
    (
        Cause::Limits,
        "the network is rate-limiting requests, and the bot waits as long as the network asks",
        "nothing, unless it happens often: then post less often",
    ),
    (
        Cause::SignIn,
        "the bot is not signed in, or the network does not accept its credentials",
        "`flockd enroll` the bot",
    ),
    (
        Cause::Keys,
        "a key or secret is missing, or the key that opens the stored tokens",
        "put it where the message says",
    ),
    (
        Cause::Account,
        "the account is suspended, locked or not the expected one",
        "sign in to it on the network and read what it says",
    ),
    (
        Cause::AccountTaken,
        "another bot of the flock had this account first, and two bots would repeat each other's lines",
        "give the bot an account of its own, or remove the other bot",
    ),
    (
        Cause::App,
        "the app, or the server's address, does not allow this",
        "the message names the setting, in flock.toml or in the network's console",
    ),
    (
        Cause::Credits,
        "the app's credits are used up, so none of its bots can post",
        "buy credits in the network's console",
    ),
    (Cause::Poem, "the poem's file can't be read", "the message names the file and the line"),
    (
        Cause::Late,
        "`max_late` passed before the post was accepted: the slot is spent and the line is free again",
        "the reason says what prevented it; raise `max_late` if later is better than never",
    ),
    (
        Cause::Flood,
        "the bot has posted `max_per_hour` times within sixty minutes, so the slot was given up",
        "look for a mistake in the schedule, or raise `max_per_hour`",
    ),
    (
        Cause::Budget,
        "the budget of the app is used up, so the slot was given up",
        "raise `[apps.NAME.budget]`, or wait for the day that the message names",
    ),
    (
        Cause::Silence,
        "the request was sent and no clear answer came, so the post may have arrived",
        "nothing: flockd checks the account before it sends anything again",
    ),
    (
        Cause::Interrupted,
        "flockd ended while the post was being sent, so it may have arrived",
        "nothing: flockd checks the account before it sends anything again",
    ),
    (
        Cause::Picture,
        "a picture is missing or damaged, was replaced after the post was planned, or is not accepted by the network",
        "the reason names the file and what to do with it",
    ),
    (
        Cause::Thread,
        "the post that a part of a thread answers is gone, or its id on the network is not known",
        "look at the account, and post the rest by hand",
    ),
    (
        Cause::Replies,
        "the network does not let the app reply, so a thread stopped, and no further one begins with this app",
        "ask the network for the permission, then `flockd resume-post` the thread",
    ),
    (Cause::Person, "a person decided this with a command or on the dashboard", "nothing"),
    (Cause::Ask, "only a person can say whether the post arrived", "check the account, then `flockd settle`"),
];

/// Causes that only alerts have.
const ALERTS: &[(&str, &str, &str)] = &[
    (
        "clock",
        "the bot's last post is in the future, because the clock was ahead then or is behind now",
        "set the clock; if it is right, `flockd resume` the bot",
    ),
    (
        "reload",
        "flock.toml or a poem was changed and has an error, so the daemon keeps running the previous flock",
        "fix what the message names; flockd reads the file again by itself",
    ),
    (
        "held",
        "an answer of the network concerns all bots of the app, and none of them sends anything for a while",
        "the reason says what to do; one bot tries again at the time in the message",
    ),
    (
        "ledger",
        "the ledger could not be used for more than five minutes, and nothing was posted meanwhile",
        "check the disk, and see the message",
    ),
    (
        "assumed",
        "a post counts as posted, although that is not certain, because of `on_unknown`",
        "check the account if you want to know; `on_unknown = \"ask\"` asks you instead",
    ),
    (
        "panic",
        "a bug in flockd stopped the work on one bot, which is tried again",
        "report it, with the lines of the log above it",
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The text around the generated tables.
    const BEGIN: &str = "<!-- generated from the program's own tables -->\n";
    const END: &str = "<!-- end -->\n";

    #[test]
    fn a_code_has_one_entry() {
        let mut seen = BTreeSet::new();
        for (_, entries) in sections() {
            assert!(entries.len() > 5);
            for Explanation { code, meaning, remedy } in entries {
                assert!(seen.insert(code), "{code} is explained twice");
                assert!(
                    code.bytes().all(|byte| byte.is_ascii_lowercase() || b"-0123456789".contains(&byte)),
                    "{code}"
                );
                assert!(
                    meaning.len() > 10 && !remedy.is_empty() && !remedy.ends_with('.'),
                    "{code}: {meaning}: {remedy}"
                );
            }
        }
    }

    #[test]
    fn no_cause_is_left_out() {
        assert_eq!(CAUSES.iter().map(|(cause, ..)| *cause).collect::<Vec<_>>(), Cause::ALL);
    }

    /// Every code in a network's table is in its list.
    #[test]
    fn no_answer_of_a_network_is_left_out() {
        let tables = [
            include_str!("../net/x/diagnosis.rs"),
            include_str!("../net/mastodon/diagnosis.rs"),
            include_str!("../net/bluesky/diagnosis.rs"),
        ];
        let made: usize = tables.map(|table| table.matches("Diagnosis::new(").count()).iter().sum();
        assert_eq!(net::explanations().count(), made);
    }

    /// `FLOCKD_WRITE_DOCS=1 cargo test the_manual_lists` rewrites the page.
    #[test]
    fn the_manual_lists_every_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/messages.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (_, after) = rest.split_once(END).unwrap();
        let generated = format!("{before}{BEGIN}{}{END}{after}", tables());
        if std::env::var_os("FLOCKD_WRITE_DOCS").is_some() {
            return std::fs::write(path, &generated).unwrap();
        }
        assert!(
            page == generated,
            "docs/messages.md is not what the tables say: FLOCKD_WRITE_DOCS=1 writes it"
        );
    }

    fn tables() -> String {
        let mut text = String::new();
        for (heading, entries) in sections() {
            text.push_str(&format!(
                "\n## {heading}\n\n| code | what it means | what to do |\n| --- | --- | --- |\n"
            ));
            for Explanation { code, meaning, remedy } in entries {
                text.push_str(&format!("| `{code}` | {} | {} |\n", cell(&meaning), cell(remedy)));
            }
        }
        text + "\n"
    }

    fn cell(text: &str) -> String {
        text.replace('|', "\\|")
    }
}
