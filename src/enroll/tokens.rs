//! Reads tokens that a person already has: as JSON, as lines of `name=value`, or bare (the pair of OAuth
//! 1.0a, or the single token of other networks). Errors never quote the input.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::flock::NetworkKind;
use crate::flock::account::Tokens;
use crate::flock::network::TokenShape;
use crate::flock::secret::Secret;

/// The longest input: tokens have up to 2,000 bytes, and there are two of them.
const TEXT_MAX: usize = 16_384;

/// The longest token.
const TOKEN_MAX: usize = 4_096;

/// Maximum plausible lifetime of an access token: a year. A larger number is in milliseconds.
const LIFE_MAX_S: i64 = 366 * 24 * 3_600;

/// The accepted names of each field: ours first, then that of the OAuth 1.0a endpoints.
const TOKEN: &[&str] = &["access_token", "oauth_token"];
const TOKEN_SECRET: &[&str] = &["access_token_secret", "oauth_token_secret"];
const REFRESH_TOKEN: &[&str] = &["refresh_token"];
const EXPIRES_IN: &[&str] = &["expires_in"];
const EXPIRES_AT: &[&str] = &["expires_at"];
const SCOPE: &[&str] = &["scope"];

/// Why an input has no usable tokens. Never quotes the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the input contains no usable tokens: {0}")]
pub struct BadTokens(&'static str);

/// What lines without names mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BareTokens {
    /// An access token and its secret, a line each.
    Pair,
    /// An access token, on one line.
    Token,
}

impl BareTokens {
    /// The meaning of bare lines on this network.
    pub const fn on(network: NetworkKind) -> Self {
        match network.profile().tokens {
            TokenShape::Single => Self::Token,
            TokenShape::Pair | TokenShape::Kept => Self::Pair,
        }
    }

    const fn lines(self) -> usize {
        match self {
            Self::Pair => 2,
            Self::Token => 1,
        }
    }
}

/// Reads tokens: a JSON object or lines of `name=value` with `access_token` and `access_token_secret` (OAuth
/// 1.0a), or with `access_token` and, where known, `refresh_token`, `expires_in` (seconds) or `expires_at`
/// (RFC 3339, or seconds since 1970) and `scope` (OAuth 2.0); or bare lines. Other names are ignored. `grant`
/// identifies OAuth 2.0 tokens.
///
/// # Errors
/// When something is missing or malformed.
pub fn tokens_from(
    text: &str,
    alone: BareTokens,
    now: DateTime<Utc>,
    grant: String,
) -> Result<Tokens, BadTokens> {
    if text.len() > TEXT_MAX {
        return Err(BadTokens("it is longer than 16 KiB; enter only the tokens"));
    }
    let text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    let fields = if text.starts_with('{') { from_json(text)? } else { from_lines(text, alone)? };
    if let Some(secret) = fields.token(TOKEN_SECRET)? {
        return Ok(Tokens::OAuth1 { access_token: fields.access_token()?, access_token_secret: secret });
    }
    Ok(Tokens::OAuth2 {
        access_token: fields.access_token()?,
        refresh_token: fields.token(REFRESH_TOKEN)?,
        expires_at: fields.expires_at(now)?,
        scopes: fields.scopes(),
        grant,
    })
}

/// Whether a person's input is complete: a closed JSON object, enough bare lines, or lines of `name=value` up
/// to an empty one.
pub fn is_whole(text: &str, alone: BareTokens) -> bool {
    let given = text.trim();
    let count = |wanted: char| given.chars().filter(|c| *c == wanted).count();
    match given.lines().next() {
        None => false,
        Some(first) if first.starts_with('{') => count('}') >= count('{'),
        Some(first) if first.contains('=') => text.ends_with("\n\n"),
        Some(_) => given.lines().filter(|line| !line.trim().is_empty()).count() >= alone.lines(),
    }
}

/// The fields of an input. They have no `Debug`, as they contain secrets.
struct TokenFields(Vec<(String, String)>);

