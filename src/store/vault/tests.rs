//! Tests of tokens, a ledger, and a key that gets lost.

use std::fs;
use std::path::Path;

use chrono::TimeDelta;
use tempfile::TempDir;

use super::*;
use crate::store::sqlite::Sqlite;

/// A ledger with a key file that does not exist yet.
struct VaultFolder {
    store: Arc<dyn Store>,
    path: PathBuf,
    folder: TempDir,
}

impl VaultFolder {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite:{}", folder.path().join("flock.db").display());
        let store = Arc::new(Sqlite::open_as_owner(&database).await.unwrap());
        Self { store, path: folder.path().join("flock.key"), folder }
    }

    /// A vault as in a newly started process.
    fn vault(&self) -> Vault {
        Vault::new(self.store.clone(), VaultKey::File(self.path.clone()))
    }

    fn given(&self, key: &str) -> Vault {
        Vault::new(self.store.clone(), VaultKey::Given(Ok(Secret::new(key))))
    }

    async fn sign_in(&self, names: &[&str]) {
        for name in names {
            sign_in(&self.vault(), name).await.unwrap();
        }
    }

    /// Removes the key file, and returns its content.
    fn lose_key(&self) -> String {
        let key = fs::read_to_string(&self.path).unwrap();
        fs::remove_file(&self.path).unwrap();
        key
    }
}

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

fn bot(name: &str) -> BotName {
    name.parse().unwrap()
}

fn tokens(name: &str) -> Tokens {
    let (token, secret) = (format!("{name}-token"), format!("{name}-sesame"));
    Tokens::OAuth1 { access_token: Secret::new(token), access_token_secret: Secret::new(secret) }
}

fn account(name: &str) -> Account {
    Account {
        network: NetworkKind::X,
        id: format!("id of {name}"),
        handle: name.to_owned(),
        name: None,
        picture_url: None,
        access: Some("read-write".to_owned()),
        server: None,
        credential_fingerprint: "digest".to_owned(),
        automated: None,
        limits: None,
        pictures: None,
    }
}

async fn sign_in(vault: &Vault, name: &str) -> Result<(), VaultError> {
    let version = vault.store.credential(&bot(name)).await?.version;
    vault.sign_in(&bot(name), &account(name), &tokens(name), version, now()).await
}

async fn opens(vault: &Vault, name: &str) {
    let kept = vault.tokens(&bot(name)).await.unwrap();
    assert_eq!((kept.network, kept.tokens), (Some(NetworkKind::X), Some(tokens(name))));
}

/// The error about the key. It must not reveal the key.
fn key_trouble<T>(result: Result<T, VaultError>) -> String {
    match result {
        Err(VaultError::Key(message)) => message,
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("it was done"),
    }
}

#[tokio::test]
async fn tokens_are_kept_renewed_and_forgotten() {
    let place = VaultFolder::new().await;
    let (vault, walt) = (place.vault(), bot("walt"));
    let nothing = StoredTokens { version: 0, network: None, tokens: None, claimed_until: None };
    assert_eq!(vault.tokens(&walt).await, Ok(nothing));
    assert!(!place.path.exists(), "a key was made for nothing");

    sign_in(&vault, "walt").await.unwrap();
    opens(&place.vault(), "walt").await;
    vault.renewed(&walt, &tokens("renewed"), 1).await.unwrap();
    let stale = vault.renewed(&walt, &tokens("stale"), 1).await;
    assert_eq!(stale, Err(StoreError::Overtaken.into()));
    assert_eq!(place.vault().tokens(&walt).await.unwrap().tokens, Some(tokens("renewed")));
    vault.sign_out(&walt, 2).await.unwrap();
    let kept = vault.tokens(&walt).await.unwrap();
    assert_eq!((kept.version, kept.tokens), (3, None));
    assert_eq!(vault.renewed(&walt, &tokens("late"), 3).await, Err(StoreError::Overtaken.into()));
}

