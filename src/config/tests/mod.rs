//! The exact diagnostics for every kind of bad input, and the meaning of good input.

mod account;
mod alerts;
mod apps;
mod bots;
mod example;
mod excerpt;
mod files;
mod global;
mod log;
mod networks;
mod restraint;
mod rivals;
mod syntax;

use std::path::Path;

use chrono::{DateTime, Utc};

use super::read;
use crate::flock::{Bot, Flock};

/// An app on X without diagnostics, at the end of the file so that it moves no line.
const APP: &str =
    "\n[apps.x]\nnetwork = \"x\"\nconsumer_key = { env = \"K\" }\nconsumer_secret = { env = \"S\" }\n";

fn now() -> DateTime<Utc> {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

/// A bot on the feed whose keys start on line 5.
fn feed(keys: &str) -> String {
    format!("[bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"0 * * * *\"\n{keys}\n")
}

/// A bot on X whose keys start on line 6; its schedule is on line 3.
fn on_x(keys: &str) -> String {
    let tokens = "access_token = { env = \"T\" }\naccess_token_secret = { env = \"TS\" }";
    format!("[bots.walt]\npoem = \"walt.txt\"\nschedule = \"0 * * * *\"\n{tokens}\n{keys}\n{APP}")
}

fn complaints(input: &str) -> Vec<String> {
    let (_, complaints, _) = read(input, Path::new("flock.toml"), now());
    complaints.iter().map(|complaint| format!("{}: {complaint}", complaint.severity)).collect()
}

/// Compares every diagnostic for an input.
#[track_caller]
fn check(input: impl AsRef<str>, expect: &[&str]) {
    let complaints = complaints(input.as_ref());
    assert_eq!(complaints, expect, "complaints about\n{}", input.as_ref());
}

/// The flock of an input that has no errors; warnings are allowed.
#[track_caller]
fn flock(input: &str) -> Flock {
    let (flock, complaints, _) = read(input, Path::new("home/flock.toml"), now());
    flock.unwrap_or_else(|| panic!("{complaints:#?}"))
}

/// Its first bot.
#[track_caller]
fn walt(input: &str) -> Bot {
    Bot::clone(&flock(input).bots[0])
}
