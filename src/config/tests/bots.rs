use std::path::PathBuf;
use std::time::Duration;

use super::*;
use crate::flock::account::Profile;
use crate::flock::poem::Split;
use crate::flock::schedule::Zone;
use crate::flock::secret::SecretSource;
use crate::flock::{AtEnd, NetworkKind, OnMiss, OnUnknown, Order, ThreadMode};

#[test]
fn what_is_not_said_has_the_documented_default() {
    let bot = walt(&feed(""));
    assert_eq!((bot.name.as_str(), bot.network), ("walt", NetworkKind::Feed));
    assert_eq!(bot.poem, PathBuf::from("home/walt.txt"));
    assert_eq!((bot.schedule.text(), bot.schedule.zone().clone()), ("0 * * * *", Zone::utc()));
    assert_eq!((bot.split, bot.order, bot.at_end), (Split::Line, Order::Shuffle, AtEnd::Stop));
    assert_eq!((bot.on_miss, bot.max_per_hour), (OnMiss::Once, 3_600));
    assert_eq!(bot.on_unknown, OnUnknown::AssumePosted);
    assert_eq!((bot.jitter, bot.max_late), (Duration::ZERO, Duration::from_secs(3_600)));
    assert!(bot.app.is_none() && bot.account.is_none() && bot.was.is_none() && bot.tokens.is_none());
    assert_eq!(bot.profile, Profile::default());
    assert_eq!(walt(&on_x("app = \"x\"")).max_per_hour, 60);
}

#[test]
fn a_bot_says_all_that_it_can() {
    let bot = walt(&on_x(
        "app = \"x\"\naccount = \"@Walt_Lines\"\ntimezone = \"Europe/Berlin\"\njitter = \"10m\"\n\
         order = \"sequence\"\nat_end = \"again\"\non_miss = \"skip\"\nmax_late = \"90s\"\n\
         max_per_hour = 5\nsplit = \"stanza\"\nwas = \"old-walt\"\non_unknown = \"ask\"",
    ));
    assert_eq!((bot.network, bot.account.as_deref()), (NetworkKind::X, Some("Walt_Lines")));
    assert_eq!(
        (bot.schedule.zone().clone(), bot.jitter),
        (Zone::built_in("Europe/Berlin").unwrap(), Duration::from_secs(600))
    );
    assert_eq!((bot.order, bot.at_end, bot.on_miss), (Order::Sequence, AtEnd::Again, OnMiss::Skip));
    assert_eq!((bot.max_late, bot.max_per_hour), (Duration::from_secs(90), 5));
    assert_eq!((bot.split, bot.was.unwrap().as_str()), (Split::Stanza, "old-walt"));
    assert_eq!(bot.on_unknown, OnUnknown::Ask);
    let app = bot.app.unwrap();
    assert_eq!((app.name.as_str(), app.api_url.as_str()), ("x", "https://api.x.com"));
    assert_eq!(app.consumer.as_ref().unwrap().key, SecretSource::Env("K".into()));
    assert_eq!(bot.tokens.unwrap().access_token_secret, Some(SecretSource::Env("TS".into())));
}

#[test]
fn a_table_is_known_by_its_name() {
    let split = |bot: &str, defaults: &str| walt(&(feed(bot) + defaults)).split;
    let stanzas = "[defaults]\nsplit = \"stanza\"\n";
    assert_eq!((split("", ""), split("", stanzas)), (Split::Line, Split::Stanza));
    let renamed = |name: &str, more: &str| {
        walt(&(feed(more).replace("poem.txt", name).replace("walt.txt", name) + stanzas)).split
    };
    for (name, split) in [
        ("owls.csv", Split::Csv),
        ("o.TSV", Split::Tsv),
        ("o.tab", Split::Tsv),
        ("o.ndjson", Split::JsonLines),
        ("csv", Split::Stanza),
    ] {
        assert_eq!(renamed(name, ""), split, "{name}");
    }
    assert_eq!(renamed("owls.csv", "split = \"line\""), Split::Line);
    assert_eq!(renamed("owls.txt", "split = \"jsonl\""), Split::JsonLines);
}

