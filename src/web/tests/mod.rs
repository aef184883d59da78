//! The site over real connections.

mod limits;
mod pages;
mod protocol;
pub(in crate::web) mod samples;

use std::sync::Arc;

use reqwest::{Client, Method, RequestBuilder, Response};
use tokio::net::TcpListener;

use super::{Site, serve};
use crate::flock::Bot;
use crate::flock::post::Post;
use crate::flock::web::Dashboard;
use samples::MemoryStore;

/// A site that is served while this value lives.
struct Served {
    address: String,
    store: Arc<MemoryStore>,
    client: Client,
}

async fn served(bots: Vec<Bot>, posts: Vec<Post>) -> Served {
    served_with(Dashboard::Off, bots, posts).await
}

async fn served_with(dashboard: Dashboard, bots: Vec<Bot>, posts: Vec<Post>) -> Served {
    let store = Arc::new(MemoryStore { posts: posts.into(), ..MemoryStore::default() });
    serve_site(samples::site_with(dashboard, bots, store.clone()), store).await
}

async fn serve_site(site: Site, store: Arc<MemoryStore>) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(serve(listener, site, std::future::pending()));
    let client = Client::builder().no_proxy().build().unwrap();
    Served { address, store, client }
}

impl Served {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.address))
    }

    async fn get(&self, path: &str) -> Response {
        self.ask(Method::GET, path).send().await.unwrap()
    }

    async fn text(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status(), 200, "{path}");
        answer.text().await.unwrap()
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}
