use proptest::prelude::*;

use super::*;

#[test]
fn one_slip_hides_nothing_else() {
    let typo = "error: flock.toml:6: bot walt: unknown key `shedule`: did you mean `schedule`?";
    let tail = "\nshedule = 1\n[bots.emily]\nnetwork = \"fed\"";
    let other = "error: flock.toml:8: bot emily: `network` must be \"x\" or \"mastodon\" or \"bluesky\" or \"feed\" or \"paper\", not \"fed\"";
    for (slip, expect) in [
        ("jitter = 10m", "`jitter` needs a value in quotes: write jitter = \"…\""),
        ("order \"shuffle\"", "a key needs a value: write key = \"…\""),
        ("order: shuffle", "write `=` and not `:`: order = \"…\""),
        ("order = feed", "`order` needs a value in quotes: write order = \"…\""),
        ("order = nan x", "`order` needs a value in quotes: write order = \"…\""),
        ("order = \"shuffle\",", "remove the `,` at the end: order = \"…\""),
        ("order == \"shuffle\"", "write `=` once: order = \"…\""),
        ("order = “shuffle”", "`order` has typographic quotes: write straight ones, order = \"…\""),
        ("max per hour = 5", "a key can't contain spaces: write max_per_hour"),
        ("// a comment", "a comment begins with `#`"),
        ("order", "a key needs a value: write key = \"…\""),
        ("order =", "`order` needs a value in quotes: write order = \"…\""),
        ("order = \"shuffle", "the closing quote is missing: write order = \"…\""),
        ("max_per_hour = 1 2", "`max_per_hour` needs a value in quotes: write max_per_hour = \"…\""),
        (
            "order = \"stop\" x",
            "there is text after the closing quote of `order`: remove it, or move it inside the quotes",
        ),
        (
            "order = \"a\\qb\"",
            "`order` has a backslash, which begins an escape in double quotes: write `/` in a path, or single quotes",
        ),
        ("poem = \"twice.txt\"", "`poem` is written twice: remove one"),
    ] {
        check(feed(&format!("{slip}{tail}")), &[&format!("error: flock.toml:5: {expect}"), typo, other]);
    }
}

#[test]
fn a_header_that_is_none_hides_nothing_else() {
    let typo = "error: flock.toml:5: bot wa_lt: unknown key `shedule`: did you mean `schedule`?";
    for bad in ["wa lt", "wa/lt"] {
        let name = format!(
            "error: flock.toml:1: bot name {bad:?} is not usable: take 1 to 64 letters, digits, `-` and `_`"
        );
        check(feed("shedule = 1").replace("walt]", &format!("{bad}]")), &[&name, typo]);
    }
    check(
        on_x("app = \"x\"\n[bots.walt.pro file]\nnam = \"Walt\""),
        &[
            "error: flock.toml:7: [bots.walt.pro file] is not a table's name: write [bots.NAME], say (unclosed table, expected `]`)",
        ],
    );
    check(
        feed("[web\nlissen = 1"),
        &[
            "error: flock.toml:5: a table's name is in square brackets, with dots between its parts: write [web]",
            "error: flock.toml:6: [web]: unknown key `lissen`: did you mean `listen`?",
        ],
    );
}

/// Keys under such a header belong to it, not to the previous table.
#[test]
fn a_header_in_other_brackets_hides_nothing_else() {
    for header in ["(bots.walt)", "{bots.walt}", "<bots.walt>", "[bots.walt}", "[bots walt]", "[bots:walt]"] {
        check(
            format!(
                "[web]\nlisten = \"127.0.0.1:1\"\n{header}\nnetwork = \"feed\"\npoem = \"p\"\nshedule = \"@daily\""
            ),
            &[
                "error: flock.toml:3: a table's name is in square brackets, with dots between its parts: write [bots.walt]",
                "error: flock.toml:6: bot walt: unknown key `shedule`: did you mean `schedule`?",
            ],
        );
    }
}

/// Valid TOML, but not what was intended.
#[test]
fn an_escape_in_a_path_and_a_tab_in_a_schedule_are_told_what_they_are() {
    let at = |line: usize, key: &str| format!("error: flock.toml:{line}: bot walt: `{key}` holds ");
    let said = |text: String| complaints(&text).join("\n");
    let base = feed("");
    for (escape, name) in [
        ("\\t", "a tab"),
        ("\\n", "a line break"),
        ("\\b", "a backspace"),
        ("\\r", "a carriage return"),
        ("\\f", "a form feed"),
        ("\\e", "an escape character"),
    ] {
        let said = said(base.replace("walt.txt", &format!("poems{escape}emp.txt")));
        assert!(said.starts_with(&(at(3, "poem") + name)) && said.contains("write `/`"), "{said}");
        let database = format!("[flock]\ndatabase = \"sqlite:data{escape}lock.db\"\n");
        let said = complaints(&(feed("") + &database)).join("\n");
        assert!(said.contains(name) && said.contains("write `/`"), "{said}");
    }
    let said = said(base.replace("0 * * * *", "0\t9 * * *"));
    assert!(said.starts_with(&(at(4, "schedule") + "a tab: write a space")), "{said}");
}

