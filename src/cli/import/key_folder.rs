//! The key folder of rainbow-mind-machine: a JSON file for each bot, with the tokens that its keymaker got,
//! their account, and the poem they were for
//! (<https://github.com/rainbow-mind-machine/rainbow-mind-machine>).
//!
//! Bots that are in flock.toml are signed in with these tokens; for the others, the missing flock.toml lines
//! are printed. No file records which lines were posted, because that program starts over each time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use crate::cli::{enroll, output};
use crate::config::Loaded;
use crate::files::{self, ReadError};
use crate::flock::{Bot, BotName, Flock, NetworkKind};

/// Maximum size of a key file.
const LONGEST: u64 = 64 * 1024;

/// A key file.
struct FolderKey {
    /// The file's name without folder and extension, which was the bot's name.
    stem: String,
    /// The contents; all of it is treated as secret.
    json: String,
    handle: Option<String>,
    poem: Option<String>,
}

pub(super) async fn import(loaded: &Loaded, folder: &Path) -> Result<ExitCode> {
    let keys = keys_in(folder)?;
    let (mut ours, mut others) = (Vec::new(), Vec::new());
    for key in &keys {
        match bot_of(&loaded.flock, key) {
            Some(bot) => ours.push((key, bot)),
            None => others.push(key),
        }
    }
    one_key_a_bot(&ours)?;
    let mut failed = 0;
    for (key, bot) in ours {
        match enroll::with_tokens(loaded, bot, &key.json).await {
            Ok(notes) => notes.iter().try_for_each(|note| output::say(note))?,
            Err(error) => {
                failed += 1;
                output::say_beside(&format!("error: {}.json, bot {}: {error:#}", key.stem, bot.name));
            }
        }
    }
    if failed == 0 && others.is_empty() {
        output::say(
            "the files don't say which lines each has posted: `flockd import --history BOT` asks the account",
        )?;
        return Ok(ExitCode::SUCCESS);
    }
    if !others.is_empty() {
        let app = loaded
            .flock
            .bots
            .iter()
            .filter_map(|bot| bot.app.as_ref())
            .find(|app| app.network == NetworkKind::X);
        let app = app.map_or("x", |app| app.name.as_str());
        eprintln!("these bots are not in flock.toml: add the lines below, check them, and import again");
        others.iter().try_for_each(|key| output::say(&section(key, app)))?;
    }
    Ok(ExitCode::FAILURE)
}

/// Rejects two keys for one bot, because the later would silently replace the earlier.
fn one_key_a_bot(ours: &[(&FolderKey, &Arc<Bot>)]) -> Result<()> {
    let mut files: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, bot) in ours {
        files.entry(bot.name.as_str()).or_default().push(format!("{}.json", key.stem));
    }
    let several = files.into_iter().filter(|(_, files)| files.len() > 1);
    let complaints: Vec<String> = several
        .map(|(bot, files)| {
            format!("{} are for one bot, {bot}: leave one of them in the folder", files.join(" and "))
        })
        .collect();
    ensure!(complaints.is_empty(), "no bot was signed in\n{}", complaints.join("\n"));
    Ok(())
}

/// The keys in a folder, or every error in its files.
fn keys_in(folder: &Path) -> Result<Vec<FolderKey>> {
    let shown = folder.display();
    let entries = std::fs::read_dir(folder).with_context(|| format!("{shown} can't be read"))?;
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.with_context(|| format!("{shown} can't be read"))?;
    paths.retain(|path| path.extension().is_some_and(|end| end == "json"));
    paths.sort();
    let (keys, complaints): (Vec<_>, Vec<_>) = paths.iter().map(|path| key(path)).partition(Result::is_ok);
    let complaints: Vec<String> =
        complaints.into_iter().filter_map(Result::err).map(|e| format!("{e:#}")).collect();
    if !complaints.is_empty() {
        bail!("no bot was signed in\n{}", complaints.join("\n"));
    }
    if keys.is_empty() {
        bail!("{shown} has no key files: they end in .json, and rainbow-mind-machine keeps them in `keys`");
    }
    Ok(keys.into_iter().flatten().collect())
}

fn key(path: &Path) -> Result<FolderKey> {
    let shown = path.display();
    let json = match files::read(path, LONGEST) {
        Ok(read) => String::from_utf8(read.bytes).map_err(|_| anyhow!("{shown} is not UTF-8"))?,
        Err(ReadError::TooLarge(_)) => bail!("{shown} is too long for a key file: remove it from the folder"),
        Err(error) => bail!("{shown} can't be read: {error}"),
    };
    // The parser's error might quote a secret.
    let value: Value =
        serde_json::from_str(&json).map_err(|_| anyhow!("{shown} is not JSON: create the key again"))?;
    let text = |name: &str| value[name].as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    for name in ["oauth_token", "oauth_token_secret"] {
        if text(name).is_none() {
            bail!("{shown} has no {name}: create the key again, or remove the file from the folder");
        }
    }
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(FolderKey { stem, handle: text("screen_name"), poem: text("file"), json })
}

/// The bot on X with this account, or else the bot with the file's name.
fn bot_of<'f>(flock: &'f Flock, key: &FolderKey) -> Option<&'f Arc<Bot>> {
    let on_x = || flock.bots.iter().filter(|bot| bot.network == NetworkKind::X);
    let has_account = |bot: &&Arc<Bot>| {
        let expected = bot.account.as_deref().zip(key.handle.as_deref());
        expected.is_some_and(|(one, other)| one.eq_ignore_ascii_case(other))
    };
    on_x()
        .find(has_account)
        .or_else(|| on_x().find(|bot| bot.account.is_none() && bot.name.as_str() == key.stem))
}

/// The lines that flock.toml needs for a bot. The person has to choose a name where the file's is not usable.
fn section(key: &FolderKey, app: &str) -> String {
    let name = if key.stem.parse::<BotName>().is_ok() { &key.stem } else { "NAME" };
    // Every JSON escape is also valid in TOML.
    let quoted = |text: &str| Value::from(text).to_string();
    let mut lines = vec![format!("\n[bots.{name}]"), format!("app = {}", quoted(app))];
    lines.extend(key.handle.as_deref().map(|handle| format!("account = {}", quoted(handle))));
    lines.push(format!("poem = {}", quoted(key.poem.as_deref().unwrap_or("poems/POEM.txt"))));
    lines.push("schedule = \"0 */3 * * *\"".to_owned());
    lines.push("order = \"sequence\"".to_owned());
    lines.join("\n")
}
