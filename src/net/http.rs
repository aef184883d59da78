//! HTTP for all networks: the client that every bot shares, bodies with a size limit, and whether a failed
//! request was sent. Each network interprets the answers.

use std::error::Error as _;
use std::time::Duration;

use reqwest::header::AUTHORIZATION;
use reqwest::multipart::Form;
use reqwest::{Client, ClientBuilder, Request, Response, redirect, retry};
use url::Url;
use url::form_urlencoded::byte_serialize;

use super::environment::HttpEnvironment;
use crate::flock::secret::Secret;

/// The most bytes of an answer that are read. The longest expected answers are a page of a hundred posts on
/// X, under 200 KiB with every character escaped, and a page of twenty statuses of 5,000 characters. A
/// hundred longer answers at once must not exhaust the memory.
pub const BODY_MAX: usize = 512 * 1024;

/// How long the upload of a picture may take: a picture of 15 MB over a slow line. Nothing is lost if it is cut off.
pub(super) const UPLOAD_TIMEOUT: Duration = Duration::from_secs(120);

/// The most characters of a quotation, so that a log message stays one line.
const WORDS_MAX: usize = 200;

/// Secrets shorter than this are not redacted in quotations, as they would match ordinary words. Networks
/// issue secrets of 25 or more characters; only PINs have 7 digits.
const SECRET_MIN: usize = 7;

/// How long a request may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection is established, including TLS. If this elapses, nothing was sent.
    pub connect: Duration,
    /// Until the last byte of the answer has arrived, including connecting. Shutdown waits 30 s for posts in
    /// flight, so a longer wait would end in an unknown outcome anyway.
    pub total: Duration,
    /// How long an unused connection is kept. This is shorter than servers keep theirs: if a request is
    /// written to a connection that the server is closing, nothing tells whether it was accepted.
    pub idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            total: Duration::from_secs(30),
            idle: Duration::from_secs(20),
        }
    }
}

/// Why a body could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BodyError {
    /// It is longer than any expected answer.
    #[error("the answer is longer than {BODY_MAX} bytes")]
    TooLong,
    /// The connection ended halfway.
    #[error("the answer broke off: {0}")]
    Broken(String),
}

/// The client that the whole process shares. A clone is a handle on the same connections.
///
/// It follows no redirects, retries nothing and keeps no cookies, so one call is one request. Proxies and
/// certificates come from the [`HttpEnvironment`], whose problems are logged.
///
/// # Errors
/// When TLS can't be set up.
pub fn client(limits: &Timeouts) -> Result<Client, reqwest::Error> {
    let environment = HttpEnvironment::of_this_process();
    environment.problems().iter().for_each(|problem| tracing::warn!("{problem}"));
    client_in(&environment, limits)
}

/// The same, in a given environment.
pub(super) fn client_in(environment: &HttpEnvironment, limits: &Timeouts) -> Result<Client, reqwest::Error> {
    let build = |builder: ClientBuilder| environment.apply(builder);
    let with_all = build(builder(limits)).build();
    with_all.or_else(|error| {
        tracing::warn!(
            "the system's certificates can't be used ({}): only the built-in ones are used",
            explain(&error)
        );
        build(builder(limits)).tls_built_in_native_certs(false).build()
    })
}

fn builder(limits: &Timeouts) -> ClientBuilder {
    Client::builder()
        .user_agent(concat!("flockd/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(limits.connect)
        .timeout(limits.total)
        .pool_idle_timeout(limits.idle)
        .redirect(redirect::Policy::none())
        .retry(retry::never())
}

/// The same request with a form in several parts as its body. It may take longer, as it carries a picture.
pub(super) fn with_form(client: &Client, request: &Request, form: Form) -> reqwest::Result<Request> {
    let (method, url) = (request.method().clone(), request.url().clone());
    let request = client.request(method, url).headers(request.headers().clone()).multipart(form);
    request.timeout(UPLOAD_TIMEOUT).build()
}

/// Makes one request and logs it at debug level. The log shows only the host and the last segment of the
/// path, which is never part of a base URL; the rest may be secret.
///
/// # Errors
/// Those of the transport.
pub async fn execute(client: &Client, request: Request) -> Result<Response, reqwest::Error> {
    tracing::debug!(method = %request.method(), host = request.url().host_str(), call = call(request.url()), "sending a request");
    let answer = client.execute(request).await;
    match &answer {
        Ok(answer) => tracing::debug!(status = answer.status().as_u16(), "the request was answered"),
        Err(error) => tracing::debug!("the request failed: {}", explain(error)),
    }
    answer
}

/// The last segment of a URL's path.
fn call(url: &Url) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

/// Reads a whole body, up to [`BODY_MAX`] bytes.
///
/// # Errors
/// If it is longer, or incomplete.
pub async fn body(mut response: Response) -> Result<Vec<u8>, BodyError> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(None) => return Ok(bytes),
            Ok(Some(chunk)) if bytes.len() + chunk.len() <= BODY_MAX => bytes.extend_from_slice(&chunk),
            Ok(Some(_)) => return Err(BodyError::TooLong),
            Err(error) => return Err(BodyError::Broken(explain(&error))),
        }
    }
}