#[tokio::test]
async fn a_missing_key_loses_nothing() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt", "emily"]).await;
    let daemon = place.vault();
    opens(&daemon, "walt").await;
    let key = place.lose_key();

    let complaint = key_trouble(place.vault().tokens(&bot("walt")).await);
    assert!(complaint.contains("no key file") && complaint.contains("put that back"), "{complaint}");
    key_trouble(sign_in(&place.vault(), "walt").await);
    key_trouble(place.vault().rekey(now()).await);
    assert!(!place.path.exists(), "a key was made that opens nothing");
    // A process that already has the key continues, and can store renewed tokens.
    daemon.renewed(&bot("walt"), &tokens("renewed"), 1).await.unwrap();

    fs::write(&place.path, key).unwrap();
    opens(&place.vault(), "emily").await;
    assert_eq!(place.vault().tokens(&bot("walt")).await.unwrap().tokens, Some(tokens("renewed")));
}

#[tokio::test]
async fn a_wrong_key_is_distinguished_from_damage() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt", "emily"]).await;
    place.lose_key();
    fs::write(&place.path, "ab".repeat(32)).unwrap();
    let complaint = key_trouble(place.vault().tokens(&bot("walt")).await);
    assert!(complaint.contains("is not the one") && complaint.contains("flock.key"), "{complaint}");
    key_trouble(place.given(&"ab".repeat(32)).tokens(&bot("walt")).await);
    assert!(key_trouble(place.given("abab").tokens(&bot("walt")).await).contains("64 hexadecimal"));
    let reason = "the environment variable KEY is not set".to_owned();
    let absent = Vault::new(place.store.clone(), VaultKey::Given(Err(reason.clone())));
    assert_eq!(absent.tokens(&bot("walt")).await, Err(VaultError::Key(reason.clone())));
    assert_eq!(absent.forget_lost().await, Err(VaultError::Key(reason)));
}

#[tokio::test]
async fn damage_is_reported_and_repaired_by_signing_in() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt"]).await;
    let walt = bot("walt");
    let mut sealed = place.store.credential(&walt).await.unwrap().sealed.unwrap();
    *sealed.bytes.last_mut().unwrap() ^= 1;
    place.store.renewed(&walt, &sealed, 1).await.unwrap();
    let Err(VaultError::Damaged(message)) = place.vault().tokens(&walt).await else { panic!() };
    assert!(message.contains("damaged") && message.contains("`flockd enroll walt`"), "{message}");
    sign_in(&place.vault(), "walt").await.unwrap();
    opens(&place.vault(), "walt").await;
}

#[tokio::test]
async fn a_lost_key_is_no_obstacle_for_the_only_bot() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt"]).await;
    let old = place.lose_key();
    place.sign_in(&["walt"]).await;
    assert_ne!(fs::read_to_string(&place.path).unwrap(), old);
    opens(&place.vault(), "walt").await;
}

#[tokio::test]
async fn tokens_of_a_lost_key_are_deleted_on_request() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt", "emily"]).await;
    assert_eq!(place.vault().forget_lost().await, Ok(vec![]), "the key is there");
    place.lose_key();
    fs::write(&place.path, "no key").unwrap();
    key_trouble(place.vault().forget_lost().await);
    fs::remove_file(&place.path).unwrap();
    assert_eq!(place.vault().forget_lost().await, Ok(vec![bot("emily"), bot("walt")]));
    place.sign_in(&["walt", "emily"]).await;
    opens(&place.vault(), "emily").await;
}

#[tokio::test]
async fn a_key_is_changed_under_a_running_daemon() {
    let place = VaultFolder::new().await;
    assert_eq!(place.vault().rekey(now()).await, Ok(0));
    place.sign_in(&["walt", "emily"]).await;
    let (daemon, enrolling) = (place.vault(), place.vault());
    opens(&daemon, "walt").await;
    let old = fs::read_to_string(&place.path).unwrap();

    assert_eq!(place.vault().rekey(now()).await, Ok(2));
    assert_ne!(fs::read_to_string(&place.path).unwrap(), old);
    assert!(!next(&place).exists());
    for vault in [&daemon, &place.vault()] {
        opens(vault, "walt").await;
        opens(vault, "emily").await;
    }
    // Sealed with the old key, it would be lost.
    let stale = seal::seal(&Key::parse(&Secret::new(old)).unwrap(), NetworkKind::X, &tokens("w")).unwrap();
    let late = place.store.sign_in(&bot("whitman"), &account("w"), &stale, 0, now()).await;
    assert_eq!(late, Err(StoreError::Overtaken));
    sign_in(&enrolling, "whitman").await.unwrap();
    opens(&daemon, "whitman").await;
}

fn next(place: &VaultFolder) -> PathBuf {
    place.folder.path().join("flock.key.new")
}

