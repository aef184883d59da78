//! Answers that don't come from the API: error pages of proxies and gateways, successes from another service,
//! and the API's own answers, cut or relabeled by a proxy.

use super::fake_server::Reply;

/// The error and redirect statuses that anything between a daemon and an API may answer with.
pub const STATUSES: &[u16] = &[
    300, 301, 302, 303, 304, 305, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 412,
    413, 414, 415, 416, 417, 418, 420, 421, 422, 423, 424, 425, 426, 428, 429, 431, 444, 449, 450, 451, 494,
    495, 499, 500, 501, 502, 503, 504, 520, 522, 525, 530,
];

/// Every error or redirect with this status.
pub fn errors(status: u16) -> Vec<Reply> {
    let json = |body: &str| Reply::new(status, body);
    let mut errors = vec![
        Reply::page(status, "Just a moment..."),
        Reply::new(status, "error code: 1020").header("content-type", "text/plain"),
        Reply::new(status, ""),
        Reply::new(status, "").header("content-type", "application/json"),
        json(r#"{"message":"Forbidden"}"#),
        json(r#"{"code":0,"msg":"no"}"#),
        json(&format!(r#"{{"code":{status},"message":"no route"}}"#)),
        json(r#"{"error":{"code":"denied","message":"no"}}"#),
        json(r#"{"errors":[]}"#),
        json(r#"{"errors":["no"]}"#),
        json(&format!(
            r#"{{"timestamp":"t","status":{status},"error":"Forbidden","message":"m","path":"/p"}}"#
        )),
        json(&format!(
            r#"{{"type":"https://tools.ietf.org/html/rfc9110","title":"No","status":{status},"traceId":"00-1"}}"#
        )),
        json(r#"{"type":"about:blank","title":"No","status":100,"detail":"of another status"}"#),
        json("{}"),
        Reply::new(status, r#"["no"]"#).header("content-type", "application/json"),
        Reply::new(status, "\"no\"").header("content-type", "application/json"),
    ];
    errors.extend(own_words().into_iter().flat_map(|words| {
        let relabelled = Reply::new(status, words).header("content-type", "text/html; charset=utf-8");
        let cut = Reply::new(status, &words[..words.len() - 2]);
        [relabelled, cut]
    }));
    if (300..400).contains(&status) {
        for error in &mut errors {
            error.headers.push(("location", "http://127.0.0.1:1/elsewhere".to_owned()));
        }
    }
    errors
}

/// Errors as each of the APIs words them.
fn own_words() -> [&'static str; 4] {
    [
        r#"{"error":"Validation failed: no"}"#,
        r#"{"error":"InvalidRequest","message":"no"}"#,
        r#"{"title":"Forbidden","type":"about:blank","detail":"no"}"#,
        r#"{"errors":[{"code":187,"message":"Status is a duplicate."}]}"#,
    ]
}

/// Successes that identify no post of ours.
pub fn successes() -> Vec<Reply> {
    let json = |status, body: &str| Reply::new(status, body);
    vec![
        Reply::page(200, "Sign in to this hotel's network"),
        Reply::page(201, "Welcome"),
        Reply::new(200, ""),
        Reply::new(202, "").header("content-type", "application/json"),
        Reply::new(204, ""),
        Reply::new(205, ""),
        Reply::page(206, "half a pa"),
        json(206, r#"{"id":"7","account":{"id":"#),
        json(200, "{}"),
        json(200, r#"{"ok":true}"#),
        json(200, r#"{"id":"request-7","status":"queued"}"#),
        json(200, r#"{"id":7,"account":{"id":7}}"#),
        json(200, r#"{"id":"../7","account":{"id":"x"}}"#),
        json(201, r#"{"data":{"id":"seven","text":"a"}}"#),
        json(201, r#"{"data":{"id":"7"}}"#),
        json(201, r#"{"data":{"id":7,"text":"a"}}"#),
        json(200, r#"{"data":null}"#),
        json(200, r#"{"uri":"at://did:plc:another/app.bsky.feed.post/3jzfcijpj2z2a","cid":"bafy"}"#),
        json(200, r#"{"error":"Forbidden"}"#),
    ]
}

/// A selection, one of each kind and each status, where each of them takes a while.
pub fn some() -> Vec<Reply> {
    let of_errors = STATUSES.iter().enumerate().map(|(number, status)| {
        let mut errors = errors(*status);
        errors.swap_remove(number * 5 % errors.len())
    });
    of_errors.chain(successes()).collect()
}
