//! Which lines of `flock.toml` a terminal may show, and which parts of them.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::super::{Examined, Excerpt, Excerpts, examine_text};
use super::now;
use crate::config::zones::Zones;

fn examined(text: &str) -> Examined {
    examine_text(text, "flock.toml".as_ref(), now(), Zones::built_in())
}

/// The excerpt of each diagnostic, with the marked part in angle brackets.
fn shown(text: &str) -> Vec<String> {
    let examined = examined(text);
    let excerpts = Excerpts::of(&examined.written, &examined.places, &examined.complaints);
    let lines = examined.complaints.iter().filter_map(|complaint| complaint.line);
    let marked = |Excerpt { before, marked, after }| format!("{before}<{marked}>{after}");
    lines.map(|line| excerpts.line(line).map_or("-".to_owned(), marked)).collect()
}

const WALT: &str = "[bots.walt]\nnetwork = \"feed\"\npoem = \"walt.txt\"\n";

#[test]
fn a_value_that_can_be_no_secret_is_shown() {
    let with = |rest: &str| shown(&format!("{WALT}schedule = \"@daily\"\n{rest}"));
    assert_eq!(shown(&format!("{WALT}  schedule\t=  '0 9 * *' # why\n")), ["  schedule\t=  <'0 9 * *'>"]);
    assert_eq!(with("timezone = \"Mars\"\n"), ["timezone = <\"Mars\">"]);
    assert_eq!(with("max_per_hour = 1_0000\r\n"), ["max_per_hour = <1_0000>"]);
    assert_eq!(with("jitter = 5\n"), ["jitter = <5>"]);
    assert_eq!(with("[web]\nlisten = \"here\"\n"), ["listen = <\"here\">"]);
    assert_eq!(with("[log]\nlevel = \"loud\"\n"), ["level = <\"loud\">"]);
    assert_eq!(
        shown("[bots]\nwalt.schedule = \"0 9 * *\"\nwalt.network = \"feed\"\nwalt.poem = \"a\"\n")[0],
        "walt.schedule = <\"0 9 * *\">"
    );
    assert_eq!(shown("[bots.walt] # he\nnetwork = \"feed\"\nschedule = \"@daily\"\n"), ["<[bots.walt]>"]);
}

#[test]
fn any_other_value_is_not() {
    let with = |rest: &str| shown(&format!("{WALT}schedule = \"@daily\"\n{rest}"));
    assert_eq!(with("acces_token = \"sesame\"\n"), ["<acces_token> = …"]);
    assert_eq!(with("[alerts]\nurl = \"sesame\"\n"), ["url = <…>"]);
    assert_eq!(with("[alerts]\ncommand = \"sesame\"\n"), ["command = <…>"]);
    assert_eq!(with("[flock]\ndatabase = \"sesame\"\n"), ["database = <…>"]);
    assert_eq!(with("[web]\npublic_url = \"sesame\"\n"), ["public_url = <…>"]);
    assert_eq!(with("[web]\npassword = \"sesame\"\n"), ["password = <…>"]);
    assert_eq!(with("jitter = { access_token = \"sesame\" }\n"), ["jitter = <…>"]);
    assert_eq!(with("jitter = [\"sesame\"]\n"), ["jitter = <…>"]);
    assert_eq!(with("jitter = \"\"\"\nsesame\"\"\"\n"), ["jitter = <…>"]);
    assert_eq!(with("on_miss = \"https://walt:sesame@example.org\"\n"), ["on_miss = <…>"]);
    assert_eq!(with("on_miss = \"https:/walt:sesame@example.org\"\n"), ["on_miss = <…>"]);
    assert_eq!(with("[vault]\nkey = { file = \"sesame\" }\n"), ["key = <…>"]);
    // A key of another table is not recognized here.
    assert_eq!(with("[flock]\nschedule = \"sesame\"\n"), ["<schedule> = …"]);
}

#[test]
fn in_a_broken_file_only_known_keys_are_shown() {
    // A key without a value ends the document for the parser; later errors are still found.
    assert_eq!(
        shown(&format!("sesame\n{WALT}schedule = \"@daily\"\norder = sesame\n")),
        ["-", "order = <…>"]
    );
    assert_eq!(
        shown(&format!("{WALT}schedule = \"0 9 * *\"\njitter = 5m\n")),
        ["schedule = <…>", "jitter = <…>"]
    );
    for line in ["sesame", "acces_token = \"sesame", "\"sesame\"", "sesame = = 1", "# \u{1}sesame"] {
        assert_eq!(shown(&format!("{WALT}schedule = \"@daily\"\n{line}\n")), ["-"], "{line}");
    }
    assert_eq!(
        shown("[bots.walt]\nnetwork = \"feed\"\njitter = \"5m\n[bots.emily]\nnetwork = \"fed\"\n")[0],
        "jitter = <…>"
    );
    assert_eq!(shown(&format!("{WALT}schedule = \"@daily\"\nx = '''\n[bots.sesame]\nschedule = \n")), ["-"]);
}

