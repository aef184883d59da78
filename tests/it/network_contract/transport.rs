//! Transport faults, the same for every network: connection refused, DNS, TLS, reset, closed, garbage,
//! timeout, truncated, too large, redirect. Either the request provably was never sent, and the post may be
//! retried, or the outcome is unknown until the account is read.

use flockd::clock::SystemClock;
use flockd::flock::account::Tokens;
use flockd::flock::post::{Cause, Post};
use flockd::flock::{NetworkKind, PostOptions};
use flockd::net::bluesky::{Bluesky, BlueskyApp};
use flockd::net::http::{self, Timeouts};
use flockd::net::{Attached, Network, Outcome, ProbeResult, Session};
use futures_util::future::join_all;
use url::Url;

use crate::support::fake_mastodon::{FakeMastodon, Software};
use crate::support::fake_server::{Behaviour, FakeServer, Reply};
use crate::support::fake_x::{FakeAccount, FakeX};
use crate::support::machine::Ports;
use crate::support::pds::{Pds, PdsAccount, PdsProxy};
use crate::support::{HASTY, Signed, post, x_for};

/// A network whose server misbehaves on command, with one account.
trait TestNetwork {
    const KIND: NetworkKind;

    /// The server that misbehaves.
    fn server(&self) -> &FakeServer;

    /// A client that expects the server at `url`.
    fn client(&self, url: &str, limits: &Timeouts) -> Box<dyn Network>;

    /// The session that the account's client gets with each call, when the server is at `url`.
    fn session(&self, url: &str) -> Session;

    /// Whether resending a post never creates a duplicate, whatever became of the first attempt.
    fn is_idempotent(&self) -> bool;

    /// How many posts the account has.
    async fn stored(&self) -> usize;

    /// How many requests so far could have stored something.
    fn writes(&self) -> usize {
        self.server().requests().iter().filter(|seen| seen.method != "GET").count()
    }
}

struct OnX {
    fake: FakeX,
    walt: FakeAccount,
    session: Session,
}

impl OnX {
    async fn start() -> Self {
        let fake = FakeX::start().await;
        let walt = fake.account("walt_lines");
        let signed = x_for(&fake, &walt);
        let account = signed.prepare(None).await.unwrap();
        Self { session: signed.session(account.as_ref()), walt, fake }
    }
}

impl TestNetwork for OnX {
    const KIND: NetworkKind = NetworkKind::X;

    fn server(&self) -> &FakeServer {
        &self.fake
    }

    fn client(&self, url: &str, limits: &Timeouts) -> Box<dyn Network> {
        let http = http::client(limits).unwrap();
        Box::new(Signed::new(http, self.fake.clock.clone(), url, self.walt.credentials.clone(), None).x)
    }

    fn session(&self, _: &str) -> Session {
        self.session.clone()
    }

    fn is_idempotent(&self) -> bool {
        false
    }

    async fn stored(&self) -> usize {
        self.fake.posts().len()
    }
}

struct OnMastodon {
    software: Software,
    fake: FakeMastodon,
    session: Session,
}

impl OnMastodon {
    async fn start(software: Software) -> Self {
        let fake = FakeMastodon::start(software).await;
        let session = fake.walt(&fake.client()).await;
        Self { software, fake, session }
    }
}

impl TestNetwork for OnMastodon {
    const KIND: NetworkKind = NetworkKind::Mastodon;

    fn server(&self) -> &FakeServer {
        &self.fake
    }

    fn client(&self, url: &str, limits: &Timeouts) -> Box<dyn Network> {
        Box::new(self.fake.client_with(url, limits, None, PostOptions::default()))
    }

    fn session(&self, _: &str) -> Session {
        self.session.clone()
    }

    fn is_idempotent(&self) -> bool {
        self.software == Software::Mastodon
    }

    async fn stored(&self) -> usize {
        self.fake.posts().len()
    }
}

struct OnBluesky {
    proxy: PdsProxy,
    walt: PdsAccount,
    session: Session,
}

impl OnBluesky {
    async fn start() -> Self {
        let (proxy, walt) = (PdsProxy::before(Pds::shared()).await, Pds::shared().account("walt").await);
        let session = proxy.signed_in(&walt).await.session;
        Self { proxy, walt, session }
    }
}

impl TestNetwork for OnBluesky {
    const KIND: NetworkKind = NetworkKind::Bluesky;

    fn server(&self) -> &FakeServer {
        &self.proxy
    }

