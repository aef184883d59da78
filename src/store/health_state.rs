//! The health of each bot: one state and one sentence, derived from the ledger on every request and stored nowhere.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Behind, BotRecord, Pause};
use crate::flock::Bot;
use crate::flock::message::{self, Message};
use crate::flock::post::{Cause, Post, State};

crate::flock::words! {
    /// The health of a bot. If several states apply, the first one counts.
    HealthState {
        /// It can't post until a person fixes something.
        Suspended = "suspended",
        /// The outcome of its last post is unknown; the bot waits until that is settled.
        Unknown = "unknown",
        /// A slot passed more than `max_late` ago, and nothing was posted for it.
        Overdue = "overdue",
        /// It posts nothing on schedule until it is resumed.
        Paused = "paused",
        /// No postable line is left, and the bot is configured to stop at the end.
        Exhausted = "exhausted",
        /// A post is waiting for its next attempt.
        Waiting = "waiting",
        /// It posts.
        Ok = "ok",
    }
}

/// The engine handles a slot once its time has come. A time further ahead than this was written by a clock that was
/// ahead, or is read by a clock that is behind.
pub const CLOCK_TOLERANCE: TimeDelta = TimeDelta::minutes(5);

/// Whether slots pass without a post because the bot's last slot is ahead of the clock by more than
/// [`CLOCK_TOLERANCE`].
pub fn clock_was_ahead(bot: &Bot, last_slot: DateTime<Utc>, rests: bool, now: DateTime<Utc>) -> bool {
    let is_ahead = !rests && last_slot > now + CLOCK_TOLERANCE;
    is_ahead && bot.schedule.next_after(now).is_some_and(|slot| slot <= last_slot)
}

/// The health state of a bot, with the reason and the remedy if it is not healthy. `lines_left` is `None` if its poem
/// can't be read.
pub fn health_state(
    bot: &Bot,
    record: Option<&BotRecord>,
    lines_left: Option<usize>,
    now: DateTime<Utc>,
) -> (HealthState, Option<Message>) {
    let Some(record) = record else {
        let reason = Message::from("no daemon has seen this bot yet: ").remedy(
            "start one; one that runs takes it up within seconds",
            "the one that shows this page takes it up within seconds",
        );
        return (HealthState::Waiting, Some(reason));
    };
    if let Some(reason) = suspended(bot, record) {
        return (HealthState::Suspended, Some(reason));
    }
    if clock_was_ahead(bot, record.last_slot, record.paused.is_some(), now) {
        return (HealthState::Suspended, Some(ahead(bot, record.last_slot, now)));
    }
    let open = record.open.as_ref();
    if let Some(post) = open.filter(|post| post.state == State::Unknown) {
        return (HealthState::Unknown, Some(unknown(bot, post)));
    }
    if let Some(due) = overdue(bot, record.last_slot, record.paused.is_some(), now) {
        if let Some(behind) = &record.reconciliation {
            return (HealthState::Overdue, Some(catches_up(behind)));
        }
        let reason = Message::from("it should have posted at ").at(due);
        let remedy = reason.remedy(
            ": is the daemon running, and what does its log say?",
            ": the log of flockd says what was in the way",
        );
        return (HealthState::Overdue, Some(remedy));
    }
    if let Some(post) = record.last.as_ref().filter(|post| record.paused.is_none() && came_to_nothing(post)) {
        return (HealthState::Overdue, Some(given_up(post)));
    }
    if let Some(pause) = &record.paused {
        return (HealthState::Paused, Some(paused(bot, pause)));
    }
    if let Some(behind) = &record.reconciliation {
        return (HealthState::Waiting, Some(catches_up(behind)));
    }
    match (open, lines_left) {
        // With `at_end = "again"`, lines are left as long as any line fits.
        (None, Some(0)) => (HealthState::Exhausted, Some(bot.exhausted().into())),
        (Some(post), _) => (HealthState::Waiting, message::reason_of(post)),
        (None, _) => match record.last.as_ref().filter(|post| post.cause == Some(Cause::Budget)) {
            Some(post) => (HealthState::Waiting, message::reason_of(post)),
            None => (HealthState::Ok, None),
        },
    }
}

