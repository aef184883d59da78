//! The text of a `flock.toml` that was read, and the text without its secrets. A daemon stores the latter for
//! the flock that it runs, so that commands still work while the file is broken.

use std::fmt;
use std::path::{Path, PathBuf};

use toml::{Table, Value};
use url::Url;

/// Replaces a secret that was written in the text.
const NOT_KEPT: &str = "FLOCKD_DOES_NOT_KEEP_SECRETS";

/// Tables that no command reads. The programs and URLs in them may contain a secret anywhere.
const NOT_READ: [&str; 1] = ["alerts"];

/// The contents of a `flock.toml`. Its `Debug` output shows none of the text.
#[derive(Clone, Default)]
pub struct Written {
    file: PathBuf,
    text: String,
    /// The table and key of each secret in the text.
    secrets: Vec<(String, &'static str)>,
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Written").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Written {
    pub(super) fn new(file: &Path, text: &str, secrets: Vec<(String, &'static str)>) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), secrets }
    }

    /// The path of the file, as given.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The text, secrets included.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The flock as TOML, without any secret and without comments, which may contain secrets as well. `None`
    /// if the text is not valid TOML.
    pub fn without_secrets(&self) -> Option<String> {
        let mut document: Table = self.text.parse().ok()?;
        document.retain(|name, _| !NOT_READ.contains(&name));
        for (path, key) in &self.secrets {
            if let Some(table) = table_at(&mut document, path) {
                let elsewhere = Table::from_iter([("env".to_owned(), Value::from(NOT_KEPT))]);
                table.insert((*key).to_owned(), elsewhere.into());
            }
        }
        if let Some(web) = table_at(&mut document, "web") {
            web.remove("password");
        }
        document.iter_mut().for_each(|(_, value)| strip_urls(value));
        toml::to_string(&document).ok()
    }
}

/// The table at a path such as `bots.walt`.
fn table_at<'t>(document: &'t mut Table, path: &str) -> Option<&'t mut Table> {
    path.split('.').try_fold(document, |table, name| table.get_mut(name)?.as_table_mut())
}

/// Removes user and password from every URL.
fn strip_urls(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Ok(mut url) = Url::parse(text)
                && !(url.username().is_empty() && url.password().is_none())
                && url.set_username("").is_ok()
                && url.set_password(None).is_ok()
            {
                *text = url.into();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(strip_urls),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| strip_urls(value)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use super::super::zones::Zones;
    use super::super::{Examined, examine_text, read};
    use super::*;

    const FLOCK: &str = r#"
# a comment with s3cret
[flock]
database = "sqlite:flock.db"
[web]
listen = "0.0.0.0:7878"
password = "$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$s3crets3crets3crets3crets3crets3crets3crets3c"
[alerts]
command = ["curl", "-H", "Authorization: s3cret"]
[apps.x]
network = "x"
consumer_key = "s3cret-key"
consumer_secret = "s3cret-key-secret"
[apps.m]
network = "mastodon"
api_url = "https://flock:s3cret@social.example"
[bots.walt]
app = "x"
access_token = "s3cret-token"
access_token_secret = "s3cret-token-secret"
poem = "walt.txt"
schedule = "0 9 * * *"
[bots.emily]
app = "m"
poem = "emily.txt"
schedule = "0 9 * * *"
"#;

    fn now() -> DateTime<Utc> {
        "2026-03-01T12:00:00Z".parse().unwrap()
    }

    fn examine(text: &str, file: &Path) -> Examined {
        examine_text(text, file, now(), Zones::built_in())
    }

    #[test]
    fn what_is_kept_names_the_same_bots_and_no_secret() {
        let file = Path::new("home/flock.toml");
        let examined = examine(FLOCK, file);
        let kept = examined.written.without_secrets().unwrap();
        assert!(!kept.contains("s3cret"), "{kept}");
        assert!(!format!("{:?}", examined.written).contains("s3cret"));
        let (before, after) = (examined.flock.unwrap(), examine(&kept, file).flock.unwrap());
        let told = |flock: &crate::flock::Flock| {
            let bots = flock.bots.iter();
            bots.map(|bot| (bot.name.clone(), bot.network, bot.poem.clone())).collect::<Vec<_>>()
        };
        assert_eq!(told(&before), told(&after));
        assert_eq!((before.database, before.web.listen), (after.database, after.web.listen));
    }

    #[test]
    fn a_flock_without_secrets_is_kept_whole() {
        let text = include_str!("../cli/starter/flock.toml");
        let file = Path::new("flock.toml");
        let kept = examine(text, file).written.without_secrets().unwrap();
        assert_eq!(read(&kept, file, now()).0.unwrap().bots, read(text, file, now()).0.unwrap().bots);
    }
}
