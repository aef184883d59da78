//! A look at all the secrets of a flock, for `check` and for the start of `run`.

use std::collections::HashSet;
use std::path::PathBuf;

use super::{Environment, exposure, resolve_with};
use crate::config::Places;
use crate::config::complaint::Complaint;
use crate::flock::Flock;
use crate::flock::secret::SecretSource;

/// Every secret that can't be resolved, and every secret's file that others can read; each place once. None of it
/// keeps the other bots from posting.
pub fn complaints(flock: &Flock, places: &Places) -> Vec<Complaint> {
    complaints_with(flock, places, &|name| std::env::var_os(name))
}

fn complaints_with(flock: &Flock, places: &Places, environment: Environment<'_>) -> Vec<Complaint> {
    let mut inquiry = Inquiry { places, environment, complaints: Vec::new(), seen: HashSet::new() };
    let mut apps = HashSet::new();
    for bot in &flock.bots {
        if let Some(app) = bot.app.as_ref().filter(|app| apps.insert(app.name.as_str())) {
            inquiry.look("app", &app.name, "consumer_key", &app.consumer_key);
            inquiry.look("app", &app.name, "consumer_secret", &app.consumer_secret);
        }
        if let Some(tokens) = &bot.tokens {
            inquiry.look("bot", bot.name.as_str(), "access_token", &tokens.access_token);
            inquiry.look("bot", bot.name.as_str(), "access_token_secret", &tokens.access_token_secret);
        }
    }
    let mut complaints = inquiry.complaints;
    complaints.sort_by_key(|complaint| complaint.line);
    complaints
}

/// A look at all the secrets of a flock.
struct Inquiry<'a> {
    places: &'a Places,
    environment: Environment<'a>,
    complaints: Vec<Complaint>,
    /// The files whose permissions were looked at.
    seen: HashSet<PathBuf>,
}

impl Inquiry<'_> {
    fn look(&mut self, kind: &str, name: &str, key: &str, source: &SecretSource) {
        let path = format!("{kind}s.{name}.{key}");
        if let Err(problem) = resolve_with(source, self.environment) {
            self.complaints.push(self.places.error(&path, format!("{kind} {name}: `{key}`: {problem}")));
        }
        // A credential's file is systemd's to guard.
        let file = match source {
            SecretSource::Literal(_) => self.places.file(),
            SecretSource::File(file) => file,
            SecretSource::Env(_) | SecretSource::Credential(_) => return,
        };
        if !self.seen.insert(file.to_owned()) {
            return;
        }
        if let Some(problem) = exposure(file) {
            self.complaints.push(self.places.warning(&path, format!("{kind} {name}: `{key}`: {problem}")));
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

    #[test]
    fn every_secret_of_a_flock_is_looked_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        fs::write(&token, "sesame").unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o644)).unwrap();
        let file = folder.path().join("flock.toml");
        let bot = |name: &str, token: &str| {
            format!(
                "[bots.{name}]\napp = \"x\"\npoem = \"{name}.txt\"\nschedule = \"@daily\"\naccess_token = {token}\naccess_token_secret = {{ env = \"{name}\" }}\n"
            )
        };
        let app = "[apps.x]\nnetwork = \"x\"\nconsumer_key = { file = \"token\" }\nconsumer_secret = \"open sesame\"\n";
        let text = bot("WALT", "{ file = \"token\" }") + &bot("EMILY", "{ env = \"SET\" }") + app;
        fs::write(&file, &text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let (flock, _, places) = crate::config::read(&text, &file, chrono::DateTime::UNIX_EPOCH);
        let set = |name: &str| (name == "SET").then(|| OsString::from("sesame"));
        let here = format!("{}/", folder.path().display());
        let complaints = complaints_with(&flock.unwrap(), &places, &set);
        let said: Vec<String> =
            complaints.iter().map(|c| format!("{}: {c}", c.severity).replace(&here, "")).collect();
        let unset = "is not set: set it before flockd starts";
        assert_eq!(
            said,
            [
                format!("error: flock.toml:6: bot WALT: `access_token_secret`: the environment variable WALT {unset}"),
                format!("error: flock.toml:12: bot EMILY: `access_token_secret`: the environment variable EMILY {unset}"),
                "warning: flock.toml:15: app x: `consumer_key`: token can be read by others (mode 0644): run `chmod 600 token`".to_owned(),
                "error: flock.toml:16: app x: `consumer_secret`: the text in flock.toml holds white space or characters that no key or token has: copy it again, alone".to_owned(),
                "warning: flock.toml:16: app x: `consumer_secret`: flock.toml can be read by others (mode 0640): run `chmod 600 flock.toml`".to_owned(),
            ]
        );
    }
}
