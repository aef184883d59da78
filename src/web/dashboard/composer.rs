//! The form in which a person writes a post: a text, which may be a thread, and pictures with their descriptions. Also the
//! counter for the length of each part.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use maud::{Markup, html};
use serde::Serialize;

use super::actions;
use super::layout::{TargetBot, Viewer};
use crate::flock::Bot;
use crate::flock::account::Account;
use crate::flock::content::{FileDigest, Medium};
use crate::flock::media::MediaKind;
use crate::flock::post::{BadText, content_by_hand, parts_by_hand, text_by_hand};
use crate::media::{self, MAX_FILE_BYTES, PictureError};
use crate::net;
use crate::store::{CommandKind, StoreError};
use crate::web::auth::{SignedUpload, UploadedFile};
use crate::web::page::{self, grouped, ledger_unavailable};
use crate::web::request::Parameters;
use crate::web::response;
use crate::web::site::Site;

/// The most pictures of a post that the form takes: as many as most networks show.
const MAX_PICTURES: usize = 4;
/// The longest name of a file that is kept, in characters.
const LONGEST_NAME: usize = 100;

/// The form. Its button is the page's primary one if nothing is more urgent.
pub(super) fn form(bot: &Bot, account: Option<&Account>, viewer: &Viewer, is_primary: bool) -> Markup {
    let (_, most) = net::length(bot, account, "");
    html! {
        form.composer method="post" action={ (bot.name) "/compose" } enctype="multipart/form-data"
            data-max-bytes=(MAX_FILE_BYTES) data-too-large={ "The pictures of a post may have " (MAX_FILE_BYTES / 1_000_000) " MB together." } {
            // The first field: files are read only after it.
            (viewer.token_field())
            label for="text" { "Post your own text" }
            textarea #text name="text" rows="3" dir="auto" data-count={ (bot.name) "/length" }
                aria-describedby="count parts-hint" {}
            p.why #parts-hint { "A line " code { "---" } " begins the next part of a thread." }
            details {
                summary { "Add pictures" }
                p.why { "JPEG, PNG, GIF or WebP. Each needs a description for people who can’t see it." }
                @for number in 1..=MAX_PICTURES { (picture_fields(number)) }
            }
            div.buttons {
                button.primary[is_primary] { "Post this" }
                output #count for="text" { "Up to " (grouped(most)) " characters, as the network counts them" }
            }
        }
    }
}

fn picture_fields(number: usize) -> Markup {
    let (file, alt) = (format!("picture-{number}"), format!("alt-{number}"));
    let kinds: Vec<&str> = MediaKind::ALL.iter().map(|kind| kind.as_str()).collect();
    html! {
        fieldset {
            legend { "Picture " (number) }
            label for=(file) { "File" }
            input #(file) type="file" name=(file) accept=(kinds.join(",")) data-described-by=(alt);
            label for=(alt) { "Description" }
            textarea #(alt) name=(alt) rows="2" dir="auto" {}
        }
    }
}

/// A picture that can be posted.
struct ComposedPicture {
    medium: Medium,
    digest: FileDigest,
    kind: MediaKind,
    bytes: Bytes,
}

/// `POST /bots/{name}/compose`.
pub(super) async fn compose(
    State(site): State<Site>,
    TargetBot { bot, .. }: TargetBot,
    uri: Uri,
    mut upload: SignedUpload,
) -> Response {
    let _paused = upload.paused.take();
    let bot = bot.name.to_string();
    let (what, pictures) = match composed(&site, bot.clone(), &upload).await {
        Ok(composed) => composed,
        Err(why) => return page::error(&uri, StatusCode::UNPROCESSABLE_ENTITY, "Not possible", &why),
    };
    tracing::info!(%bot, action = "post", pictures = pictures.len(), "requested on the dashboard");
    if site.ledger_result(keep(&site, &pictures).await).is_none() {
        return ledger_unavailable(&uri);
    }
    // The next form may arrive.
    drop((pictures, upload));
    match site.ledger_result(actions::execute(&site, what).await) {
        Some(id) => response::see_other(&format!("../{bot}?wish={id}")),
        None => ledger_unavailable(&uri),
    }
}

