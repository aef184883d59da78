//! Accounts on the PDS: taken down, deactivated, renamed; and their records.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::{Caller, Pds, subject};

/// The collections of posts and of profiles.
pub const POSTS: &str = "app.bsky.feed.post";
const PROFILE: &str = "app.bsky.actor.profile";
/// The most records of a page.
const PAGE: &str = "100";

/// An account, with what its owner knows.
#[derive(Debug, Clone)]
pub struct PdsAccount {
    pub did: String,
    pub handle: String,
    /// The main password.
    pub password: String,
    /// The app password.
    pub app_password: String,
}

impl Pds {
    /// A new account, whose handle begins like this.
    pub async fn account(&self, name: &str) -> PdsAccount {
        let number = self.accounts.fetch_add(1, Ordering::Relaxed);
        let (handle, password) = (format!("{name}-{number}.test"), format!("main password of {name}"));
        let body =
            json!({ "handle": handle, "email": format!("{handle}@example.test"), "password": password });
        let (status, made) = self.call("com.atproto.server.createAccount", Caller::Anonymous, &body).await;
        assert_eq!(status, 200, "{made}");
        let did = made["did"].as_str().unwrap().to_owned();
        let token = made["accessJwt"].as_str().unwrap();
        let app_password = self.app_password(token, "flockd").await;
        PdsAccount { did, handle, password, app_password }
    }

    async fn app_password(&self, token: &str, name: &str) -> String {
        let (status, made) = self
            .call("com.atproto.server.createAppPassword", Caller::Owner(token), &json!({ "name": name }))
            .await;
        assert_eq!(status, 200, "{made}");
        made["password"].as_str().unwrap().to_owned()
    }

    /// Another app password.
    pub async fn another_app_password(&self, poet: &PdsAccount) -> String {
        let body = json!({ "name": "another" });
        let made = self.owner_calls(poet, "com.atproto.server.createAppPassword", &body).await;
        made["password"].as_str().unwrap().to_owned()
    }

    /// Revokes the app password and its sessions.
    pub async fn revoke_app_password(&self, poet: &PdsAccount) {
        self.owner_calls(poet, "com.atproto.server.revokeAppPassword", &json!({ "name": "flockd" })).await;
    }

    /// Expires the access tokens that the account has so far.
    pub async fn expire(&self, poet: &PdsAccount) {
        self.control("expire", &poet.did).await;
    }

    /// Expires the refresh tokens that the account has so far.
    pub async fn forget(&self, poet: &PdsAccount) {
        self.control("forget", &poet.did).await;
    }

    /// Takes the account down, or restores it.
    pub async fn take_down(&self, poet: &PdsAccount, down: bool) {
        let takedown =
            if down { json!({ "applied": true, "ref": "1" }) } else { json!({ "applied": false }) };
        let body = json!({ "subject": subject(&poet.did), "takedown": takedown });
        let (status, said) = self.call("com.atproto.admin.updateSubjectStatus", Caller::Admin, &body).await;
        assert_eq!(status, 200, "{said}");
    }

    /// The owner deactivates the account.
    pub async fn deactivate(&self, poet: &PdsAccount) {
        self.owner_calls(poet, "com.atproto.server.deactivateAccount", &json!({})).await;
    }

    /// The owner gives the account another handle.
    pub async fn rename(&self, poet: &PdsAccount, handle: &str) {
        self.owner_calls(poet, "com.atproto.identity.updateHandle", &json!({ "handle": handle })).await;
    }

    /// The owner writes a record, replacing what is there.
    pub async fn write(&self, poet: &PdsAccount, collection: &str, key: &str, record: &Value) {
        let body = json!({ "repo": poet.did, "collection": collection, "rkey": key, "record": record });
        self.owner_calls(poet, "com.atproto.repo.putRecord", &body).await;
    }

    /// The account's profile, as its owner writes it.
    pub async fn write_profile(&self, poet: &PdsAccount, record: &Value) {
        self.write(poet, PROFILE, "self", record).await;
    }

    /// Calls as the owner, signed in with the main password.
    async fn owner_calls(&self, poet: &PdsAccount, method: &str, body: &Value) -> Value {
        let login = json!({ "identifier": poet.did, "password": poet.password });
        let (status, session) =
            self.call("com.atproto.server.createSession", Caller::Anonymous, &login).await;
        assert_eq!(status, 200, "{session}");
        let (status, said) =
            self.call(method, Caller::Owner(session["accessJwt"].as_str().unwrap()), body).await;
        assert_eq!(status, 200, "{method}: {said}");
        said
    }

    /// The posts of an account, oldest first, as records with `uri`, `cid` and `value`.
    pub async fn posts(&self, poet: &PdsAccount) -> Vec<Value> {
        let (mut posts, mut cursor) = (Vec::new(), String::new());
        loop {
            let mut asked =
                vec![("repo", &*poet.did), ("collection", POSTS), ("limit", PAGE), ("reverse", "true")];
            if !cursor.is_empty() {
                asked.push(("cursor", &cursor));
            }
            let (status, mut page) = self.query("com.atproto.repo.listRecords", &asked).await;
            assert_eq!(status, 200, "{page}");
            posts.extend(page["records"].as_array().unwrap().iter().cloned());
            match page["cursor"].take().as_str() {
                Some(next) => next.clone_into(&mut cursor),
                None => return posts,
            }
        }
    }

    /// The texts of its posts.
    pub async fn texts(&self, poet: &PdsAccount) -> Vec<String> {
        let posts = self.posts(poet).await;
        posts.iter().map(|post| post["value"]["text"].as_str().unwrap().to_owned()).collect()
    }

    /// The account's profile, if it has one, with its `cid`.
    pub async fn profile(&self, poet: &PdsAccount) -> Option<Value> {
        let asked = [("repo", &*poet.did), ("collection", PROFILE), ("rkey", "self")];
        let (status, record) = self.query("com.atproto.repo.getRecord", &asked).await;
        (status == 200).then_some(record)
    }
}
