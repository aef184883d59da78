//! Which host and path a request is for, and which page sent it.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;
use reqwest::Url;

use super::response;
use super::site::Site;
use crate::flock;
use crate::flock::web::Web;

/// Whether the request names a host of ours. Another site can make its own name resolve to this machine (DNS
/// rebinding), but then the request contains that name. A site can't own an IP address as a name.
pub(super) fn is_our_host(headers: &HeaderMap, web: &Web) -> bool {
    // Every browser sends one; a simple program may not.
    let Some(authority) = authority(headers) else { return true };
    let Some(host) = host_of(&authority) else { return false };
    let is_ip = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_ip || host == "localhost" || public(web).and_then(|url| Some(url.host_str()? == host)) == Some(true)
}

/// Whether a request that changes something was sent by a page of ours. Programs other than browsers send
/// none of these headers.
pub(super) fn is_our_page(headers: &HeaderMap, web: &Web) -> bool {
    // "none" means the person's own action: they typed an address or reloaded a page.
    if header_value(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    let Some(origin) = header_value(headers, "origin") else { return true };
    let Ok(origin) = Url::parse(origin) else { return false };
    let ours = authority(headers).and_then(|authority| Url::parse(&format!("http://{authority}")).ok());
    let same = |ours: &Url| {
        // Behind a proxy that terminates TLS, the page's scheme differs from the request's.
        let port = |url: &Url| url.port().filter(|port| ![80, 443].contains(port));
        ours.host_str() == origin.host_str() && port(ours) == port(&origin)
    };
    ours.as_ref().is_some_and(same) || public(web).as_ref().is_some_and(same)
}

/// Whether a browser hides the origin of a form without saying that it is another site.
pub(super) fn has_null_origin(headers: &HeaderMap) -> bool {
    header_value(headers, "origin") == Some("null")
        && matches!(header_value(headers, "sec-fetch-site"), None | Some("same-origin"))
}

/// The value of a header; empty if it occurs twice or is not text.
fn header_value<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    Some(if values.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
}

/// The public URL, if the browser uses it and does not reach this server directly. A proxy may drop the port
/// from the host, but does not add the port on which we listen.
pub(super) fn used_public_url(headers: &HeaderMap, web: &Web) -> Option<Url> {
    let public = public(web)?;
    let authority = authority(headers)?;
    host_of(&authority)?;
    let here = Url::parse(&format!("{}://{authority}", public.scheme())).ok()?;
    let own = Url::parse(&Web::own_url(web.listen)).ok()?;
    let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    let is_named = here.port().is_none() && here.host_str() == public.host_str();
    ((is_named || place(&here) == place(&public)) && place(&here) != place(&own)).then_some(public)
}

/// The host of an authority as in a URL: in lower case, an IPv6 address in brackets.
fn host_of(authority: &str) -> Option<String> {
    // Otherwise a path, a query, a fragment or a user name would parse too.
    let is_plain = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let url = Url::parse(&format!("http://{authority}")).ok().filter(|_| is_plain)?;
    url.host_str().map(str::to_owned)
}

fn public(web: &Web) -> Option<Url> {
    Url::parse(&web.public_url).ok()
}

fn authority(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default().to_owned())
}

/// Strips the path of the public URL, such as `/flock` of `https://example.org/flock`. Depending on the
/// proxy, requests arrive with or without it. Both mean the same page, so a link made for the proxy also
/// works on this machine.
pub(super) async fn strip_public_path(
    State(site): State<Site>,
    mut request: Request,
    next: Next,
) -> Response {
    match public_path(request.uri(), &site.flock().web.public_url) {
        PublicPath::Absent => {}
        PublicPath::Stripped(uri) => *request.uri_mut() = uri,
        PublicPath::WithoutSlash(name) => {
            return response::redirect(StatusCode::PERMANENT_REDIRECT, &format!("{name}/"));
        }
    }
    next.run(request).await
}

/// Whether an address begins with the path of the public URL.
#[derive(Debug, PartialEq, Eq)]
enum PublicPath {
    /// It doesn't.
    Absent,
    /// It does; this is the rest of the path.
    Stripped(Uri),
    /// It is exactly that path without the final slash, which the page's relative links need. Contains the
    /// path's last segment.
    WithoutSlash(String),
}

