//! What a request says about where it comes from: its host, the page that sent it, the cookie, the proxy's word. Nothing is
//! decided here but whether that fits.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, header};
use reqwest::Url;

use crate::flock::web::Web;

/// Whether the request names a host that is ours. A page of another site can have its own name lead here (DNS rebinding), but
/// then it is that name that stands in the request; an address in digits is nobody's name.
pub(super) fn is_our_host(headers: &HeaderMap, web: &Web) -> bool {
    // Every browser names one; a simple program may not.
    let Some(authority) = authority(headers) else { return true };
    let Some(host) = host_of(&authority) else { return false };
    let in_digits = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    in_digits
        || host == "localhost"
        || public(web).and_then(|url| Some(url.host_str()? == host)) == Some(true)
}

/// Whether a request that changes something was sent by a page of ours. A program that is no browser says nothing of that.
pub(super) fn is_our_page(headers: &HeaderMap, web: &Web) -> bool {
    // "none" is a person's own doing: an address typed, a page loaded again.
    if said(headers, "sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return false;
    }
    let Some(origin) = said(headers, "origin") else { return true };
    let Ok(origin) = Url::parse(origin) else { return false };
    let ours = authority(headers).and_then(|authority| Url::parse(&format!("http://{authority}")).ok());
    let same = |ours: &Url| {
        // Behind a proxy that speaks TLS the page's scheme is not that of the request.
        let port = |url: &Url| url.port().filter(|port| ![80, 443].contains(port));
        ours.host_str() == origin.host_str() && port(ours) == port(&origin)
    };
    ours.as_ref().is_some_and(same) || public(web).as_ref().is_some_and(same)
}

/// Whether a browser keeps to itself where a form comes from, and does not say that it is from another site.
pub(super) fn is_from_nowhere(headers: &HeaderMap) -> bool {
    said(headers, "origin") == Some("null")
        && matches!(said(headers, "sec-fetch-site"), None | Some("same-origin"))
}

/// What a header says; nothing of use, if it is there twice or is no text.
fn said<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next()?;
    Some(if values.next().is_some() { "" } else { value.to_str().unwrap_or_default() })
}

/// Where this browser reaches us: under the public URL, or directly. A proxy may leave the port out of the host's name, but
/// not put the one in on which we listen.
pub(super) fn comes_by_public_url(headers: &HeaderMap, web: &Web) -> Option<Url> {
    let public = public(web)?;
    let authority = authority(headers)?;
    host_of(&authority)?;
    let here = Url::parse(&format!("{}://{authority}", public.scheme())).ok()?;
    let own = Url::parse(&Web::own_url(web.listen)).ok()?;
    let place = |url: &Url| (url.host_str().map(str::to_owned), url.port_or_known_default());
    let is_named = here.port().is_none() && here.host_str() == public.host_str();
    ((is_named || place(&here) == place(&public)) && place(&here) != place(&own)).then_some(public)
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lists = headers.get_all(header::COOKIE).into_iter().filter_map(|list| list.to_str().ok());
    let mut pairs = lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

/// Whom a proxy asks for: the last address in the row that is not a trusted proxy's itself. Without a trusted proxy, whoever
/// is at the door.
pub(super) fn visitor(from: IpAddr, headers: &HeaderMap, web: &Web) -> IpAddr {
    let mut visitor = from;
    for text in forwarded_for(headers).into_iter().rev() {
        if !is_proxy(visitor, web) {
            break;
        }
        let Some(address) = address_in(text) else { break };
        visitor = address;
    }
    visitor
}

/// Whether this is a proxy that is believed when it says for whom it asks.
pub(super) fn is_proxy(address: IpAddr, web: &Web) -> bool {
    let address = address.to_canonical();
    web.proxies.iter().any(|network| network.contains(&address))
}

/// What proxies have written one after another. What a visitor wrote before them may be of any bytes.
fn forwarded_for(headers: &HeaderMap) -> Vec<&[u8]> {
    let rows = headers.get_all("x-forwarded-for").into_iter();
    rows.flat_map(|row| row.as_bytes().split(|byte| *byte == b',')).collect()
}

/// An address, which some proxies write with a port.
fn address_in(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare).map(|address: IpAddr| address.to_canonical())
}

