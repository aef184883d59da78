//! The page that the browser gets when it returns: small and self-contained, with nothing from the address.

use axum::http::header::{self, HeaderName, HeaderValue};
use axum::http::{Response as HttpResponse, StatusCode};
use axum::response::Response;
use maud::{DOCTYPE, PreEscaped, html};

/// The style of the page, for light and dark.
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{max-width:34rem;margin:18vh auto 0;padding:0 1.5rem;font:1.05rem/1.6 system-ui,sans-serif;\
background:#fbf9f4;color:#24211b;overflow-wrap:anywhere}\
h1{margin:0 0 .6rem;font-weight:400;font-size:1.9rem;line-height:1.2}\
p{margin:.4rem 0}\
.close{color:#655f53}\
@media(prefers-color-scheme:dark){body{background:#17171a;color:#e8e3d8}.close{color:#a39d90}}";

/// The headers of every response. The policy names the digest of the style above and allows nothing else, not
/// even an icon, which a browser would request otherwise. The address contains a code, so it is neither
/// cached nor passed on.
const HEADERS: [(HeaderName, &str); 4] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'sha256-Axfqj9T6bIVC8OJ56OrbYCEwJQ8Q+Mj51OrsUY0X338='; base-uri 'none'; form-action \
         'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::CACHE_CONTROL, "no-store"),
];

/// A page with a heading and a sentence.
pub(super) fn page(status: StatusCode, title: &str, text: &str) -> Response {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · flockd" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p { (text) }
                p.close { "You may close this page." }
            }
        }
    };
    let answer =
        HttpResponse::builder().status(status).header(header::CONTENT_TYPE, "text/html; charset=utf-8");
    answer.body(page.into_string().into()).expect("the header above is legal")
}

/// The sign-in succeeded.
pub(super) fn done(text: &str) -> Response {
    page(StatusCode::OK, "Signed in", text)
}

/// The sign-in failed.
pub(super) fn failed(why: &str) -> Response {
    page(StatusCode::BAD_REQUEST, "Not signed in", &format!("This did not work: {why}."))
}

/// This answer was not the expected one; the sign-in goes on.
pub(super) fn unrelated(why: &str) -> Response {
    let text = format!("Nothing was done: {why}. Open the newest address that the terminal shows.");
    page(StatusCode::BAD_REQUEST, "Not the expected answer", &text)
}

/// Another answer came first.
pub(super) fn late() -> Response {
    let text = "This sign-in has been answered already, or is over. The terminal shows the result.";
    page(StatusCode::CONFLICT, "Already answered", text)
}

/// The sign-in takes too long for the page to wait.
pub(super) fn slow() -> Response {
    page(StatusCode::ACCEPTED, "Not done yet", "This takes a while. The terminal will show the result.")
}

/// There is nothing at this address.
pub(super) fn nothing_here() -> Response {
    page(StatusCode::NOT_FOUND, "Not found", "There is nothing at this address.")
}

/// Only GET is allowed.
pub(super) fn not_allowed() -> Response {
    let mut answer = page(StatusCode::METHOD_NOT_ALLOWED, "Not possible", "This page can only be opened.");
    answer.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET"));
    answer
}

/// A browser that preloads the page has to request it again when the person opens it.
pub(super) fn too_early() -> Response {
    page(StatusCode::SERVICE_UNAVAILABLE, "Too early", "This page can only be opened.")
}

/// Adds the security headers to a response.
pub(super) async fn with_headers(mut answer: Response) -> Response {
    for (name, value) in HEADERS {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use sha2::{Digest as _, Sha256};

    use super::*;

    #[test]
    fn the_policy_names_the_style() {
        let digest = BASE64_STANDARD.encode(Sha256::digest(STYLE));
        assert!(HEADERS[0].1.contains(&format!("'sha256-{digest}'")), "it should name sha256-{digest}");
    }

    #[tokio::test]
    async fn quoted_words_stay_words() {
        let answer = failed("<script>alert(\"1\")</script>&amp;");
        let body = to_bytes(answer.into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        assert!(!body.contains("<script") && body.contains("&lt;script&gt;"), "{body}");
        assert!(body.contains("&amp;amp;") && body.starts_with("<!DOCTYPE html>"), "{body}");
    }

    #[tokio::test]
    async fn a_page_loads_nothing_from_anywhere() {
        let body = to_bytes(done("fine").into_body(), 10_000).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        for outside in ["http", "src=", "href=", "<script", "@import", "url("] {
            assert!(!body.contains(outside), "{outside} in {body}");
        }
        assert!(body.contains(STYLE), "{body}");
    }
}
