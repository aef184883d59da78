//! `[bots.NAME]`: reads and assembles one bot. `account` reads its account; `conflicts` checks what two bots
//! may not share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::apps::AppTable;
use super::conflicts::{Conflicts, Home};
use super::defaults::{DEFAULT_MAX_LATE, Defaults};
use super::diagnostics::Reporter;
use super::schedule_checks::ScheduleChecks;
use super::section::{Found, Named, Section};
use super::suggest::short;
use super::{account, post_options};
use crate::flock::account::TokenSources;
use crate::flock::poem::Split;
use crate::flock::{
    AtEnd, Bot, BotName, Mentions, NetworkKind, OnMiss, OnUnknown, Order, ThreadMode, Warnings,
};

/// The context in which bots are read.
pub(super) struct Shared<'t> {
    pub(super) apps: AppTable<'t>,
    pub(super) defaults: Defaults,
    pub(super) timing: ScheduleChecks,
    pub(super) rivals: Conflicts<'t>,
}

/// Reads every bot. A bot that can't be assembled is reported and left out.
pub(super) fn read<'t>(named: &[Named<'t>], shared: &mut Shared<'t>, report: &mut Reporter) -> Vec<Arc<Bot>> {
    let mut bots = Vec::with_capacity(named.len());
    for Named { name, line, table } in named.iter().copied() {
        let label = format!("bot {}", short(name));
        let mut section = Section::new(label, format!("bots.{name}"), table, Some(line), report);
        bots.extend(bot(&mut section, name, shared).map(Arc::new));
        section.finish();
    }
    bots
}

/// Reads one bot.
pub(super) fn bot<'t>(section: &mut Section<'t, '_>, name: &'t str, shared: &mut Shared<'t>) -> Option<Bot> {
    let Shared { apps, defaults, timing, rivals } = shared;
    let bot_name = named(section, name);
    let home = home(section, apps);
    let network = home.as_ref().map(|home| home.network);
    let account = account::handle(section, network);
    let poem = poem(section);
    let app = home.as_ref().and_then(|home| home.app.as_deref());
    let tokens = account::tokens(section, name, network, app);
    let profile = account::profile(section, network);
    let manner = post_options::read(section, network);
    let own = Defaults::read(section);
    let habits = own.or(defaults);
    let schedule = timing.schedule(section, habits.timezone.as_ref());
    let was = was(section);

    rivals.meet_name(section, name);
    rivals.meet_former_name(section, name, was.as_ref());
    rivals.meet_account(section, name, home.as_ref(), account.as_ref(), tokens.as_ref());
    rivals.meet_poem(section, name, network, poem.as_ref());

    let home = home?;
    let max_per_hour = habits.max_per_hour.unwrap_or(home.network.profile().max_per_hour);
    let jitter = habits.jitter.unwrap_or(Duration::ZERO);
    let schedule = schedule?;
    timing.check_jitter(section, &schedule, jitter);
    timing.check_density(section, &schedule, max_per_hour);
    Some(Bot {
        name: bot_name?,
        network: home.network,
        app: home.app,
        account: account.map(|found| found.value),
        // The bot's own word counts, then the file's name, then what is said for all.
        split: own
            .split
            .or_else(|| Split::of_name(&poem.as_ref()?.value))
            .or(habits.split)
            .unwrap_or(Split::Line),
        poem: poem?.value,
        schedule: schedule.value,
        jitter,
        order: habits.order.unwrap_or(Order::Shuffle),
        at_end: habits.at_end.unwrap_or(AtEnd::Stop),
        on_miss: habits.on_miss.unwrap_or(OnMiss::Once),
        on_unknown: habits.on_unknown.unwrap_or(OnUnknown::AssumePosted),
        max_late: habits.max_late.unwrap_or(DEFAULT_MAX_LATE),
        max_per_hour,
        was: was.map(|found| found.value),
        tokens: tokens.map(|(token, secret)| TokenSources {
            access_token: token.value,
            access_token_secret: secret.map(|secret| secret.value),
        }),
        profile,
        options: manner,
        mentions: habits.mentions.unwrap_or(Mentions::Warn),
        thread: habits.thread.unwrap_or(ThreadMode::Marked),
        alt_optional: habits.alt_optional.unwrap_or_default(),
        warnings: habits.warnings.unwrap_or(Warnings::Keep),
    })
}

fn named(section: &mut Section<'_, '_>, name: &str) -> Option<BotName> {
    // The message already contains the bot's name.
    name.parse::<BotName>().map_err(|problem| section.report.error(section.line, problem.to_string())).ok()
}

fn home(section: &mut Section<'_, '_>, apps: &mut AppTable<'_>) -> Option<Home> {
    let app_name = section.plain("app").text("app");
    let network = section.word("network", NetworkKind::ALL, NetworkKind::as_str);
    match (app_name, network) {
        (Some(name), None) => {
            let known = apps.of(section, name)?;
            Some(Home { network: known.network?, app: known.app })
        }
        (None, Some(network)) if network.value.needs_account() => {
            let app = apps.standing_in(network.value);
            if app.is_none() {
                app_needed(section, network, apps);
            }
            Some(Home { network: network.value, app })
        }
        (None, Some(network)) => Some(Home { network: network.value, app: None }),
        (Some(name), Some(network)) => {
            let known = apps.of(section, name);
            report_app_and_network(section, network);
            Some(Home { network: network.value, app: known.and_then(|known| known.app) })
        }
        (None, None) if section.wrote("app") || section.wrote("network") => None,
        (None, None) => {
            section.absent(
                "`network` is missing: write network = \"feed\", or app = \"NAME\" to post under an app"
                    .into(),
            );
            None
        }
    }
}

fn app_needed(section: &mut Section<'_, '_>, network: Found<NetworkKind>, apps: &AppTable<'_>) {
    // Unless the whole file was parsed, the app may be in the part that is missing.
    if !section.report.whole {
        return;
    }
    let Found { value: network, line } = network;
    let remedy = match apps.one_for(network) {
        Some(app) => format!("write app = \"{}\" instead", short(app)),
        None if network.profile().has_servers => format!(
            "write app = \"{network}\" instead, and a table [apps.{network}] with the server's address as `api_url`"
        ),
        None => format!("write app = \"{network}\" instead, and a table [apps.{network}] with its keys"),
    };
    section.error(Some(line), format!("network {network} needs an app: {remedy}"));
}

fn report_app_and_network(section: &mut Section<'_, '_>, network: Found<NetworkKind>) {
    // A bot that is defined twice may have one key in each table; the duplicate is reported already.
    if !section.report.whole {
        return;
    }
    let Found { value: network, line } = network;
    let message = if network.needs_account() {
        "has both `app` and `network`: remove `network`, which the app sets".into()
    } else {
        format!("network {network} takes no app: remove `app`, or remove `network` to post under the app")
    };
    section.error(Some(line), message);
}

fn poem(section: &mut Section<'_, '_>) -> Option<Found<PathBuf>> {
    let poem = section.path("poem");
    section.missing("poem", "write the file to post from, like \"poems/walt.txt\"");
    poem
}

fn was(section: &mut Section<'_, '_>) -> Option<Found<BotName>> {
    let Found { value, line } = section.plain("was").text("was")?;
    match value.parse() {
        Ok(value) => Some(Found { value, line }),
        Err(problem) => {
            section.error(Some(line), format!("`was`: {problem}"));
            None
        }
    }
}