    fn client(&self, url: &str, limits: &Timeouts) -> Box<dyn Network> {
        let (http, clock) = (http::client(limits).unwrap(), std::sync::Arc::new(SystemClock));
        let (api_url, site_url) = (url.to_owned(), "https://bsky.app".to_owned());
        let looks = vec![std::time::Duration::ZERO];
        let app = BlueskyApp { directory_url: api_url.clone(), api_url, site_url, probe_delays: looks };
        Box::new(Bluesky::new(http, clock, app, None, PostOptions::default()))
    }

    /// An account's server is named in its session.
    fn session(&self, url: &str) -> Session {
        let mut session = self.session.clone();
        let Some(Tokens::AppPassword { server, .. }) = &mut session.tokens else { panic!("no app password") };
        url.clone_into(server);
        session
    }

    fn is_idempotent(&self) -> bool {
        true
    }

    async fn stored(&self) -> usize {
        Pds::shared().posts(&self.walt).await.len()
    }
}

/// Sends one post to this address.
async fn sent_to<P: TestNetwork>(place: &P, url: &str, limits: &Timeouts) -> (Post, Outcome) {
    sent_by(&*place.client(url, limits), &place.session(url), P::KIND, 1).await
}

async fn sent_by(network: &dyn Network, session: &Session, kind: NetworkKind, number: u8) -> (Post, Outcome) {
    let mut post = post(kind, number, &format!("line {number}"));
    let text = post.text.clone().unwrap();
    post.record =
        network.compose(post.id, &text, post.planned_at, &Attached::default(), session).await.unwrap();
    let outcome = network.send(&post, &Attached::default(), session).await.outcome;
    (post, outcome)
}

/// Runs every fault on its own fresh server, all at once: some take until a timeout.
async fn suite<P: TestNetwork>(start: impl AsyncFn() -> P) {
    unreachable_is_not_accepted(&start().await).await;
    join_all(doubts().into_iter().map(async |doubt| doubt.play(&start().await).await)).await;
    dying_connection_is_not_retried(&start().await).await;
    redirects_are_not_followed(&start().await, start().await.server()).await;
}

/// Connection refused, DNS, TLS: nothing was sent, so the same post may be retried.
async fn unreachable_is_not_accepted<P: TestNetwork>(place: &P) {
    let closed = Ports::one();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent_port = silent.local_addr().unwrap().port();
    let before = place.server().count();
    for (what, url) in [
        ("connection refused", format!("http://127.0.0.1:{}", closed.first)),
        ("DNS: no such name", "http://missing.invalid".to_owned()),
        ("no TLS there", place.server().url.replace("http:", "https:")),
        ("TLS handshake times out", format!("https://127.0.0.1:{silent_port}")),
    ] {
        let (_, outcome) = sent_to(place, &url, &HASTY).await;
        let Outcome::NotAccepted(setback) = outcome else { panic!("{}, {what}: {outcome:?}", P::KIND) };
        let (cause, retry_at) = (setback.why.cause, setback.retry_at);
        assert_eq!(
            (cause, setback.answered, retry_at),
            (Cause::Unreachable, false, None),
            "{what}: {setback}"
        );
        assert!(!setback.token_rejected, "{what}: {setback}");
        // A person has to know which host it was; the rest of an address may hold a password.
        let host = Url::parse(&url).unwrap().host_str().unwrap().to_owned();
        assert!(setback.to_string().starts_with(&format!("{host} ")), "{what}: {setback}");
    }
    assert_eq!(place.server().count(), before, "{}: nothing was sent", P::KIND);
}

/// The request was sent, and no answer settles it.
struct Doubt {
    behaviour: Behaviour,
    /// Whether the server has the post.
    stored: bool,
    /// Ends only with a timeout.
    times_out: bool,
    /// What the reason says about the transport, if anything.
    says: &'static str,
}

/// The reason if not a byte of an answer came.
const NO_ANSWER: &str = "the request left, and then: ";
const TIMED_OUT: &str = "no answer in time";
const TRUNCATED: &str = "broke off";
const TOO_LARGE: &str = "longer than";

