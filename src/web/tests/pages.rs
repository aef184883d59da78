//! Pages, feeds, and their headers.

use std::sync::atomic::Ordering;

use super::*;
use crate::flock::NetworkKind;
use crate::flock::post::State;
use crate::flock::schedule::{Schedule, Zone};
use crate::flock::web::Dashboard;
use crate::store::StoreError;
use atom_syndication::Feed;

fn emily() -> Bot {
    samples::bot("emily", NetworkKind::Feed)
}

#[tokio::test]
async fn every_response_has_its_media_type_and_security_headers() {
    let post = samples::post("emily", 0, "one");
    let (page, html) = (format!("/posts/{}", post.id), "text/html; charset=utf-8");
    let site = served(vec![emily()], vec![post]).await;
    for (path, status, media_type) in [
        ("/", 200, html),
        (page.as_str(), 200, html),
        ("/feeds/emily.atom", 200, "application/atom+xml; charset=utf-8"),
        ("/feeds/emily", 200, html),
        ("/style.css", 200, "text/css; charset=utf-8"),
        ("/icon.svg", 200, "image/svg+xml"),
        ("/healthz", 200, "text/plain; charset=utf-8"),
        ("/readyz", 200, "text/plain; charset=utf-8"),
        ("/readyz?format=json", 200, "application/json"),
        ("/metrics", 200, "text/plain; version=0.0.4; charset=utf-8"),
        ("/nowhere/at/all", 404, html),
        ("/?page=2", 404, html),
    ] {
        let answer = site.get(path).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "content-type")),
            (status, media_type),
            "{path}"
        );
        assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'; "), "{path}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header(&answer, "referrer-policy"), "no-referrer", "{path}");
    }
    assert_eq!(site.text("/healthz").await, "ok\n");
}

#[tokio::test]
async fn missing_pages_are_404() {
    let on_x = Post { network: NetworkKind::X, ..samples::post("walt", 1, "on x") };
    let doubted = Post { state: State::Unknown, ..samples::post("emily", 2, "doubted") };
    let shown = samples::post("emily", 3, "shown");
    let addresses = [
        format!("/posts/{}", on_x.id),
        format!("/posts/{}", doubted.id),
        format!("/posts/{}", shown.id.to_string().to_uppercase()),
        format!("/posts/{}", samples::post("emily", 4, "never").id),
        "/posts/1".to_owned(),
        "/posts/%ff".to_owned(),
        "/feeds/walt.atom".to_owned(),
        "/feeds/walt".to_owned(),
        "/feeds/nobody.atom".to_owned(),
        "/feeds/%ff.atom".to_owned(),
        "/feeds/".to_owned(),
        "/style.css/".to_owned(),
    ];
    let flock = vec![emily(), samples::bot("walt", NetworkKind::X)];
    let site = served(flock, vec![on_x, doubted, shown]).await;
    for address in addresses {
        let answer = site.get(&address).await;
        assert_eq!(
            (answer.status().as_u16(), header(&answer, "cache-control")),
            (404, "no-store"),
            "{address}"
        );
        assert!(answer.text().await.unwrap().contains("nothing at this address"), "{address}");
    }
}

#[tokio::test]
async fn head_has_headers_and_no_body_and_other_methods_are_405() {
    let site = served(vec![emily()], vec![samples::post("emily", 0, "one")]).await;
    for path in ["/", "/feeds/emily.atom", "/style.css", "/healthz"] {
        let (get, head) = (site.get(path).await, site.ask(Method::HEAD, path).send().await.unwrap());
        for name in ["content-type", "content-length", "etag", "last-modified", "cache-control"] {
            assert_eq!(header(&head, name), header(&get, name), "{path} {name}");
        }
        assert_ne!(header(&head, "content-length"), "", "{path}");
        assert!(head.bytes().await.unwrap().is_empty(), "{path}");
        for method in [Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS] {
            let answer = site.ask(method.clone(), path).body("x").send().await.unwrap();
            assert_eq!(
                (answer.status().as_u16(), header(&answer, "allow")),
                (405, "GET, HEAD"),
                "{method} {path}"
            );
            assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        }
    }
}

