//! The layout of every page, and the error pages.
//!
//! Pages use relative links, so they work behind a proxy under any path. `maud` escapes everything that is
//! not markup. No page reloads itself while it is being read (WCAG 2.2.1).

use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};

use super::{assets, response};

/// How soon to try again when the ledger can't be read, in seconds.
const RETRY_AFTER_S: &str = "10";

/// The frame around the content of a page.
#[derive(Default)]
pub(super) struct Layout<'a> {
    pub(super) title: &'a str,
    /// The relative path from this page to the front page: `./` or `../`.
    pub(super) root: &'a str,
    /// More elements for `<head>`.
    pub(super) head: Markup,
    /// Whether the page runs the dashboard's script.
    pub(super) has_script: bool,
    /// The navigation in the header; only the dashboard has one.
    pub(super) navigation: Option<Markup>,
    /// The class of `<main>`.
    pub(super) class: Option<&'a str>,
    /// The event stream that tells the script when to refresh the page.
    pub(super) events: Option<String>,
    /// The sign-in that the page shows.
    pub(super) ticket: Option<&'a str>,
    /// The sign-in from which the browser returns here.
    pub(super) signed_in: Option<&'a str>,
    pub(super) footer: Option<Markup>,
}

impl<'a> Layout<'a> {
    /// The layout of a small page with a single message.
    pub(super) fn note(title: &'a str, root: &'a str) -> Self {
        Self { title, root, class: Some("note"), ..Self::default() }
    }

    /// The whole page around its content.
    pub(super) fn page(&self, content: &Markup) -> Markup {
        html! {
            (DOCTYPE)
            html lang="en" {
                (self.head_element())
                body {
                    a.skip href="#content" { "Skip to content" }
                    header.dashboard[self.navigation.is_some()] {
                        a.mark href=(self.root) {
                            img src={ (self.root) "icon.svg" } alt="" width="22" height="22"; "flockd"
                        }
                        @if let Some(navigation) = &self.navigation { (navigation) }
                    }
                    main #content class=[self.class] data-events=[&self.events] data-ticket=[self.ticket]
                        data-signed-in=[self.signed_in] { (content) }
                    @if let Some(footer) = &self.footer { (footer) }
                }
            }
        }
    }

    fn head_element(&self) -> Markup {
        let root = self.root;
        html! {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (self.title) " · flockd" }
                link rel="stylesheet" href={ (root) (assets::style_address()) };
                link rel="icon" type="image/svg+xml" href={ (root) "icon.svg" };
                @if self.has_script { script src={ (root) (assets::script_address()) } defer {} }
                (self.head)
            }
        }
    }
}

/// A page that says what went wrong, with a link to the front page.
pub(super) fn error(uri: &Uri, status: StatusCode, title: &str, text: &str) -> Response {
    let root = path_to_root(uri.path());
    let content = html! {
        h1 { (title) }
        p { (text) }
        p { a href=(root) { "Back to the flock" } }
    };
    response::page(status, Layout::note(title, &root).page(&content))
}

/// 404.
pub(super) async fn not_found(uri: Uri) -> Response {
    let text = "There is nothing at this address. If a line was here, it may have been deleted.";
    error(&uri, StatusCode::NOT_FOUND, "Not found", text)
}

/// 405, for read-only pages.
pub(super) async fn not_allowed(uri: Uri) -> Response {
    let mut response = error(&uri, StatusCode::METHOD_NOT_ALLOWED, "Not possible", "This page is read-only.");
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// 503: the ledger can't be read. The reason is not shown, because it may name files on this machine.
pub(super) fn ledger_unavailable(uri: &Uri) -> Response {
    let text = "flockd can't read its ledger right now. Reload this page in a moment.";
    let mut response = error(uri, StatusCode::SERVICE_UNAVAILABLE, "One moment", text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_S));
    response
}

/// The relative path from an address to the front page. No page is deeper than eight levels; a deeper request
/// gets an absolute path.
pub(super) fn path_to_root(path: &str) -> String {
    match path.matches('/').count() {
        0 | 1 => "./".to_owned(),
        depth @ 2..=8 => "../".repeat(depth - 1),
        _ => "/".to_owned(),
    }
}

/// A number with thousands separators.
pub(super) fn grouped(number: usize) -> String {
    match number / 1_000 {
        0 => number.to_string(),
        thousands => format!("{},{:03}", grouped(thousands), number % 1_000),
    }
}

/// A number and its noun: "1 bot", "5,000 bots".
pub(super) fn counted(number: usize, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A link to another site; plain text unless it is an http or https address.
pub(super) fn external_link(url: Option<&str>, text: &str) -> Markup {
    match url.filter(|url| is_web_address(url)) {
        Some(url) => html! { a href=(url) rel="noopener noreferrer" { (text) } },
        None => html! { (text) },
    }
}

/// Whether a page may link to this address.
pub(super) fn is_web_address(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_finds_its_way_to_the_front_page() {
        let base = reqwest::Url::parse("http://birds.test/behind/a/proxy/").unwrap();
        for path in ["/", "/one", "/posts/1", "/posts/1/", "/a//b", "/1/2/3/4/5/6/7/8"] {
            let here = base.join(&path[1..]).unwrap();
            assert_eq!(here.join(&path_to_root(path)).unwrap(), base, "{path}");
        }
        assert_eq!(path_to_root(&"/".repeat(9)), "/");
    }

    #[test]
    fn only_web_addresses_become_links() {
        let link = |url| external_link(Some(url), "view").into_string();
        assert!(link("https://birds.test/1").contains("href=\"https://birds.test/1\""));
        assert_eq!(link("javascript:alert(1)"), "view");
        assert_eq!(external_link(None, "view").into_string(), "view");
    }
}
