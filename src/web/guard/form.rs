//! A form that a page of ours has sent, and whether it is.

use axum::body::to_bytes;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;

use super::Pass;
use crate::flock::web::Dashboard;
use crate::store::passes::PassMark;
use crate::web::{Site, board};

/// The largest form: a poem of a megabyte, of which every byte may take three.
const MAX_FORM: usize = 4 * 1024 * 1024;

/// The fields of a form.
pub(in crate::web) struct Form(Vec<(String, String)>);

impl Form {
    /// The first field of that name; empty if there is none.
    pub(in crate::web) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The first field of that name.
    pub(in crate::web) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }

    /// Whether its token is that of this pass.
    pub(in crate::web) fn is_signed_by(&self, pass: &Pass) -> bool {
        // Digests are compared, so that the time it takes tells nothing.
        PassMark::of(self.get("token")) == PassMark::of(&pass.token())
    }
}

/// The fields of a query or of a form's body.
pub(in crate::web) fn fields(text: &[u8]) -> Form {
    Form(url::form_urlencoded::parse(text).into_owned().collect())
}

/// A form by which somebody who has entered the dashboard changes something.
pub(in crate::web) struct Signed {
    pub(in crate::web) form: Form,
    pub(in crate::web) pass: Pass,
}

impl FromRequest<Site> for Signed {
    type Rejection = Response;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Some(pass) = request.extensions().get::<Pass>().cloned() else {
            return Err(board::wrong_page(&uri));
        };
        let form = Form::read(request, MAX_FORM).await?;
        if !form.is_signed_by(&pass) {
            return Err(board::wrong_page(&uri));
        }
        // Whoever only looks may go all the same.
        if site.flock().web.dashboard == Dashboard::ReadOnly && uri.path() != "/leave" {
            let why = "This dashboard is for looking only: flock.toml has dashboard = \"read-only\".";
            return Err(board::refused(&uri, StatusCode::FORBIDDEN, "Not possible", why));
        }
        Ok(Self { form, pass })
    }
}

impl Form {
    /// What a request brought, if it is no more than so many bytes.
    pub(in crate::web) async fn read(request: Request, most: usize) -> Result<Self, Response> {
        let uri = request.uri().clone();
        let Ok(body) = to_bytes(request.into_body(), most).await else {
            let why = "That is more than this page takes. Nothing was changed.";
            return Err(board::refused(&uri, StatusCode::PAYLOAD_TOO_LARGE, "Too large", why));
        };
        Ok(fields(&body))
    }
}
