//! Base URLs of networks, and of the daemon's own pages.

use std::net::IpAddr;

use reqwest::Url;

/// A normalized base URL, without a trailing slash; or what is wrong with it. The text is not displayed: it
/// may contain a password.
pub(super) fn base(text: &str) -> Result<String, &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url =
        url.ok_or("must begin with http:// or https:// and name a host, like \"https://example.org\"")?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not contain a user name or password: remove the part before the `@`");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end before any `?` or `#`: paths are added to it");
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// Like [`base`], for an address that receives secrets: without TLS only on this machine.
pub(super) fn confidential(text: &str) -> Result<String, &'static str> {
    let kept = base(text)?;
    let plain = kept.starts_with("http://");
    if plain && !Url::parse(&kept).is_ok_and(|url| is_loopback(&url)) {
        return Err("must begin with https://: plain http sends the secrets unencrypted");
    }
    Ok(kept)
}

/// What is wrong with a URL that is a secret as a whole, such as a webhook's. The text is not displayed.
pub(super) fn check_secret(text: &str) -> Result<(), &'static str> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.ok_or("must be a URL that begins with https:// and names a host")?;
    if url.scheme() == "http" && !is_loopback(&url) {
        return Err("must begin with https://: plain http sends it unencrypted");
    }
    Ok(())
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_has_no_slash_at_the_end() {
        assert_eq!(base("https://example.org"), Ok("https://example.org".into()));
        assert_eq!(base("HTTPS://Example.org:8443/poems//"), Ok("https://example.org:8443/poems".into()));
    }

    #[test]
    fn what_is_no_base_is_told_why() {
        for text in ["example.org", "ftp://example.org", "http://", "/feeds", "mailto:walt@example.org"] {
            assert!(base(text).unwrap_err().starts_with("must begin with http"), "{text}");
        }
        assert!(base("https://walt:sesame@example.org").unwrap_err().contains("password"));
        assert!(base("https://example.org/?a=b").unwrap_err().contains('?'));
        assert!(base("https://example.org/#a").unwrap_err().contains('#'));
    }

    #[test]
    fn a_secret_url_may_hold_anything_and_is_not_for_others() {
        for text in ["https://hooks.example.org/a?b=c", "https://me:sesame@example.org", "http://[::1]:1/a"] {
            assert_eq!(check_secret(text), Ok(()), "{text}");
        }
        for text in ["hooks.example.org/a", "ftp://example.org", "https://", "http://example.org/a"] {
            assert!(check_secret(text).unwrap_err().contains("https://"), "{text}");
        }
    }

    #[test]
    fn secrets_travel_in_the_clear_only_on_this_machine() {
        for text in ["http://localhost:1", "http://127.0.0.2:1", "http://[::1]:1", "https://example.org"] {
            assert_eq!(confidential(text), Ok(text.into()));
        }
        for text in ["http://example.org", "http://10.0.0.1", "http://localhost.example.org"] {
            assert!(confidential(text).unwrap_err().contains("https"), "{text}");
        }
    }
}
