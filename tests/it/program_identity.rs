//! Whose an account is: equal ids on two servers, and two bots that each have a token of one account.

use serde_json::{Value, json};

use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::hook::Hook;
use crate::support::program::{CommandOutput, Folder};
use crate::support::signing::{feed, named, posts_of, state_of};

/// The poem of both bots.
const POEM: [&str; 3] = ["salt on the rail", "a gull without a clock", "the tide signs nothing"];

/// A flock that alerts a webhook, with an app for each of the servers.
fn flock(hook: &Hook, servers: &[(&str, &FakeMastodon)], bots: &str) -> Folder {
    let apps = servers.iter().map(|(name, server)| {
        format!("[apps.{name}]\nnetwork = \"mastodon\"\napi_url = \"{}\"\npace = \"0s\"\n", server.url)
    });
    let alerts = format!("[alerts]\nurl = \"{}/alert\"\n", hook.url);
    let apps: String = apps.collect();
    let folder = Folder::with(&format!("[web]\nlisten = \"127.0.0.1:PORT\"\n{alerts}{apps}{bots}"));
    folder.write("poem.txt", POEM.join("\n").as_bytes());
    folder
}

fn bot(name: &str, app: &str, schedule: &str) -> String {
    format!(
        "[bots.{name}]\napp = \"{app}\"\npoem = \"poem.txt\"\norder = \"sequence\"\nschedule = \"{schedule}\"\n"
    )
}

/// Signs a bot in with a token of this account, as a person creates it in the account's settings.
fn enroll(folder: &Folder, name: &str, server: &FakeMastodon, handle: &str) -> CommandOutput {
    let token = format!("{}\n", server.token_of(handle).expose());
    feed(folder.command(&["enroll", name, "--tokens", "-"]), &token)
}

/// Waits until this account has this many statuses.
async fn said(server: &FakeMastodon, handle: &str, n: usize) -> Vec<String> {
    server.post(n).await;
    server.texts(handle)
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_ids_on_two_servers_are_two_accounts() {
    let (here, there) =
        (FakeMastodon::start(Software::Mastodon).await, FakeMastodon::start(Software::Mastodon).await);
    assert_eq!(here.account("walt").id, there.account("emily").id, "the ids are equal, which is the point");
    let mut hook = Hook::start().await;
    let bots = bot("walt", "here", "* * * * * *") + &bot("emily", "there", "* * * * * *");
    let folder = flock(&hook, &[("here", &here), ("there", &there)], &bots);
    for (name, server, other) in [("walt", &here, "emily"), ("emily", &there, "walt")] {
        let said = enroll(&folder, name, server, name);
        assert_eq!(said.code, 0, "{said:?}");
        assert!(!said.out.contains(other) && !said.err.contains(other), "they share no history: {said:?}");
    }
    let daemon = folder.start();
    // Each posts the whole poem: neither bot's lines count as used for the other.
    assert_eq!(said(&here, "walt", 3).await, POEM);
    assert_eq!(said(&there, "emily", 3).await, POEM);
    let mut exhausted: Vec<Value> = Vec::new();
    for _ in 0..2 {
        exhausted.push(hook.next().await.json());
    }
    assert!(exhausted.iter().all(|alert| alert["cause"] == "exhausted"), "{exhausted:?}");
    assert_eq!(daemon.stop(), 0);
    let rows = folder.json(&["whoami", "--json"]);
    assert_eq!(named(&rows, "bot", "walt")["id"], named(&rows, "bot", "emily")["id"]);
    assert_eq!(here.posts().len() + there.posts().len(), 6);
}

/// The same id once more, on the server where it is taken.
#[tokio::test(flavor = "multi_thread")]
async fn an_equal_id_on_another_server_does_not_hide_a_taken_account() {
    let (here, there) =
        (FakeMastodon::start(Software::Mastodon).await, FakeMastodon::start(Software::Mastodon).await);
    let hook = Hook::start().await;
    let bots = ["walt", "emily", "sara"];
    let apps = ["here", "there", "there"];
    let bots: String = bots.iter().zip(apps).map(|(name, app)| bot(name, app, "@yearly")).collect();
    let folder = flock(&hook, &[("here", &here), ("there", &there)], &bots);
    assert_eq!(enroll(&folder, "walt", &here, "bard").code, 0);
    assert_eq!(enroll(&folder, "emily", &there, "bard").code, 0);
    let refused = enroll(&folder, "sara", &there, "bard");
    assert!(refused.code == 1 && refused.err.contains("emily"), "{refused:?}");
    assert!(!refused.err.contains("walt"), "{refused:?}");
}

/// Both tokens are in the configuration, so no sign-in could notice whose they are.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_bots_with_one_account_the_later_stops_and_alerts() {
    let server = FakeMastodon::start(Software::Mastodon).await;
    let mut hook = Hook::start().await;
    let given = |name: &str, schedule: &str| {
        bot(name, "home", schedule)
            + &format!("at_end = \"again\"\naccess_token = {{ file = \"{name}-token\" }}\n")
    };
    let folder =
        flock(&hook, &[("home", &server)], &(given("walt", "@yearly") + &given("emily", "* * * * * *")));
    for name in ["walt", "emily"] {
        folder.write(&format!("{name}-token"), server.token_of("bard").expose().as_bytes());
    }
    // Walt has the account first.
    let by_hand = folder.run(&["post", "walt"]);
    assert_eq!(by_hand.code, 0, "{by_hand:?}");
    let daemon = folder.start();
    let told = hook.next().await.json();
    let message = told["message"].as_str().unwrap();
    for part in ["walt", "emily", "@bard@"] {
        assert!(message.contains(part), "{part:?} is not in {message}");
    }
    let at = told["at"].as_str().unwrap();
    assert!(at.ends_with('Z'), "{at}");
    let expected = json!({
        "bot": "emily", "network": "mastodon", "cause": "account-taken", "state": "suspended", "message": message,
        "at": at, "resolved": false,
        "text": told["text"],
    });
    assert_eq!(told, expected);
    assert!(told["text"].as_str().unwrap().ends_with(message), "{told}");
    let (state, reason) = state_of(&folder, "emily");
    assert!(state == "suspended" && reason.contains("walt"), "{state}: {reason}");
    let status = folder.run(&["status"]);
    assert!(status.code == 1 && status.out.contains("walt"), "{status:?}");
    let ready = crate::support::get(folder.url("/readyz?format=json")).await.unwrap();
    let ready: Value = serde_json::from_str(&ready.text().await.unwrap()).unwrap();
    let trouble = named(&ready["troubles"], "about", "emily");
    assert_eq!((&trouble["state"], &trouble["code"]), (&"suspended".into(), &"account-taken".into()));
    // Not manually and not after a restart; none of it counts as posted.
    let by_hand = folder.run(&["post", "emily"]);
    assert!(by_hand.code == 1 && by_hand.err.contains("walt"), "{by_hand:?}");
    assert_eq!(daemon.stop(), 0);
    let rows = posts_of(&folder, "emily");
    assert!(!rows.is_empty() && rows.iter().all(|row| row["state"] == "released"), "{rows:?}");
    assert_eq!(server.texts("bard"), POEM[..1]);
    // With her own account she continues.
    folder.write("emily-token", server.token_of("emily").expose().as_bytes());
    let daemon = folder.start();
    assert_eq!(server.post(2).await.handle, "emily");
    assert_eq!(daemon.stop(), 0);
    assert_eq!(server.texts("bard"), POEM[..1]);
    let secrets = server.secrets();
    assert!(!secrets.iter().any(|secret| told.to_string().contains(secret)));
}
