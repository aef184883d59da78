//! Resolves an account: its handle to its DID, the DID to its document, and the document to its server
//! (atproto.com/specs/handle, atproto.com/specs/did). A handle counts only if the document names it too.

use std::time::Duration;

use serde_json::Value;
use url::{Host, Url};

use super::diagnosis::{API, NOT_FOUND, WRONG_ADDRESS};
use super::facets::is_handle;
use super::{Bluesky, unusable};
use crate::flock::post::{Cause, Why};
use crate::net::response::ApiResponse;
use crate::net::{Rejection, http};

/// The timeout of a request about a session or an identity. A renewal makes at most four requests and must
/// finish within its lease on the tokens, which lasts a minute.
pub(super) const TIMEOUT: Duration = Duration::from_secs(14);

/// The longest DID that is looked up, in characters (atproto.com/specs/did says 2 KB).
const DID_MAX: usize = 2_048;

/// An account as its document describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AtprotoIdentity {
    pub(super) did: String,
    /// Without `@`.
    pub(super) handle: Option<String>,
    /// The base URL of the account's server, its PDS.
    pub(super) server: String,
}

impl Bluesky {
    /// The DID of a handle; `None` if the handle does not exist.
    pub(super) async fn resolved(&self, handle: &str) -> Result<Option<String>, Rejection> {
        let url = format!("{}/xrpc/com.atproto.identity.resolveHandle", self.app.api_url);
        let url = Url::parse_with_params(&url, [("handle", handle)]).map_err(|_| Rejection::no_url())?;
        let response = self.fetch(&url, RESOLVER).await?;
        if response.succeeded() {
            let did = response.json().and_then(|body| body["did"].as_str().map(str::to_owned));
            let did = did.filter(|did| is_did(did));
            return did.map(Some).ok_or_else(|| unusable(&response, RESOLVE, "DID"));
        }
        // A resolver reports the same error for a handle that does not exist and for one that can't be looked
        // up.
        let is_invalid = response.error().codes.iter().any(|code| code == "InvalidRequest");
        match is_invalid || API.diagnose(&response) == &NOT_FOUND {
            true => Ok(None),
            false => Err(API.failure(&response, RESOLVE)),
        }
    }

    /// An account's identity, by its handle or its DID.
    pub(super) async fn identity(&self, account: &str) -> Result<AtprotoIdentity, Rejection> {
        let account = account.trim_start_matches('@');
        if account.starts_with("did:") {
            return self.documented(account).await;
        }
        let did = match is_handle(account) {
            true => self.resolved(account).await?,
            false => None,
        };
        let Some(did) = did else {
            return Err(no_account(format!(
                "the handle @{account} does not resolve: check it for typos; it must be a full handle, such as \
                 walt.bsky.social, or a DID"
            )));
        };
        let identity = self.documented(&did).await?;
        if identity.handle.as_deref().is_some_and(|handle| handle.eq_ignore_ascii_case(account)) {
            return Ok(identity);
        }
        Err(no_account(format!(
            "the handle @{account} leads to {did}, whose document does not name it: look at the account's handle at \
             bsky.app, or use the DID"
        )))
    }

