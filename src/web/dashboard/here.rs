//! Which bot a page is about, by its address.

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use axum::response::Response;

use crate::flock::{Bot, Flock};
use crate::web::{Site, not_found};

/// The bot that an address names, and the flock as it is meanwhile.
pub(super) struct Here {
    pub(super) flock: Arc<Flock>,
    pub(super) bot: Arc<Bot>,
    /// What else the address names, where it does.
    pub(super) what: String,
}

impl FromRequestParts<Site> for Here {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Response> {
        let flock = site.flock();
        let named = Path::<HashMap<String, String>>::from_request_parts(parts, site).await;
        let named = named.map(|Path(named)| named).unwrap_or_default();
        match named.get("name").and_then(|name| flock.bot(name)).cloned() {
            Some(bot) => Ok(Self { flock, bot, what: named.get("what").cloned().unwrap_or_default() }),
            None => Err(not_found(parts.uri.clone()).await),
        }
    }
}