/// Causes that make a given-up slot as urgent as a slot that was never handled: the post was retried until it was too
/// late. A person's own choice, such as a budget, is not among them, nor is a problem with a single text.
pub(super) const IN_VAIN: [Cause; 5] =
    [Cause::Unreachable, Cause::Limits, Cause::Late, Cause::Silence, Cause::Interrupted];

fn came_to_nothing(post: &Post) -> bool {
    let in_vain = post.cause.is_some_and(|cause| IN_VAIN.contains(&cause));
    post.state == State::Released && post.slot.is_some() && in_vain
}

fn given_up(post: &Post) -> Message {
    let why = post.reason.as_deref().unwrap_or("it says no more than that");
    Message::from("the slot of ")
        .minute(post.slot.unwrap_or(post.due_at))
        .text(format!(" was given up: {why}"))
}

/// Whether a person has to act before the bot posts again. An unknown outcome that settles itself needs no action, nor
/// does a pause that a person asked for.
pub fn needs_person(bot: &Bot, record: Option<&BotRecord>, state: HealthState) -> bool {
    let pause = record.and_then(|record| record.paused.as_ref());
    match state {
        HealthState::Suspended | HealthState::Overdue | HealthState::Exhausted => true,
        HealthState::Unknown => {
            record.and_then(|record| record.open.as_ref()).is_some_and(|post| asks(bot, post))
        }
        HealthState::Paused => pause.is_some_and(|pause| pause.why.is_some()),
        HealthState::Waiting | HealthState::Ok => false,
    }
}

/// Whether only a person can tell what became of a post whose outcome is unknown.
fn asks(bot: &Bot, post: &Post) -> bool {
    post.cause == Some(Cause::Ask) || post.network != bot.network
}

/// Whether a post failed for a reason that suspends its bot and that a sign-in at `signed_in_at` has not fixed.
pub(super) fn ails(post: &Post, signed_in_at: Option<DateTime<Utc>>) -> bool {
    let mended = mended_by_sign_in(post) && signed_in_at.is_some_and(|at| post.moved_at < at);
    post.cause.is_some_and(Cause::suspends) && !mended
}

/// Whether signing in would fix the cause of the failure.
pub(super) fn mended_by_sign_in(post: &Post) -> bool {
    post.cause.is_some_and(Cause::ends_with_sign_in)
}

/// The message for a bot that is not signed in.
pub fn not_signed_in(bot: &Bot) -> Message {
    message::not_signed_in(&bot.name)
}

/// Why a person has to act, and what to type.
fn suspended(bot: &Bot, record: &BotRecord) -> Option<Message> {
    if bot.signs_in() && record.signed_in_at.is_none() {
        return Some(not_signed_in(bot));
    }
    if let Some(behind) = &record.reconciliation
        && let Some(why) = behind.why.as_ref().filter(|why| why.cause.suspends())
    {
        let remedy = if why.cause.ends_with_sign_in() { then_sign_in(bot) } else { Message::default() };
        return Some(catches_up(behind).then(remedy));
    }
    let signed_in_at = record.signed_in_at.filter(|_| bot.signs_in());
    let newest = record.open.as_ref().or(record.last.as_ref());
    let post = newest.filter(|post| ails(post, signed_in_at))?;
    let since = record.ailing_since.unwrap_or(post.planned_at);
    let reason = message::reason_of(post).unwrap_or_else(|| "it says no more than that".into());
    // A conflict over the account can be resolved in several ways, which the reason lists.
    let signs_in = mended_by_sign_in(post) && post.cause != Some(Cause::AccountTaken);
    let remedy = if signs_in { then_sign_in(bot) } else { Message::default() };
    Some(Message::from("since ").minute(since).text(": ").then(reason).then(remedy))
}

/// The step that follows the remedy in the reason.
fn then_sign_in(bot: &Bot) -> Message {
    if bot.tokens.is_some() {
        "; then give new tokens in flock.toml and reload flockd".into()
    } else {
        Message::default().remedy(format!("; then `flockd enroll {}`", bot.name), "; then sign in again")
    }
}

