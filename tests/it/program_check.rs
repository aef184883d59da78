//! `flockd check` for several networks: lines that don't fit, mentions, accounts that would repeat each
//! other, and bots that are not marked as bots.

use flockd::flock::NetworkKind;
use flockd::flock::account::{Account, TextLimits};
use flockd::store::Store as _;
use flockd::store::sqlite::Sqlite;

use crate::ledger;
use crate::support::content::png;
use crate::support::program::{Daemon, Folder};
use crate::support::terminal::Terminal;

const APPS: &str = "[apps.home]\nnetwork = \"mastodon\"\napi_url = \"https://example.social\"\n\
    [apps.x]\nnetwork = \"x\"\nclient_id = \"c\"\n";

/// A bot on each of three networks with the same poem, and one more on Mastodon whose poem shares two lines.
fn everywhere() -> Folder {
    let bot = |name: &str, home: &str, poem: &str| {
        format!("[bots.{name}]\n{home}\npoem = \"{poem}\"\nschedule = \"@daily\"\n")
    };
    let bots = [
        bot("walt", "app = \"home\"", "all.txt"),
        bot("emily", "network = \"bluesky\"", "all.txt"),
        bot("robin", "app = \"x\"", "all.txt"),
        bot("sylvia", "app = \"home\"", "other.txt"),
    ];
    let folder = Folder::with(&(bots.concat() + APPS));
    let lines = |texts: [&str; 4]| texts.join("\n") + "\n";
    folder.write("all.txt", lines(["short", "alike", &"a".repeat(290), &"b".repeat(510)]).as_bytes());
    folder.write("other.txt", lines(["alike", "short", "of its own", &"c".repeat(600)]).as_bytes());
    folder
}

/// What the ledger knows about the bots' accounts.
async fn remember(folder: &Folder, known: &[(&str, NetworkKind, Option<bool>, Option<u32>)]) {
    let database = format!("sqlite:{}", folder.path("flock.db").display());
    let ledger = Sqlite::open_as_owner(&database).await.unwrap();
    for (name, network, automated, characters) in known {
        let limits = characters.map(|characters| TextLimits { characters, per_url: 23 });
        let account = Account { network: *network, automated: *automated, limits, ..ledger::account(name) };
        ledger.remember(&name.parse().unwrap(), &account).await.unwrap();
    }
    ledger.close().await;
}