#[tokio::test]
async fn a_change_that_is_refused_changes_nothing() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt", "emily"]).await;
    let old = fs::read_to_string(&place.path).unwrap();
    let until = now() + TimeDelta::seconds(60);
    assert_eq!(place.store.lease_credential(&bot("walt"), 1, now(), until).await, Ok(true));
    assert_eq!(place.vault().rekey(now()).await, Err(StoreError::Overtaken.into()));
    assert!(!next(&place).exists());
    assert_eq!(fs::read_to_string(&place.path).unwrap(), old);
    opens(&place.vault(), "emily").await;
    assert_eq!(place.vault().rekey(until).await, Ok(2));

    let _lock = key::lock(&place.path).map_err(drop).unwrap();
    assert!(key_trouble(place.vault().rekey(until).await).contains("another flockd"));
}

/// Interrupts a key change at points where a process may be killed: before everything is sealed again, and
/// after.
async fn killed_while_changing(place: &VaultFolder, after: bool) {
    let lock = key::lock(&place.path).map_err(drop).unwrap();
    let next = key::make_next(&place.path, &lock).map_err(drop).unwrap();
    if after {
        let vault = place.vault();
        let all = vault.store.credentials().await.unwrap();
        let mut anew = Vec::new();
        for (bot, kept) in all {
            let sealed = kept.sealed.unwrap();
            let old = vault.key_with_fingerprint(&sealed.key_mark).map_err(drop).unwrap();
            let tokens = open_with(&old, &bot, &sealed).unwrap();
            anew.push((bot, seal::seal(&next, sealed.network, &tokens).unwrap(), kept.version));
        }
        vault.store.reseal(&anew, &[], now()).await.unwrap();
    }
}

#[tokio::test]
async fn an_interrupted_change_is_completed_or_repeated() {
    for after in [false, true] {
        let place = VaultFolder::new().await;
        place.sign_in(&["walt", "emily"]).await;
        let daemon = place.vault();
        opens(&daemon, "walt").await;
        killed_while_changing(&place, after).await;
        assert!(next(&place).exists());
        opens(&place.vault(), "walt").await;
        opens(&daemon, "emily").await;
        assert_eq!(next(&place).exists(), !after, "what is needed stands in its place");
        sign_in(&place.vault(), "whitman").await.unwrap();
        assert_eq!(place.vault().rekey(now()).await, Ok(3));
        assert!(!next(&place).exists());
        opens(&daemon, "whitman").await;
    }
}

/// The next key may be the only one that opens the ledger, so a second key change must not replace it.
#[tokio::test]
async fn an_interrupted_change_is_completed_before_the_next() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt"]).await;
    killed_while_changing(&place, true).await;
    let first = fs::read_to_string(next(&place)).unwrap();
    let until = now() + TimeDelta::seconds(60);
    assert_eq!(place.store.lease_credential(&bot("walt"), 2, now(), until).await, Ok(true));
    let vault = place.vault();
    vault.cache(&Key::parse(&Secret::new(first.clone())).unwrap());
    assert_eq!(vault.rekey(now()).await, Err(StoreError::Overtaken.into()));
    assert_eq!(fs::read_to_string(&place.path).unwrap(), first);
    opens(&place.vault(), "walt").await;
}

#[tokio::test]
async fn a_key_from_outside_takes_over_from_a_file_and_back() {
    let place = VaultFolder::new().await;
    place.sign_in(&["walt", "emily"]).await;
    let outside = "0123456789abcdef".repeat(4);
    let given = place.given(&outside);
    assert!(key_trouble(given.rekey(now()).await).contains("--from FILE"));
    assert!(key_trouble(given.rekey_from(Path::new("/nowhere/key"), now()).await).contains("/nowhere/key"));
    assert_eq!(given.rekey_from(&place.path, now()).await, Ok(2));
    opens(&place.given(&outside), "walt").await;
    sign_in(&given, "whitman").await.unwrap();

    let old = place.folder.path().join("old.key");
    fs::write(&old, &outside).unwrap();
    place.lose_key();
    assert_eq!(place.vault().rekey_from(&old, now()).await, Ok(3));
    opens(&place.vault(), "whitman").await;
    assert_eq!(place.vault().rekey_from(&old, now()).await, Ok(3), "it may be said twice");
}