/// The message for a bot whose last slot is ahead of the clock. Slots are never used twice, so the bot stays silent
/// until the clock gets there.
pub fn ahead(bot: &Bot, last_slot: DateTime<Utc>, now: DateTime<Utc>) -> Message {
    Message::from("its last slot, ")
        .minute(last_slot)
        .text(", is ahead of this machine's clock, which says ")
        .minute(now)
        .text(", so nothing is posted until then: if the clock is wrong, set it; if it was ahead and is right now, ")
        .remedy(format!("`flockd resume {}`", bot.name), "resume the bot")
}

fn paused(bot: &Bot, pause: &Pause) -> Message {
    let since = Message::from("since ").minute(pause.since);
    let resume = format!("`flockd resume {}`", bot.name);
    match &pause.why {
        None => since.remedy(format!(": {resume} ends it"), ""),
        // Written by an older version, which included the command.
        Some(why) if why.contains(&resume) => since.text(format!(": {why}")),
        Some(why) => since.text(format!(": {why}")).remedy(
            format!(", then {resume}, which may repeat lines posted since"),
            ", then resume, which may repeat lines posted since",
        ),
    }
}

fn catches_up(behind: &Behind) -> Message {
    let so_far =
        behind.why.as_ref().map_or_else(String::new, |why| format!("; so far it can't be: {}", why.reason));
    Message::from("the ledger comes from a copy of ")
        .minute(behind.since)
        .text(format!(", so the account is read before anything is posted{so_far}"))
}

fn unknown(bot: &Bot, post: &Post) -> Message {
    let why = post.reason.as_deref().unwrap_or("no answer came");
    if !asks(bot, post) {
        return format!("{why}; it settles itself").into();
    }
    let command = format!(", then `flockd settle {} --posted` or `--not-posted`", post.id);
    Message::from(why).text(": look at the account").remedy(command, ", and say whether it is there")
}

