//! Events as log lines: a sentence for people, and fields for programs. Every event is logged here, once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::Span;

use crate::flock::changes::Changes;
use crate::flock::event::{Event, Listener};
use crate::flock::poem::on_one_line;
use crate::flock::post::{Cause, Post};
use crate::flock::{BotName, NetworkKind};

/// Maximum length of quoted text in a log line, in characters.
const QUOTED: usize = 80;

/// Maximum number of names or line numbers in a list; `flockd check` lists all lines.
const LISTED: usize = 10;

/// The span around the lines of an event. Its fields are for programs: the event's name, and values that a
/// program would otherwise have to parse out of the sentence. JSON logs show them, logs for people don't.
pub const SPAN: &str = "event";

/// The name of a post that a dry run would have made, as it is not `posted`.
pub const WOULD_POST: &str = "would-post";

/// The name of the line with the web server's address.
pub const LISTENING: &str = "listening";

/// The name of the line about a newly created ledger.
pub const LEDGER_CREATED: &str = "ledger-created";

/// The name of the line about an upgraded ledger.
pub const LEDGER_UPGRADED: &str = "ledger-upgraded";

/// The names of lines that belong to no [`Event`].
pub const OTHER_NAMES: [&str; 4] = [WOULD_POST, LISTENING, LEDGER_CREATED, LEDGER_UPGRADED];

/// Logs a dry run, which posts nothing, and a summary when it stops.
pub fn dry_run() -> Listener {
    let posts = Mutex::new(HashMap::<BotName, u64>::new());
    Box::new(move |event| match event {
        Event::Posted(post) => {
            *lock(&posts).entry(post.bot.clone()).or_default() += 1;
            would_post(post);
        }
        Event::Stopped { .. } => span(event).in_scope(|| tracing::info!("{}", summary(&lock(&posts)))),
        event => log(event),
    })
}

/// A counter is still valid after a panic.
fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a dry run would have posted.
fn summary(posts: &HashMap<BotName, u64>) -> String {
    let counted = |number: u64, what: &str| format!("{number} {what}{}", if number == 1 { "" } else { "s" });
    let bots = counted(posts.len() as u64, "bot");
    format!("dry run ended: it would have made {} for {bots}", counted(posts.values().sum(), "post"))
}

/// Logs one event.
pub fn log(event: &Event) {
    match event {
        Event::Posted(post) if post.network == NetworkKind::Paper => would_post(post),
        event => span(event).in_scope(|| log_event(event)),
    }
}

/// The span of a line that belongs to no [`Event`] but has a name for programs.
pub fn named(name: &str) -> Span {
    tracing::error_span!(SPAN, event = name)
}

/// The fields of an event for programs. The span has the most severe level, so it is enabled whenever one of
/// its lines is.
fn span(event: &Event) -> Span {
    let name = event.name();
    match event {
        Event::Refused(post)
        | Event::Returned(post)
        | Event::Doubted(post)
        | Event::Looked(post)
        | Event::Released(post) => {
            tracing::error_span!(SPAN, event = name, cause = post.cause.map(Cause::as_str))
        }
        Event::Paused { why, .. } => tracing::error_span!(SPAN, event = name, by_person = why.is_none()),
        Event::PoemRead { unfit, .. } => {
            tracing::error_span!(SPAN, event = name, unfit = (!unfit.is_empty()).then(|| listed(unfit)))
        }
        Event::PoemBroken { poem, line, kept, .. } => {
            tracing::error_span!(SPAN, event = name, poem = %poem.display(), line, kept)
        }
        Event::Reloaded(Changes { came, left, changed, apps, settings, kept, .. }) => {
            let (added, removed, changed) = (joined(came), joined(left), joined(changed));
            let (apps, settings, restart) = (joined(apps), joined(settings), joined(kept));
            tracing::error_span!(SPAN, event = name, added, removed, changed, apps, settings, restart)
        }
        _ => tracing::error_span!(SPAN, event = name),
    }
}

/// Names joined into one field, or `None` if there are none.
fn joined(names: &[impl std::fmt::Display]) -> Option<String> {
    let joined = names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    (!names.is_empty()).then_some(joined)
}

/// Logs what a person did about a line or a post.
fn by_hand(post: &Post, what: &str) {
    tracing::info!(bot = %post.bot, post = %post.id, "{what}: {}", quoted(post));
}

