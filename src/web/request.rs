//! The contents of a request: parameters, cookies, and the client's address as reported by proxies.

use std::net::{IpAddr, SocketAddr};

use axum::http::{HeaderMap, Uri, header};

use crate::flock::web::Web;

/// The parameters of a query or a form.
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Those in the query of an address.
    pub(super) fn of_query(uri: &Uri) -> Self {
        Self::parse(uri.query().unwrap_or_default().as_bytes())
    }

    /// Those in `application/x-www-form-urlencoded` text.
    pub(super) fn parse(text: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(text).into_owned().collect())
    }

    /// These names and values.
    pub(super) const fn of(all: Vec<(String, String)>) -> Self {
        Self(all)
    }

    /// The first parameter of that name; empty if there is none.
    pub(super) fn get(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The first parameter of that name.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().find_map(|(key, value)| (key == name).then_some(value.as_str()))
    }
}

/// Whether a browser is only prefetching, so the person has not opened the page yet.
pub(super) fn is_prefetch(headers: &HeaderMap) -> bool {
    ["sec-purpose", "purpose"].iter().any(|name| {
        headers
            .get(*name)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| value.contains("prefetch"))
    })
}

/// The value of a cookie.
pub(super) fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lists = headers.get_all(header::COOKIE).into_iter().filter_map(|list| list.to_str().ok());
    let mut pairs = lists.flat_map(|list| list.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find_map(|(key, value)| (key == name).then_some(value))
}

/// The client's address: the last one in `X-Forwarded-For` that is not a trusted proxy's. Without a trusted
/// proxy, the peer's own address.
pub(super) fn client_address(peer: IpAddr, headers: &HeaderMap, web: &Web) -> IpAddr {
    let mut client = peer;
    for text in forwarded_for(headers).into_iter().rev() {
        if !is_proxy(client, web) {
            break;
        }
        let Some(address) = address_in(text) else { break };
        client = address;
    }
    client
}

/// Whether this is the address of a trusted proxy.
pub(super) fn is_proxy(address: IpAddr, web: &Web) -> bool {
    let address = address.to_canonical();
    web.proxies.iter().any(|network| network.contains(&address))
}

/// What each proxy has appended. The client's own part, before it, may be any bytes.
fn forwarded_for(headers: &HeaderMap) -> Vec<&[u8]> {
    let rows = headers.get_all("x-forwarded-for").into_iter();
    rows.flat_map(|row| row.as_bytes().split(|byte| *byte == b',')).collect()
}

/// An address; some proxies add a port.
fn address_in(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse().ok().map(|address: SocketAddr| address.ip());
    text.parse().ok().or_else(with_port).or_else(bare).map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
pub(super) mod tests {
    use axum::http::HeaderValue;

    use super::*;

    /// A site at this URL, behind proxies at 10.0.0.0/8 and on this machine.
    pub(in crate::web) fn web(public_url: &str) -> Web {
        let proxies = vec!["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()];
        Web { proxies, ..Web::at("127.0.0.1:7878".parse().unwrap(), public_url.to_owned()) }
    }

    pub(in crate::web) fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let headers = headers(&[("cookie", "a=1; flockd-1=x; flockd-12=y=z")]);
        assert_eq!(cookie(&headers, "flockd-12"), Some("y=z"));
        assert_eq!(cookie(&headers, "flockd-1"), Some("x"));
        assert_eq!(cookie(&headers, "flockd"), None);
    }

    #[test]
    fn x_forwarded_for_counts_only_from_trusted_proxies() {
        let seen = |from: &str, row: &str| {
            let headers = headers(&[("x-forwarded-for", row)]);
            client_address(from.parse().unwrap(), &headers, &web("http://x")).to_string()
        };
        assert_eq!(seen("127.0.0.1", "192.0.2.1"), "192.0.2.1");
        assert_eq!(seen("192.0.2.9", "192.0.2.1"), "192.0.2.9", "any client can write this");
        assert_eq!(
            seen("127.0.0.1", "1.1.1.1, 192.0.2.1, 10.0.0.3"),
            "192.0.2.1",
            "what a client made up is left out"
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
    fn invalid_bytes_in_x_forwarded_for_hide_no_client() {
        let mut headers = HeaderMap::new();
        headers.append("x-forwarded-for", HeaderValue::from_bytes(b"\xff\xfe, 192.0.2.1").unwrap());
        let from = "127.0.0.1".parse().unwrap();
        assert_eq!(client_address(from, &headers, &web("http://x")).to_string(), "192.0.2.1");
        // A proxy that adds its own header places it after the client's.
        headers.append("x-forwarded-for", HeaderValue::from_static("192.0.2.2"));
        assert_eq!(client_address(from, &headers, &web("http://x")).to_string(), "192.0.2.2");
    }
}
