//! Sign-ins from the dashboard: their time limits, and what ends one.

use std::sync::Arc;

use tokio::sync::{Notify, Semaphore, mpsc};

use super::*;
use crate::enroll::{CredentialSink, SignInStatus, WebSignIns};
use crate::flock::account::{App, ConsumerSources};
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Bot, BotName, samples};
use crate::store::CredentialRow;

const CALLBACK: &str = "http://127.0.0.1:7878/callback";
/// The only verifier that the network accepts.
const VERIFIER: &str = "7654321";

/// The result of `open`.
#[derive(Default)]
enum Opens {
    #[default]
    Yes,
    No,
    /// Panics, as with a bug.
    Panics,
}

/// A sink that stores nothing, and reports changes.
struct TestSink {
    network: FakeNetwork,
    opens: Opens,
    answer: Result<Vec<String>, String>,
    /// Each save reports itself, then waits here for a permit.
    gate: Semaphore,
    at_the_gate: Notify,
    news: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl CredentialSink for TestSink {
    async fn open(
        &self,
        _: &Arc<Bot>,
        redirects: &[String],
    ) -> Result<(Arc<dyn AccountApi>, CredentialRow), String> {
        assert!(redirects.contains(&CALLBACK.to_owned()));
        match self.opens {
            Opens::Yes => {}
            Opens::No => return Err("it is closed".to_owned()),
            Opens::Panics => panic!("a bug"),
        }
        Ok((Arc::new(self.network.x()), CredentialRow::default()))
    }

    async fn save(&self, _: &Bot, _: &Account, _: &Tokens, _: &CredentialRow) -> Result<Vec<String>, String> {
        self.at_the_gate.notify_one();
        let _permit = self.gate.acquire().await.unwrap();
        self.answer.clone()
    }

    fn changed(&self, _: &BotName) {
        let _ = self.news.send(());
    }
}

struct Place {
    reception: WebSignIns,
    office: Arc<TestSink>,
    news: mpsc::UnboundedReceiver<()>,
    deadline: Arc<Deadline>,
}

async fn place(answer: Result<Vec<String>, String>) -> Place {
    place_with(|office| office.answer = answer).await
}

async fn place_with(change: impl FnOnce(&mut TestSink)) -> Place {
    let network = FakeNetwork::start(Ways { verifier: VERIFIER, ..Ways::default() }).await;
    let (tell, news) = mpsc::unbounded_channel();
    let deadline = Arc::new(Deadline::default());
    let mut office = TestSink {
        network,
        opens: Opens::default(),
        answer: Ok(vec!["walt is signed in".to_owned()]),
        gate: Semaphore::new(1),
        at_the_gate: Notify::new(),
        news: tell,
    };
    change(&mut office);
    let office = Arc::new(office);
    Place { reception: WebSignIns::new(office.clone(), deadline.clone()), office, news, deadline }
}

fn bot(name: &str) -> Arc<Bot> {
    let secret = || SecretSource::Literal(Secret::new("k"));
    let consumer = Some(ConsumerSources { key: secret(), secret: secret() });
    let app = Some(Arc::new(App { consumer, ..samples::app("x") }));
    Arc::new(Bot { app, account: None, ..samples::bot(name, "@daily") })
}

impl Place {
    /// Waits until the sign-in's status matches.
    async fn until(&mut self, ticket: &str, is: impl Fn(&SignInStatus) -> bool) -> SignInStatus {
        let look = async {
            loop {
                let view = self.reception.view(ticket).unwrap();
                if is(&view) {
                    return view;
                }
                self.news.recv().await.unwrap();
            }
        };
        tokio::time::timeout(SOON, look).await.expect("it never comes to that")
    }