/// What the form asks for, and its pictures.
///
/// # Errors
///
/// Why nothing was posted, as sentences.
async fn composed(
    site: &Site,
    bot: String,
    SignedUpload { fields, files, .. }: &SignedUpload,
) -> Result<(CommandKind, Vec<ComposedPicture>), String> {
    let mut pictures = Vec::new();
    for number in 1..=MAX_PICTURES {
        let (field, alt) = (format!("picture-{number}"), fields.get(&format!("alt-{number}")).trim());
        match files.iter().find(|file| file.field == field) {
            Some(file) => pictures.push(picture(site, file, alt).await?),
            None if alt.is_empty() => {}
            None => {
                return Err(format!(
                    "Description {number} has no picture. Nothing was posted: choose its file."
                ));
            }
        }
    }
    let media = pictures.iter().map(|picture| picture.medium.clone()).collect();
    let content = content_by_hand(fields.get("text"), media).map_err(|bad| match bad {
        BadText::Empty => "The text, or a part of it, was empty, so nothing was posted.".to_owned(),
        bad => format!("Nothing was posted: {bad}."),
    })?;
    Ok((CommandKind::of_content(bot, content), pictures))
}

/// A picture of the form. The file is what its content says; its name is shown, and never opened.
async fn picture(site: &Site, file: &UploadedFile, alt: &str) -> Result<ComposedPicture, String> {
    let name = shown_name(&file.name);
    let alt = text_by_hand(alt).map_err(|bad| match bad {
        BadText::Empty => {
            format!("{name} has no description. Nothing was posted: describe it for people who can’t see it.")
        }
        bad => format!("Nothing was posted: the description of {name} is not usable: {bad}."),
    })?;
    let kind = verified(site, file.bytes.clone())
        .await
        .map_err(|problem| format!("Nothing was posted: {name}: {problem}."))?;
    let digest = FileDigest::of(&file.bytes);
    let medium = Medium { name, alt, digest: Some(digest) };
    Ok(ComposedPicture { medium, digest, kind, bytes: file.bytes.clone() })
}

/// Decodes a picture, one at a time, as that takes memory.
async fn verified(site: &Site, bytes: Bytes) -> Result<MediaKind, PictureError> {
    let _turn = site.decoding.lock().await;
    let verified = tokio::task::spawn_blocking(move || media::verify(&bytes)).await;
    let damaged = |_| Err(PictureError::Empty);
    verified.unwrap_or_else(damaged).map(|info| info.kind)
}

/// The last component of a name, without what can't be shown.
fn shown_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let shown: String = last.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    if shown.trim().is_empty() { "picture".to_owned() } else { shown }
}

/// Keeps pictures in the ledger, from where the engine posts them.
async fn keep(site: &Site, pictures: &[ComposedPicture]) -> Result<(), StoreError> {
    for ComposedPicture { digest, kind, bytes, .. } in pictures {
        site.store.keep_medium(*digest, (*kind, bytes), site.now()).await?;
    }
    Ok(())
}

/// What the counter shows.
#[derive(Serialize)]
struct TextLengths {
    max: usize,
    parts: Vec<PartLength>,
}

/// The length of a part.
#[derive(Serialize)]
struct PartLength {
    length: usize,
    /// Why the part can't be posted, if it can't.
    problem: Option<String>,
}

/// `GET /bots/{name}/length?text=…`: how long each part of a text would be on the bot's network.
pub(super) async fn text_lengths(
    State(site): State<Site>,
    TargetBot { bot, .. }: TargetBot,
    uri: Uri,
) -> Response {
    let Some(account) = site.ledger_result(site.store.account(&bot.name).await) else {
        return ledger_unavailable(&uri);
    };
    let account = account.as_ref();
    let (_, max) = net::length(&bot, account, "");
    let part = |text: &String| {
        let text = text.trim();
        let (length, _) = net::length(&bot, account, text);
        PartLength {
            length,
            problem: net::validate(&bot, account, text).err().map(|problem| problem.to_string()),
        }
    };
    let parts = parts_by_hand(Parameters::of_query(&uri).get("text")).iter().map(part).collect();
    response::json(StatusCode::OK, &TextLengths { max, parts })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_without_its_folder() {
        for (name, shown) in [
            ("owl.png", "owl.png"),
            ("C:\\pictures\\owl.png", "owl.png"),
            ("../../etc/owl.png", "owl.png"),
            ("ow\u{0}l\n.png", "owl.png"),
            ("a/", "picture"),
            ("", "picture"),
        ] {
            assert_eq!(shown_name(name), shown, "{name:?}");
        }
        assert_eq!(shown_name(&"ä".repeat(500)).chars().count(), LONGEST_NAME);
    }
}