#[test]
fn what_is_defined_twice_is_told_once() {
    check(
        feed("") + &feed("shedule = 1"),
        &[
            "error: flock.toml:6: bot walt is defined twice, first on line 1: rename one",
            "error: flock.toml:10: bot walt: unknown key `shedule`: did you mean `schedule`?",
        ],
    );
    check(
        on_x("app = \"x\"") + APP,
        &["error: flock.toml:13: app x is defined twice, first on line 8: rename one"],
    );
    let profile = "[bots.walt.profile]\nname = \"Walt\"";
    check(
        on_x(&format!("app = \"x\"\n{profile}\n{profile}")),
        &[
            "error: flock.toml:9: [bots.walt.profile] is written twice, first on line 7: write its keys in one place",
        ],
    );
    check(
        feed("[web]\nlisten = \"127.0.0.1:1\"\n[web]\nlisten = \"127.0.0.1:2\""),
        &["error: flock.toml:7: [web] is written twice, first on line 5: write its keys in one place"],
    );
}

#[test]
fn nothing_is_missed_in_a_text_that_is_not_whole() {
    let open = |what: &str| {
        format!("something opened here is never closed: look for a missing quote or bracket ({what})")
    };
    check(
        "[bots.walt]\nnetwork = \"feed\"\npoem = '''walt.txt\nschedule = \"0 * * * *\"\n",
        &[&format!("error: flock.toml:3: {}", open("invalid multi-line literal string, expected `'`"))],
    );
    check(
        feed("was = [1,\n2,\n"),
        &[&format!("error: flock.toml:5: {}", open("unclosed array, expected `]`"))],
    );
    check(
        feed("was = [\nsesame\n]"),
        &[
            "error: flock.toml:5: bot walt: `was` must be a quoted string, not a list",
            "error: flock.toml:6: a value needs quotes: write \"…\"",
        ],
    );
    check("\napp = {", &[&format!("error: flock.toml:2: {}", open("unclosed inline table, expected `}`"))]);
}

#[test]
fn tables_are_tables() {
    check(
        "bots = 5",
        &["error: flock.toml:1: `bots` must be a table: write [bots] on a line of its own, not a number"],
    );
    check(
        feed("").replace("[bots.walt]", "[[bots]]"),
        &["error: flock.toml:1: `bots` must be a table: write [bots] on a line of its own, not a list"],
    );
    check(
        feed("[bots]\npoem = \"p.txt\""),
        &["error: flock.toml:6: `poem` belongs to no table: write [bots.NAME] above it"],
    );
    check(
        feed("[web.feeds]"),
        &[
            "error: flock.toml:5: [web]: unknown key `feeds`: remove it; flock.toml.example explains every key there is",
        ],
    );
}

#[test]
fn marks_of_other_editors_are_tolerated() {
    check(format!("\u{feff}{}", feed("").replace('\n', "\r\n")), &[]);
    check(
        format!("\u{feff}{}", feed("shedule = 1").replace('\n', "\r\n")),
        &["error: flock.toml:5: bot walt: unknown key `shedule`: did you mean `schedule`?"],
    );
}

#[test]
fn dotted_and_inline_tables_are_the_same_tables() {
    check(
        "bots.walt.network = \"feed\"\nbots.walt = 1",
        &["error: flock.toml:2: `walt` is written twice: remove one"],
    );
    check("bots = { walt = { network = \"feed\", poem = \"w.txt\", schedule = \"@daily\" } }", &[]);
}

/// Fragments that combine to texts that are almost a `flock.toml`.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "[bots.walt]",
        "[bots.",
        "]",
        "[[",
        "[apps.x]",
        "\n",
        "\n",
        "=",
        "\"",
        "'''",
        "{",
        "}",
        ",",
        ".",
        "#",
        "network = \"feed\"\n",
        "app = \"x\"\n",
        "poem = \"p\"\n",
        "schedule = \"* * * * *\"\n",
        "jitter = \"1m\"\n",
        "access_token = { env = \"A\" }\n",
        "consumer_key = { env = \"K\" }\n",
        "client_id = \"c\"\n",
        "callback_port = 7881\n",
        "[bots.walt.profile]\n",
        "[vault]\nkey = { credential = \"k\" }\n",
        "max_per_hour = ",
        "7",
        "\u{feff}",
        "\r\n",
        "\0",
        "ü",
    ];
    prop_oneof![4 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned), 1 => ".{0,6}"]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_text_makes_it_panic(pieces in proptest::collection::vec(piece(), 0..24)) {
        let text = pieces.concat();
        let (flock, complaints, _) = read(&text, Path::new("flock.toml"), now());
        // A missing flock always has an error, and every line number is in the file.
        prop_assert_eq!(flock.is_none(), complaints.iter().any(super::super::Diagnostic::is_error));
        let bots = flock.iter().flat_map(|flock| &flock.bots).filter(|bot| bot.network.needs_account());
        prop_assert!(bots.into_iter().all(|bot| bot.app.is_some()));
        let lines = text.split('\n').count();
        prop_assert!(complaints.iter().filter_map(|complaint| complaint.line).all(|line| (1..=lines).contains(&line)));
    }
}
