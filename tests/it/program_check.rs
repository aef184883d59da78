//! What `flockd check` says of bots on several networks: what does not fit where, what two accounts would both say, and
//! who does not say that it is a bot.

use flockd::flock::NetworkKind;
use flockd::flock::account::{Account, TextLimits};
use flockd::store::Store as _;
use flockd::store::sqlite::Sqlite;

use crate::ledger;
use crate::support::program::{Daemon, Folder};

const APPS: &str = "[apps.home]\nnetwork = \"mastodon\"\napi_url = \"https://example.social\"\n\
    [apps.x]\nnetwork = \"x\"\nclient_id = \"c\"\n";

/// A bot on each of three networks with the same poem, and one more on Mastodon, whose poem has two lines of it.
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

/// What the ledger remembers of the bots' accounts.
async fn remember(folder: &Folder, known: &[(&str, NetworkKind, Option<bool>, Option<u32>)]) {
    let database = format!("sqlite:{}", folder.path("flock.db").display());
    let ledger = Sqlite::hold(&database).await.unwrap();
    for (name, network, automated, characters) in known {
        let limits = characters.map(|characters| TextLimits { characters, per_url: 23 });
        let account = Account { network: *network, automated: *automated, limits, ..ledger::account(name) };
        ledger.remember(&name.parse().unwrap(), &account).await.unwrap();
    }
    ledger.close().await;
}

/// What is said of the poems and the accounts, in the order in which it is printed.
fn said(folder: &Folder) -> Vec<String> {
    let said = folder.run(&["check"]);
    assert_eq!(said.code, 0, "{said:?}");
    let lines = said.out.lines().take_while(|line| !line.is_empty());
    lines.filter(|line| !line.contains("not signed in")).map(str::to_owned).collect()
}

fn passed_over(poem: &str, line: usize, bot: &str, network: &str, length: usize, max: usize) -> String {
    format!(
        "warning: {poem}:{line}: {bot} will pass over this line: {length} characters as {network} counts them, {max} is the most: shorten it"
    )
}

const ALIKE: &str = "warning: flock.toml:15: bot sylvia: its poem has 2 lines that bot walt posts too, and whoever follows \
    both on mastodon reads them twice: change them";
const LABEL: &str = "note: flock.toml:9: X wants automated accounts to be labelled, and no program can see or do that: sign in \
    at x.com as each bot, choose \"Your account\", \"Automation\", and name who runs it in the bio";

/// Who is told of a post is the network's own matter: one text may mention no account on one, and an account on another.
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
        let expect = format!("warning: p.txt:{line}: {bot} mentions {name} on");
        assert!(warned.contains(&expect), "{expect}: {warned}");
    }
    assert_eq!(warned.matches(" mentions ").count(), 5, "{warned}");
    assert!(!flock("mentions = \"allow\"").contains(" mentions "));
    assert!(flock("mentions = \"refuse\"").contains("p.txt:2: robin will pass over this line"));
}

#[tokio::test]
async fn each_line_is_held_against_the_limit_of_its_network_and_its_server() {
    let folder = everywhere();
    let usual = [
        passed_over("all.txt", 4, "walt", "mastodon", 510, 500),
        passed_over("all.txt", 4, "emily", "bluesky", 510, 300),
        passed_over("all.txt", 3, "robin", "x", 290, 280),
        passed_over("all.txt", 4, "robin", "x", 510, 280),
        passed_over("other.txt", 4, "sylvia", "mastodon", 600, 500),
        ALIKE.to_owned(),
        LABEL.to_owned(),
    ];
    assert_eq!(said(&folder), usual);
    let generous =
        [("walt", NetworkKind::Mastodon, None, Some(5_000)), ("sylvia", NetworkKind::X, None, Some(5_000))];
    remember(&folder, &generous).await;
    assert_eq!(
        said(&folder),
        usual[1..],
        "sylvia's server is not known any more: what is remembered is of another"
    );
    let status = folder.status();
    let lines_of = |name: &str| {
        let bots = status["bots"].as_array().unwrap();
        bots.iter().find(|bot| bot["name"] == name).unwrap()["lines_total"].as_u64().unwrap()
    };
    assert_eq!(["walt", "emily", "robin", "sylvia"].map(lines_of), [4, 3, 2, 3]);
}

#[tokio::test]
async fn an_account_that_does_not_say_it_is_a_bot_is_named() {
    let folder = everywhere();
    let known = [
        ("walt", NetworkKind::Mastodon, Some(true), None),
        ("emily", NetworkKind::Bluesky, Some(false), None),
        ("sylvia", NetworkKind::Mastodon, Some(false), None),
    ];
    remember(&folder, &known).await;
    let said = said(&folder);
    let named: Vec<&String> =
        said.iter().filter(|line| line.contains("does not say that it is a bot")).collect();
    let of = |line: usize, bot: &str, network: &str| {
        format!(
            "warning: flock.toml:{line}: bot {bot}: its account does not say that it is a bot, and readers on {network} want to know: type `flockd profile {bot}`"
        )
    };
    assert_eq!(named, [&of(5, "emily", "bluesky"), &of(13, "sylvia", "mastodon")]);
}

/// A feed has no account by which a bot could be known again.
#[test]
fn a_feed_that_was_renamed_without_a_word_is_noticed_and_was_mends_it() {
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
    // Also after the daemon has taken the new name up.
    renamed("wren", "was = \"robin\"\n");
    assert_eq!(folder.run(&["post", "wren"]).code, 0);
    assert!(!folder.run(&["check"]).out.contains("was ="));
    let posts = folder.json(&["posts", "--json"]);
    let posts: Vec<_> = posts.as_array().unwrap().iter().map(|post| (&post["bot"], &post["text"])).collect();
    assert_eq!(posts, [(&"wren".into(), &"two".into()), (&"wren".into(), &"one".into())]);
}