impl TokenFields {
    fn value(&self, names: &[&str]) -> Option<&str> {
        let named =
            self.0.iter().find(|(name, _)| names.iter().any(|known| name.eq_ignore_ascii_case(known)));
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    fn token(&self, names: &[&str]) -> Result<Option<Secret>, BadTokens> {
        let Some(token) = self.value(names) else { return Ok(None) };
        if token.len() > TOKEN_MAX || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(BadTokens("a token has invalid characters, or too many; copy it again"));
        }
        Ok(Some(Secret::new(token)))
    }

    fn access_token(&self) -> Result<Secret, BadTokens> {
        self.token(TOKEN)?.ok_or(BadTokens(
            "give `access_token` and, as the network has it, `access_token_secret` or `refresh_token`, as JSON or as \
             lines like `access_token=…`",
        ))
    }

    fn expires_at(&self, now: DateTime<Utc>) -> Result<Option<DateTime<Utc>>, BadTokens> {
        if let Some(at) = self.value(EXPIRES_AT) {
            let seconds = || DateTime::from_timestamp(at.parse().ok()?, 0);
            let at = DateTime::parse_from_rfc3339(at).ok().map(|at| at.to_utc()).or_else(seconds);
            let wrong =
                BadTokens("`expires_at` must be a time like 2030-01-31T12:00:00Z, or seconds since 1970");
            return at.map(Some).ok_or(wrong);
        }
        let Some(life) = self.value(EXPIRES_IN) else { return Ok(None) };
        let life = life.parse().ok().filter(|life| (0..=LIFE_MAX_S).contains(life));
        life.map(|life| Some(now + TimeDelta::seconds(life)))
            .ok_or(BadTokens("`expires_in` must be whole seconds, a year at most"))
    }

    /// Only scopes that are named: those of another program's sign-in are unknown.
    fn scopes(&self) -> Vec<String> {
        let scopes = self.value(SCOPE).unwrap_or_default().split([' ', ',']);
        scopes.filter(|one| !one.is_empty()).map(str::to_owned).collect()
    }
}

fn from_json(text: &str) -> Result<TokenFields, BadTokens> {
    // The parser's error would quote the input.
    let value: Value =
        serde_json::from_str(text).map_err(|_| BadTokens("it begins with `{` but is not JSON"))?;
    let object = value.as_object().ok_or(BadTokens("the JSON is not an object"))?;
    let fields = object.iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name.clone(), text.clone())),
        Value::Number(number) => Some((name.clone(), number.to_string())),
        Value::Array(parts) => {
            let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
            Some((name.clone(), parts.join(" ")))
        }
        _ => None,
    });
    Ok(TokenFields(fields.collect()))
}

fn from_lines(text: &str, alone: BareTokens) -> Result<TokenFields, BadTokens> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let named = lines().filter_map(|line| line.split_once('='));
    let named = named.map(|(name, value)| (name.trim().to_owned(), bare(value).to_owned()));
    let fields = TokenFields(named.collect());
    if fields.value(TOKEN).is_some() {
        return Ok(fields);
    }
    // No bare token contains a `=`: that would be an unknown name.
    let lines: Vec<&str> = lines().collect();
    if lines.len() != alone.lines() || lines.iter().any(|line| line.contains('=')) {
        return Ok(fields);
    }
    let names = [TOKEN[0], TOKEN_SECRET[0]].map(str::to_owned);
    Ok(TokenFields(names.into_iter().zip(lines.into_iter().map(|line| bare(line).to_owned())).collect()))
}

