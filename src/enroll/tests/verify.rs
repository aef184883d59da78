//! Tokens of the wrong account, or without write access.

use super::*;
use crate::flock::secret::Secret;

/// Signs in by pasting the answer immediately.
async fn pasted(ways: Ways, plan: SignInPlan) -> (Result<(), EnrollError>, Vec<usize>) {
    let mut revoked = Vec::new();
    let line = match plan.method {
        SignInMethod::OAuth1 { .. } => "1234567",
        SignInMethod::OAuth2 { .. } | SignInMethod::AppPassword => "a-code-of-20-letters",
    };
    let mut network = None;
    let done = run(ways, plan, async |outside| {
        outside.script.types(line);
        network = Some(outside.network.clone());
        outside
    });
    let done = done.await;
    let network = network.unwrap();
    revoked.extend(["/1.1/oauth/invalidate_token.json", "/2/oauth2/revoke"].map(|path| network.heard(path)));
    (done, revoked)
}

#[tokio::test]
async fn another_account_is_refused() {
    let emily = Ways { handle: "emily", ..Ways::default() };
    let (done, revoked) = pasted(emily.clone(), oauth1()).await;
    assert_eq!(
        done.unwrap_err().to_string(),
        "signed in as @emily, but flock.toml expects @walt_lines: sign out at x.com, or open the address in a private \
         window, sign in as @walt_lines and run `flockd enroll walt` again; if `account` is wrong in flock.toml, correct it"
    );
    assert_eq!(revoked, [0, 0], "they may be the tokens of the bot that is @emily");
    let (done, revoked) = pasted(emily, oauth2()).await;
    assert!(matches!(done, Err(EnrollError::WrongAccount { .. })));
    assert_eq!(revoked, [0, 2]);
}

#[tokio::test]
async fn any_account_will_do_where_none_is_expected() {
    let ways = Ways { handle: "emily", ..Ways::default() };
    pasted(ways, SignInPlan { handle: None, ..oauth1() }).await.0.unwrap();
}

#[tokio::test]
async fn tokens_that_can_only_read_are_refused() {
    let (done, _) = pasted(Ways { access: "read", ..Ways::default() }, oauth1()).await;
    let error = done.unwrap_err().to_string();
    assert!(error.starts_with("signed in as @Walt_Lines, but the app may only read: set it to"), "{error}");
    let (done, revoked) = pasted(Ways { scope: "tweet.read users.read", ..Ways::default() }, oauth2()).await;
    let error = done.unwrap_err().to_string();
    assert!(error.contains("without tweet.write and offline.access"), "{error}");
    assert_eq!(revoked, [0, 2]);
}

#[tokio::test]
async fn tokens_that_somebody_gave_are_never_revoked() {
    let network = FakeNetwork::start(Ways { handle: "emily", ..Ways::default() }).await;
    let tokens = Tokens::OAuth2 {
        access_token: Secret::new("acc"),
        refresh_token: None,
        expires_at: None,
        scopes: Vec::new(),
        grant: "grant-1".to_owned(),
    };
    let error = verify(&network.x(), &tokens, Some("walt_lines"), Origin::Given, "walt").await.unwrap_err();
    assert!(
        error.to_string().ends_with("give the tokens of @walt_lines, or correct `account` in flock.toml"),
        "{error}"
    );
    assert_eq!((network.heard("/2/users/me"), network.heard("/2/oauth2/revoke")), (1, 0));
}