fn log_event(event: &Event) {
    match event {
        Event::Posted(post) => posted(post),
        Event::Refused(post) => {
            tracing::error!(bot = %post.bot, post = %post.id, slot = slot(post), "refused: {}", reason(post));
        }
        Event::PassedOver(post) => by_hand(post, "passed over by hand"),
        Event::PassUndone(post) => by_hand(post, "no longer passed over"),
        Event::Returned(post) => returned(post),
        Event::Doubted(post) => doubted(post),
        Event::Released(post) => {
            tracing::warn!(bot = %post.bot, post = %post.id, slot = slot(post), "released: {}", reason(post));
        }
        Event::Deleted(post) => by_hand(post, "deleted"),
        Event::ClockWasAhead { bot, reason } => tracing::error!(%bot, "{reason}"),
        Event::NotSignedIn { bot, reason } => tracing::warn!(%bot, "{reason}"),
        Event::RenewedElsewhere { bot } => {
            tracing::info!(%bot, "another process is renewing its tokens: waiting, for a minute at most");
        }
        Event::Renewed { bot } => tracing::info!(%bot, "its tokens were renewed"),
        Event::Missed { bot, slots } => tracing::warn!(%bot, slots, "slots were missed and will not fire"),
        Event::Exhausted { bot, remedy } => tracing::warn!(%bot, "the poem is exhausted: {remedy}"),
        Event::RoundBegun { bot, round } => tracing::info!(%bot, round, "the poem begins again"),
        Event::Recognised { bot, handle } => tracing::info!(%bot, handle, "signed in as @{handle}"),
        Event::SharesHistory { bot, handle, was } => {
            tracing::warn!(%bot, %was, "@{handle} has posted as bot {was}: its posts from then count as posted");
        }
        Event::NotRenamed { bot, was } => {
            tracing::warn!(%bot, %was, "both names have a history in the ledger: `was` is ignored, remove it");
        }
        Event::Panicked { bot } => {
            tracing::error!(%bot, "a bug in flockd stopped its work for this bot; retrying in 30 s");
        }
        Event::LedgerTrouble { bot: Some(bot), problem } => tracing::error!(%bot, "{problem}"),
        Event::LedgerTrouble { bot: None, problem } => tracing::error!("{problem}"),
        Event::Looked(post) => {
            tracing::warn!(bot = %post.bot, post = %post.id, slot = slot(post), "still unknown: {}", reason(post));
        }
        Event::Called { bot, network, call, took, room, .. } => {
            tracing::debug!(%bot, %network, call = call.as_str(), ?took, room, "the network was called");
        }
        Event::PoemRead { .. } | Event::PoemBroken { .. } | Event::PictureBroken { .. } => log_poem(event),
        Event::Reloaded(changes) => log_reload(changes),
        Event::NotReloaded { complaints } => {
            let complaints = complaints.join("; ");
            tracing::error!("not reloaded, the daemon keeps running the previous flock: {complaints}");
        }
        Event::Alerted { .. }
        | Event::AlertFailed { .. }
        | Event::AlertDropped { .. }
        | Event::HeartbeatStopped { .. }
        | Event::HeartbeatBack => log_watch(event),
        Event::Paused { .. } | Event::Resumed { .. } | Event::CaughtUp { .. } | Event::NotCaughtUp { .. } => {
            log_pause(event);
        }
        _ => log_flock(event),
    }
}