fn bare(value: &str) -> &str {
    value.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Result<Tokens, BadTokens> {
        tokens_from(text, BareTokens::Pair, DateTime::UNIX_EPOCH, "grant".to_owned())
    }

    #[test]
    fn one_who_types_is_not_cut_short() {
        for part in [
            "",
            "\n",
            "a\n",
            "a\n\n",
            "access_token=a\n",
            "access_token=a\nrefresh_token=b\nscope=c\n",
            "{\n",
            "{\"a\":\n\n",
        ] {
            assert!(!is_whole(part, BareTokens::Pair), "{part:?}");
        }
        for whole in ["a\nb=\n", "\na\n\nb\n", "access_token=a\nrefresh_token=b\n\n", "{\n\"a\": 1\n}\n"] {
            assert!(is_whole(whole, BareTokens::Pair), "{whole:?}");
        }
    }

    #[test]
    fn a_pair_may_be_given_in_many_ways() {
        let pair =
            Tokens::OAuth1 { access_token: Secret::new("1-aB"), access_token_secret: Secret::new("sEc") };
        for text in [
            r#"{"access_token": "1-aB", "access_token_secret": "sEc", "user_id": 1, "x": null}"#,
            "\u{feff} {\"oauth_token\":\"1-aB\",\"oauth_token_secret\":\"sEc\"}\r\n",
            "access_token=1-aB\naccess_token_secret=sEc\n",
            "# mine\n\nACCESS_TOKEN_SECRET = \"sEc\"\r\nACCESS_TOKEN = '1-aB'\r\nscreen_name=walt",
            "1-aB\nsEc",
            "\n 1-aB \r\n\r\n sEc \r\n",
        ] {
            assert_eq!(read(text), Ok(pair.clone()), "{text}");
        }
    }

    #[test]
    fn where_there_is_one_token_a_line_is_enough() {
        let read = |text| tokens_from(text, BareTokens::Token, DateTime::UNIX_EPOCH, "grant".to_owned());
        for text in
            ["ab-C_d", " ab-C_d \r\n\n", "'ab-C_d'\n", "access_token=ab-C_d", r#"{"access_token": "ab-C_d"}"#]
        {
            let Ok(Tokens::OAuth2 { access_token, scopes, .. }) = read(text) else { panic!("{text}") };
            assert_eq!((access_token.expose(), scopes.len()), ("ab-C_d", 0), "{text}");
        }
        assert!(is_whole("ab-C_d\n", BareTokens::Token) && !is_whole("\n", BareTokens::Token));
        for text in ["a\nb", "token=a", "a b", ""] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tokens_of_oauth_2_say_when_they_run_out() {
        let at = |text: &str| match read(text).unwrap() {
            Tokens::OAuth2 { refresh_token, expires_at, scopes, grant, .. } => {
                assert_eq!(grant, "grant");
                (refresh_token.is_some(), expires_at.map(|at| at.timestamp()), scopes.join(" "))
            }
            Tokens::OAuth1 { .. } | Tokens::AppPassword { .. } => panic!("{text}"),
        };
        assert_eq!(at(r#"{"access_token":"a"}"#), (false, None, String::new()), "scopes were not given");
        let answer = r#"{"token_type":"bearer","expires_in":7200,"access_token":"a","scope":"b c","refresh_token":"r"}"#;
        assert_eq!(at(answer), (true, Some(7_200), "b c".to_owned()));
        let lines = "access_token=YQ==\nrefresh_token=r\nexpires_at=1970-01-02T00:00:00+01:00\n";
        assert_eq!(at(lines), (true, Some(82_800), String::new()));
        assert_eq!(at("access_token=a\nexpires_at=99\nscope=d,e"), (false, Some(99), "d e".to_owned()));
        assert_eq!(at(r#"{"access_token":"a","scope":["d","e"]}"#).2, "d e");
    }

    #[test]
    fn what_is_wrong_is_said_without_repeating_it() {
        let long = format!("access_token={}", "hush".repeat(TOKEN_MAX));
        for text in [
            "",
            "hush",
            "hush\nhush\nhush",
            "hush=hush\nhush",
            "{hush",
            "[\"hush\"]",
            r#"{"access_token": ["hu sh", 1], "access_token_secret": "hush"}"#,
            r#"{"access_token_secret": "hush"}"#,
            "access_token=hu sh\naccess_token_secret=hush",
            "access_token=hüsh",
            "access_token=hush\nexpires_in=hush",
            "access_token=hush\nexpires_in=-1",
            "access_token=hush\nexpires_in=1700000000000",
            "access_token=hush\nexpires_at=hush",
            &long,
            &"hush ".repeat(TEXT_MAX),
        ] {
            let error = read(text).expect_err(text);
            assert!(!format!("{error} {error:?}").contains("hu"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_input_is_too_odd(text in "\\PC*|[{}\":,=\\n a-z0-9_]*|access_token=[ -~]*\\n.*") {
            if let Ok(tokens) = read(&text) {
                prop_assert!(tokens.secrets().iter().all(|secret| text.contains(secret.expose())));
            }
        }
    }
}
