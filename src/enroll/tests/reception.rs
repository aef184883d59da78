//! Sign-ins from the dashboard: who is waited for, for how long, and what ends one.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::*;
use crate::enroll::{Desk, Reception, View};
use crate::flock::account::{App, ConsumerSources};
use crate::flock::secret::{Secret, SecretSource};
use crate::flock::{Bot, BotName, samples};
use crate::store::Envelope;

const CALLBACK: &str = "http://127.0.0.1:7878/callback";

/// A desk that keeps nothing, and passes on that something has changed.
struct Office {
    network: Network,
    answer: Result<Vec<String>, String>,
    news: mpsc::UnboundedSender<()>,
}

#[async_trait]
impl Desk for Office {
    async fn open(
        &self,
        _: &Arc<Bot>,
        redirects: &[String],
    ) -> Result<(Arc<dyn AccountApi>, Envelope), String> {
        assert!(redirects.contains(&CALLBACK.to_owned()));
        Ok((Arc::new(self.network.x()), Envelope::default()))
    }

    async fn keep(&self, _: &Bot, _: &Account, _: &Tokens, _: &Envelope) -> Result<Vec<String>, String> {
        self.answer.clone()
    }

    fn changed(&self, _: &BotName) {
        let _ = self.news.send(());
    }
}

struct Place {
    reception: Reception,
    news: mpsc::UnboundedReceiver<()>,
    deadline: Arc<Deadline>,
}

async fn place(answer: Result<Vec<String>, String>) -> Place {
    let network = Network::start(Ways::default()).await;
    let (tell, news) = mpsc::unbounded_channel();
    let deadline = Arc::new(Deadline::default());
    let desk = Arc::new(Office { network, answer, news: tell });
    Place { reception: Reception::new(desk, deadline.clone()), news, deadline }
}

fn bot(name: &str) -> Arc<Bot> {
    let secret = || SecretSource::Literal(Secret::new("k"));
    let consumer = Some(ConsumerSources { key: secret(), secret: secret() });
    let app = Some(Arc::new(App { consumer, ..samples::app("x") }));
    Arc::new(Bot { app, account: None, ..samples::bot(name, "@daily") })
}

impl Place {
    /// The sign-in once it is like that.
    async fn until(&mut self, ticket: &str, is: impl Fn(&View) -> bool) -> View {
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
        format!("oauth_token={token}&oauth_verifier=verifier")
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
    assert!(why.contains("nothing came back within 10m"), "{why}");
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