fn authority(headers: &HeaderMap) -> Option<String> {
    headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default().to_owned())
}

/// The host of an authority as URLs have it: in small letters, an IPv6 address in brackets.
fn host_of(authority: &str) -> Option<String> {
    // A URL could go on with a path, a query, a fragment, or begin with a name and a password.
    let is_plain = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte));
    let url = Url::parse(&format!("http://{authority}")).ok().filter(|_| is_plain)?;
    url.host_str().map(str::to_owned)
}

fn public(web: &Web) -> Option<Url> {
    Url::parse(&web.public_url).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn web(public_url: &str) -> Web {
        let proxies = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()];
        Web { proxies, ..Web::at("127.0.0.1:7878".parse().unwrap(), public_url.to_owned()) }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_our_own_names_are_ours() {
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
    fn only_our_own_pages_change_something() {
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
    fn the_public_url_is_told_from_the_address_behind_it() {
        let by = |public_url: &str, host: &str| {
            comes_by_public_url(&headers(&[("host", host)]), &web(public_url))
                .map(|url| url.path().to_owned())
        };
        let path = Some("/flock".to_owned());
        for (public_url, host) in [
            ("https://birds.test/flock", "birds.test"),
            ("https://birds.test/flock", "BIRDS.test:443"),
            ("https://birds.test:8443/flock", "birds.test"),
            ("https://birds.test:8443/flock", "birds.test:8443"),
            ("http://127.0.0.1:8080/flock", "127.0.0.1:8080"),
        ] {
            assert_eq!(by(public_url, host), path, "{public_url} {host}");
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
    fn a_form_that_hides_where_it_comes_from_is_not_taken_from_another_site() {
        let hides = |more: &[(&'static str, &str)]| is_from_nowhere(&headers(more));
        assert!(hides(&[("origin", "null")]));
        assert!(hides(&[("origin", "null"), ("sec-fetch-site", "same-origin")]));
        assert!(!hides(&[("origin", "null"), ("sec-fetch-site", "cross-site")]));
        assert!(!hides(&[("origin", "https://evil.test")]) && !hides(&[]));
        let mut twice = headers(&[("origin", "null")]);
        twice.append("origin", HeaderValue::from_static("https://evil.test"));
        assert!(!is_from_nowhere(&twice));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; flockd-1=x; flockd-12=y=z")]);
        assert_eq!(cookie(&headers, "flockd-12"), Some("y=z"));
        assert_eq!(cookie(&headers, "flockd-1"), Some("x"));
        assert_eq!(cookie(&headers, "flockd"), None);
    }

    #[test]
    fn a_proxy_is_believed_only_where_it_is_trusted() {
        let seen = |from: &str, row: &str| {
            let row = headers(&[("x-forwarded-for", row)]);
            visitor(from.parse().unwrap(), &row, &web("http://x")).to_string()
        };
        assert_eq!(seen("127.0.0.1", "192.0.2.1"), "192.0.2.1");
        assert_eq!(seen("192.0.2.9", "192.0.2.1"), "192.0.2.9", "anybody can write this");
        assert_eq!(
            seen("127.0.0.1", "1.1.1.1, 192.0.2.1, 10.0.0.3"),
            "192.0.2.1",
            "what a visitor made up is left out"
        );
        assert_eq!(seen("127.0.0.1", "nonsense"), "127.0.0.1");
        assert_eq!(seen("::ffff:127.0.0.1", "::ffff:192.0.2.1"), "192.0.2.1");
        for (written, address) in [
            ("192.0.2.1:4711", "192.0.2.1"),
            ("[2001:db8::1]:4711", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("  2001:db8::1  ", "2001:db8::1"),
        ] {
            assert_eq!(seen("127.0.0.1", &format!("1.1.1.1,{written}")), address);
        }
    }

    #[test]
    fn bytes_that_are_no_text_hide_nobody() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_bytes(b"\xff\xfe, 192.0.2.1").unwrap());
        let from = "127.0.0.1".parse().unwrap();
        assert_eq!(visitor(from, &headers, &web("http://x")).to_string(), "192.0.2.1");
        // Proxies that add a line of their own come after it.
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.2"));
        assert_eq!(visitor(from, &headers, &web("http://x")).to_string(), "192.0.2.2");
    }
}