/// The diagnostics for poems and accounts, in printed order.
fn said(folder: &Folder) -> Vec<String> {
    let said = folder.run(&["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    let lines = said.out.lines().take_while(|line| !line.is_empty());
    lines.filter(|line| !line.contains("`flockd enroll ")).map(str::to_owned).collect()
}

/// How a diagnostic begins (level, file, line, subject), and what else it contains.
type Told = (String, Vec<String>);

fn passed_over(poem: &str, line: usize, bot: &str, length: usize, max: usize) -> Told {
    (format!("warning: {poem}:{line}: {bot} "), vec![length.to_string(), max.to_string()])
}

/// Two bots on one network that share lines.
fn alike() -> Told {
    ("warning: flock.toml:15: bot sylvia: ".to_owned(), vec!["walt".to_owned(), "mastodon".to_owned()])
}

/// Only a person can set X's label for automated accounts.
fn label() -> Told {
    ("note: flock.toml:9: ".to_owned(), vec!["x.com".to_owned()])
}

#[track_caller]
fn is_told(said: &[String], expected: &[Told]) {
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (line, (start, parts)) in said.iter().zip(expected) {
        assert!(line.starts_with(start), "{start:?}: {line}");
        assert!(parts.iter().all(|part| line.contains(part)), "{parts:?}: {line}");
    }
}

/// Mentions depend on the network: a text may mention an account on one network and none on another.
#[test]
fn lines_that_mention_people_are_named_for_each_network() {
    let poem = "@_@ dizzy\nhi @walt\n.@kelp.example.org wrote\nmail me@example.org (this is none)\n";
    let flock = |key: &str| {
        let bot = |name: &str, home: &str| {
            format!("[bots.{name}]\n{home}\npoem = \"p.txt\"\nschedule = \"@daily\"\n{key}\n")
        };
        let bots = [
            bot("tide", "app = \"home\""),
            bot("kelp", "network = \"bluesky\""),
            bot("robin", "app = \"x\""),
            bot("feed", "network = \"feed\""),
        ];
        let folder = Folder::with(&(bots.concat() + APPS));
        folder.write("p.txt", poem.as_bytes());
        folder.run(&["check"]).out
    };
    let warned = flock("");
    for (line, bot, name) in
        [(1, "tide", "@_"), (2, "tide", "@walt"), (3, "tide", "@kelp.example.org"), (2, "robin", "@walt")]
    {
        let start = format!("warning: p.txt:{line}: {bot} ");
        assert!(
            warned.lines().any(|it| it.starts_with(&start) && it.contains(name)),
            "{start}{name}: {warned}"
        );
    }
    assert_eq!(warned.matches("warning: p.txt:").count(), 5, "{warned}");
    assert!(!flock("mentions = \"allow\"").contains("p.txt:"));
    assert!(flock("mentions = \"refuse\"").contains("p.txt:2: robin "));
}

#[tokio::test]
async fn each_line_is_checked_against_the_limit_of_its_network_and_server() {
    let folder = everywhere();
    let usual = [
        passed_over("all.txt", 4, "walt", 510, 500),
        passed_over("all.txt", 4, "emily", 510, 300),
        passed_over("all.txt", 3, "robin", 290, 280),
        passed_over("all.txt", 4, "robin", 510, 280),
        passed_over("other.txt", 4, "sylvia", 600, 500),
        alike(),
        label(),
    ];
    is_told(&said(&folder), &usual);
    let generous =
        [("walt", NetworkKind::Mastodon, None, Some(5_000)), ("sylvia", NetworkKind::X, None, Some(5_000))];
    remember(&folder, &generous).await;
    // Sylvia's server is no longer known: what the ledger has is about another one.
    is_told(&said(&folder), &usual[1..]);
    let status = folder.status();
    let lines_of = |name: &str| {
        let bots = status["bots"].as_array().unwrap();
        bots.iter().find(|bot| bot["name"] == name).unwrap()["lines_total"].as_u64().unwrap()
    };
    assert_eq!(["walt", "emily", "robin", "sylvia"].map(lines_of), [4, 3, 2, 3]);
}

#[tokio::test]
async fn an_account_not_marked_as_a_bot_is_named() {
    let folder = everywhere();
    let known = [
        ("walt", NetworkKind::Mastodon, Some(true), None),
        ("emily", NetworkKind::Bluesky, Some(false), None),
        ("sylvia", NetworkKind::Mastodon, Some(false), None),
    ];
    remember(&folder, &known).await;
    let said = said(&folder);
    let named: Vec<String> = said.iter().filter(|line| line.contains("`flockd profile ")).cloned().collect();
    let of = |line: usize, bot: &str| {
        (format!("warning: flock.toml:{line}: bot {bot}: "), vec![format!("`flockd profile {bot}`")])
    };
    is_told(&named, &[of(5, "emily"), of(13, "sylvia")]);
}

/// A feed has no account by which flockd could recognize a bot.
#[test]
fn a_feed_renamed_without_was_is_reported_and_was_fixes_it() {
    let flock = |name: &str, was: &str| {
        format!(
            "[web]\nlisten = \"127.0.0.1:PORT\"\n[bots.{name}]\nnetwork = \"feed\"\npoem = \"robin.txt\"\n\
             schedule = \"@yearly\"\norder = \"sequence\"\n{was}"
        )
    };
    let folder = Folder::with(&flock("robin", ""));
    folder.write("robin.txt", b"one\ntwo\nthree\n");
    assert_eq!(folder.run(&["post", "robin"]).code, 0);
    let renamed = |name: &str, was: &str| {
        let text = flock(name, was).replace("PORT", &folder.port.to_string());
        folder.write("flock.toml", text.as_bytes());
    };
    renamed("wren", "");
    let daemon = Daemon::spawn(&mut folder.command(&["run"]));
    daemon.wait_for("`was = \\\"robin\\\"`");
    daemon.wait_for_event("started");
    daemon.stop();
    let said = folder.run(&["check"]);
    assert!(said.out.contains("write `was = \"robin\"`"), "{said:?}");
    // Also after the daemon has adopted the new name.
    renamed("wren", "was = \"robin\"\n");
    assert_eq!(folder.run(&["post", "wren"]).code, 0);
    assert!(!folder.run(&["check"]).out.contains("was ="));
    let posts = folder.json(&["posts", "--json"]);
    let posts: Vec<_> = posts.as_array().unwrap().iter().map(|post| (&post["bot"], &post["text"])).collect();
    assert_eq!(posts, [(&"wren".into(), &"two".into()), (&"wren".into(), &"one".into())]);
}

/// What a command prints on a terminal.
fn on_terminal(folder: &Folder, arguments: &[&str]) -> String {
    let mut command = folder.command(arguments);
    command.env_remove("COLUMNS").env("NO_COLOR", "1");
    Terminal::run(command).ended().seen
}

/// Elsewhere only file, line and message are printed, for editors and scripts.
#[test]
fn a_terminal_shows_the_line_that_is_wrong() {
    let bot = "[bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\n";
    let folder = Folder::with(&format!("{bot}schedule = \"0 9 * *\" # sesame\n"));
    folder.write("walt.txt", "#\u{1b}[31m春は".repeat(60).as_bytes());
    let shown = "4:12\n  |\n4 | schedule = \"0 9 * *\"\n  |            ^^^^^^^^^\n";
    for arguments in [&["check"][..], &["run"], &["status"]] {
        let seen = on_terminal(&folder, arguments);
        assert!(seen.contains(shown) && !seen.contains("sesame"), "{arguments:?}: {seen}");
        assert!(!seen.contains('\u{1b}'), "{arguments:?}: {seen:?}");
        let said = folder.run(arguments);
        let said = said.out + &said.err;
        assert!(said.contains("error: flock.toml:4: ") && !said.contains("^^^"), "{arguments:?}: {said}");
    }
    folder.write("flock.toml", format!("{bot}schedule = \"@daily\"\n").as_bytes());
    folder.write("walt.txt", "// 春は\tあけぼの ".repeat(60).as_bytes());
    let seen = on_terminal(&folder, &["check"]);
    assert!(seen.contains("walt.txt:1:1\n  |\n1 | // 春は") && seen.contains("…\n  | ^^^^^^"), "{seen}");
}

/// Not even if flock.toml itself is given as a poem.
#[test]
fn a_terminal_shows_no_secret() {
    let folder = Folder::with(
        "[bots.walt]\nnetwork = \"feed\"\npoem = \"linked.txt\"\nschedule = \"@daily\"\nacces_token = \"sesame\"\n\
         ##sesame\n[alerts]\nurl = \"sesame\"\ncommand = [\n\"sesame\",\n5]\n",
    );
    std::os::unix::fs::symlink("flock.toml", folder.path("linked.txt")).unwrap();
    let seen = on_terminal(&folder, &["check"]);
    for shown in ["acces_token = …", "url = …", "command = …", "linked.txt:6:"] {
        assert!(seen.contains(shown), "{shown}: {seen}");
    }
    assert!(!seen.contains("sesame"), "{seen}");
    folder.write("flock.toml", b"[bots.walt]\naccess_token = \"sesame\nsesame=\n");
    let seen = on_terminal(&folder, &["check"]);
    assert!(seen.contains("access_token = …") && !seen.contains("\"sesame"), "{seen}");
}

#[test]
fn a_fortune_file_is_recognized() {
    let folder =
        Folder::with("[bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\nschedule = \"@daily\"\n");
    folder.write("walt.txt", b"a door\nleft open\n%\nthe tide\n\nis late\n%\n");
    let warned = |out: &str| out.contains("walt.txt:3: this line is only `%`");
    assert!(warned(&folder.run(&["check"]).out));
    let toml = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", format!("{toml}split = \"%\"\n").as_bytes());
    assert!(!warned(&folder.run(&["check"]).out));
    let coming = folder.json(&["preview", "walt", "--json"]);
    let mut texts: Vec<&str> =
        coming.as_array().unwrap().iter().map(|post| post["text"].as_str().unwrap()).collect();
    texts.sort_unstable();
    assert_eq!(texts, ["a door\nleft open", "the tide\n\nis late"]);
}