#[test]
fn defaults_hold_where_a_bot_is_silent() {
    let defaults = "[flock]\ntimezone = \"Asia/Tokyo\"\n[defaults]\norder = \"sequence\"\nmax_per_hour = 7\n";
    let bot = walt(&(feed("order = \"shuffle\"") + defaults));
    assert_eq!(
        (bot.order, bot.max_per_hour, bot.schedule.zone().clone()),
        (Order::Shuffle, 7, Zone::built_in("Asia/Tokyo").unwrap())
    );
    let bot = walt(&(feed("") + defaults + "timezone = \"Asia/Seoul\""));
    assert_eq!(
        (bot.order, bot.schedule.zone().clone()),
        (Order::Sequence, Zone::built_in("Asia/Seoul").unwrap())
    );
    assert_eq!(walt(&(feed("timezone = \"UTC\"") + defaults)).schedule.zone().clone(), Zone::utc());
}

#[test]
fn every_habit_can_be_a_default() {
    let bot = walt(
        &(feed("")
            + "[defaults]\norder = \"sequence\"\nat_end = \"again\"\non_miss = \"skip\"\njitter = \"1s\"\n\
               max_late = \"2s\"\nmax_per_hour = 3\nsplit = \"stanza\"\ntimezone = \"Asia/Tokyo\"\n\
               on_unknown = \"ask\"\nthread = \"auto\"\nalt_optional = true"),
    );
    assert_eq!((bot.order, bot.at_end, bot.on_miss), (Order::Sequence, AtEnd::Again, OnMiss::Skip));
    assert_eq!((bot.thread, bot.alt_optional), (ThreadMode::Auto, true));
    assert_eq!(bot.on_unknown, OnUnknown::Ask);
    assert_eq!((bot.jitter, bot.max_late), (Duration::from_secs(1), Duration::from_secs(2)));
    assert_eq!(
        (bot.max_per_hour, bot.split, bot.schedule.zone().clone()),
        (3, Split::Stanza, Zone::built_in("Asia/Tokyo").unwrap())
    );
}

#[test]
fn bots_come_in_the_order_of_the_file() {
    let bot = |name| feed("").replace("walt", name);
    let flock = flock(&["zoe", "adam", "mia"].map(bot).concat());
    let names: Vec<&str> = flock.bots.iter().map(|bot| bot.name.as_str()).collect();
    assert_eq!(names, ["zoe", "adam", "mia"]);
}

#[test]
fn every_way_to_name_a_secret_is_understood() {
    let source = |value: &str| {
        let input = on_x("app = \"x\"").replace("{ env = \"T\" }", value);
        walt(&input).tokens.unwrap().access_token
    };
    assert_eq!(source("{ file = \"t\" }"), SecretSource::File("home/t".into()));
    assert_eq!(source("{ file = \"/run/t\" }"), SecretSource::File("/run/t".into()));
    assert_eq!(source("{ credential = \"t\" }"), SecretSource::Credential("t".into()));
    assert!(matches!(source("\"sesame\""), SecretSource::Literal(secret) if secret.expose() == "sesame"));
}

#[test]
fn unknown_keys_get_a_suggestion() {
    let hint = "remove it; flock.toml.example explains every key there is";
    check(
        feed("shedule = 1"),
        &["error: flock.toml:5: bot walt: unknown key `shedule`: did you mean `schedule`?"],
    );
    check(feed("colour = 1"), &[&format!("error: flock.toml:5: bot walt: unknown key `colour`: {hint}")]);
    check(feed("[bot.emily]"), &["error: flock.toml:5: unknown key `bot`: did you mean `bots`?"]);
    check(
        feed("[defaults]\nordr = 1\n[web]\nlissen = 1\n[flock]\ntimezon = 1"),
        &[
            "error: flock.toml:6: [defaults]: unknown key `ordr`: did you mean `order`?",
            "error: flock.toml:8: [web]: unknown key `lissen`: did you mean `listen`?",
            "error: flock.toml:10: [flock]: unknown key `timezon`: did you mean `timezone`?",
        ],
    );
}

