//! Uploads: taken, processed, attached to statuses, forgotten.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::multipart;
use super::{FakeMastodon, Reply, Request, Shared, Software};

/// The most pictures of a status.
const PER_STATUS: usize = 4;
/// The types that are taken.
const KINDS: [&str; 4] = ["image/jpeg", "image/png", "image/gif", "image/webp"];
/// The most characters of a description.
const DESCRIPTION_MAX: usize = 1_500;

/// A picture that the server has received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FakeUpload {
    pub id: String,
    pub handle: String,
    /// Its type.
    pub kind: String,
    pub bytes: Vec<u8>,
    pub description: Option<String>,
    /// How many more queries say that it is not processed.
    pub queries_left: usize,
}

/// The uploads so far, and the commands for them.
#[derive(Default)]
pub(super) struct Uploads {
    all: Vec<FakeUpload>,
    numbered: usize,
    /// How many queries the next uploads take.
    slowness: usize,
    /// Whether unknown ids are ignored, as before version 4.4.
    ignores_unknown: bool,
    /// The ids under which posted pictures are shown, if not those of their uploads.
    renamed: bool,
    /// What is left of the uploads that were forgotten.
    posted: HashMap<String, FakeUpload>,
}

impl FakeMastodon {
    /// The pictures of a status, in their order.
    pub fn pictures_of(&self, id: &str) -> Vec<FakeUpload> {
        let state = self.shared.state.lock().unwrap();
        let status = state.statuses.iter().find(|status| status.id == id).expect("a status");
        status.media.iter().map(|id| state.uploads.posted[id].clone()).collect()
    }

    /// The next uploads are processed only after this many queries.
    pub fn processes_slowly(&self, queries: usize) {
        self.change(|state| state.uploads.slowness = queries);
    }

    /// Forgets the uploads that no status refers to.
    pub fn forgets_uploads(&self) {
        self.change(|state| state.uploads.all.clear());
    }

    /// From now on unknown pictures are left out of a status, as before version 4.4.
    pub fn ignores_unknown_pictures(&self) {
        self.change(|state| state.uploads.ignores_unknown = true);
    }

    /// From now on a status shows its pictures under other ids than their uploads had.
    pub fn renames_pictures(&self) {
        self.change(|state| state.uploads.renamed = true);
    }
}

impl Shared {
    /// `POST /api/v2/media`.
    pub(super) fn upload(&self, seen: &Request, handle: &str) -> Reply {
        let invalid = |why: &str| Reply::json(422, &json!({"error": format!("Validation failed: {why}")}));
        let Some(parts) = multipart::parts(seen) else {
            return Reply::json(400, &json!({"error": "Bad Request"}));
        };
        let part = |name: &str| parts.iter().find(|part| part.name == name);
        let Some((file, kind)) = part("file").and_then(|file| Some((file, file.kind.clone()?))) else {
            return invalid("File can't be blank");
        };
        if !KINDS.contains(&&*kind) || file.bytes.is_empty() {
            return invalid("File content type is invalid");
        }
        let description = part("description").map(|part| String::from_utf8(part.bytes.clone()).unwrap());
        if description.as_ref().is_some_and(|text| text.chars().count() > DESCRIPTION_MAX) {
            return invalid("Description is too long");
        }
        let mut state = self.state.lock().unwrap();
        state.uploads.numbered += 1;
        let id = match self.software {
            Software::Mastodon => format!("1129{:014}", state.uploads.numbered),
            Software::GoToSocial | Software::Pleroma => format!("01MEDIA{:019}", state.uploads.numbered),
        };
        let (handle, bytes) = (handle.to_owned(), file.bytes.clone());
        let queries_left = state.uploads.slowness;
        let upload = FakeUpload { id, handle, kind, bytes, description, queries_left };
        let status = if queries_left > 0 { 202 } else { 200 };
        let shown = shown(&upload, &upload.id, &self.fake_server.url, queries_left == 0);
        state.uploads.all.push(upload);
        self.fake_server.has_changed();
        Reply::json(status, &shown)
    }

    /// `GET /api/v1/media/:id`.
    pub(super) fn processed(&self, id: &str, handle: &str) -> Reply {
        let mut state = self.state.lock().unwrap();
        let own = |upload: &&mut FakeUpload| upload.id == id && upload.handle == handle;
        let Some(upload) = state.uploads.all.iter_mut().find(own) else { return self.not_found() };
        let ready = upload.queries_left == 0;
        upload.queries_left = upload.queries_left.saturating_sub(1);
        let shown = shown(upload, id, &self.fake_server.url, ready);
        Reply::json(if ready { 200 } else { 206 }, &shown)
    }

    /// The pictures that a status asks for, which are no longer free afterwards.
    pub(super) fn attached(&self, ids: &Value, handle: &str) -> Result<Vec<String>, String> {
        let ids: Vec<&str> = ids.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        if ids.len() > PER_STATUS {
            return Err("Cannot attach more than 4 files".to_owned());
        }
        let mut state = self.state.lock().unwrap();
        let uploads = &mut state.uploads;
        let free = |id: &&str| uploads.all.iter().find(|upload| upload.id == **id && upload.handle == handle);
        let known: Vec<FakeUpload> = ids.iter().filter_map(free).cloned().collect();
        if known.iter().any(|upload| upload.queries_left > 0) {
            return Err("Cannot attach files that have not finished processing".to_owned());
        }
        if known.len() < ids.len() && !uploads.ignores_unknown {
            return Err(format!("Media {} not found or already attached to another post", ids.join(", ")));
        }
        uploads.all.retain(|upload| known.iter().all(|taken| taken.id != upload.id));
        let names = known.iter().map(|upload| upload.id.clone()).collect();
        uploads.posted.extend(known.into_iter().map(|upload| (upload.id.clone(), upload)));
        Ok(names)
    }
}

impl Uploads {
    /// The pictures of a status.
    pub(super) fn shown(&self, ids: &[String], url: &str) -> Value {
        let named = |id: &String| if self.renamed { format!("shown-{id}") } else { id.clone() };
        ids.iter().map(|id| shown(&self.posted[id], &named(id), url, true)).collect()
    }
}

fn shown(upload: &FakeUpload, id: &str, url: &str, ready: bool) -> Value {
    let file = format!("{}/media/{id}", url.replace("http://", "https://"));
    json!({
        "id": id, "type": "image", "url": ready.then_some(&file), "preview_url": ready.then_some(&file),
        "remote_url": null, "meta": {}, "description": upload.description, "blurhash": null,
    })
}
