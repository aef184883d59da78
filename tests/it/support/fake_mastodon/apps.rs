//! Registration of apps.

use serde_json::{Value, json};

use super::super::{multipart, rfc5849};
use super::oauth::Bearer;
use super::{FakeMastodon, Reply, Request, Shared, Software, State};

/// The redirect URI of a client without a listener: the code is shown instead.
pub const OUT_OF_BAND: &str = "urn:ietf:wg:oauth:2.0:oob";

/// A registered app.
#[derive(Debug, Clone)]
pub struct FakeApp {
    pub name: String,
    pub redirects: Vec<String>,
    pub scopes: String,
    pub client_id: String,
    pub client_secret: String,
}

impl FakeApp {
    /// Whether the app registered this scope, or its parent.
    pub(super) fn covers(&self, scope: &str) -> bool {
        self.scopes.split(' ').any(|had| had == scope || Some(had) == scope.split(':').next())
    }
}

impl FakeMastodon {
    /// An app with these redirect URIs, as made by hand.
    pub fn app(&self, redirects: &[&str], scopes: &str) -> FakeApp {
        self.shared.state.lock().unwrap().add_app(&self.url, "made by hand", redirects, scopes)
    }

    /// The registered apps.
    pub fn apps(&self) -> Vec<FakeApp> {
        self.shared.state.lock().unwrap().apps.clone()
    }

    /// Forgets all apps and their grants: servers before 4.3 remove unused ones.
    pub fn forget_apps(&self) {
        self.change(|state| {
            state.apps.clear();
            state.oauth = Default::default();
        });
    }
}

impl State {
    pub(super) fn add_app(&mut self, seed: &str, name: &str, redirects: &[&str], scopes: &str) -> FakeApp {
        let (client_id, client_secret) = (self.mint(seed), self.mint(seed));
        let app = FakeApp {
            name: name.to_owned(),
            redirects: redirects.iter().map(|&redirect| redirect.to_owned()).collect(),
            scopes: scopes.to_owned(),
            client_id,
            client_secret,
        };
        self.apps.push(app.clone());
        app
    }
}

impl Shared {
    /// `POST /api/v1/apps`.
    pub(super) fn register(&self, seen: &Request) -> Reply {
        let Some(fields) = fields(seen) else { return Reply::json(400, &json!({"error": "Bad Request"})) };
        let name = fields["client_name"].as_str().unwrap_or_default();
        let redirects: Vec<&str> = match &fields["redirect_uris"] {
            Value::String(text) => text.split_whitespace().collect(),
            Value::Array(all) if self.software == Software::Mastodon => {
                all.iter().filter_map(Value::as_str).collect()
            }
            _ => Vec::new(),
        };
        let scopes = fields["scopes"].as_str().unwrap_or("read");
        let fit = |redirect: &&str| *redirect == OUT_OF_BAND || url::Url::parse(redirect).is_ok();
        if name.is_empty() || redirects.is_empty() || !redirects.iter().all(fit) {
            let error =
                "Validation failed: Application name can't be blank, Redirect URI must be an absolute URI.";
            return Reply::json(422, &json!({"error": error}));
        }
        let mut state = self.state.lock().unwrap();
        let app = state.add_app(&self.fake_server.url, name, &redirects, scopes);
        let mut answer = self.application(&app);
        answer["client_id"] = json!(app.client_id);
        answer["client_secret"] = json!(app.client_secret);
        if self.software == Software::Mastodon {
            answer["client_secret_expires_at"] = json!(0);
        }
        self.fake_server.has_changed();
        Reply::json(200, &answer)
    }

    /// `GET /api/v1/apps/verify_credentials`.
    pub(super) fn application_of(&self, bearer: &Bearer) -> Reply {
        let state = self.state.lock().unwrap();
        match state.apps.iter().find(|app| app.client_id == bearer.client_id) {
            // GoToSocial has no such call.
            Some(_) if self.software == Software::GoToSocial => {
                Reply::json(404, &json!({"error": "Not Found"}))
            }
            Some(app) => Reply::json(200, &self.application(app)),
            None => Reply::json(401, &json!({"error": "The access token is invalid"})),
        }
    }

    /// The name of the app to which a token belongs.
    pub(super) fn client_of(&self, bearer: &Bearer) -> Option<String> {
        let state = self.state.lock().unwrap();
        state.apps.iter().find(|app| app.client_id == bearer.client_id).map(|app| app.name.clone())
    }

    fn application(&self, app: &FakeApp) -> Value {
        let mut answer = json!({
            "id": "563419", "name": app.name, "website": null,
            "redirect_uri": app.redirects.join("\n"), "vapid_key": "BCk-QqERU0q-CfYZjcuB6lnyyOYfJ2AifKqfeGIm7Z-HiTU5T9eTG5GxVA0_OH5mMlI4UkkDTpaZwozy0TzdZ2M=",
        });
        if self.software == Software::Mastodon {
            answer["scopes"] = app.scopes.split(' ').collect();
            answer["redirect_uris"] = json!(app.redirects);
        }
        answer
    }
}

/// The fields of a form, multipart or not, or of a JSON object.
pub(super) fn fields(seen: &Request) -> Option<Value> {
    if let Some(parts) = multipart::parts(seen) {
        let text = |bytes: &[u8]| Value::String(String::from_utf8_lossy(bytes).into_owned());
        return Some(parts.into_iter().map(|part| (part.name, text(&part.bytes))).collect());
    }
    if let Some(form) = seen.form() {
        let form = rfc5849::form_parameters(form).ok()?;
        return Some(form.into_iter().map(|(name, value)| (name, Value::String(value))).collect());
    }
    let fields: Value = serde_json::from_slice(&seen.bytes).ok()?;
    fields.is_object().then_some(fields)
}