/// A `flock.toml` of these tables is valid except for its secrets, whose sources don't exist.
const TABLES: [&[&str]; 5] = [
    &["[flock]", "database = \"sqlite:flock.db\"", "timezone = \"UTC\""],
    &["[alerts]", "url = \"SECRET\"", "command = [\"curl\", \"SECRET\"]", "heartbeat_every = \"1h\""],
    &["[web]", "listen = \"127.0.0.1:1\"", "public_url = \"SECRET\"", "password = \"SECRET\""],
    &[
        "[apps.x]",
        "network = \"x\"",
        "consumer_key = \"SECRET\"",
        "consumer_secret = 'SECRET'",
        "api_url = \"https://x:SECRET@example.org\"",
        "budget = { posts_per_day = 5 }",
    ],
    &[
        "[bots.walt]",
        "app = \"x\"",
        "access_token = \"SECRET\"",
        "access_token_secret = \"\"\"SECRET\"\"\"",
        "poem = \"a\"",
        "schedule = \"@daily\" # SECRET",
        "spoiler_text = \"SECRET\"",
        "profile = { bio = \"SECRET\" }",
    ],
];

/// Lines with a secret in every place where it may be put by mistake.
const MISLAID: [&str; 22] = [
    "acces_token = \"SECRET\"",
    "token = 'SECRET'",
    "access_token = \"SECRET",
    "access_token = SECRET",
    "access_token: SECRET",
    "access_token = \"a\" \"SECRET\"",
    "schedule = \"@daily\" access_token = \"SECRET\"",
    "schedule = { access_token = \"SECRET\" }",
    "jitter = [\"SECRET\", { a = \"SECRET\" }]",
    "jitter = [\n  \"SECRET\",\n]",
    "jitter = \"\"\"\nSECRET\n\"\"\"",
    "order = '''\nschedule = SECRET",
    "order = \"\"\"SECRET",
    "x = { access_token = \"SECRET\"",
    "x.access_token = \"SECRET\"",
    "x = [\n{ access_token = \"SECRET\" },",
    "x = {\n  access_token = \"SECRET\",\n}",
    "database = \"postgres://walt:SECRET@db\"",
    "max_late = \"https://walt:SECRET@example.org\"",
    "# SECRET",
    "SECRET",
    "command = \"curl -H SECRET\"",
];

/// Typical typing mistakes in a line.
fn slip(line: &str, how: u8, at: usize) -> String {
    let characters: Vec<char> = line.chars().collect();
    let at = at % (characters.len() + 1);
    let (before, after) = characters.split_at(at);
    let text = |part: &[char]| part.iter().collect::<String>();
    match how {
        0 => text(before) + &text(after.get(1..).unwrap_or_default()),
        1 => format!("{}\"{}", text(before), text(after)),
        2 => format!("{}\n{}", text(before), text(after)),
        3 => format!("{}={}", text(before), text(after)),
        4 => format!("{}{{{}", text(before), text(after)),
        5 => line.replacen('=', " ", 1),
        6 => line.replace('"', "'"),
        7 => line.replace('"', ""),
        8 => line.replace('"', "\"\"\""),
        _ => line.to_owned(),
    }
}

/// A run of six characters of the secret, if a text contains one.
fn leak<'s>(text: &str, secret: &'s str) -> Option<&'s str> {
    (0..=secret.len() - 6).map(|at| &secret[at..at + 6]).find(|run| text.contains(run))
}

fn some_lines() -> impl Strategy<Value = Vec<String>> {
    let table = select(TABLES.to_vec()).prop_flat_map(|lines| {
        subsequence(lines[1..].to_vec(), 0..lines.len()).prop_map(move |some| (lines[0], some))
    });
    let mislaid = prop::collection::vec((any::<prop::sample::Index>(), select(MISLAID.to_vec())), 0..4);
    let slips = prop::collection::vec((any::<prop::sample::Index>(), 0..12_u8, any::<usize>()), 0..3);
    (prop::collection::vec(table, 1..5), mislaid, slips).prop_map(|(tables, mislaid, slips)| {
        let mut lines: Vec<String> = Vec::new();
        for (header, keys) in tables {
            lines.push(header.to_owned());
            lines.extend(keys.into_iter().map(str::to_owned));
        }
        for (at, line) in mislaid {
            lines.insert(at.index(lines.len() + 1), line.to_owned());
        }
        for (at, how, place) in slips {
            let at = at.index(lines.len());
            lines[at] = slip(&lines[at], how, place);
        }
        lines
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Secrets look like those of networks: no six characters of them are all lower case, as in a key.
    /// Whatever is wrong with the file, and wherever a secret is in it, neither an excerpt nor a message
    /// contains a part of it.
    #[test]
    fn no_secret_is_shown(lines in some_lines(), secret in "([a-zA-Z0-9_+/$.-]{3}[A-Z0-9]){3,10}=?") {
        let text = lines.join("\n").replace("SECRET", &secret);
        let examined = examined(&text);
        let excerpts = Excerpts::of(&examined.written, &examined.places, &examined.complaints);
        for complaint in &examined.complaints {
            let excerpt = complaint.line.and_then(|line| excerpts.line(line));
            let shown = excerpt.map(|Excerpt { before, marked, after }| before + &marked + &after).unwrap_or_default();
            prop_assert_eq!(leak(&shown, &secret), None, "{:?} of {}", shown, text);
            prop_assert_eq!(leak(&complaint.message, &secret), None, "{} of {}", complaint.message, text);
        }
    }
}
