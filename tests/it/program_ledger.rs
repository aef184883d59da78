//! The program and trouble with its ledger's files, as a person meets it.

use crate::support::program::{Daemon, Folder};

/// So many daemons are started at once.
const RACERS: usize = 8;

/// Two bots that post every second.
fn busy() -> Folder {
    let bot = |name: &str| {
        format!("[bots.{name}]\nnetwork = \"feed\"\npoem = \"poem.txt\"\nschedule = \"* * * * * *\"\n")
    };
    let flock = format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{}{}", bot("robin"), bot("wren"));
    let folder = Folder::with(&flock);
    let poem: String = (1..=500).map(|n| format!("line {n}\n")).collect();
    folder.write("poem.txt", poem.as_bytes());
    folder
}

#[test]
fn of_daemons_that_race_for_a_ledger_one_runs_and_the_others_name_it() {
    let folder = busy();
    // First there is no ledger yet; then one whose holder was killed.
    for _ in 0..3 {
        let spawn = |_| Daemon::spawn(&mut folder.command(&["run", "--listen", "127.0.0.1:0"]));
        let racers: Vec<Daemon> = (0..RACERS).map(spawn).collect();
        let told = |racer: Daemon| (racer.wait_for_any(&["the flock is up", "error: "]), racer);
        let told: Vec<(String, Daemon)> = racers.into_iter().map(told).collect();
        let (up, refused): (Vec<_>, Vec<_>) =
            told.into_iter().partition(|(line, _)| line.contains("the flock is up"));
        assert_eq!(up.len(), 1, "{:?}", refused.iter().map(|(line, _)| line).collect::<Vec<_>>());
        let holder = format!("process {} runs a flock on the ledger", up[0].1.pid());
        for (line, racer) in refused {
            assert!(line.contains(&holder), "{holder}: {line}");
            assert_eq!(racer.ended(), 1);
        }
        up.into_iter().for_each(|(_, daemon)| daemon.kill());
    }
}