#[test]
fn what_is_missing_is_named() {
    check(
        "\n[bots.walt]",
        &[
            "error: flock.toml:2: bot walt: `network` is missing: write network = \"feed\", or app = \"NAME\" to post under an app",
            "error: flock.toml:2: bot walt: `poem` is missing: write the file to post from, like \"poems/walt.txt\"",
            "error: flock.toml:2: bot walt: `schedule` is missing: write when the bot posts, like \"0 */3 * * *\"",
        ],
    );
    let empty = "error: flock.toml: there is no bot: write a table [bots.NAME] with `network`, `poem` and `schedule`, or run `flockd init`";
    check("", &[empty]);
    check("[bots]", &[empty]);
}

#[test]
fn values_of_the_wrong_kind_are_named_and_not_shown() {
    check(
        feed(
            "jitter = 10\norder = true\nmax_per_hour = \"9\"\nwas = [1]\naccount = 1979-05-27\nsplit = 1.5\nmax_late = {}",
        ),
        &[
            "error: flock.toml:5: bot walt: `jitter` must be a quoted duration, like \"90s\", \"10m\" or \"1h 30m\", not a number",
            "error: flock.toml:6: bot walt: `order` must be a quoted string, not true or false",
            "error: flock.toml:7: bot walt: `max_per_hour` must be a whole number, not a string",
            "error: flock.toml:8: bot walt: `was` must be a quoted string, not a list",
            "error: flock.toml:9: bot walt: `account` must be a quoted string, not a date",
            "error: flock.toml:10: bot walt: `split` must be a quoted string, not a number",
            "error: flock.toml:11: bot walt: `max_late` must be a quoted duration, like \"90s\", \"10m\" or \"1h 30m\", not a table",
        ],
    );
}

#[test]
fn values_out_of_range_are_told_the_range() {
    let longs = format!("was = \"{}\"", "w".repeat(5_000));
    check(
        feed(&longs),
        &["error: flock.toml:5: bot walt: `was` has 5000 bytes, 4096 is the most: shorten it"],
    );
    check(
        feed(
            "jitter = \"soon\"\norder = \"random\"\nat_end = \"\"\nmax_late = \"8d\"\nmax_per_hour = 0\ntimezone = \"Europe/Berln\"",
        ),
        &[
            "error: flock.toml:5: bot walt: `jitter` must be a quoted duration, like \"90s\", \"10m\" or \"1h 30m\", not \"soon\"",
            "error: flock.toml:6: bot walt: `order` must be \"shuffle\" or \"sequence\", not \"random\"",
            "error: flock.toml:7: bot walt: `at_end` is empty: write something, or remove the key",
            "error: flock.toml:8: bot walt: `max_late` must be from 1s to 7days",
            "error: flock.toml:9: bot walt: `max_per_hour` must be from 1 to 3600",
            "error: flock.toml:10: bot walt: unknown time zone \"Europe/Berln\": did you mean \"Europe/Berlin\"?",
        ],
    );
    check(
        feed(
            "max_per_hour = 99999999999999999999\nmax_late = \"1ms\"\ntimezone = \"Middle-earth/Bree\"\naccount = \"a\\u0000b\"",
        ),
        &[
            "error: flock.toml:5: bot walt: `max_per_hour` must be from 1 to 3600",
            "error: flock.toml:6: bot walt: `max_late` must be from 1s to 7days",
            "error: flock.toml:7: bot walt: unknown time zone \"Middle-earth/Bree\": write a zone from the IANA list, like \"Europe/Berlin\"",
            "error: flock.toml:8: bot walt: `account` holds the control character U+0000: remove it",
        ],
    );
}

#[test]
fn a_bot_is_at_home_in_one_place() {
    let bot = |keys: &str| on_x(keys);
    check(
        bot("network = \"y\""),
        &[
            "error: flock.toml:6: bot walt: `network` must be \"x\" or \"mastodon\" or \"bluesky\" or \"feed\" or \"paper\", not \"y\"",
            IDLE,
        ],
    );
    check(
        bot("network = \"x\""),
        &["error: flock.toml:6: bot walt: network x needs an app: write app = \"x\" instead", IDLE],
    );
    check(
        bot("network = \"x\"").replace(APP, ""),
        &[
            "error: flock.toml:6: bot walt: network x needs an app: write app = \"x\" instead, and a table [apps.x] with its keys",
        ],
    );
    check(
        bot("network = \"x\"\napp = \"x\""),
        &[
            "error: flock.toml:6: bot walt: has both `app` and `network`: remove `network`, which the app sets",
        ],
    );
    check(
        feed("app = \"x\"") + APP,
        &[
            "error: flock.toml:2: bot walt: network feed takes no app: remove `app`, or remove `network` to post under the app",
        ],
    );
    check(
        bot("app = \"xx\""),
        &["error: flock.toml:6: bot walt: unknown app \"xx\": did you mean \"x\"?", IDLE],
    );
    check(
        bot("app = \"mine\"").replace(APP, ""),
        &["error: flock.toml:6: bot walt: unknown app \"mine\": write a table [apps.mine] with its keys"],
    );
}

