use super::*;
use crate::flock::log::{Level, Log};

/// A flock with `[log]`, whose keys start on line 7.
fn with(keys: &str) -> String {
    feed("") + &format!("[log]\n{keys}\n")
}

#[track_caller]
fn complains(keys: &str, expect: &str) {
    check(with(keys), &[&format!("error: flock.toml:7: [log]: {expect}")]);
}

#[test]
fn what_is_done_is_logged_unless_something_else_is_said() {
    assert_eq!(flock(&feed("")).log, Log::default());
    assert_eq!(flock(&with("")).log, Log::default());
    let log =
        flock(&with("level = \"warn\"\ntargets = { hyper = \"error\", \"flockd::net::x\" = \"trace\" }")).log;
    let targets = vec![("hyper".to_owned(), Level::Error), ("flockd::net::x".to_owned(), Level::Trace)];
    assert_eq!(log, Log { level: Level::Warn, targets });
}

#[test]
fn a_target_may_be_written_under_the_name_that_its_part_had_before() {
    for (written, current) in [
        ("flockd::door", "flockd::listener"),
        ("flockd::shelf", "flockd::sources"),
        ("flockd::watch::guard", "flockd::alerts::guard"),
        ("flockd::door::connections", "flockd::listener::connections"),
        ("flockd::listener", "flockd::listener"),
    ] {
        let log = flock(&with(&format!("targets = {{ \"{written}\" = \"debug\" }}"))).log;
        assert_eq!(log.targets, [(current.to_owned(), Level::Debug)], "{written}");
    }
    complains(
        "targets = { \"flockd::doors\" = \"debug\" }",
        "target \"flockd::doors\" is not a part of flockd: its parts are alerts, cli, clock, config, daemon, engine, \
         enroll, health, listener, net, sources, store, web",
    );
}

#[test]
fn levels_and_targets_that_are_none_are_complained_of() {
    let levels = "\"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\"";
    complains("level = \"loud\"", &format!("`level` must be {levels}, not \"loud\""));
    complains(
        "targets = \"debug\"",
        "`targets` must be a table: write [log.targets] on a line of its own, not a string",
    );
    complains("targets = { hyper = 7 }", &format!("target \"hyper\" must be {levels}"));
    complains(
        "targets = { \"flockd::nett\" = \"debug\" }",
        "target \"flockd::nett\" is not a part of flockd: did you mean \"flockd::net\"?",
    );
    for name in ["hyper=trace", "a b", "flockd::", ""] {
        complains(
            &format!("targets = {{ \"{name}\" = \"debug\" }}"),
            &format!("target \"{name}\" is not a valid target: write one like \"flockd::net\" or \"hyper\""),
        );
    }
    complains("levle = \"info\"", "unknown key `levle`: did you mean `level`?");
}
