//! What can go wrong with a post on X, each fault end to end: the first post of a real daemon meets it. The
//! table in `docs/faults.md` is the same list, so every row has its test.

mod case;
mod play;
mod table;

use std::path::Path;

use case::Case;
use futures_util::future::join_all;
use table::{AILMENTS, DOUBTS, LIMITS, REFUSALS, UNREACHABLE};

/// All cases, in the order of the table.
const ALL: [&[Case]; 5] = [UNREACHABLE, DOUBTS, LIMITS, AILMENTS, REFUSALS];

/// Runs cases at the same time, each with its own daemon and fake X.
async fn play_all(cases: &'static [Case]) {
    let played = cases.iter().map(|case| tokio::spawn(play::play(case)));
    let broken: Vec<String> = join_all(played)
        .await
        .into_iter()
        .zip(cases)
        .filter_map(|(played, case)| played.err().map(|error| format!("{}: {error}", case.fault)))
        .collect();
    assert_eq!(broken, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_never_sent_are_retried() {
    play_all(UNREACHABLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn posts_with_an_unknown_outcome_are_probed() {
    play_all(DOUBTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rate_limits_delay_posts() {
    play_all(LIMITS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn app_and_account_errors_use_no_line() {
    play_all(AILMENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rejections_of_a_text_are_honored() {
    play_all(REFUSALS).await;
}

#[test]
fn the_manual_has_these_cases_and_no_others() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md")).unwrap();
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with('|')).collect();
    let head = ["| fault | what flockd does | post's state | line |", "| --- | --- | --- | --- |"];
    let expected: Vec<String> =
        head.map(str::to_owned).into_iter().chain(ALL.concat().iter().map(Case::row)).collect();
    assert_eq!(rows, expected, "as it should be:\n{}", expected.join("\n"));
}
