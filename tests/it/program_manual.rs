//! The program's own manual pages, and what shells complete.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::program::Folder;

/// The verbs that `--help` names.
fn verbs(folder: &Folder) -> Vec<String> {
    let help = folder.run(&["--help"]).out;
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = commands.take_while(|line| !line.is_empty());
    verbs
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|verb| verb != "help")
        .collect()
}

#[test]
fn there_is_a_page_for_each_verb() {
    let folder = Folder::new();
    let verbs = verbs(&folder);
    assert!(verbs.len() > 15 && verbs.contains(&"enroll".to_owned()), "{verbs:?}");
    let page = folder.run(&["man"]).out;
    assert!(page.contains(".TH flockd 1") && page.contains("FLOCK_CONFIG"), "{page}");
    std::fs::create_dir(folder.path("man1")).unwrap();
    assert_eq!(folder.run(&["man", "--to", "man1"]).code, 0);
    for verb in &verbs {
        assert!(page.contains(&format!("flockd\\-{}(1)", verb.replace('-', "\\-"))), "{verb}: {page}");
        let own = std::fs::read_to_string(folder.path(&format!("man1/flockd-{verb}.1"))).unwrap();
        assert!(own.contains(".SH SYNOPSIS"), "{own}");
    }
    let nowhere = folder.run(&["man", "--to", "nowhere"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("can't be written to nowhere"), "{nowhere:?}");
}

#[test]
fn shells_know_the_verbs() {
    let folder = Folder::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = folder.run(&["completions", shell]).out;
        for verb in verbs(&folder) {
            assert!(script.contains(&verb), "{shell} does not know {verb}");
        }
    }
    // Bash is at hand, so it says itself what it would complete.
    let script = folder.run(&["completions", "bash"]).out;
    let mut bash = Command::new("bash").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let asked = format!(
        "{script}\nCOMP_WORDS=(flockd en); COMP_CWORD=1; _flockd flockd en flockd; echo \"${{COMPREPLY[@]}}\"\n"
    );
    bash.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let said = String::from_utf8(bash.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(said.trim(), "enroll");
    assert_eq!(folder.run(&["completions", "cmd.exe"]).code, 2);
}
