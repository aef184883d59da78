//! The part of X that signing in needs, with responses in the documented format.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;

use super::*;
use crate::clock::SystemClock;
use crate::flock::account::{AppKeys, Client as OAuthClient, Consumer};
use crate::flock::secret::Secret;
use crate::net::x::{X, XApp};

/// The behavior of this fake network.
#[derive(Debug, Clone)]
pub(super) struct Ways {
    /// The account of the tokens.
    pub(super) handle: &'static str,
    /// What the header says that OAuth 1.0a tokens allow.
    pub(super) access: &'static str,
    /// What OAuth 2.0 tokens allow.
    pub(super) scope: &'static str,
    /// The only verifier that is accepted; any, if empty.
    pub(super) verifier: &'static str,
    /// The only code that is accepted; any, if empty.
    pub(super) code: &'static str,
    /// Whether the app is known.
    pub(super) keys_known: bool,
}

impl Default for Ways {
    fn default() -> Self {
        let scope = "tweet.read users.read tweet.write offline.access";
        Self { handle: "Walt_Lines", access: "read-write", scope, verifier: "", code: "", keys_known: true }
    }
}

/// The server, and the requests it received: path, authorization and body.
#[derive(Clone)]
pub(super) struct FakeNetwork {
    ways: Ways,
    address: String,
    heard: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl FakeNetwork {
    pub(super) async fn start(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let network = Self { ways, address, heard: Arc::default() };
        let app = Router::new().fallback(answer).with_state(network.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        network
    }

    /// A client of it, for an app that has both kinds of keys.
    pub(super) fn x(&self) -> X {
        let consumer = Consumer { key: Secret::new("consumer"), secret: Secret::new("consumer-secret") };
        let client = OAuthClient { id: "app".to_owned(), secret: None };
        let keys = AppKeys { consumer: Ok(consumer), client: Ok(client) };
        let (api_url, site_url) = (self.address.clone(), self.address.clone());
        let app = XApp { api_url, site_url, keys, probe_delays: Vec::new() };
        X::new(http::client(&http::Timeouts::default()).unwrap(), Arc::new(SystemClock), app, None)
    }

    /// The number of requests to this path.
    pub(super) fn heard(&self, path: &str) -> usize {
        self.heard.lock().unwrap().iter().filter(|(at, ..)| at == path).count()
    }

    /// The address to which the app asked the browser to return.
    pub(super) fn callback(&self) -> String {
        let heard = self.heard.lock().unwrap();
        let (_, authorization, _) = heard.iter().find(|(path, ..)| path == "/oauth/request_token").unwrap();
        let given = authorization.split("oauth_callback=\"").nth(1).unwrap().split('"').next().unwrap();
        percent_decode_str(given).decode_utf8().unwrap().into_owned()
    }
}

async fn answer(State(network): State<FakeNetwork>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let authorization = request.headers().get(header::AUTHORIZATION);
    let authorization = authorization.map_or("", |value| value.to_str().unwrap()).to_owned();
    let body = axum::body::to_bytes(request.into_body(), 10_000).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    network.heard.lock().unwrap().push((path.clone(), authorization.clone(), body.clone()));
    let ways = &network.ways;
    let no = |status, body: &'static str| {
        (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
    };
    match path.as_str() {
        "/oauth/request_token" if !ways.keys_known => no(
            StatusCode::UNAUTHORIZED,
            r#"{"errors":[{"code":32,"message":"Could not authenticate you."}]}"#,
        ),
        "/oauth/request_token" => {
            "oauth_token=ask&oauth_token_secret=s&oauth_callback_confirmed=true".into_response()
        }
        "/oauth/access_token" if !authorization.contains(ways.verifier) => no(
            StatusCode::UNAUTHORIZED,
            r#"{"errors":[{"code":32,"message":"Invalid oauth_verifier parameter"}]}"#,
        ),
        "/oauth/access_token" => {
            "oauth_token=1-t&oauth_token_secret=u&user_id=1&screen_name=x".into_response()
        }
        "/2/oauth2/token" if !body.contains(ways.code) => no(
            StatusCode::BAD_REQUEST,
            r#"{"error":"invalid_request","error_description":"The code was invalid."}"#,
        ),
        "/2/oauth2/token" => {
            let scope = ways.scope;
            let body = format!(
                r#"{{"token_type":"bearer","expires_in":7200,"access_token":"acc","scope":"{scope}","refresh_token":"ref"}}"#
            );
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        "/2/users/me" => {
            let body = format!(r#"{{"data":{{"id":"1","name":"Walt","username":"{}"}}}}"#, ways.handle);
            ([("x-access-level", ways.access)], body).into_response()
        }
        "/2/oauth2/revoke" | "/1.1/oauth/invalidate_token.json" => {
            ([("content-type", "application/json")], "{}").into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