#[tokio::test]
async fn a_document_that_the_client_has_is_304() {
    let site = served(vec![emily()], vec![samples::post("emily", 0, "one")]).await;
    let feed = "/feeds/emily.atom";
    let first = site.get(feed).await;
    let (tag, date) = (header(&first, "etag").to_owned(), header(&first, "last-modified").to_owned());
    assert_eq!(date, "Sun, 01 Mar 2026 23:30:06 GMT");
    for (name, value) in [("if-none-match", &tag), ("if-modified-since", &date)] {
        let again = site.ask(Method::GET, feed).header(name, value).send().await.unwrap();
        assert_eq!((again.status().as_u16(), header(&again, "etag")), (304, tag.as_str()), "{name}");
        assert!(again.bytes().await.unwrap().is_empty());
    }
    site.store.posts.lock().unwrap().push(samples::post("emily", 5, "two"));
    for (name, value) in [("if-none-match", &tag), ("if-modified-since", &date)] {
        let news = site.ask(Method::GET, feed).header(name, value).send().await.unwrap();
        assert_eq!(news.status(), 200, "{name}");
        assert_ne!(header(&news, "etag"), tag);
    }
}

#[tokio::test]
async fn the_style_sheet_is_immutable_at_the_address_of_its_version() {
    let site = served(vec![emily()], vec![]).await;
    let page = site.text("/").await;
    let address = page.split("href=\"./style.css").nth(1).unwrap().split('"').next().unwrap();
    let cache = async |path: &str| header(&site.get(path).await, "cache-control").to_owned();
    assert!(cache(&format!("/style.css{address}")).await.ends_with("immutable"), "{address}");
    assert_eq!(cache("/style.css?v=another").await, "no-cache");
    assert_eq!(cache("/").await, "no-cache");
}

#[tokio::test]
async fn a_feed_holds_the_newest_fifty_of_its_own_bot() {
    let mut posts: Vec<Post> = (0..60).map(|n| samples::post("emily", n, &format!("line {n}"))).collect();
    posts.push(samples::post("walt", 99, "not hers"));
    posts.push(Post { network: NetworkKind::X, ..samples::post("emily", 98, "elsewhere") });
    posts.push(Post { state: State::Refused, ..samples::post("emily", 97, "refused") });
    // Planned first and posted last: it waited for the network.
    posts[30].settled_at = posts[59].settled_at.map(|at| at + chrono::TimeDelta::hours(1));
    let site = served(vec![emily()], posts).await;
    let feed: Feed = site.text("/feeds/emily.atom").await.parse().unwrap();
    let titles: Vec<&str> = feed.entries.iter().map(|entry| entry.title.as_str()).collect();
    assert_eq!((titles.len(), titles[0], titles[1], titles[49]), (50, "line 30", "line 59", "line 10"));
    assert_eq!(feed.updated, feed.entries[0].updated);
    assert_eq!(site.text("/feeds/emily.atom").await, site.text("/feeds/emily.atom").await);
}

#[tokio::test]
async fn a_feed_has_what_rfc_4287_requires() {
    let posts = vec![samples::post("emily", 0, "one"), samples::post("emily", 1, "two\n  <three> & four")];
    let site = served(vec![emily()], posts).await;
    let feed: Feed = site.text("/feeds/emily.atom").await.parse().unwrap();
    let related = |rel: &str| feed.links.iter().filter(|link| link.rel == rel).count();
    assert_eq!((related("self"), related("alternate")), (1, 1));
    assert_eq!(feed.links[0].href, "http://birds.test/feeds/emily.atom");
    assert_eq!(feed.links[1].href, "http://birds.test/feeds/emily");
    assert_eq!(feed.authors[0].name, "emily");
    let mut ids: Vec<&str> = feed.entries.iter().map(|entry| entry.id.as_str()).collect();
    ids.push(&feed.id);
    assert!(
        ids.iter().all(|id| id.strip_prefix("urn:uuid:").is_some_and(|id| uuid::Uuid::try_parse(id).is_ok()))
    );
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    for entry in &feed.entries {
        assert!(!entry.title.is_empty() && entry.content.is_some() && entry.updated <= feed.updated);
        assert_eq!(entry.links.iter().filter(|link| link.rel == "alternate").count(), 1);
    }
}

