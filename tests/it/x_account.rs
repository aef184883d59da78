//! Accounts on X: deleting, revoking, profile. Only X's own answer counts as success.

use flockd::flock::NetworkKind;
use flockd::flock::post::{Cause, Post};
use flockd::net::{AccountApi, Network, OAuth1Api as _, ProfileError, Rejection};

use crate::support::fake_x::{Behaviour, FakeX, Reply};
use crate::support::{Signed, post, x_for};

const UNKNOWN: &str =
    r#"{"title":"Not Found Error","type":"https://api.twitter.com/2/problems/resource-not-found"}"#;

fn posted(id: &str) -> Post {
    Post { remote_id: Some(id.to_owned()), ..post(NetworkKind::X, 1, "a") }
}

async fn delete(fake: &FakeX, signed: &Signed, reply: Option<Reply>) -> Result<(), Rejection> {
    reply.into_iter().for_each(|reply| fake.next_at("/2/tweets/", Behaviour::Answer(reply)));
    signed.x.delete(&posted("17"), &signed.session(None)).await
}

#[tokio::test]
async fn a_post_counts_as_deleted_only_if_x_confirms_it() {
    let fake = FakeX::start().await;
    let signed = x_for(&fake, &fake.account("walt_lines"));
    for (status, body) in [(200, r#"{"data":{"deleted":true}}"#), (404, UNKNOWN), (410, UNKNOWN)] {
        assert_eq!(delete(&fake, &signed, Some(Reply::new(status, body))).await, Ok(()), "{status} {body}");
    }
    assert_eq!(delete(&fake, &signed, None).await, Ok(()), "an id that X does not know");
    for (status, body, cause) in [
        (200, "<html>sign in to this hotel", Cause::Unreachable),
        (200, r#"{"data":{"deleted":false}}"#, Cause::Unreachable),
        (204, "", Cause::Unreachable),
        (302, "", Cause::Unreachable),
        (503, "", Cause::Unreachable),
        (404, "<html>no such page", Cause::App),
        (401, r#"{"errors":[{"code":89,"message":"Invalid or expired token."}]}"#, Cause::SignIn),
        (403, r#"{"errors":[{"code":64,"message":"suspended"}]}"#, Cause::Account),
        (429, "", Cause::Limits),
    ] {
        let setback = delete(&fake, &signed, Some(Reply::new(status, body))).await.unwrap_err();
        assert_eq!(setback.why.cause, cause, "{status} {body}: {setback}");
    }
    let without_id = Post { remote_id: None, ..posted("") };
    let setback = signed.x.delete(&without_id, &signed.session(None)).await.unwrap_err();
    assert!(setback.to_string().contains("delete it at x.com"), "{setback}");
}

#[tokio::test]
async fn tokens_count_as_revoked_only_if_x_confirms_it() {
    let fake = FakeX::start().await;
    let signed = x_for(&fake, &fake.account("walt_lines"));
    assert_eq!(signed.x.revoke(&signed.tokens).await, Ok(()));
    assert_eq!(signed.x.revoke(&signed.tokens).await, Ok(()), "they were already");
    for (status, body, cause) in [
        (401, r#"{"errors":[{"code":32,"message":"Could not authenticate you."}]}"#, Cause::SignIn),
        (401, "", Cause::App),
        (403, "", Cause::App),
        (500, "", Cause::Unreachable),
    ] {
        fake.next_at("/1.1/oauth/invalidate_token", Behaviour::Answer(Reply::new(status, body)));
        let setback = signed.x.revoke(&signed.tokens).await.unwrap_err();
        assert_eq!(setback.why.cause, cause, "{status} {body}: {setback}");
    }
    fake.next_at("/1.1/oauth/invalidate_token", Behaviour::Close);
    assert_eq!(signed.x.revoke(&signed.tokens).await.unwrap_err().why.cause, Cause::Unreachable);
}

#[tokio::test]
async fn write_access_is_read_from_the_header() {
    let fake = FakeX::start().await;
    let signed = x_for(&fake, &fake.account("walt_lines"));
    let me = r#"{"data":{"id":"1","username":"walt_lines","name":" Walt \u202e of\nLines "}}"#;
    for (level, may) in [
        ("read-write", true),
        ("read-write-directmessages", true),
        ("read", false),
        ("none", false),
        ("", false),
    ] {
        let reply = Reply::new(200, me).header("x-access-level", level);
        fake.next_at("/2/users/me", Behaviour::Answer(reply));
        let account = signed.x.who_am_i(&signed.tokens).await.unwrap();
        assert_eq!(signed.x.may_post(&account, &signed.tokens).is_ok(), may, "{level:?}");
        assert_eq!(account.name.as_deref(), Some("Walt of Lines"), "fit for one line");
    }
    fake.next_at("/2/users/me", Behaviour::Answer(Reply::new(200, me)));
    let silent = signed.x.who_am_i(&signed.tokens).await.unwrap();
    assert_eq!((silent.access.as_deref(), signed.x.may_post(&silent, &signed.tokens).is_ok()), (None, true));
}

#[tokio::test]
async fn a_profile_is_readable_but_not_changeable() {
    let fake = FakeX::start().await;
    let signed = x_for(&fake, &fake.account("walt_lines"));
    let look = signed.x.appearance(&signed.tokens).await.unwrap();
    assert!(look.name.is_some(), "{look:?}");
    let not = signed.x.update_profile(&signed.tokens, &Default::default()).await.unwrap_err();
    assert!(matches!(not, ProfileError::Unsupported(_)) && not.to_string().contains("Edit profile"), "{not}");
}

#[tokio::test]
async fn an_unconfirmed_callback_is_not_trusted() {
    let fake = FakeX::start().await;
    let x = x_for(&fake, &fake.account("walt_lines")).x;
    for confirmed in ["", "&oauth_callback_confirmed=false"] {
        let body = format!("oauth_token=t&oauth_token_secret=s{confirmed}");
        fake.next_at("/oauth/request_token", Behaviour::Answer(Reply::new(200, body)));
        let setback = x.request_token(Some("http://127.0.0.1:7881/callback")).await.unwrap_err();
        assert_eq!(setback.why.cause, Cause::App, "{setback}");
    }
    assert!(x.request_token(Some("http://127.0.0.1:7881/callback")).await.is_ok());
}