fn public_path(uri: &Uri, public_url: &str) -> PublicPath {
    let Ok(public) = Url::parse(public_url) else { return PublicPath::Absent };
    let prefix = public.path().trim_end_matches('/');
    if prefix.is_empty() || flock::web::is_own_path(prefix) {
        return PublicPath::Absent;
    }
    match uri.path().strip_prefix(prefix) {
        Some("") => PublicPath::WithoutSlash(prefix.rsplit('/').next().unwrap_or_default().to_owned()),
        Some(rest) if rest.starts_with('/') && !rest.starts_with("//") => {
            let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
            format!("{rest}{query}").parse().map_or(PublicPath::Absent, PublicPath::Stripped)
        }
        _ => PublicPath::Absent,
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;
    use crate::web::request::tests::{headers, web};

    #[test]
    fn only_our_own_host_names_are_accepted() {
        let ours = |host: &str| is_our_host(&headers(&[("host", host)]), &web("https://birds.test/poems"));
        for host in [
            "127.0.0.1:7878",
            "localhost",
            "LOCALHOST:1",
            "[::1]:7878",
            "192.0.2.7",
            "birds.test",
            "Birds.test:443",
        ] {
            assert!(ours(host), "{host}");
        }
        for host in [
            "evil.test",
            "birds.test.evil.test",
            "localhost.evil.test",
            "",
            "a b",
            "me@127.0.0.1",
            "127.0.0.1/x",
            "127.0.0.1/",
            "localhost#evil.test",
            "localhost?evil.test",
            "localhost\\evil.test",
        ] {
            assert!(!ours(host), "{host}");
        }
        assert!(is_our_host(&headers(&[]), &web("https://birds.test")));
    }

    #[test]
    fn only_our_own_pages_may_change_something() {
        let ours = |host: &str, more: &[(&'static str, &str)]| {
            let pairs: Vec<_> = [("host", host)].iter().chain(more).copied().collect();
            is_our_page(&headers(&pairs), &web("https://birds.test"))
        };
        assert!(ours("127.0.0.1:7878", &[]));
        assert!(ours(
            "127.0.0.1:7878",
            &[("origin", "http://127.0.0.1:7878"), ("sec-fetch-site", "same-origin")]
        ));
        assert!(ours("127.0.0.1:7878", &[("origin", "https://birds.test")]));
        assert!(ours("birds.test", &[("origin", "https://birds.test")]));
        for origin in
            ["null", "http://127.0.0.1:7879", "http://evil.test:7878", "https://birds.test.evil.test", ""]
        {
            assert!(!ours("127.0.0.1:7878", &[("origin", origin)]), "{origin}");
        }
        for site in ["cross-site", "same-site", ""] {
            assert!(!ours("127.0.0.1:7878", &[("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn the_public_url_is_distinguished_from_the_address_behind_it() {
        let by = |public_url: &str, host: &str| {
            used_public_url(&headers(&[("host", host)]), &web(public_url)).map(|url| url.path().to_owned())
        };
        let flock = Some("/flock".to_owned());
        for (public_url, host) in [
            ("https://birds.test/flock", "birds.test"),
            ("https://birds.test/flock", "BIRDS.test:443"),
            ("https://birds.test:8443/flock", "birds.test"),
            ("https://birds.test:8443/flock", "birds.test:8443"),
            ("http://127.0.0.1:8080/flock", "127.0.0.1:8080"),
        ] {
            assert_eq!(by(public_url, host), flock, "{public_url} {host}");
        }
        for (public_url, host) in [
            ("https://birds.test/flock", "127.0.0.1:7878"),
            ("http://127.0.0.1:8080/flock", "127.0.0.1:7878"),
            ("http://127.0.0.1:7878/flock", "127.0.0.1:7878"),
            ("https://birds.test:8443/flock", "birds.test:8444"),
        ] {
            assert_eq!(by(public_url, host), None, "{public_url} {host}");
        }
    }

    #[test]
    fn a_null_origin_from_another_site_is_rejected() {
        let hides = |more: &[(&'static str, &str)]| has_null_origin(&headers(more));
        assert!(hides(&[("origin", "null")]));
        assert!(hides(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!hides(&[("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!hides(&[("origin", "https://evil.test")]) && !hides(&[]));
        let mut twice = headers(&[("origin", "null")]);
        twice.append("origin", HeaderValue::from_static("https://evil.test"));
        assert!(!has_null_origin(&twice));
    }

    #[test]
    fn an_address_is_the_same_with_the_public_path_and_without() {
        let path = |address: &str, public_url: &str| public_path(&address.parse().unwrap(), public_url);
        let below = |address: &str| PublicPath::Stripped(address.parse().unwrap());
        let url = "https://birds.test/a/flock";
        assert_eq!(path("/a/flock/enter?key=1", url), below("/enter?key=1"));
        assert_eq!(path("/a/flock/", url), below("/"));
        assert_eq!(path("/a/flock//evil.test", url), PublicPath::Absent, "an address begins with one slash");
        assert_eq!(path("/a/flock", url), PublicPath::WithoutSlash("flock".to_owned()));
        for address in ["/", "/enter?key=1", "/a/flocks/", "/a/", "/A/flock/", "/x/a/flock/"] {
            assert_eq!(path(address, url), PublicPath::Absent, "{address}");
        }
        assert_eq!(path("/a/flock/", "https://birds.test"), PublicPath::Absent);
        // Ambiguous with a path of ours: the proxy has to strip it.
        assert_eq!(path("/feeds/walt.atom", "https://birds.test/feeds"), PublicPath::Absent);
    }
}