#[tokio::test]
async fn a_ledger_that_cannot_be_read_is_503_and_reveals_no_secret() {
    let site = served(vec![emily()], vec![]).await;
    site.store.broken.store(true, Ordering::Relaxed);
    let page = format!("/posts/{}", samples::post("emily", 0, "one").id);
    for path in ["/", "/feeds/emily.atom", &page] {
        let answer = site.get(path).await;
        assert_eq!((answer.status().as_u16(), header(&answer, "retry-after")), (503, "10"), "{path}");
        let text = answer.text().await.unwrap();
        assert!(text.contains("read its ledger") && !text.contains("secret"), "{text}");
    }
    assert_eq!(site.get("/healthz").await.status(), 200);
    site.store.broken.store(false, Ordering::Relaxed);
    assert_eq!(site.get("/").await.status(), 200);
}

#[test]
fn ledger_trouble_is_logged_when_it_begins_and_when_it_ends() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let lines = || std::fs::read_to_string(log.path()).unwrap();
    let subscriber = tracing_subscriber::fmt().with_writer(log.reopen().unwrap()).finish();
    let site = samples::site(vec![], Arc::new(MemoryStore::default()));
    tracing::subscriber::with_default(subscriber, || {
        for _ in 0..3 {
            assert_eq!(site.ledger_result::<()>(Err(StoreError::Full("flock.db".to_owned()))), None);
        }
        assert_eq!(lines().matches("ERROR").count(), 1);
        assert_eq!((site.ledger_result(Ok(1)), site.ledger_result(Ok(2))), (Some(1), Some(2)));
    });
    assert_eq!((lines().lines().count(), lines().matches("again").count()), (2, 1), "{}", lines());
}

#[tokio::test]
async fn text_of_poems_and_bots_is_never_markup() {
    let evil = "<script>alert(1)</script> & \"quoted\"\n<b>two";
    let schedule = Schedule::parse("<script> * * * *", Zone::utc());
    let bot = Bot { schedule: schedule.unwrap_or(emily().schedule), ..emily() };
    let post = samples::post("emily", 0, evil);
    let elsewhere = Post {
        network: NetworkKind::X,
        url: Some("javascript:alert(1)".to_owned()),
        ..samples::post("walt", 1, "x")
    };
    let single = format!("/posts/{}", post.id);
    let walt = Bot { account: Some("<script>".to_owned()), ..samples::bot("walt", NetworkKind::X) };
    let site = served(vec![bot, walt], vec![post, elsewhere]).await;
    for path in ["/", &single] {
        let page = site.text(path).await;
        assert!(
            !page.contains("<script") && !page.contains("<b>two") && !page.contains("javascript:"),
            "{page}"
        );
        assert!(page.contains(
            "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;quoted&quot;</span>\n<span>&lt;b&gt;two"
        ));
    }
    assert!(site.text("/").await.contains("as @&lt;script&gt;"));
    assert!(!site.text("/feeds/emily.atom").await.contains("<script"));
    let nowhere = site.get("/%3Cscript%3E?page=<script>").await.text().await.unwrap();
    assert!(!nowhere.contains("script"));
}

#[tokio::test]
async fn the_index_has_the_newest_lines_first_under_their_days() {
    let posts: Vec<Post> = (0..50).map(|n| samples::post("emily", n, &format!("line-{n}."))).collect();
    let site = served(vec![emily()], posts).await;
    let page = site.text("/").await;
    let places: Vec<usize> =
        (10..50).rev().map(|n| page.find(&format!("<span>line-{n}.")).unwrap()).collect();
    assert!(places.is_sorted());
    assert!(!page.contains("<span>line-9."));
    let days = ["Monday, 2 March 2026", "Sunday, 1 March 2026"].map(|day| page.matches(day).count());
    assert_eq!(days, [1, 1]);
    assert!(page.contains("Times are in UTC."));
    assert!(!page.contains("http-equiv"), "a page does not reload itself under its reader");
    assert!(page.contains("<code>0 */3 * * *</code> (Europe/Berlin)"));
    assert!(page.contains("<time datetime=\"2026-03-02T00:19:06Z\">2 March 2026, 00:19:06</time>"));
}

