//! Routing: which call a request is, who may make it, and how often (the rate limits, and the headers that
//! state them).

use chrono::{DateTime, SecondsFormat, TimeDelta, Timelike as _, Utc};
use serde_json::json;

use super::oauth::Bearer;
use super::{FakeMastodon, Reply, Request, Shared, Software};

impl Shared {
    /// What the server would answer.
    pub(super) fn answer(&self, seen: &Request) -> Reply {
        let flat = |result: Result<Reply, Reply>| result.unwrap_or_else(|refusal| refusal);
        let reply = match (seen.method.as_str(), seen.parts().0) {
            ("GET", "/.well-known/oauth-authorization-server") => self.metadata(),
            ("POST", "/api/v1/apps") => self.register(seen),
            ("GET", "/oauth/authorize") => self.consent_page(seen),
            ("POST", "/oauth/token") => flat(self.token(seen)),
            ("POST", "/oauth/revoke") => flat(self.revoke(seen)),
            ("GET", "/api/v2/instance") => self.instance_v2(),
            ("GET", "/api/v1/instance") => self.instance_v1(),
            (_, path) if path.starts_with("/api/v1/") || path == "/api/v2/media" => self.api(seen),
            _ => Reply::page(404, "The page you are looking for isn't here."),
        };
        // By the fake's own clock, so that a client can notice that its own is off.
        reply.header("date", self.clock.now().format("%a, %d %b %Y %H:%M:%S GMT").to_string())
    }

    /// The part that requires an access token.
    fn api(&self, seen: &Request) -> Reply {
        let Some(bearer) = self.bearer(seen) else {
            return Reply::json(401, &json!({"error": "The access token is invalid"}));
        };
        let (method, path) = (seen.method.as_str(), seen.parts().0);
        if (method, path) == ("GET", "/api/v1/apps/verify_credentials") {
            return self.application_of(&bearer);
        }
        let Some(handle) = bearer.handle.clone() else {
            return Reply::json(422, &json!({"error": "This method requires an authenticated user"}));
        };
        if self.state.lock().unwrap().disabled.contains(&handle) {
            return Reply::json(403, &json!({"error": "Your login is currently disabled"}));
        }
        let reply = self.called(seen, &bearer, &handle);
        self.with_limits(reply, &handle)
    }

    fn called(&self, seen: &Request, bearer: &Bearer, handle: &str) -> Reply {
        let (path, query) = seen.parts();
        let status = path.strip_prefix("/api/v1/statuses/");
        let source = status.and_then(|rest| rest.strip_suffix("/source"));
        let account = path.strip_prefix("/api/v1/accounts/").and_then(|rest| rest.strip_suffix("/statuses"));
        let upload = path.strip_prefix("/api/v1/media/");
        type Call<'a> = &'a dyn Fn() -> Reply;
        let (scopes, call): (&[&str], Call) = match (seen.method.as_str(), path, status, source, account) {
            ("GET", "/api/v1/accounts/verify_credentials", ..) => {
                (&["read:accounts", "profile"], &|| self.credentials(handle))
            }
            ("PATCH", "/api/v1/accounts/update_credentials", ..) => {
                (&["write:accounts"], &|| self.update(seen, handle))
            }
            ("POST", "/api/v2/media", ..) => (&["write:media"], &|| self.upload(seen, handle)),
            ("GET", ..) if upload.is_some() => {
                (&["write:media"], &|| self.processed(upload.unwrap_or_default(), handle))
            }
            ("POST", "/api/v1/statuses", ..) => (&["write:statuses"], &|| self.create(seen, handle)),
            ("GET", _, _, Some(id), _) => (&["read:statuses"], &|| self.source(id, handle)),
            ("GET", _, Some(id), None, _) => (&["read:statuses"], &|| self.show(id, handle)),
            ("DELETE", _, Some(id), None, _) => (&["write:statuses"], &|| self.delete(id, handle)),
            ("GET", _, _, _, Some(id)) => (&["read:statuses"], &|| self.timeline(id, query)),
            _ => return Reply::json(404, &json!({"error": "Not Found"})),
        };
        if scopes.iter().any(|scope| bearer.may(scope)) { call() } else { self.out_of_scope(scopes[0]) }
    }

    fn out_of_scope(&self, scope: &str) -> Reply {
        let error = match self.software {
            Software::Mastodon => "This action is outside the authorized scopes".to_owned(),
            Software::GoToSocial => {
                format!("Forbidden: token has insufficient scope permission, requires {scope}")
            }
            Software::Pleroma => format!("Insufficient permissions: {scope}."),
        };
        Reply::json(403, &json!({"error": error}))
    }
}

/// How many statuses an account may post in [`WINDOW`].
pub(super) const POSTS: usize = 300;
const WINDOW: TimeDelta = TimeDelta::hours(3);

impl FakeMastodon {
    /// Lets an account post this many statuses in three hours, including past ones.
    pub fn allow_posts(&self, n: usize) {
        self.change(|state| state.post_limit = n);
    }
}

impl Shared {
    /// Counts a post of the account; refuses if there were too many.
    pub(super) fn spend(&self, handle: &str) -> Result<(), Reply> {
        let (mut state, now) = (self.state.lock().unwrap(), self.clock.now());
        let limit = state.post_limit;
        let used = state.used.entry(handle.to_owned()).or_default();
        used.retain(|at| now < *at + WINDOW);
        if used.len() < limit {
            used.push(now);
            return Ok(());
        }
        // The text is in the account's language.
        Err(Reply::json(429, &json!({"error": "Die Anfrage wurde wegen zu vieler Versuche abgelehnt"})))
    }

    /// Adds headers with the posts that are left and the end of the window.
    pub(super) fn with_limits(&self, reply: Reply, handle: &str) -> Reply {
        if self.software == Software::Pleroma {
            return reply;
        }
        let (mut state, now) = (self.state.lock().unwrap(), self.clock.now());
        let limit = state.post_limit;
        let used = state.used.entry(handle.to_owned()).or_default();
        let (count, first) = (used.len(), used.first().copied());
        reply
            .header("x-ratelimit-limit", limit.to_string())
            .header("x-ratelimit-remaining", limit.saturating_sub(count).to_string())
            .header("x-ratelimit-reset", shown(first.unwrap_or(now) + WINDOW))
    }
}

/// An instant as Mastodon writes it here: in ISO 8601, with microseconds.
pub(super) fn shown(at: DateTime<Utc>) -> String {
    let at = at.with_nanosecond(at.nanosecond() / 1_000 * 1_000).unwrap_or(at);
    at.to_rfc3339_opts(SecondsFormat::Micros, true)
}
