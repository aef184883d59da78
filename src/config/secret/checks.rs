//! Checks all secrets of a flock, for `check` and at the start of `run`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use super::{EnvironmentReader, SecretError, checked_url, exposure, resolve_with};
use crate::config::SourceSpans;
use crate::config::diagnostics::Diagnostic;
use crate::flock::account::App;
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Flock, KeySource};

/// Reports every secret that can't be resolved, and every secret file that other users can read, each
/// location once. None of this keeps the other bots from posting.
pub fn complaints(flock: &Flock, places: &SourceSpans) -> Vec<Diagnostic> {
    complaints_with(flock, places, &|name| std::env::var_os(name))
}

fn complaints_with(
    flock: &Flock,
    places: &SourceSpans,
    environment: EnvironmentReader<'_>,
) -> Vec<Diagnostic> {
    let mut inquiry = SecretChecks { places, environment, complaints: Vec::new(), seen: HashSet::new() };
    let mut apps = HashSet::new();
    for bot in &flock.bots {
        if let Some(app) = bot.app.as_ref().filter(|app| apps.insert(app.name.as_str())) {
            inquiry.check_app(app);
        }
        if let Some(tokens) = &bot.tokens {
            let key = |key| SecretKey::of("bot", bot.name.as_str(), key);
            inquiry.check_secret(&key("access_token"), &tokens.access_token);
            if let Some(secret) = &tokens.access_token_secret {
                inquiry.check_secret(&key("access_token_secret"), secret);
            }
        }
    }
    inquiry.check_vault(flock);
    inquiry.check_url("url", flock.alerts.url.as_ref());
    inquiry.check_url("heartbeat", flock.alerts.heartbeat.as_ref());
    let mut complaints = inquiry.complaints;
    complaints.sort_by_key(|complaint| complaint.line);
    complaints
}

/// Checks all secrets of a flock.
struct SecretChecks<'a> {
    places: &'a SourceSpans,
    environment: EnvironmentReader<'a>,
    complaints: Vec<Diagnostic>,
    /// The files whose permissions have been checked.
    seen: HashSet<PathBuf>,
}

/// A key of `flock.toml`: its path, and its name in messages.
struct SecretKey {
    path: String,
    label: String,
}

impl SecretKey {
    fn of(kind: &str, name: &str, key: &str) -> Self {
        Self { path: format!("{kind}s.{name}.{key}"), label: format!("{kind} {name}: `{key}`") }
    }

    /// A key of a table that appears once.
    fn of_table(table: &str, key: &str) -> Self {
        Self { path: format!("{table}.{key}"), label: format!("[{table}]: `{key}`") }
    }
}