fn log_reload(changes: &Changes) {
    let Changes { came, left, renamed, changed, apps, settings, kept } = changes;
    let renamed: Vec<String> = renamed.iter().map(|(bot, was)| format!("{bot}, which was {was}")).collect();
    let parts = [
        part("came", came),
        part("left", left),
        part("renamed", &renamed),
        part("changed", changed),
        part("changed apps", apps),
        part("changed settings", settings),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    let what = if parts.is_empty() { "no bot has changed".to_owned() } else { parts.join("; ") };
    tracing::info!("reloaded: {what}");
    if !kept.is_empty() {
        let kept = kept.join(", ");
        tracing::warn!("restart flockd for what can't change while it runs: {kept}");
    }
}

/// A heading with its names, or with their number if there are many.
fn part(heading: &str, names: &[impl std::fmt::Display]) -> Option<String> {
    let joined = || names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match names.len() {
        0 => None,
        1..=LISTED => Some(format!("{heading} {}", joined())),
        number => Some(format!("{heading} {number}")),
    }
}

fn log_poem(event: &Event) {
    match event {
        Event::PoemRead { poem, lines, new, unfit } => {
            tracing::info!(poem = %poem.display(), lines, new, "poem read");
            if let Some(new) = new.filter(|new| *new > 0) {
                let count = if new == 1 { "entry counts" } else { "entries count" };
                tracing::info!(poem = %poem.display(), "{new} {count} as new");
            }
            if !unfit.is_empty() {
                let (poem, unfit) = (poem.display(), listed(unfit));
                tracing::warn!(%poem, "lines that don't fit the network are passed over: {unfit}");
            }
        }
        Event::PoemBroken { poem, line, problem, kept } => {
            let place = line.map_or_else(String::new, |line| format!(":{line}"));
            let meanwhile = if *kept { "the last good version is kept" } else { "its bots can't post" };
            tracing::error!("{}{place}: {problem}; {meanwhile}", poem.display());
        }
        Event::PictureBroken { bot, poem, problem } => {
            tracing::error!(%bot, poem = %poem.display(), "an entry is passed over, because of its picture {problem}");
        }
        _ => {}
    }
}

fn log_pause(event: &Event) {
    match event {
        Event::Paused { bot, why: None } => tracing::info!(%bot, "paused"),
        Event::Paused { bot, why: Some(why) } => {
            tracing::error!(%bot, "paused: {why}, then `flockd resume {bot}`");
        }
        Event::Resumed { bot } => tracing::info!(%bot, "resumed"),
        Event::CaughtUp { bot, found } => {
            tracing::warn!(%bot, found, "the ledger comes from a copy: the account was read, and missing posts were added");
        }
        Event::NotCaughtUp { bot, reason } => {
            tracing::error!(%bot, "the ledger comes from a copy, and the account can't be read yet: {reason}");
        }
        _ => {}
    }
}

fn log_watch(event: &Event) {
    match event {
        Event::Alerted { receiver, about, cause } => {
            tracing::info!(receiver, about, cause, "an alert was delivered");
        }
        Event::AlertFailed { about, cause, problem } => {
            tracing::error!(
                about,
                cause,
                "an alert could not be delivered, and will be tried again: {problem}"
            );
        }
        Event::AlertDropped { receiver, about, cause } => {
            tracing::error!(
                receiver,
                about,
                cause,
                "an alert could not be delivered for a day and was dropped"
            );
        }
        Event::HeartbeatStopped { problem } => tracing::warn!("the heartbeat has stopped: {problem}"),
        Event::HeartbeatBack => tracing::info!("the heartbeat works again"),
        _ => {}
    }
}

/// The first few numbers of a list.
fn listed(numbers: &[usize]) -> String {
    let shown: Vec<String> = numbers.iter().take(LISTED).map(ToString::to_string).collect();
    let more = if numbers.len() > LISTED { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn log_flock(event: &Event) {
    match event {
        Event::Started { bots } => tracing::info!(bots, "the flock is up"),
        Event::Stopping { in_flight: 0 } => tracing::info!("stopping"),
        Event::Stopping { in_flight } => tracing::info!(in_flight, "stopping: waiting for posts in flight"),
        Event::Stopped { abandoned: 0 } => tracing::info!("stopped; everything is recorded"),
        Event::Stopped { abandoned } => {
            tracing::error!(
                abandoned,
                "stopped with posts in flight: they will be unknown at the next start"
            );
        }
        Event::AppCooldown { app, until, reason } => {
            let until = until.to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
            tracing::error!(app, until, "nothing is sent under this app for now: {reason}");
        }
        Event::ClockWentBack { seconds } => {
            tracing::warn!(seconds, "the clock was set back: slots that were used stay used, so bots wait");
        }
        _ => {}
    }
}

fn would_post(post: &Post) {
    named(WOULD_POST).in_scope(|| {
        tracing::info!(bot = %post.bot, slot = slot(post), "dry run, would post: {}", quoted(post));
    });
}

fn posted(post: &Post) {
    let (url, note) = (post.url.as_deref(), post.reason.as_deref());
    tracing::info!(bot = %post.bot, post = %post.id, slot = slot(post), url, note, "posted: {}", quoted(post));
}

fn returned(post: &Post) {
    let retry_at = post.retry_at.map(|at| at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    tracing::warn!(bot = %post.bot, post = %post.id, slot = slot(post), retry_at, "not accepted, will be tried again: {}", reason(post));
}

fn doubted(post: &Post) {
    tracing::error!(
        bot = %post.bot, post = %post.id, slot = slot(post),
        "outcome unknown, the bot waits until that is settled: {}", reason(post)
    );
}

fn slot(post: &Post) -> Option<String> {
    post.slot.map(|slot| slot.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

fn reason(post: &Post) -> &str {
    post.reason.as_deref().unwrap_or("no reason was recorded")
}

/// The beginning of a post's text.
fn quoted(post: &Post) -> String {
    on_one_line(post.text.as_deref().unwrap_or_default(), QUOTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_counts_posts_and_bots() {
        assert_eq!(summary(&HashMap::new()), "dry run ended: it would have made 0 posts for 0 bots");
        let posts = [("walt", 1)].map(|(bot, posts)| (bot.parse().unwrap(), posts));
        assert_eq!(summary(&posts.into()), "dry run ended: it would have made 1 post for 1 bot");
        let posts = [("walt", 2), ("emily", 5)].map(|(bot, posts)| (bot.parse().unwrap(), posts));
        assert_eq!(summary(&posts.into()), "dry run ended: it would have made 7 posts for 2 bots");
    }
}
