//! A public URL with a path, like `https://example.org/flock`. Pages link with relative addresses and work under any path; a
//! request for one arrives with the path or without, as the proxy in front has it. Both are the same address, so a link that
//! was made for the proxy works on this machine too.

use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use reqwest::Url;

use super::{Site, answer};
use crate::flock;

/// Takes the public URL's path off an address.
pub(super) async fn taken_off(State(site): State<Site>, mut request: Request, next: Next) -> Response {
    match without(request.uri(), &site.flock().web.public_url) {
        Asked::Here => {}
        Asked::Below(uri) => *request.uri_mut() = uri,
        Asked::Folder(name) => return to_folder(&name),
    }
    next.run(request).await
}

/// How an address is to be understood.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    /// As it is.
    Here,
    /// As this.
    Below(Uri),
    /// It lacks the slash at its end, without which links on the page would lead astray.
    Folder(String),
}

fn without(uri: &Uri, public_url: &str) -> Asked {
    let Ok(public) = Url::parse(public_url) else { return Asked::Here };
    let prefix = public.path().trim_end_matches('/');
    if prefix.is_empty() || flock::web::is_own_path(prefix) {
        return Asked::Here;
    }
    match uri.path().strip_prefix(prefix) {
        Some("") => Asked::Folder(prefix.rsplit('/').next().unwrap_or_default().to_owned()),
        Some(rest) if rest.starts_with('/') && !rest.starts_with("//") => {
            let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
            format!("{rest}{query}").parse().map_or(Asked::Here, Asked::Below)
        }
        _ => Asked::Here,
    }
}

fn to_folder(name: &str) -> Response {
    let mut answer = answer::fleeting(StatusCode::PERMANENT_REDIRECT, "text/plain; charset=utf-8", "".into());
    if let Ok(address) = HeaderValue::try_from(format!("{name}/")) {
        answer.headers_mut().insert(header::LOCATION, address);
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_the_same_with_the_path_and_without() {
        let asked = |address: &str, public_url: &str| without(&address.parse().unwrap(), public_url);
        let below = |address: &str| Asked::Below(address.parse().unwrap());
        let url = "https://birds.test/a/flock";
        assert_eq!(asked("/a/flock/enter?key=1", url), below("/enter?key=1"));
        assert_eq!(asked("/a/flock/", url), below("/"));
        assert_eq!(asked("/a/flock//evil.test", url), Asked::Here, "an address begins with one slash");
        assert_eq!(asked("/a/flock", url), Asked::Folder("flock".to_owned()));
        for address in ["/", "/enter?key=1", "/a/flocks/", "/a/", "/A/flock/", "/x/a/flock/"] {
            assert_eq!(asked(address, url), Asked::Here, "{address}");
        }
        assert_eq!(asked("/a/flock/", "https://birds.test"), Asked::Here);
        // It could be either: the proxy takes it off.
        assert_eq!(asked("/feeds/walt.atom", "https://birds.test/feeds"), Asked::Here);
    }
}
