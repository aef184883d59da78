use super::*;

/// Two bots on X, the second with this name and these keys, which start on line 9.
fn two(name: &str, keys: &str) -> String {
    let second = format!("[bots.{name}]\napp = \"x\"\nschedule = \"0 * * * *\"\n{keys}\n");
    on_x("app = \"x\"").replace(APP, &second) + APP
}

const TOKENS: &str = "access_token = { env = \"ET\" }\naccess_token_secret = { env = \"ETS\" }";

#[test]
fn names_differ_by_more_than_case() {
    let keys = format!("poem = \"e.txt\"\n{TOKENS}");
    check(two("emily", &keys), &[]);
    check(
        two("Walt", &keys),
        &["error: flock.toml:7: bot Walt: differs from bot walt only by case: rename one"],
    );
}

#[test]
fn names_are_at_home_in_urls() {
    for bad in ["wa/lt", "wa lt", "", "wält", &"w".repeat(65)] {
        let expect = format!(
            "error: flock.toml:1: bot name {bad:?} is not usable: take 1 to 64 letters, digits, `-` and `_`"
        );
        check(feed("").replace("walt]", &format!("\"{bad}\"]")), &[&expect]);
    }
}

#[test]
fn an_account_has_one_bot() {
    let both = |one: &str, other: &str| {
        let keys = format!("poem = \"e.txt\"\naccount = \"{other}\"\n{TOKENS}");
        two("emily", &keys).replace("[bots.emily]", &format!("account = \"{one}\"\n[bots.emily]"))
    };
    check(both("walt", "emily"), &[]);
    check(
        both("walt", "@Walt"),
        &["error: flock.toml:12: bot emily: bot walt has the account Walt too: a bot needs one of its own"],
    );
}

#[test]
fn a_token_has_one_bot() {
    let same = "a bot needs an account of its own";
    check(
        two(
            "emily",
            "poem = \"e.txt\"\naccess_token = { env = \"T\" }\naccess_token_secret = { env = \"TS\" }",
        ),
        &[&format!("error: flock.toml:11: bot emily: bot walt has the same `access_token`: {same}")],
    );
    check(
        two(
            "emily",
            "poem = \"e.txt\"\naccess_token = { env = \"ET\" }\naccess_token_secret = { env = \"TS\" }",
        ),
        &[&format!("error: flock.toml:12: bot emily: bot walt has the same `access_token_secret`: {same}")],
    );
}

#[test]
fn a_past_has_one_heir() {
    let was = |one: &str, other: &str| feed(one) + &feed(other).replace("walt]", "emily]");
    check(was("was = \"sylvia\"", ""), &[]);
    check(
        was("was = \"emily\"", "was = \"emily\""),
        &[
            "error: flock.toml:5: bot walt: `was` names bot emily, which is still here: remove `was`, or that bot",
            "error: flock.toml:10: bot emily: `was` names bot emily, which is still here: remove `was`, or that bot",
        ],
    );
    check(
        was("was = \"sylvia\"", "was = \"sylvia\""),
        &[
            "error: flock.toml:10: bot emily: bot walt was sylvia too: only one bot can take over a history, remove one `was`",
        ],
    );
    check(
        was("was = \"sylvia p\"", ""),
        &[
            "error: flock.toml:5: bot walt: `was`: bot name \"sylvia p\" is not usable: take 1 to 64 letters, digits, `-` and `_`",
        ],
    );
}

#[test]
fn x_dislikes_a_poem_on_two_accounts() {
    check(
        two("emily", &format!("poem = \"./walt.txt\"\n{TOKENS}")),
        &[
            "warning: flock.toml:10: bot emily: bot walt posts the same poem, and X forbids identical posts across accounts: give each its own",
        ],
    );
    check(feed("") + &feed("").replace("walt]", "emily]"), &[]);
}