/// The overdue slot, if any, of a bot whose slots were handled up to `last_slot`. Allows for the longest possible
/// delay. A bot that `rests`, because it is paused, is never overdue.
pub fn overdue(
    bot: &Bot,
    last_slot: DateTime<Utc>,
    rests: bool,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    let grace = TimeDelta::from_std(bot.jitter + bot.max_late).unwrap_or(TimeDelta::MAX);
    // A bot handled this recently can't be overdue, so its next slot need not be computed.
    if rests || now - last_slot <= grace {
        return None;
    }
    let slot = bot.schedule.next_after(last_slot)?;
    (now - slot > grace).then_some(slot)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::flock::account::TokenSources;
    use crate::flock::message::Piece;
    use crate::flock::secret::SecretSource;
    use crate::flock::{NetworkKind, samples};

    fn hourly() -> Bot {
        let (jitter, max_late) = (Duration::from_secs(600), Duration::from_secs(1_800));
        Bot { jitter, max_late, ..samples::bot("walt", "@hourly") }
    }

    fn at(minutes: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(365) + TimeDelta::minutes(minutes)
    }

    fn post(state: State, cause: Option<Cause>) -> Post {
        let reason = cause.map(|cause| format!("because of {cause}"));
        Post { state, cause, reason, ..samples::post("walt", at(0), "a line") }
    }

    fn record(open: Option<Post>, last: Option<Post>) -> BotRecord {
        BotRecord {
            schedule: String::new(),
            skipped: Vec::new(),
            last_slot: at(0),
            missed: 0,
            account: None,
            signed_in_at: None,
            ailing_since: None,
            round: 1,
            open,
            last,
            last_posted: None,
            avoid: std::collections::HashSet::default(),
            seed: crate::flock::choose::Seed::new([0; 16]),
            sent_last_hour: 0,
            paused: None,
            reconciliation: None,
        }
    }

    #[track_caller]
    fn check(record: &BotRecord, left: usize, minutes: i64, expect: HealthState, reason: &str) {
        let (state, said) = health_state(&hourly(), Some(record), Some(left), at(minutes));
        assert_eq!(state, expect);
        let said = said.unwrap_or_default();
        assert!(said.to_string().contains(reason), "{reason:?}");
        is_for_the_page(&said);
    }

    /// A page never asks its reader to type a command.
    #[track_caller]
    fn is_for_the_page(said: &Message) {
        for piece in said.pieces() {
            match piece {
                Piece::Text(words) | Piece::Remedy { page: words, .. } => {
                    assert!(!words.contains("`flockd"), "{words}");
                }
                Piece::At(_) | Piece::Minute(_) | Piece::Link(_) => {}
            }
        }
    }

    #[test]
    fn of_several_conditions_the_first_counts() {
        let fine = record(None, Some(post(State::Posted, None)));
        check(&fine, 1, 30, HealthState::Ok, "");
        check(&fine, 0, 30, HealthState::Exhausted, "add lines");
        // Jitter may delay the slot at minute 60 by up to ten minutes, and `max_late` allows thirty more.
        check(&fine, 0, 100, HealthState::Exhausted, "");
        check(&fine, 0, 101, HealthState::Overdue, "daemon");
        let retried = record(Some(post(State::Planned, Some(Cause::Unreachable))), None);
        check(&retried, 0, 30, HealthState::Waiting, "unreachable");
        let doubted = record(Some(post(State::Unknown, Some(Cause::Silence))), None);
        check(&doubted, 0, 500, HealthState::Unknown, "settles itself");
        let asks = record(Some(post(State::Unknown, Some(Cause::Ask))), None);
        check(&asks, 0, 500, HealthState::Unknown, "flockd settle");
        let paused = BotRecord { paused: Some(Pause { since: at(0), why: None }), ..retried };
        check(&paused, 0, 500, HealthState::Paused, "flockd resume walt");
        let behind =
            |why| BotRecord { reconciliation: Some(Behind { since: at(0), why }), ..record(None, None) };
        check(&behind(None), 1, 30, HealthState::Waiting, "comes from a copy");
        check(&behind(None), 1, 101, HealthState::Overdue, "comes from a copy");
        let why = |cause| Some(crate::flock::post::Why::new(cause, "because"));
        check(&behind(why(Cause::Unreachable)), 1, 30, HealthState::Waiting, "can't be: because");
        check(
            &behind(why(Cause::Account)),
            1,
            500,
            HealthState::Suspended,
            "because; then `flockd enroll walt`",
        );
        let locked = record(Some(post(State::Planned, Some(Cause::SignIn))), None);
        check(&locked, 0, 500, HealthState::Suspended, "sign-in");
    }

    #[test]
    fn a_post_that_went_out_ends_a_suspension() {
        let lost = record(None, Some(post(State::Released, Some(Cause::Poem))));
        check(&lost, 1, 30, HealthState::Suspended, "poem");
        let by_hand = record(None, Some(post(State::Released, Some(Cause::Person))));
        check(&by_hand, 1, 30, HealthState::Ok, "");
        let back = record(None, Some(post(State::Posted, None)));
        check(&back, 1, 30, HealthState::Ok, "");
    }

    #[test]
    fn a_slot_that_was_tried_until_it_was_too_late_is_no_slot_that_was_dealt_with() {
        for cause in IN_VAIN {
            let given_up = post(State::Released, Some(cause));
            check(
                &record(None, Some(given_up.clone())),
                1,
                30,
                HealthState::Overdue,
                "was given up: because of",
            );
            let by_hand = Post { slot: None, ..given_up.clone() };
            check(&record(None, Some(by_hand)), 1, 30, HealthState::Ok, "");
            let paused = Some(Pause { since: at(10), why: None });
            let paused = BotRecord { paused, ..record(None, Some(given_up)) };
            check(&paused, 1, 30, HealthState::Paused, "");
        }
        let budget = record(None, Some(post(State::Released, Some(Cause::Budget))));
        check(&budget, 1, 30, HealthState::Waiting, "budget");
        let refrain = record(None, Some(post(State::Released, Some(Cause::Duplicate))));
        check(&refrain, 1, 30, HealthState::Ok, "");
    }

    #[test]
    fn a_clock_that_was_ahead_needs_a_person() {
        let fine = record(None, None);
        check(&fine, 1, -120, HealthState::Suspended, "`flockd resume walt`");
        check(&fine, 0, -10_000_000, HealthState::Suspended, "ahead of this machine's clock");
        check(&fine, 1, 0, HealthState::Ok, "");
        // Clocks differ, and no slot is lost if none comes before the last one.
        check(&fine, 1, -5, HealthState::Ok, "");
        let yearly = Bot { schedule: samples::bot("walt", "@yearly").schedule, ..hourly() };
        assert!(!clock_was_ahead(&yearly, at(-60), false, at(-180)));
        let paused = BotRecord { paused: Some(Pause { since: at(0), why: None }), ..fine };
        check(&paused, 1, -120, HealthState::Paused, "flockd resume");
    }

    #[test]
    fn a_bot_that_the_ledger_does_not_know_waits_for_the_daemon() {
        let (state, reason) = health_state(&hourly(), None, Some(3), at(0));
        assert_eq!(state, HealthState::Waiting);
        assert!(reason.unwrap().to_string().contains("start one"));
    }

    fn on_x(tokens: bool) -> Bot {
        let source = || SecretSource::Env("T".to_owned());
        let sources = || TokenSources { access_token: source(), access_token_secret: Some(source()) };
        Bot { network: NetworkKind::X, tokens: tokens.then(sources), ..hourly() }
    }

    #[track_caller]
    fn check_x(bot: &Bot, record: &BotRecord, expect: HealthState, reason: &str) {
        let (state, said) = health_state(bot, Some(record), Some(1), at(30));
        let said = said.unwrap_or_default();
        is_for_the_page(&said);
        assert_eq!((state, said.to_string().as_str()), (expect, reason));
    }

    #[test]
    fn a_bot_without_tokens_is_suspended_at_once() {
        let out = record(None, None);
        check_x(&on_x(false), &out, HealthState::Suspended, "not signed in: type `flockd enroll walt`");
        check_x(&on_x(true), &out, HealthState::Ok, "");
        check_x(&hourly(), &out, HealthState::Ok, "");
        let signed_in = BotRecord { signed_in_at: Some(at(1)), ..out };
        check_x(&on_x(false), &signed_in, HealthState::Ok, "");
    }

    #[test]
    fn a_suspension_says_since_when_why_and_what_to_type() {
        let ailing = |cause| BotRecord {
            signed_in_at: Some(at(-60)),
            ailing_since: Some(at(-6)),
            ..record(Some(post(State::Planned, Some(cause))), None)
        };
        let (mine, theirs) = (on_x(false), on_x(true));
        let lost = ailing(Cause::SignIn);
        let since = "since 1970-12-31 23:54 UTC: because of";
        let enroll = format!("{since} sign-in; then `flockd enroll walt`");
        check_x(&mine, &lost, HealthState::Suspended, &enroll);
        let restart = format!("{since} sign-in; then give new tokens in flock.toml and reload flockd");
        check_x(&theirs, &lost, HealthState::Suspended, &restart);
        check_x(&mine, &ailing(Cause::Credits), HealthState::Suspended, &format!("{since} credits"));
    }

    #[test]
    fn signing_in_ends_what_it_proves_to_be_mended() {
        let ailing = |cause, minutes| BotRecord {
            signed_in_at: Some(at(minutes)),
            ..record(None, Some(post(State::Released, Some(cause))))
        };
        for &cause in Cause::ALL.iter().filter(|cause| cause.suspends()) {
            // The post failed one second after minute 0.
            let (before, after) = (ailing(cause, 0), ailing(cause, 1));
            let said = |bot: &Bot, record| health_state(bot, Some(record), Some(1), at(30)).0;
            assert_eq!(said(&on_x(false), &before), HealthState::Suspended, "{cause}");
            let ended = if cause.ends_with_sign_in() { HealthState::Ok } else { HealthState::Suspended };
            assert_eq!(said(&on_x(false), &after), ended, "{cause}");
            assert_eq!(
                said(&on_x(true), &after),
                HealthState::Suspended,
                "tokens in flock.toml win: {cause}"
            );
        }
    }
}