    /// An account's identity, from its document alone.
    async fn documented(&self, did: &str) -> Result<AtprotoIdentity, Rejection> {
        let document = self.document(did).await?;
        let named = document["alsoKnownAs"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let handle = named.filter_map(|name| name.strip_prefix("at://")).find(|name| is_handle(name));
        let server = server_of(&document, did).ok_or_else(|| {
            no_account(format!(
                "the document of {did} names no server (PDS) for the account: look at the account at bsky.app"
            ))
        })?;
        let Some(server) = base_of(server) else {
            let server = http::words(server);
            return Err(no_account(format!(
                "the document of {did} names {server} as the account's server, which is not an https address: nothing is \
                 sent there"
            )));
        };
        Ok(AtprotoIdentity { did: did.to_owned(), handle: handle.map(str::to_owned), server })
    }

    async fn document(&self, did: &str) -> Result<Value, Rejection> {
        let url = self.document_url(did).ok_or_else(|| {
            let did = http::words(did);
            no_account(format!("{did} is not a DID of an account (did:plc or did:web): check it for typos"))
        })?;
        let response = self.fetch(&url, DIRECTORY).await?;
        if response.succeeded() {
            let document = response.json().filter(|document| document["id"] == did);
            return document.ok_or_else(|| unusable(&response, SHOW, "document of that DID"));
        }
        if API.diagnose(&response) == &WRONG_ADDRESS {
            return Err(no_account(format!(
                "there is no document of {did}: check it for typos, and whether the account was deleted"
            )));
        }
        Err(API.failure(&response, SHOW))
    }

    /// The URL of a DID's document.
    fn document_url(&self, did: &str) -> Option<Url> {
        if !is_did(did) {
            return None;
        }
        if did.starts_with("did:plc:") {
            return Url::parse(&format!("{}/{did}", self.app.directory_url)).ok();
        }
        // Only a host: AT Protocol allows no paths, and ports only on localhost.
        let host = did.strip_prefix("did:web:")?.replace("%3A", ":");
        let is_here = host.starts_with("localhost:");
        if host.split(':').count() > 1 + usize::from(is_here) || host.contains('%') {
            return None;
        }
        let scheme = if is_here { "http" } else { "https" };
        Url::parse(&format!("{scheme}://{host}/.well-known/did.json")).ok()
    }

    /// Makes a request without a token.
    async fn fetch(&self, url: &Url, server: &'static str) -> Result<ApiResponse, Rejection> {
        let mut request = self.http.get(url.clone()).build().map_err(|_| Rejection::no_url())?;
        *request.timeout_mut() = Some(TIMEOUT);
        Ok(self.ask(request, &[]).await?.sent_by(server))
    }
}

/// The names of the handle resolver and the document directory in a sentence.
const RESOLVER: &str = "the server that resolves handles";
const DIRECTORY: &str = "the directory of accounts";
/// The task of resolving a handle, as it reads in a sentence.
const RESOLVE: &str = "resolve a handle";
/// The task of fetching a document, as it reads in a sentence.
const SHOW: &str = "show the document of an account";

fn no_account(reason: String) -> Rejection {
    Rejection::answered(Why::new(Cause::Account, reason))
}

/// Whether a text may be a DID and is safe in a URL.
pub(super) fn is_did(text: &str) -> bool {
    let signs = |byte: u8| byte.is_ascii_alphanumeric() || b"._:%-".contains(&byte);
    text.starts_with("did:") && text.len() <= DID_MAX && text.bytes().all(signs)
}

/// The account's server, according to its document.
fn server_of<'a>(document: &'a Value, did: &str) -> Option<&'a str> {
    let is_pds = |service: &&Value| {
        let id = service["id"].as_str().unwrap_or_default();
        id.strip_prefix(did).unwrap_or(id) == "#atproto_pds" && service["type"] == "AtprotoPersonalDataServer"
    };
    document["service"].as_array()?.iter().find(is_pds)?["serviceEndpoint"].as_str()
}

/// The base URL of a server. Without TLS, passwords are sent only to this machine.
fn base_of(server: &str) -> Option<String> {
    let url = Url::parse(server).ok()?;
    let is_here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let is_safe = url.scheme() == "https" || (url.scheme() == "http" && is_here);
    let is_bare =
        url.path() == "/" && url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
    (is_safe && is_bare && url.password().is_none()).then(|| url.as_str().trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_a_bare_https_address_is_a_server() {
        assert_eq!(base_of("https://pds.example.com/").as_deref(), Some("https://pds.example.com"));
        assert_eq!(base_of("https://pds.example.com:8443").as_deref(), Some("https://pds.example.com:8443"));
        for here in ["http://localhost:2583", "http://127.0.0.1:1", "http://[::1]:1"] {
            assert_eq!(base_of(here).as_deref(), Some(here));
        }
        for no in [
            "http://pds.example.com",
            "https://pds.example.com/xrpc",
            "https://me@pds.example.com",
            "https://me:hush@pds.example.com",
            "https://pds.example.com/?a",
            "ftp://pds.example.com",
            "pds.example.com",
            "",
        ] {
            assert_eq!(base_of(no), None, "{no}");
        }
    }

    #[test]
    fn a_document_names_the_server_in_either_spelling() {
        let did = "did:plc:z72i7hdynmk6r22z27h6tvur";
        for id in ["#atproto_pds", "did:plc:z72i7hdynmk6r22z27h6tvur#atproto_pds"] {
            let service =
                json!({ "id": id, "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://a.b" });
            let other = json!({ "id": "#atproto_labeler", "type": "AtprotoLabeler", "serviceEndpoint": "https://c.d" });
            assert_eq!(server_of(&json!({ "service": [other, service] }), did), Some("https://a.b"));
            assert_eq!(server_of(&json!({ "service": [other] }), did), None);
        }
        assert_eq!(server_of(&json!({}), did), None);
    }

    #[test]
    fn a_did_is_safe_in_a_url() {
        assert!(is_did("did:plc:z72i7hdynmk6r22z27h6tvur") && is_did("did:web:localhost%3A2583"));
        for no in [
            "did:plc:a/b",
            "did:plc:a?b",
            "did:plc:a b",
            "plc:a",
            "did:plc:ä",
            &format!("did:{}", "a".repeat(3_000)),
        ] {
            assert!(!is_did(no), "{no}");
        }
    }
}
