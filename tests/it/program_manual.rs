//! Manual pages, shell completions, and `flockd explain`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::support::PATIENCE;
use crate::support::bounded::within;
use crate::support::program::Folder;

/// The commands that `--help` lists.
fn verbs(folder: &Folder) -> Vec<String> {
    let help = folder.run(&["--help"]).out;
    // Every command is indented by two columns, below the heading of its group.
    let listed = help.lines().skip_while(|line| !line.ends_with(':')).take_while(|line| *line != "Options:");
    listed
        .filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')))
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .filter(|verb| verb != "help")
        .collect()
}

#[test]
fn each_command_has_a_manual_page() {
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
    for section in ["EXAMPLES", "FILES", "ENVIRONMENT", "EXIT STATUS"] {
        let heading = format!(".SH \"{section}\"");
        assert!(page.contains(&heading) || page.contains(&format!(".SH {section}")), "{section}: {page}");
    }
    let nowhere = folder.run(&["man", "--to", "nowhere"]);
    assert!(nowhere.code == 1 && nowhere.err.contains("nowhere"), "{nowhere:?}");
}

/// What bash offers in place of the last of these words.
fn completed(folder: &Folder, words: &[&str]) -> String {
    let script = folder.run(&["completions", "bash"]).out;
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_flockd")).parent().unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let mut bash = Command::new("bash");
    bash.env("PATH", path).env_remove("FLOCK_CONFIG").current_dir(folder.path(""));
    let mut bash = bash.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (line, last, at) = (words.join(" "), words.last().unwrap(), words.len() - 1);
    let asked = format!(
        "{script}\nfunction=$(complete -p flockd | sed 's/.*-F \\([^ ]*\\).*/\\1/')\n\
         COMP_WORDS=({line}); COMP_CWORD={at}; COMP_TYPE=9; COMP_LINE='{line}'; COMP_POINT=${{#COMP_LINE}}\n\
         $function flockd {last} {before}; printf '%s\\n' \"${{COMPREPLY[@]}}\"\n",
        before = words[at - 1]
    );
    bash.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    String::from_utf8(within(PATIENCE, bash, "bash").stdout).unwrap().trim().to_owned()
}

#[test]
fn a_shell_completes_commands_and_bot_names() {
    let folder = Folder::with(
        "[bots.walt]\nnetwork = \"feed\"\npoem = \"p.txt\"\nschedule = \"@daily\"\n\
         [bots.emily]\nnetwork = \"feed\"\npoem = \"p.txt\"\nschedule = \"@daily\"\nodd\n",
    );
    assert_eq!(completed(&folder, &["flockd", "en"]), "enroll");
    assert_eq!(completed(&folder, &["flockd", "pause", "wa"]), "walt");
    assert_eq!(completed(&folder, &["flockd", "posts", "em"]), "emily", "also while flock.toml is broken");
    for shell in ["bash", "zsh", "fish"] {
        assert!(folder.run(&["completions", shell]).out.contains("FLOCKD_COMPLETE"), "{shell}");
    }
    assert_eq!(folder.run(&["completions", "cmd.exe"]).code, 2);
}

#[test]
fn a_code_is_explained() {
    let folder = Folder::new();
    let list = folder.run(&["explain"]);
    assert_eq!(list.code, 0);
    for code in ["overdue", "sign-in", "panic", "x-credits-depleted", "mastodon-moved", "bluesky-unexpected"]
    {
        assert!(list.out.contains(&format!("  {code} ")), "{code} is not in {}", list.out);
        let one = folder.run(&["explain", &format!("[{code}]")]);
        assert!(one.code == 0 && one.out.starts_with(code) && one.out.contains("What to do: "), "{one:?}");
    }
    let slip = folder.run(&["explain", "x-credit-depleted"]);
    assert!(slip.code == 1 && slip.err.contains("did you mean `x-credits-depleted`?"), "{slip:?}");
    assert_eq!(completed(&folder, &["flockd", "explain", "x-credits"]), "x-credits-depleted");
}