/// Marks the `Authorization` header as sensitive, so that the HTTP crates never log it.
pub fn hide_authorization(request: &mut reqwest::Request) {
    if let Some(header) = request.headers_mut().get_mut(AUTHORIZATION) {
        header.set_sensitive(true);
    }
}

/// Whether the request certainly never left this machine: it could not be built, or there was no connection
/// (name resolution, connecting, TLS). A timeout of the whole request proves nothing.
pub fn never_left(error: &reqwest::Error) -> bool {
    error.is_builder() || error.is_connect()
}

/// What went wrong, in the words of the innermost error. Without the URL, which may contain a password.
pub fn explain(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut cause = error.source();
    while let Some(deeper) = cause.and_then(|cause| cause.source()) {
        cause = Some(deeper);
    }
    // Only the outermost error prints the URL.
    cause.map_or_else(|| "the request could not be made".to_owned(), |cause| explain_tls(&cause.to_string()))
}

/// TLS errors: phrases of the library, and explanations for people.
#[rustfmt::skip]
const TLS_PROBLEMS: [(&[&str], &str); 6] = [
    (&["UnknownIssuer"], "its certificate is from an authority that is not known here: name that authority's \
        certificate in SSL_CERT_FILE, or install it on this system"),
    (&["CaUsedAsEndEntity"], "its certificate is an authority's own: sign one for the server with it, and name the \
        authority's in SSL_CERT_FILE"),
    (&["certificate: Expired", "certificate expired"], "its certificate has expired: renew it on the server, or set \
        this machine's clock"),
    (&["NotValidYet", "certificate not valid yet"], "its certificate is not valid yet: set this machine's clock, or \
        renew it on the server"),
    (&["NotValidForName", "certificate not valid for name"], "its certificate is for another host: write the address \
        as the certificate has it, or have one made for this host"),
    (&["InvalidContentType"], "it does not speak TLS: use its TLS port, or http:// on this machine"),
];

/// The library's message, or an explanation if a person can fix the problem.
fn explain_tls(heard: &str) -> String {
    let known = TLS_PROBLEMS.iter().find(|(signs, _)| signs.iter().any(|sign| heard.contains(sign)));
    known.map_or_else(|| words(heard), |(_, meaning)| (*meaning).to_owned())
}

/// Whether an explanation already includes a remedy.
pub(super) fn has_remedy(explanation: &str) -> bool {
    TLS_PROBLEMS.iter().any(|(_, meaning)| *meaning == explanation)
}

/// A quotation without our secrets, whether verbatim or form-encoded: a server may echo the request in its
/// error, and the secrets must not reach log or ledger.
pub fn without(text: &str, us: &[&Secret]) -> String {
    us.iter()
        .map(|secret| secret.expose())
        .filter(|secret| secret.len() >= SECRET_MIN)
        .flat_map(|secret| [secret.to_owned(), byte_serialize(secret.as_bytes()).collect()])
        .fold(text.to_owned(), |text, secret| text.replace(&secret, "[hidden]"))
}

/// A quotation that fits into a sentence: one line, no invisible characters, not long.
pub fn words(text: &str) -> String {
    let line = one_line(text);
    match line.char_indices().nth(WORDS_MAX) {
        Some((end, _)) => format!("{}…", line[..end].trim_end()),
        None => line,
    }
}

/// The same without a length limit, for texts that are compared as a whole.
pub fn one_line(text: &str) -> String {
    let visible: String = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c }).collect();
    let mut line = String::new();
    for word in visible.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

/// Whether a character could break the line, control a terminal or change the reading direction.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quotation_becomes_one_short_line() {
        assert_eq!(words(" a\r\nb\u{1b}[31m\u{202e}c\u{7} "), "a b [31m c");
        let long = words(&"ü".repeat(1_000));
        assert_eq!(long.chars().count(), WORDS_MAX + 1);
        assert!(long.ends_with("ü…"));
    }

    #[test]
    fn secrets_are_hidden_verbatim_and_form_encoded() {
        let (secret, short) = (Secret::new("a+b/c&d=%~"), Secret::new("word"));
        let echo = "word=a+b/c&d=%~&again=a%2Bb%2Fc%26d%3D%25%7E";
        assert_eq!(without(echo, &[&secret, &short]), "word=[hidden]&again=[hidden]");
    }

    #[test]
    fn only_the_last_segment_of_a_url_is_logged() {
        let url = Url::parse("http://me:hush@proxy.test/hush/2/tweets?key=hush#hush").unwrap();
        assert_eq!((url.host_str(), call(&url)), (Some("proxy.test"), "tweets"));
        assert_eq!(call(&Url::parse("http://proxy.test").unwrap()), "");
    }

    #[tokio::test]
    async fn an_explanation_never_shows_the_url() {
        let client = client(&Timeouts::default()).unwrap();
        for url in ["http://me:hush@127.0.0.1:1/hush", "ftp://me:hush@host/", "http://me:hush@/"] {
            let error = client.get(url).send().await.unwrap_err();
            assert!(never_left(&error), "{url}");
            assert!(!explain(&error).contains("hush"), "{}", explain(&error));
        }
    }
}