    /// The query with which a browser comes back that has agreed.
    async fn agreed(&mut self, ticket: &str) -> String {
        let view = self.until(ticket, |view| view.link.is_some()).await;
        let link = url::Url::parse(&view.link.unwrap()).unwrap();
        let token = link.query_pairs().find(|(key, _)| key == "oauth_token").unwrap().1.into_owned();
        format!("oauth_token={token}&oauth_verifier={VERIFIER}")
    }
}

#[tokio::test]
async fn whoever_comes_back_is_told_the_end_and_the_page_knows_it() {
    let mut place = place(Ok(vec!["walt is signed in".to_owned()])).await;
    let ticket = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
    let query = place.agreed(&ticket).await;
    assert!(place.reception.arrive("oauth_token=other&oauth_verifier=x").await.is_none());
    let returned = place.reception.arrive(&query).await.unwrap();
    assert_eq!((returned.ticket.as_str(), returned.end.is_ok()), (ticket.as_str(), true));
    let view = place.until(&ticket, |view| view.end.is_some()).await;
    assert_eq!(view.end, Some(Ok(vec!["walt is signed in".to_owned()])));
    assert_eq!((view.link, view.asked), (None, None));
    assert!(place.reception.arrive(&query).await.is_none(), "it is over");
}

#[tokio::test]
async fn what_can_t_be_kept_is_told_to_both() {
    let mut place = place(Err("@walt_lines is the account of bot emily".to_owned())).await;
    let ticket = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
    let query = place.agreed(&ticket).await;
    let returned = place.reception.arrive(&query).await.unwrap();
    assert_eq!(returned.end, Err("@walt_lines is the account of bot emily".to_owned()));
    let view = place.until(&ticket, |view| view.end.is_some()).await;
    assert_eq!(view.end, Some(returned.end.map(|_| Vec::new())));
}

#[tokio::test]
async fn nobody_is_waited_for_for_ever() {
    let mut place = place(Ok(Vec::new())).await;
    let ticket = place.reception.begin(&bot("walt"), CALLBACK, true).unwrap();
    place.until(&ticket, |view| view.asked.is_some()).await;
    place.deadline.0.notify_one();
    let view = place.until(&ticket, |view| view.end.is_some()).await;
    let Some(Err(why)) = view.end else { panic!("{view:?}") };
    assert!(why.contains("no answer arrived within 10m"), "{why}");
}

#[tokio::test]
async fn a_bot_has_one_sign_in_and_there_are_not_too_many() {
    let place = place(Ok(Vec::new())).await;
    let first = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
    let second = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
    assert!(place.reception.view(&first).is_none() && place.reception.view(&second).is_some());
    place.reception.cancel(&second);
    assert!(place.reception.view(&second).is_none());
    for number in 0..64 {
        place.reception.begin(&bot(&format!("bot-{number}")), CALLBACK, false).unwrap();
    }
    let problem = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap_err();
    assert!(problem.contains("too many sign-ins"), "{problem}");
    let without = Arc::new(samples::bot("robin", "@daily"));
    assert!(place.reception.begin(&without, CALLBACK, false).unwrap_err().contains("no account"));
}

#[tokio::test]
async fn what_is_over_does_not_count_as_under_way() {
    let mut place = place_with(|office| office.opens = Opens::No).await;
    for number in 0..64 {
        let ticket = place.reception.begin(&bot(&format!("bot-{number}")), CALLBACK, false).unwrap();
        let view = place.until(&ticket, |view| view.end.is_some()).await;
        assert_eq!(view.end, Some(Err("it is closed".to_owned())));
    }
    place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
}

#[tokio::test]
async fn who_clicks_twice_has_answered_once() {
    let mut place = place(Ok(Vec::new())).await;
    let ticket = place.reception.begin(&bot("walt"), CALLBACK, true).unwrap();
    let asks = |question| {
        move |view: &SignInStatus| view.asked.as_ref().is_some_and(|asked| asked.question == question)
    };
    place.until(&ticket, asks(1)).await;
    place.reception.say(&ticket, 1, "1234567".to_owned());
    place.until(&ticket, asks(2)).await;
    // So slow a second click that there is another question by now.
    place.reception.say(&ticket, 1, "1111111".to_owned());
    place.reception.say(&ticket, 2, VERIFIER.to_owned());
    let view = place.until(&ticket, |view| view.end.is_some()).await;
    assert_eq!(view.end, Some(Ok(Vec::new())));
    assert_eq!(place.office.network.heard("/oauth/access_token"), 2);
}

#[tokio::test]
async fn what_is_being_kept_is_seen_through_whoever_gives_up() {
    for is_replaced in [false, true] {
        let mut place = place_with(|office| office.gate = Semaphore::new(0)).await;
        let ticket = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
        let query = place.agreed(&ticket).await;
        let gives_up = async {
            place.office.at_the_gate.notified().await;
            match is_replaced {
                true => drop(place.reception.begin(&bot("walt"), CALLBACK, false).unwrap()),
                false => place.reception.cancel(&ticket),
            }
            assert_eq!(place.reception.view(&ticket), None);
            place.office.gate.add_permits(1);
        };
        let both = async { tokio::join!(place.reception.arrive(&query), gives_up) };
        let (returned, ()) = tokio::time::timeout(SOON, both).await.expect("it never ends");
        assert_eq!(returned.unwrap().end, Ok("walt is signed in as @Walt_Lines.".to_owned()));
    }
}

#[tokio::test]
async fn a_bug_ends_a_sign_in_with_a_word() {
    let mut place = place_with(|office| office.opens = Opens::Panics).await;
    let ticket = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
    let view = place.until(&ticket, |view| view.end.is_some()).await;
    assert!(view.end.unwrap().unwrap_err().contains("ended unexpectedly"));
}

#[tokio::test]
async fn a_link_is_not_for_logs() {
    let mut place = place(Ok(Vec::new())).await;
    let ticket = place.reception.begin(&bot("walt"), CALLBACK, false).unwrap();
    let view = place.until(&ticket, |view| view.link.is_some()).await;
    assert!(!format!("{view:?}").contains("oauth_token"), "{view:?}");
}
