//! RFC 5849 from the server's side: does a request carry the HMAC-SHA1 signature that it should? Written from
//! the RFC alone, sharing no code with what it checks.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::sync::Mutex;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, KeyInit as _, Mac as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha1::Sha1;

/// Section 3.6: all but letters, digits, `-`, `.`, `_` and `~`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How far a timestamp may be off, in seconds.
const SKEW_MAX: i64 = 300;

/// A request as a server sees it.
pub struct Request<'a> {
    pub method: &'a str,
    /// Absolute, with its query.
    pub url: &'a str,
    /// The whole `Authorization` header.
    pub authorization: &'a str,
    /// A body of the type `application/x-www-form-urlencoded`; other bodies are not signed.
    pub form: Option<&'a str>,
}

/// The two halves of the key, which are never sent.
pub struct Secrets<'a> {
    pub consumer: &'a str,
    pub token: &'a str,
}

/// Decoded names and values.
pub type Parameters = Vec<(String, String)>;

/// Remembers used nonces, so that nothing is accepted twice.
#[derive(Default)]
pub struct Verifier {
    seen: Mutex<HashSet<(String, String)>>,
}

impl Verifier {
    /// Checks everything; `now` is in Unix seconds. The error says what is wrong.
    pub fn verify(&self, request: &Request, secrets: &Secrets, now: i64) -> Result<(), String> {
        let header = header_parameters(request.authorization)?;
        let timestamp = check_time(&header, now)?;
        check_signature(request, secrets)?;
        // Only after the signature: a forged request must not use nonces up.
        let nonce = value(&header, "oauth_nonce")?;
        if nonce.is_empty() || !nonce.is_ascii() {
            return Err(format!("nonce {nonce:?} is not usable"));
        }
        match self.seen.lock().unwrap().insert((timestamp.to_owned(), nonce.to_owned())) {
            true => Ok(()),
            false => Err(format!("nonce {nonce:?} was used before")),
        }
    }
}

/// Checks that the timestamp is near `now`, in Unix seconds, and returns it.
pub fn check_time(header: &Parameters, now: i64) -> Result<&str, String> {
    let timestamp = value(header, "oauth_timestamp")?;
    let seconds: i64 = timestamp.parse().map_err(|_| format!("timestamp {timestamp:?} is no number"))?;
    let near = (seconds - now).abs() <= SKEW_MAX;
    if near { Ok(timestamp) } else { Err(format!("timestamp {seconds} is too far from {now}")) }
}

/// Checks the signature, and the parameters that must accompany it.
pub fn check_signature(request: &Request, secrets: &Secrets) -> Result<(), String> {
    let header = header_parameters(request.authorization)?;
    let method = value(&header, "oauth_signature_method")?;
    if method != "HMAC-SHA1" {
        return Err(format!("signature method {method:?} is not HMAC-SHA1"));
    }
    if value(&header, "oauth_version").is_ok_and(|version| version != "1.0") {
        return Err("the version is not 1.0".to_owned());
    }
    let given = value(&header, "oauth_signature")?;
    let computed = signature(&base_string(request, &header)?, secrets);
    if given == computed { Ok(()) } else { Err(format!("signature {given:?} should be {computed:?}")) }
}

/// Section 3.5.1: the header's parameters, decoded.
pub fn header_parameters(authorization: &str) -> Result<Parameters, String> {
    let (scheme, list) = authorization.trim().split_once(' ').ok_or("no parameters in the header")?;
    if !scheme.eq_ignore_ascii_case("OAuth") {
        return Err(format!("scheme {scheme:?} is not OAuth"));
    }
    let mut parameters = Parameters::new();
    for item in list.split(',') {
        let (name, quoted) = item.trim().split_once('=').ok_or(format!("{item:?} has no value"))?;
        let value = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let value = value.ok_or(format!("{item:?} is not quoted"))?;
        let pair = (decode(name)?, decode(value)?);
        if parameters.iter().any(|(name, _)| *name == pair.0) {
            return Err(format!("{name} occurs twice"));
        }
        parameters.push(pair);
    }
    Ok(parameters)
}

/// The value of a parameter.
pub fn value<'a>(parameters: &'a Parameters, name: &str) -> Result<&'a str, String> {
    let found = parameters.iter().find(|(key, _)| key == name);
    found.map(|(_, value)| value.as_str()).ok_or(format!("{name} is missing"))
}

/// Section 3.4.1: method, URL and every signed parameter as one text.
pub fn base_string(request: &Request, header: &Parameters) -> Result<String, String> {
    let (address, query) = request.url.split_once('?').unwrap_or((request.url, ""));
    let mut all: Vec<(String, String)> = Vec::new();
    let own = header.iter().filter(|(name, _)| name != "oauth_signature" && name != "realm").cloned();
    for (name, value) in
        own.chain(form_parameters(query)?).chain(form_parameters(request.form.unwrap_or(""))?)
    {
        all.push((encode(&name), encode(&value)));
    }
    all.sort();
    let mut joined = String::new();
    for (name, value) in all {
        let _ = write!(joined, "{}{name}={value}", if joined.is_empty() { "" } else { "&" });
    }
    let method = request.method.to_ascii_uppercase();
    Ok(format!("{}&{}&{}", encode(&method), encode(&base_url(address)?), encode(&joined)))
}

/// Section 3.4.2.
pub fn signature(base_string: &str, secrets: &Secrets) -> String {
    let key = format!("{}&{}", encode(secrets.consumer), encode(secrets.token));
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).unwrap();
    mac.update(base_string.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Section 3.4.1.2: lower-case scheme and host, no default port, at least `/` for a path.
fn base_url(address: &str) -> Result<String, String> {
    let (scheme, rest) = address.split_once("://").ok_or(format!("{address:?} is not absolute"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (scheme, authority) = (scheme.to_ascii_lowercase(), authority.to_ascii_lowercase());
    let default = if scheme == "https" { ":443" } else { ":80" };
    let authority = authority.strip_suffix(default).unwrap_or(&authority);
    Ok(format!("{scheme}://{authority}{}", if path.is_empty() { "/" } else { path }))
}

/// Section 3.4.1.3.1: pairs of a query or a form, where `+` is a space.
pub fn form_parameters(text: &str) -> Result<Parameters, String> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Ok((decode(&name.replace('+', " "))?, decode(&value.replace('+', " "))?))
        })
        .collect()
}

/// Section 3.6.
pub fn encode(text: &str) -> String {
    utf8_percent_encode(text, ENCODED).to_string()
}

fn decode(text: &str) -> Result<String, String> {
    let decoded = percent_decode_str(text).decode_utf8();
    decoded.map(Into::into).map_err(|_| format!("{text:?} is not UTF-8"))
}
