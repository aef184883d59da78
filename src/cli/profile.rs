//! `flockd profile`: updates the profile of a bot's account, from flags or from `[bots.NAME.profile]`.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use super::{output, signals};
use crate::config::Loaded;
use crate::daemon::accounts::NoAccount;
use crate::files;
use crate::flock::account::{Profile, Tokens};
use crate::net::http::one_line;
use crate::net::{AccountApi, Appearance, ProfileError};

/// Maximum size of a picture: no network accepts a larger profile picture.
const MAX_PICTURE: u64 = 2 * 1024 * 1024;
/// The first bytes of the two picture formats (PNG specification, section 5.2; JPEG, ITU-T T.81, annex B).
const KINDS: &[(&str, &[u8])] = &[("PNG", b"\x89PNG\r\n\x1a\n"), ("JPEG", b"\xff\xd8\xff")];

/// The new profile; values that are not given come from `[bots.NAME.profile]`.
#[derive(Debug, Args)]
pub(super) struct ProfileArgs {
    /// The display name
    #[arg(long)]
    name: Option<String>,
    /// The bio
    #[arg(long)]
    bio: Option<String>,
    /// The picture: a PNG or JPEG file of at most 2 MB
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Only show what would change
    #[arg(long)]
    dry_run: bool,
}

/// A picture in a supported format.
struct Picture {
    path: PathBuf,
    kind: &'static str,
    bytes: u64,
}

pub(super) async fn profile(loaded: &Loaded, name: &str, wanted: ProfileArgs) -> Result<ExitCode> {
    let bot = super::bot(loaded, name)?;
    let dry_run = wanted.dry_run;
    let profile = Profile {
        name: wanted.name.or_else(|| bot.profile.name.clone()),
        bio: wanted.bio.or_else(|| bot.profile.bio.clone()),
        picture: wanted.picture.or_else(|| bot.profile.picture.clone()),
    };
    if profile == Profile::default() && !bot.network.profile().marks_bots {
        bail!(
            "nothing to change: give --name, --bio or --picture, or write [bots.{name}.profile] in flock.toml"
        );
    }
    let picture = profile.picture.as_deref().map(picture).transpose()?;
    ensure!(bot.network.needs_account(), NoAccount::NoneThere(bot.network));
    let accounts = match bot.signs_in() {
        true => super::accounts(loaded).await?,
        false => super::accounts_anew(loaded).await?,
    };
    let visit = accounts.visit(bot).await?;
    let look =
        accounts.ask(&visit, async |api: &dyn AccountApi, tokens: &Tokens| api.appearance(tokens).await);
    let now = signals::finish_in_flight(look).await??;
    let changes = differences(&now, &profile, picture.as_ref());
    if changes.is_empty() {
        output::say(&format!("{name}'s profile is up to date"))?;
        return Ok(ExitCode::SUCCESS);
    }
    changes.iter().try_for_each(|change| output::say(change))?;
    if dry_run {
        if let Some(why) = visit.api.profile_unsupported() {
            output::say(&format!("note: {why}"))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let dress = async |api: &dyn AccountApi, tokens: &Tokens| match api.update_profile(tokens, &profile).await
    {
        Err(ProfileError::Failed(setback)) => Err(setback),
        done => Ok(done),
    };
    match signals::finish_in_flight(accounts.ask(&visit, dress)).await?? {
        Ok(()) => {
            output::say("done")?;
            // `flockd check` uses the remembered account. If the query fails, the update has still succeeded.
            let _ = accounts.who_am_i(&visit).await;
        }
        Err(why) => bail!("nothing was changed: {why}"),
    }
    Ok(ExitCode::SUCCESS)
}

fn picture(path: &Path) -> Result<Picture> {
    let shown = path.display();
    let unreadable = || format!("the picture {shown} can't be read");
    let (mut file, about) = files::open_regular(path).with_context(unreadable)?;
    let mut beginning = Vec::new();
    file.by_ref().take(8).read_to_end(&mut beginning).with_context(unreadable)?;
    let kind = KINDS.iter().find(|(_, magic)| beginning.starts_with(magic));
    let Some((kind, _)) = kind else { bail!("the picture {shown} is neither PNG nor JPEG: convert it") };
    let bytes = about.len();
    ensure!(
        bytes <= MAX_PICTURE,
        "the picture {shown} has {bytes} bytes, {MAX_PICTURE} is the most: make it smaller"
    );
    Ok(Picture { path: path.to_owned(), kind, bytes })
}

/// What would change, one line per value.
fn differences(now: &Appearance, profile: &Profile, picture: Option<&Picture>) -> Vec<String> {
    let text = |what: &str, now: &Option<String>, wanted: &Option<String>| {
        let wanted = wanted.as_ref()?;
        let now = now.as_deref().unwrap_or_default();
        // Text from the network has been put on one line.
        (one_line(wanted) != now).then(|| format!("{what}: {now:?} becomes {wanted:?}"))
    };
    let picture = picture.map(|picture| {
        let now = now.picture_url.as_deref().unwrap_or("none");
        format!(
            "picture: {now} becomes {} ({}, {} bytes)",
            picture.path.display(),
            picture.kind,
            picture.bytes
        )
    });
    let mark =
        (now.automated == Some(false)).then(|| "mark: the account will say that it is a bot".to_owned());
    [text("name", &now.name, &profile.name), text("bio", &now.bio, &profile.bio), picture, mark]
        .into_iter()
        .flatten()
        .collect()
}
