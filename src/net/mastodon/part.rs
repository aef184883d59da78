//! The place of a part in its thread: who may see it, and whether the post that it answers is still there.

use reqwest::Method;

use super::diagnosis::{self, API, PARENT_GONE};
use super::{Mastodon, OPTIONAL_TIMEOUT, id};
use crate::flock::Visibility;
use crate::flock::account::Tokens;
use crate::net::Outcome;
use crate::net::response::ApiResponse;

impl Mastodon {
    /// Who may see a part after the first: those who see the post that it answers, but it stays out of public
    /// timelines. The account's default may be narrower than what the bot's options say, so the server is asked.
    ///
    /// # Errors
    /// The outcome of the part, which was not sent: the post that it answers is gone, or can't be looked at now.
    pub(super) async fn visibility_of_part(
        &self,
        parent: &str,
        tokens: &Tokens,
    ) -> Result<Option<Visibility>, Outcome> {
        let response = self.shown(parent, tokens).await?;
        if response.is_not_there() {
            return Err(API.outcome(&response, &PARENT_GONE));
        }
        let shown =
            response.object().filter(|status| response.succeeded() && id(status).as_deref() == Some(parent));
        let shown = shown.and_then(|status| Visibility::from_word(status["visibility"].as_str()?));
        if shown.is_none() && (!response.is_definite() || diagnosis::may_pass(&response)) {
            return Err(Outcome::NotAccepted(API.failure(&response, "show the part before this one")));
        }
        Ok(match self.options.visibility.or(shown) {
            Some(Visibility::Public) => Some(Visibility::Unlisted),
            other => other,
        })
    }

    async fn shown(&self, id: &str, tokens: &Tokens) -> Result<ApiResponse, Outcome> {
        let shown = async {
            let mut request = self.request(tokens, Method::GET, &format!("/api/v1/statuses/{id}"))?;
            *request.timeout_mut() = Some(OPTIONAL_TIMEOUT);
            self.ask(request, tokens).await
        };
        shown.await.map_err(Outcome::NotAccepted)
    }
}
