//! The pictures that `flockd post` takes: each `--media FILE` with the `--alt TEXT` that follows it. Here they are read,
//! checked and kept in the ledger, from where the engine posts them.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, ValueHint};

use super::configuration::Configured;
use super::output;
use crate::clock::{Clock as _, SystemClock};
use crate::daemon::accounts;
use crate::files::{self, ReadError};
use crate::flock::content::{FileDigest, Medium};
use crate::flock::media::MediaKind;
use crate::flock::post::{BadText, text_by_hand};
use crate::media::{self, MAX_FILE_BYTES};
use crate::store::sqlite::Sqlite;
use crate::store::{Store as _, StoreError};

const MEDIA: &str = "media";
const ALT: &str = "alt";

/// Pictures with their alt texts, in the order of the command line.
#[derive(Debug, Clone, Default)]
pub(super) struct PictureArgs(Vec<(PathBuf, String)>);

/// A picture that can be posted.
#[derive(Debug)]
pub(super) struct GivenPicture {
    medium: Medium,
    digest: FileDigest,
    kind: MediaKind,
    bytes: Vec<u8>,
}

impl Args for PictureArgs {
    fn augment_args(command: Command) -> Command {
        let media = Arg::new(MEDIA)
            .long(MEDIA)
            .value_name("FILE")
            .action(ArgAction::Append)
            .value_parser(clap::value_parser!(PathBuf))
            .value_hint(ValueHint::FilePath)
            .help("A picture to post: JPEG, PNG, GIF or WebP; may be repeated");
        let alt = Arg::new(ALT)
            .long(ALT)
            .value_name("TEXT")
            .action(ArgAction::Append)
            .help("Describes the picture before it, for people who can't see it");
        command.arg(media).arg(alt)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for PictureArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        paired(given(matches)).map_err(|problem| clap::Error::raw(ErrorKind::ValueValidation, problem + "\n"))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// One of the two arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Given {
    File(PathBuf),
    AltText(String),
}

/// The arguments in the order in which they were given.
fn given(matches: &ArgMatches) -> Vec<Given> {
    let indices = |name| matches.indices_of(name).into_iter().flatten();
    let files = matches.get_many::<PathBuf>(MEDIA).into_iter().flatten().cloned().map(Given::File);
    let texts = matches.get_many::<String>(ALT).into_iter().flatten().cloned().map(Given::AltText);
    let mut all: Vec<(usize, Given)> = indices(MEDIA).zip(files).chain(indices(ALT).zip(texts)).collect();
    all.sort_by_key(|(index, _)| *index);
    all.into_iter().map(|(_, given)| given).collect()
}

/// Each file with its text.
fn paired(all: Vec<Given>) -> Result<PictureArgs, String> {
    let (mut pairs, mut waiting) = (Vec::new(), None);
    for given in all {
        match (given, waiting.take()) {
            (Given::File(file), None) => waiting = Some(file),
            (Given::AltText(text), Some(file)) => pairs.push((file, text)),
            (Given::File(_), Some(file)) => return Err(lacks_text(&file)),
            (Given::AltText(text), None) => {
                return Err(format!("--alt {text:?} follows no picture: give it after its --media FILE"));
            }
        }
    }
    match waiting {
        Some(file) => Err(lacks_text(&file)),
        None => Ok(PictureArgs(pairs)),
    }
}

fn lacks_text(file: &Path) -> String {
    format!("{} has no alt text: give --alt TEXT after it, which describes the picture", file.display())
}

impl PictureArgs {
    /// Reads and checks every picture.
    pub(super) async fn read(self) -> Result<Vec<GivenPicture>> {
        let mut pictures = Vec::new();
        for (path, alt) in self.0 {
            let picture = read(&path, &alt).await;
            pictures.push(picture.with_context(|| path.display().to_string())?);
        }
        Ok(pictures)
    }
}

async fn read(path: &Path, alt: &str) -> Result<GivenPicture> {
    let alt = match text_by_hand(alt) {
        Ok(alt) => alt,
        Err(BadText::Empty) => bail!("its alt text is empty: describe the picture in words"),
        Err(BadText::Control(code)) => {
            bail!("its alt text holds the control character U+{code:04X}: remove it")
        }
    };
    let bytes = match files::read_async(path, MAX_FILE_BYTES).await {
        Ok(file) => file.bytes,
        Err(ReadError::TooLarge(bytes)) => {
            bail!("the file has {bytes} bytes, of {MAX_FILE_BYTES} allowed: save the picture smaller")
        }
        Err(error) => return Err(error.into()),
    };
    let kind = media::verify(&bytes)?.kind;
    let name = path.file_name().ok_or_else(|| anyhow!("this is not a file"))?;
    let digest = FileDigest::of(&bytes);
    let medium = Medium { name: name.to_string_lossy().into_owned(), alt, digest: Some(digest) };
    Ok(GivenPicture { medium, digest, kind, bytes })
}

/// The pictures as the post refers to them.
pub(super) fn media_of(pictures: &[GivenPicture]) -> Vec<Medium> {
    pictures.iter().map(|picture| picture.medium.clone()).collect()
}

/// Keeps pictures in the ledger. What no post ever uses is dropped after a day.
pub(super) async fn keep(known: &Configured, pictures: &[GivenPicture]) -> Result<()> {
    if pictures.is_empty() {
        return Ok(());
    }
    let (ledger, made) = accounts::ledger(&known.flock.database, &SystemClock).await?;
    if let Some(made) = made {
        output::say_beside(&format!("a new ledger was created: {}", made.display()));
    }
    let kept = keep_in(&ledger, pictures).await;
    // Closed, so that this process can become the ledger's owner.
    ledger.close().await;
    Ok(kept?)
}

async fn keep_in(ledger: &Sqlite, pictures: &[GivenPicture]) -> Result<(), StoreError> {
    for picture in pictures {
        let content = (picture.kind, &*picture.bytes);
        ledger.keep_medium(picture.digest, content, SystemClock.now()).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(words: &[&str]) -> Result<Vec<(String, String)>, String> {
        let command = PictureArgs::augment_args(Command::new("post").arg(Arg::new("text")));
        let matches = command.try_get_matches_from([&["post"], words].concat()).unwrap();
        let PictureArgs(pairs) =
            PictureArgs::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        Ok(pairs.into_iter().map(|(file, alt)| (file.display().to_string(), alt)).collect())
    }

    #[test]
    fn each_picture_has_the_text_that_follows_it() {
        let all =
            pairs(&["--media", "a.png", "--alt", "one", "hello", "--media=b.png", "--alt=two"]).unwrap();
        let expect =
            [("a.png", "one"), ("b.png", "two")].map(|(file, alt)| (file.to_owned(), alt.to_owned()));
        assert_eq!(all, expect);
        assert_eq!(pairs(&["hello"]), Ok(Vec::new()));
    }

    #[test]
    fn a_picture_without_text_is_named() {
        for (words, file) in [
            (&["--media", "a.png"][..], "a.png"),
            (&["--media", "a.png", "--alt", "one", "--media", "b.png"], "b.png"),
            // The text is the second one's, although the numbers of both would not tell.
            (&["--media", "a.png", "--media", "b.png", "--alt", "two"], "a.png"),
        ] {
            let problem = pairs(words).unwrap_err();
            assert!(problem.contains(file) && problem.contains("--alt"), "{words:?}: {problem}");
        }
    }

    #[test]
    fn a_text_without_picture_is_an_error() {
        for words in [
            &["--alt", "left over"][..],
            &["--alt", "left over", "--media", "a.png"],
            &["--media", "a.png", "--alt", "one", "--alt", "left over"],
        ] {
            let problem = pairs(words).unwrap_err();
            assert!(problem.contains("left over") && problem.contains("--media"), "{words:?}: {problem}");
        }
    }
}