const IDLE: &str = "warning: flock.toml:8: app x: no bot uses it: remove it, or write app = \"x\" in a bot";

#[test]
fn a_secret_is_named_in_exactly_one_way_and_never_shown() {
    let check = |value: &str, expect: &str| {
        let input = on_x("app = \"x\"").replace("{ env = \"T\" }", value);
        let expect = format!("error: flock.toml:4: bot walt: {expect}");
        super::check(input, &[&expect]);
    };
    let ways = "a quoted string, { env = \"NAME\" }, { file = \"PATH\" } or { credential = \"NAME\" }";
    check("5", &format!("`access_token` must be {ways}, not a number"));
    check("\"\"", "`access_token` is empty: write something, or remove the key");
    check("\"ses\\name\"", "`access_token` holds the control character U+000A: remove it");
    check("{}", "`access_token`: has 0 of `env`, `file` and `credential`: write exactly one");
    check(
        "{ env = \"A\", file = \"b\" }",
        "`access_token`: has 2 of `env`, `file` and `credential`: write exactly one",
    );
    check(
        "{ env = \"12-sesame\" }",
        "`access_token`: `env` must be the name of an environment variable, not the secret itself: take letters, digits and `_`",
    );
    check(
        "{ credential = \"../t\" }",
        "`access_token`: `credential` must be a name without `/`, as in systemd's LoadCredential=NAME:PATH",
    );
    check("{ env = \"A\", fiel = \"b\" }", "`access_token`: unknown key `fiel`: did you mean `file`?");
    let both = on_x("app = \"x\"").replace("{ env = \"TS\" }", "{ env = \"T\" }");
    super::check(
        both,
        &[
            "error: flock.toml:5: bot walt: `access_token_secret` is the same as `access_token`: the two must differ",
        ],
    );
}

#[test]
fn a_bad_schedule_is_named_at_its_line() {
    let said = |schedule: &str| complaints(&feed("").replace("0 * * * *", schedule));
    for bad in ["* * *", "0 0 30 2 *", "60 * * * *", "1 2 3 4 5 6 7 8", "@never"] {
        let said = said(bad);
        assert!(said.len() == 1 && said[0].starts_with("error: flock.toml:4: bot walt: "), "{bad}: {said:?}");
    }
}

#[test]
fn jitter_is_shorter_than_the_schedule() {
    check(
        feed("jitter = \"1h\""),
        &[
            "error: flock.toml:5: bot walt: `jitter` is 1h, but the schedule's slots are 1h apart: take less than 1h",
        ],
    );
    check(feed("jitter = \"59m 59s\""), &[]);
    check(
        feed("[defaults]\njitter = \"2h\""),
        &[
            "error: flock.toml:4: bot walt: `jitter` is 2h by [defaults], but the schedule's slots are 1h apart: take less than 1h, in the bot's own `jitter`",
        ],
    );
}

#[test]
fn a_schedule_that_max_per_hour_cuts_short_is_warned_of() {
    let dense =
        "the schedule has more slots in an hour than `max_per_hour` = 3 allows: those over it are not posted";
    let every = |schedule: &str| feed("max_per_hour = 3").replace("0 * * * *", schedule);
    check(every("*/15 * * * *"), &[&format!("warning: flock.toml:4: bot walt: {dense}")]);
    check(every("*/20 * * * *"), &[]);
    check(every("0-20 9 * * *"), &[&format!("warning: flock.toml:4: bot walt: {dense}")]);
    check(feed("").replace("0 * * * *", "* * * * * *"), &[]);
}
