//! OAuth 1.0a signatures: published vectors against the verifier and the crate that signs for us, and what
//! the verifier must reject.

use reqwest::header::AUTHORIZATION;
use reqwest_oauth1::{OAuthClientProvider as _, OAuthParameters, Secrets as Signing};

use crate::support::rfc5849::{self, Request, Secrets, Verifier};

const KEY: &str = "xvz1evFS4wEEPTGEFPHBog";
const TOKEN: &str = "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb";
const NONCE: &str = "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg";
const TIME: u32 = 1_318_622_958;
const SECRETS: Secrets = Secrets {
    consumer: "kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw",
    token: "LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE",
};
const STATUS: &str = "Hello Ladies + Gentlemen, a signed OAuth request!";

/// The header of vectors 1 and 2, with this signature.
fn header(signature: &str) -> String {
    format!(
        "OAuth oauth_consumer_key=\"{KEY}\", oauth_nonce=\"{NONCE}\", oauth_signature=\"{signature}\", \
         oauth_signature_method=\"HMAC-SHA1\", oauth_timestamp=\"{TIME}\", oauth_token=\"{TOKEN}\", \
         oauth_version=\"1.0\""
    )
}

fn verifies(url: &str, form: Option<&str>, authorization: &str, secrets: &Secrets) -> Result<(), String> {
    rfc5849::check_signature(&Request { method: "POST", url, authorization, form }, secrets)
}

/// The signature that `reqwest-oauth1` gives a request.
fn signed_by_the_crate(
    parameters: OAuthParameters<'static, reqwest_oauth1::DefaultSM>,
    secrets: Signing<'static>,
    url: &str,
    form: &[(&str, &str)],
) -> String {
    let mut builder = crate::support::http().oauth1_with_params(secrets, parameters).post(url);
    if !form.is_empty() {
        builder = builder.form(&form.to_vec());
    }
    let request = builder.generate_signature().unwrap().build().unwrap();
    let header = rfc5849::header_parameters(request.headers()[AUTHORIZATION].to_str().unwrap()).unwrap();
    rfc5849::value(&header, "oauth_signature").unwrap().to_owned()
}

fn published() -> (OAuthParameters<'static, reqwest_oauth1::DefaultSM>, Signing<'static>) {
    let parameters = OAuthParameters::new().nonce(NONCE).timestamp(TIME).version(true);
    (parameters, Signing::new(KEY, SECRETS.consumer).token(TOKEN, SECRETS.token))
}

#[test]
fn vector_1_query_and_form() {
    let form = "status=Hello+Ladies+%2B+Gentlemen%2C+a+signed+OAuth+request%21";
    let url = |host: &str| format!("https://{host}/1.1/statuses/update.json?include_entities=true");
    let good = header("Ls93hJiZbQ3akF3HF3x1Bz8%2FzU4%3D");
    assert_eq!(verifies(&url("api.x.com"), Some(form), &good, &SECRETS), Ok(()));
    assert_eq!(verifies(&url("API.X.com:443"), Some(form), &good, &SECRETS), Ok(()));
    let older = header("hCtSmYh%2BiHYCEqBWrE7C7hYmtUk%3D");
    assert_eq!(verifies(&url("api.twitter.com"), Some(form), &older, &SECRETS), Ok(()));

    // The crate signs a query or a form, not both; the same parameters in the form have the same signature.
    let (parameters, secrets) = published();
    let form = [("include_entities", "true"), ("status", STATUS)];
    let url = "https://api.x.com/1.1/statuses/update.json";
    assert_eq!(signed_by_the_crate(parameters, secrets, url, &form), "Ls93hJiZbQ3akF3HF3x1Bz8/zU4=");
}

#[test]
fn vector_2_a_json_body_is_not_signed() {
    let url = "https://api.x.com/2/tweets";
    assert_eq!(verifies(url, None, &header("lr%2BtV%2FDKclEvXKVjG6tgaSSLV0k%3D"), &SECRETS), Ok(()));
    let (parameters, secrets) = published();
    assert_eq!(signed_by_the_crate(parameters, secrets, url, &[]), "lr+tV/DKclEvXKVjG6tgaSSLV0k=");
}

#[test]
fn vector_3_before_there_is_a_token() {
    let url = "https://api.x.com/oauth/request_token";
    let header = "OAuth oauth_callback=\"oob\",oauth_consumer_key=\"k\",oauth_nonce=\"n\",\
                  oauth_signature=\"pGwimk2d8gzubtsJIJej9t7%2B3fs%3D\",\
                  oauth_signature_method=\"HMAC-SHA1\",oauth_timestamp=\"1\"";
    assert_eq!(verifies(url, None, header, &Secrets { consumer: "s", token: "" }), Ok(()));
    let parameters = OAuthParameters::new().nonce("n").timestamp(1_u32).callback("oob");
    let signature = signed_by_the_crate(parameters, Signing::new("k", "s"), url, &[]);
    assert_eq!(signature, "pGwimk2d8gzubtsJIJej9t7+3fs=");
}

#[test]
fn the_verifier_rejects_any_change() {
    let url = "https://api.x.com/2/tweets";
    let good = header("lr%2BtV%2FDKclEvXKVjG6tgaSSLV0k%3D");
    let other = |consumer, token| Secrets { consumer, token };
    let refused: &[(&str, Option<&str>, &str, Secrets)] = &[
        (url, None, &good, other("wrong", SECRETS.token)),
        (url, None, &good, other(SECRETS.consumer, "wrong")),
        ("https://api.x.com/2/users/me", None, &good, SECRETS),
        ("http://api.x.com/2/tweets", None, &good, SECRETS),
        ("https://api.x.com/2/tweets?a=b", None, &good, SECRETS),
        (url, Some("a=b"), &good, SECRETS),
        (url, None, &good.replace("HMAC-SHA1", "PLAINTEXT"), SECRETS),
        (url, None, &good.replace("OAuth ", "Bearer "), SECRETS),
        (url, None, &good.replace(NONCE, "another"), SECRETS),
        (url, None, &format!("{good}, oauth_token=\"{TOKEN}\""), SECRETS),
    ];
    for (url, form, authorization, secrets) in refused {
        assert!(verifies(url, *form, authorization, secrets).is_err(), "{url} {form:?} {authorization}");
    }
}

#[test]
fn the_verifier_rejects_replays_and_old_timestamps() {
    let good = header("lr%2BtV%2FDKclEvXKVjG6tgaSSLV0k%3D");
    let request =
        Request { method: "POST", url: "https://api.x.com/2/tweets", authorization: &good, form: None };
    let (verifier, time) = (Verifier::default(), i64::from(TIME));
    assert!(verifier.verify(&request, &SECRETS, time + 301).unwrap_err().contains("too far"));
    assert!(verifier.verify(&request, &SECRETS, time - 301).unwrap_err().contains("too far"));
    assert_eq!(verifier.verify(&request, &SECRETS, time + 300), Ok(()));
    assert!(verifier.verify(&request, &SECRETS, time).unwrap_err().contains("used before"));
}