#[tokio::test]
async fn five_thousand_bots_are_paged_a_hundred_at_a_time() {
    let bots = (0..5_000).map(|n| samples::bot(&format!("bot-{n}"), NetworkKind::Feed)).collect();
    let posts = (0..60).map(|n| samples::post("bot-4999", n, "new")).collect::<Vec<_>>();
    let old = samples::post("bot-4998", -60, "an old line");
    let site = served(bots, [posts, vec![old]].concat()).await;
    let first = site.text("/").await;
    assert_eq!(first.matches("Atom feed").count(), 100);
    assert!(first.contains(">bot-99</a></h3>") && !first.contains(">bot-100</a></h3>"));
    assert!(
        first.contains("5,000 bots") && first.contains("Page 1 of 50") && first.contains("\"./?page=2\"")
    );
    let last = site.text("/?page=50").await;
    assert!(
        last.contains(">bot-4999</a></h3>")
            && !last.contains("rel=\"next\"")
            && !last.contains("Latest lines")
    );
    assert!(last.contains(">an old line<") && last.contains(">new<"));
    assert_eq!(site.get("/?page=51").await.status(), 404);
}

#[tokio::test]
async fn an_empty_page_says_that_it_is_empty() {
    let no_bots = served(vec![], vec![]).await.text("/").await;
    assert!(no_bots.contains("No bots yet.") && no_bots.contains("add a bot to"), "{no_bots}");
    let silent = served(vec![emily()], vec![]).await.text("/").await;
    assert!(silent.contains("No bot has posted yet.") && silent.contains("Nothing posted yet."), "{silent}");
    assert!(silent.contains("<code>0 */3 * * *</code>"), "{silent}");
}

#[tokio::test]
async fn a_link_to_a_feed_opens_a_page_with_a_dashboard_and_without() {
    for dashboard in [Dashboard::Off, Dashboard::On, Dashboard::ReadOnly] {
        let posts = (0..3).map(|n| samples::post("emily", n, &format!("line-{n}."))).collect();
        let flock = vec![emily(), samples::bot("walt", NetworkKind::X)];
        let site = served_with(dashboard, flock, posts).await;
        let page = site.text("/feeds/emily").await;
        let places: Vec<usize> =
            (0..3).rev().map(|n| page.find(&format!("<span>line-{n}.")).unwrap()).collect();
        assert!(places.is_sorted());
        assert!(page.contains("href=\"../feeds/emily.atom\"") && !page.contains("<script"), "{page}");
        let posts = site.store.posts.lock().unwrap().clone();
        for post in posts {
            assert!(page.contains(&format!("href=\"../posts/{}\"", post.id)));
            let single = site.text(&format!("/posts/{}", post.id)).await;
            assert!(single.contains("href=\"../feeds/emily\""), "{single}");
        }
        assert_eq!(site.get("/feeds/walt").await.status(), 404);
    }
}

#[tokio::test]
async fn a_page_has_one_zone_and_names_it() {
    let store = Arc::new(MemoryStore {
        posts: vec![samples::post("emily", 0, "one")].into(),
        ..MemoryStore::default()
    });
    let site = samples::site_in(Zone::built_in("Asia/Kathmandu").unwrap(), vec![emily()], store.clone());
    let site = serve_site(site, store).await;
    for path in ["/", "/feeds/emily"] {
        let page = site.text(path).await;
        assert!(page.contains("Times are in Asia/Kathmandu."), "{page}");
        assert!(page.contains("datetime=\"2026-03-01T23:30:06Z\"") && page.contains("05:15:06"), "{page}");
        assert!(page.contains("Monday, 2 March 2026") && !page.contains("23:30:06<"), "{page}");
    }
}