/// A flock of bots on the feed whose poems have pictures.
fn gallery(poem: &str, more: &str) -> Folder {
    let bot = format!("[bots.walt]\nnetwork = \"feed\"\npoem = \"{poem}\"\nschedule = \"0 9 * * 1\"\n{more}");
    let folder = Folder::with(&bot);
    std::fs::create_dir_all(folder.path("poems/owls")).unwrap();
    folder.write("poems/owl.jpg", &png(8, 6, 1));
    folder.write("poems/page.jpg", b"<!doctype html><title>not found</title>");
    folder.write("secret", b"a secret");
    std::os::unix::fs::symlink("../secret", folder.path("poems/link.jpg")).unwrap();
    folder
}

/// The complaints of a check that begin like this.
fn complaints(folder: &Folder, begin: &str) -> Vec<String> {
    let said = folder.run(&["check"]);
    said.out.lines().filter(|line| line.starts_with(begin)).map(str::to_owned).collect()
}

#[test]
fn pictures_that_can_not_be_posted_are_named_with_their_line() {
    let folder = gallery("poems/walt.txt", "");
    folder.write(
        "poems/walt.txt",
        b"fine ![an owl](owl.jpg)\ngone ![an owl](gone.jpg)\nout ![an owl](link.jpg)\nbare ![](owl.jpg)\n\
          page ![an owl](page.jpg)\n",
    );
    let found = complaints(&folder, "error: poems/walt.txt");
    let expected = [
        "walt.txt:2: gone.jpg",
        "walt.txt:3: link.jpg",
        "walt.txt:4: walt will pass over",
        "walt.txt:5: page.jpg",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for expected in expected {
        assert!(found.iter().any(|said| said.contains(expected)), "{expected} in {found:#?}");
    }
    let toml = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", (toml + "alt_optional = true\n").as_bytes());
    assert_eq!(complaints(&folder, "error: poems/walt.txt").len(), 3);
    folder.write("poems/walt.txt", b"fine\n![an owl](../owl.jpg)\n");
    let found = complaints(&folder, "error: poems/walt.txt:2: ");
    assert!(found.len() == 1 && found[0].contains("outside"), "{found:#?}");
}

#[test]
fn a_folder_is_checked_by_the_names_of_its_files() {
    let folder = gallery("poems/owls/", "");
    folder.write("poems/owls/barn.jpg", &png(8, 6, 2));
    folder.write("poems/owls/tawny.png", &png(8, 6, 3));
    folder.write("poems/owls/tawny.txt", b"An owl.\nalt: a tawny owl\n");
    folder.write("poems/owls/film.mp4", b"a film");
    let errors = complaints(&folder, "error: ");
    assert!(errors.len() == 1 && errors[0].contains("poems/owls/barn.jpg"), "{errors:#?}");
    let warnings = complaints(&folder, "warning: poems/owls");
    assert!(warnings.len() == 1 && warnings[0].contains("film.mp4"), "{warnings:#?}");
    folder.write("poems/owls/barn.txt", b"alt: a barn owl\n");
    assert!(complaints(&folder, "error: ").is_empty());
    folder.write("poems/owls/barn.txt", b"alt: \xff\n");
    let errors = complaints(&folder, "error: ");
    assert!(errors.len() == 1 && errors[0].contains("barn.txt, line 1"), "{errors:#?}");
}

#[test]
fn days_with_more_dates_than_slots_and_threads_that_are_too_long_are_named() {
    let folder = gallery("walt.jsonl", "max_per_hour = 2\n");
    folder.write(
        "walt.jsonl",
        b"{\"text\": \"a monday\", \"date\": \"2100-03-01\"}\n\
          {\"text\": \"too many\", \"date\": \"2100-03-08\"}\n{\"text\": \"really\", \"date\": \"2100-03-08\"}\n\
          {\"text\": \"no slot\", \"date\": \"2100-03-02\"}\n{\"text\": \"past\", \"date\": \"2020-03-02\"}\n\
          {\"parts\": [{\"text\": \"a\"}, {\"text\": \"b\"}, {\"text\": \"c\"}]}\n",
    );
    let warnings = complaints(&folder, "warning: flock.toml");
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings[0].contains("2100-03-02") && warnings[1].contains("2100-03-08"), "{warnings:#?}");
    // On a feed a thread is one entry, elsewhere each part is a post.
    assert!(complaints(&folder, "error: ").is_empty());
    let toml = std::fs::read_to_string(folder.path("flock.toml")).unwrap();
    folder.write("flock.toml", toml.replace("\"feed\"", "\"bluesky\"").as_bytes());
    let errors = complaints(&folder, "error: walt.jsonl");
    assert!(errors.len() == 1 && errors[0].contains("walt.jsonl:6: "), "{errors:#?}");
}