fn doubts() -> Vec<Doubt> {
    let doubt = |behaviour, stored, says| Doubt { behaviour, stored, times_out: false, says };
    let timeout = |behaviour, stored, says| Doubt { behaviour, stored, times_out: true, says };
    vec![
        doubt(Behaviour::CloseUnread, false, NO_ANSWER),
        doubt(Behaviour::Close, false, NO_ANSWER),
        doubt(Behaviour::Garbage, false, NO_ANSWER),
        doubt(Behaviour::StoreAndClose, true, NO_ANSWER),
        doubt(Behaviour::StoreAndBreakOff, true, TRUNCATED),
        timeout(Behaviour::Hang, false, TIMED_OUT),
        timeout(Behaviour::StoreAndHang, true, TIMED_OUT),
        timeout(Behaviour::StoreAndDrip, true, TRUNCATED),
        timeout(Behaviour::StoreAndDrip, true, TIMED_OUT),
        doubt(Behaviour::Answer(Reply::new(200, "{\"id\":")), false, ""),
        doubt(Behaviour::Answer(Reply::new(201, "{\"data\":")), false, ""),
        doubt(Behaviour::StoreAndAnswer(Reply::new(200, vec![b' '; 10 * 1024 * 1024])), true, TOO_LARGE),
    ]
}

impl Doubt {
    async fn play<P: TestNetwork>(self, place: &P) {
        let Self { behaviour, stored, times_out, says } = self;
        let shown = format!("{}, {:.60}", P::KIND, format!("{behaviour:?}"));
        let (server, limits) = (place.server(), if times_out { HASTY } else { Timeouts::default() });
        let before = place.writes();
        server.next_post(behaviour);
        let (post, outcome) = sent_to(place, &server.url, &limits).await;
        let Outcome::Unknown { reason } = outcome else { panic!("{shown}: {outcome:?}") };
        assert!(reason.contains(says), "{shown}: {reason}");
        assert!(reason.ends_with("whether it was posted is not known"), "{shown}: {reason}");
        assert_eq!(place.writes() - before, 1, "{shown}: sent more than once");
        assert_eq!(place.stored().await, usize::from(stored), "{shown}");
        // Reading the account settles it.
        let (url, patient) = (server.url.clone(), Timeouts::default());
        match place
            .client(&url, &patient)
            .probe(&post, &Attached::default(), &place.session(&url))
            .await
            .unwrap()
        {
            ProbeResult::Candidates { seen, doubtful, .. } => {
                assert_eq!((seen.len(), doubtful.len()), (usize::from(stored), 0), "{shown}");
            }
            sight => panic!("{shown}: {sight:?}"),
        }
        if place.is_idempotent() {
            let again = place
                .client(&url, &patient)
                .send(&post, &Attached::default(), &place.session(&url))
                .await
                .outcome;
            assert!(matches!(again, Outcome::Posted { .. }), "{shown}: {again:?}");
            assert_eq!(place.stored().await, 1, "{shown}");
        }
    }
}

/// A connection that is kept for the next request, and dies in use.
async fn dying_connection_is_not_retried<P: TestNetwork>(place: &P) {
    let (url, before) = (&place.server().url, place.writes());
    let (network, session) = (place.client(url, &Timeouts::default()), place.session(url));
    let (_, first) = sent_by(&*network, &session, P::KIND, 1).await;
    assert!(matches!(first, Outcome::Posted { .. }), "{first:?}");
    // The second goes over the same connection, which is reset before the server has read a byte of it.
    for (number, behaviour) in [(2, Behaviour::CloseUnread), (3, Behaviour::StoreAndClose)] {
        place.server().next_post(behaviour);
        let (_, outcome) = sent_by(&*network, &session, P::KIND, number).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    }
    assert_eq!((place.writes() - before, place.stored().await), (3, 2), "{}", P::KIND);
}

async fn redirects_are_not_followed<P: TestNetwork>(place: &P, elsewhere: &FakeServer) {
    let (server, asked) = (place.server(), elsewhere.count());
    for status in [301, 302, 303, 307, 308] {
        let reply = Reply::new(status, "").header("location", format!("{}/2/tweets", elsewhere.url));
        server.next_post(Behaviour::Answer(reply));
        let (_, outcome) = sent_to(place, &server.url, &Timeouts::default()).await;
        assert!(matches!(outcome, Outcome::Unknown { .. }), "{}, {status}: {outcome:?}", P::KIND);
    }
    assert_eq!(elsewhere.count(), asked, "{}", P::KIND);
}

#[tokio::test]
async fn x() {
    suite(OnX::start).await;
}

#[tokio::test]
async fn mastodon() {
    suite(async || OnMastodon::start(Software::Mastodon).await).await;
}

#[tokio::test]
async fn gotosocial() {
    suite(async || OnMastodon::start(Software::GoToSocial).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bluesky() {
    suite(OnBluesky::start).await;
}