impl SecretChecks<'_> {
    fn check_app(&mut self, app: &App) {
        let key = |key| SecretKey::of("app", &app.name, key);
        if let Some(consumer) = &app.consumer {
            self.check_secret(&key("consumer_key"), &consumer.key);
            self.check_secret(&key("consumer_secret"), &consumer.secret);
        }
        if let Some(client) = &app.client {
            // Permissions are not checked: a client id is no secret.
            self.resolve(&key("client_id"), &client.id);
            if let Some(secret) = &client.secret {
                self.check_secret(&key("client_secret"), secret);
            }
        }
    }

    /// A missing key file is created at first use. A flock whose bots all have their tokens in `flock.toml`
    /// needs no key.
    fn check_vault(&mut self, flock: &Flock) {
        let needed = flock.bots.iter().any(|bot| bot.network.needs_account() && bot.tokens.is_none());
        match &flock.vault_key {
            KeySource::File(file) => {
                let key = SecretKey::of_table("vault", "key_file");
                self.check_permissions(&key, file);
                if needed && !matches!(file.try_exists(), Ok(false)) {
                    self.resolve(&key, &SecretSource::File(file.clone()));
                }
            }
            KeySource::Elsewhere(source) if needed => {
                self.check_secret(&SecretKey::of_table("vault", "key"), source);
            }
            KeySource::Elsewhere(_) => {}
        }
    }

    /// A secret URL in `[alerts]`.
    fn check_url(&mut self, key: &str, source: Option<&SecretSource>) {
        let Some(source) = source else { return };
        let key = SecretKey::of_table("alerts", key);
        let found = resolve_with(source, self.environment);
        self.expect(&key, found.and_then(checked_url));
        self.check_source_permissions(&key, source);
    }

    fn check_secret(&mut self, key: &SecretKey, source: &SecretSource) {
        self.resolve(key, source);
        self.check_source_permissions(key, source);
    }

    fn check_source_permissions(&mut self, key: &SecretKey, source: &SecretSource) {
        match source {
            SecretSource::Literal(_) => self.check_permissions(key, self.places.file()),
            SecretSource::File(file) => self.check_permissions(key, file),
            // systemd protects the files of its credentials.
            SecretSource::Env(_) | SecretSource::Credential(_) => {}
        }
    }

    fn resolve(&mut self, key: &SecretKey, source: &SecretSource) {
        let found = resolve_with(source, self.environment);
        self.expect(key, found);
    }

    fn expect(&mut self, key: &SecretKey, found: Result<Secret, SecretError>) {
        if let Err(problem) = found {
            self.complaints.push(self.places.error(&key.path, format!("{}: {problem}", key.label)));
        }
    }

    fn check_permissions(&mut self, key: &SecretKey, file: &Path) {
        if !self.seen.insert(file.to_owned()) {
            return;
        }
        if let Some(problem) = exposure(file) {
            self.complaints.push(self.places.warning(&key.path, format!("{}: {problem}", key.label)));
        }
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::ffi::OsString;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    /// The diagnostics for this text at `file`, with one variable set and folders left out.
    fn said(text: &str, file: &Path) -> Vec<String> {
        let (flock, _, places) = crate::config::read(text, file, chrono::DateTime::UNIX_EPOCH);
        let set = |name: &str| (name == "SET").then(|| OsString::from("sesame"));
        let here = format!("{}/", file.parent().unwrap().display());
        let complaints = complaints_with(&flock.unwrap(), &places, &set);
        complaints.iter().map(|c| format!("{}: {c}", c.severity).replace(&here, "")).collect()
    }

    fn write(file: &Path, text: &str, mode: u32) {
        fs::write(file, text).unwrap();
        fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// A bot on X whose keys start on line 5.
    fn on_x(name: &str, keys: &str) -> String {
        format!("[bots.{name}]\napp = \"x\"\npoem = \"{name}.txt\"\nschedule = \"@daily\"\n{keys}\n")
    }

    const UNSET: &str = "is not set: set it before flockd starts";

    #[test]
    fn every_secret_of_a_flock_is_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        write(&token, "sesame", 0o644);
        let file = folder.path().join("flock.toml");
        let bot = |name: &str, token: &str| {
            let secret = format!("access_token_secret = {{ env = \"{name}\" }}");
            on_x(name, &format!("access_token = {token}\n{secret}"))
        };
        let app = "[apps.x]\nnetwork = \"x\"\nconsumer_key = { file = \"token\" }\nconsumer_secret = \"open sesame\"\n";
        let text = bot("WALT", "{ file = \"token\" }") + &bot("EMILY", "{ env = \"SET\" }") + app;
        write(&file, &text, 0o640);
        assert_eq!(
            said(&text, &file),
            [
                format!("error: flock.toml:6: bot WALT: `access_token_secret`: the environment variable WALT {UNSET}"),
                format!("error: flock.toml:12: bot EMILY: `access_token_secret`: the environment variable EMILY {UNSET}"),
                "warning: flock.toml:15: app x: `consumer_key`: token can be read by others (mode 0644): run `chmod 600 token`".to_owned(),
                "error: flock.toml:16: app x: `consumer_secret`: the text in flock.toml contains white space or characters that no key or token has: copy only the secret itself".to_owned(),
                "warning: flock.toml:16: app x: `consumer_secret`: flock.toml can be read by others (mode 0640): run `chmod 600 flock.toml`".to_owned(),
            ]
        );
    }

    #[test]
    fn a_client_id_may_be_seen_and_its_secret_may_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flock.toml");
        let with = |client: &str| on_x("walt", "") + "[apps.x]\nnetwork = \"x\"\n" + client;
        let public = with("client_id = \"seen\"");
        write(&file, &public, 0o644);
        assert_eq!(said(&public, &file), Vec::<String>::new());
        assert_eq!(
            said(&with("client_id = { env = \"ID\" }\nclient_secret = { env = \"NONE\" }"), &file),
            [
                format!("error: flock.toml:8: app x: `client_id`: the environment variable ID {UNSET}"),
                format!("error: flock.toml:9: app x: `client_secret`: the environment variable NONE {UNSET}"),
            ]
        );
        assert_eq!(
            said(&with("client_id = \"seen\"\nclient_secret = \"sesame\""), &file),
            [
                "warning: flock.toml:9: app x: `client_secret`: flock.toml can be read by others (mode 0644): run `chmod 600 flock.toml`"
            ]
        );
    }

    #[test]
    fn the_vaults_key_is_looked_at_where_a_bot_needs_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flock.toml");
        let signing_in = on_x("walt", "") + "[apps.x]\nnetwork = \"x\"\nclient_id = \"c\"\n";
        let on_feed = on_x("walt", "").replace("app = \"x\"", "network = \"feed\"");
        let unset = format!("error: flock.toml:10: [vault]: `key`: the environment variable KEY {UNSET}");
        let key = "[vault]\nkey = { env = \"KEY\" }";
        assert_eq!(said(&(signing_in.clone() + key), &file), [unset]);
        assert_eq!(said(&(signing_in + &key.replace("KEY", "SET")), &file), Vec::<String>::new());
        assert_eq!(said(&(on_feed + key), &file), Vec::<String>::new());
        let tokens = "access_token = { env = \"SET\" }\naccess_token_secret = { credential = \"t\" }";
        let app = "[apps.x]\nnetwork = \"x\"\nconsumer_key = { env = \"SET\" }\nconsumer_secret = { credential = \"s\" }\n";
        let said = said(&(on_x("walt", tokens) + app + key), &file);
        assert!(said.len() == 2 && !said.iter().any(|said| said.contains("[vault]")), "{said:?}");
    }

    #[test]
    fn a_url_that_comes_from_elsewhere_is_looked_at_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flock.toml");
        let alerts = "[alerts]\nurl = { env = \"SET\" }\nheartbeat = { file = \"beat\" }\n";
        let flock = on_x("walt", "").replace("app = \"x\"", "network = \"feed\"") + alerts;
        write(&folder.path().join("beat"), "https://beats.example.org/open-sesame\n", 0o644);
        assert_eq!(
            said(&flock, &file),
            [
                "error: flock.toml:7: [alerts]: `url`: what is there must be a URL that begins with https:// and names a host",
                "warning: flock.toml:8: [alerts]: `heartbeat`: beat can be read by others (mode 0644): run `chmod 600 beat`",
            ]
        );
    }

    #[test]
    fn a_key_file_may_be_missing_and_is_not_for_others() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("flock.toml");
        let flock = on_x("walt", "") + "[apps.x]\nnetwork = \"x\"\nclient_id = \"c\"\n";
        assert_eq!(said(&flock, &file), Vec::<String>::new());
        let key = folder.path().join("flock.key");
        write(&key, "sesame", 0o600);
        assert_eq!(said(&flock, &file), Vec::<String>::new());
        let exposed = "flock.key can be read by others (mode 0640): run `chmod 600 flock.key`";
        write(&key, "sesame", 0o640);
        assert_eq!(said(&flock, &file), [format!("warning: flock.toml: [vault]: `key_file`: {exposed}")]);
        let named = flock + "[vault]\nkey_file = \"flock.key\"";
        assert_eq!(said(&named, &file), [format!("warning: flock.toml:10: [vault]: `key_file`: {exposed}")]);
        write(&key, "", 0o600);
        assert_eq!(
            said(&named, &file),
            ["error: flock.toml:10: [vault]: `key_file`: flock.key is empty: write the secret there"]
        );
        fs::remove_file(&key).unwrap();
        fs::create_dir(&key).unwrap();
        assert_eq!(
            said(&named, &file),
            [
                "error: flock.toml:10: [vault]: `key_file`: flock.key is not a plain file: name the file that holds the secret"
            ]
        );
    }
}
