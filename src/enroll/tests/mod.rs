//! Signing in from the person's point of view: a scripted person and a browser on one side, a fake X on the
//! other.

mod browser;
mod fake_network;
mod person;
mod verify;
mod web_sign_ins;

use std::time::Duration;

use reqwest::{Client, Response, StatusCode};
use tokio::sync::Notify;

use super::*;
use crate::net::http;
use fake_network::{FakeNetwork, Ways};
use person::{Script, scripted};

/// A timeout that no working test reaches.
const SOON: Duration = Duration::from_secs(20);

/// A clock that stands still until the test fires the deadline.
#[derive(Default)]
struct Deadline(Notify);

#[async_trait]
impl Clock for Deadline {
    fn now(&self) -> chrono::DateTime<chrono::Utc> {
        chrono::DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }

    async fn sleep(&self, _duration: Duration) {
        self.0.notified().await;
    }
}

/// What a test does while the sign-in runs: it plays both the person and their browser.
struct Outside {
    network: FakeNetwork,
    script: Script,
    deadline: std::sync::Arc<Deadline>,
    client: Client,
}

impl Outside {
    /// The address of the page that the person was asked to open.
    async fn page(&mut self) -> url::Url {
        self.script.opened().await
    }

    /// The address to which the network was told to send the browser, once the person was shown the page.
    async fn callback(&mut self) -> String {
        let page = self.page().await;
        let given = page.query_pairs().find(|(key, _)| key == "redirect_uri");
        given.map_or_else(|| self.network.callback(), |(_, address)| address.into_owned())
    }

    async fn get(&self, address: &str) -> (StatusCode, String) {
        let answer: Response = self.client.get(address).send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }
}

fn plan(method: SignInMethod) -> SignInPlan {
    let timeout = Duration::from_secs(600);
    SignInPlan { bot: "walt".to_owned(), method, port: 0, handle: Some("walt_lines".to_owned()), timeout }
}

fn oauth1() -> SignInPlan {
    plan(SignInMethod::OAuth1 { pin: false })
}

fn pin() -> SignInPlan {
    plan(SignInMethod::OAuth1 { pin: true })
}

fn oauth2() -> SignInPlan {
    plan(SignInMethod::OAuth2 { grant: "grant-1".to_owned(), pin: false })
}

/// Runs a sign-in and the test concurrently; then tells the browser that the tokens are saved.
async fn run<F>(ways: Ways, plan: SignInPlan, outside: impl FnOnce(Outside) -> F) -> Result<(), EnrollError>
where
    F: Future<Output = Outside>,
{
    let network = FakeNetwork::start(ways).await;
    let x = network.x();
    let (mut person, script) = scripted();
    let deadline = std::sync::Arc::new(Deadline::default());
    let client = Client::builder().no_proxy().build().unwrap();
    let outside = outside(Outside { network, script, deadline: deadline.clone(), client });
    let inside = async {
        let signed = sign_in(&x, &plan, &mut person, &*deadline).await?;
        assert!(plan.handle.iter().all(|handle| handle.eq_ignore_ascii_case(&signed.account.handle)));
        signed.tell_browser(Ok(())).await;
        Ok(())
    };
    let both = async { tokio::join!(inside, outside) };
    let (done, outside) = tokio::time::timeout(SOON, both).await.expect("it never ends");
    drop(outside);
    done
}

#[tokio::test]
async fn a_browser_comes_back_by_oauth_1() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        let callback = outside.callback().await;
        let (status, page) = outside.get(&format!("{callback}?oauth_token=ask&oauth_verifier=ver")).await;
        assert_eq!(status, 200);
        assert!(page.contains("walt is signed in as @Walt_Lines."), "{page}");
        assert_eq!(outside.network.heard("/oauth/access_token"), 1);
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn the_page_asks_for_the_right_account_and_the_prompt_says_what_to_do() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        let page = outside.page().await;
        assert!(
            page.path() == "/oauth/authorize" && page.query().unwrap().contains("screen_name=walt_lines")
        );
        outside.script.types("?oauth_token=ask&oauth_verifier=ver");
        outside.script.told("the browser comes back here by itself").await;
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn a_browser_comes_back_by_oauth_2() {
    let done = run(Ways::default(), oauth2(), async |mut outside| {
        let page = outside.page().await;
        let given = |key: &str| page.query_pairs().find(|(name, _)| name == key).unwrap().1.into_owned();
        assert_eq!(
            (given("code_challenge_method"), given("client_id")),
            ("S256".to_owned(), "app".to_owned())
        );
        let back = format!("{}?state={}&code=co", given("redirect_uri"), given("state"));
        assert_eq!(outside.get(&back).await.0, 200);
        assert_eq!(outside.network.heard("/2/oauth2/token"), 1);
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn what_is_pasted_counts_as_much() {
    for line in ["\"http://127.0.0.1:1/callback?oauth_token=ask&oauth_verifier=ver\"", "1234567"] {
        let done = run(Ways::default(), oauth1(), async |outside| {
            outside.script.types(line);
            outside
        });
        done.await.unwrap();
    }
}

#[tokio::test]
async fn a_pasted_code_needs_no_state_but_may_not_have_another() {
    let done = run(Ways::default(), oauth2(), async |mut outside| {
        outside.script.types("?code=co&state=other");
        outside.script.told("it belongs to another sign-in").await;
        outside.script.types("a-code-of-20-letters");
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn a_pin_needs_no_listener() {
    let done = run(Ways::default(), pin(), async |mut outside| {
        outside.page().await;
        assert_eq!(outside.network.callback(), "oob");
        outside.script.told("paste the PIN that is shown, and press Enter:").await;
        outside.script.types("1234567");
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn a_mistyped_pin_may_be_typed_again_but_not_for_ever() {
    let strict = Ways { verifier: "7654321", ..Ways::default() };
    let done = run(strict.clone(), pin(), async |mut outside| {
        outside.script.types("1234567");
        outside.script.told("or type it again").await;
        outside.script.types("7654321");
        outside
    });
    done.await.unwrap();
    let done = run(strict, pin(), async |outside| {
        ["1", "2", "3"].iter().for_each(|digit| outside.script.types(&digit.repeat(7)));
        outside
    });
    let error = done.await.unwrap_err();
    assert!(matches!(&error, EnrollError::Rejection(rejection) if rejection.answered), "{error}");
}

#[tokio::test]
async fn rubbish_is_asked_about_three_times() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        outside.script.types("hello");
        outside.script.told("not accepted: it is neither a PIN nor an address").await;
        for line in ["", " ", "two words", "?oauth_token=other&oauth_verifier=ver"] {
            outside.script.types(line);
        }
        outside
    });
    assert_eq!(done.await, Err(EnrollError::NoAnswer { bot: "walt".to_owned() }));
}

#[tokio::test]
async fn lines_without_end_are_rubbish_too() {
    let done = run(Ways::default(), oauth1(), async |outside| {
        (0..30).for_each(|_| outside.script.types(""));
        outside
    });
    assert_eq!(done.await, Err(EnrollError::NoAnswer { bot: "walt".to_owned() }));
}

#[tokio::test]
async fn who_says_no_is_told_how_to_say_yes() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        let callback = outside.callback().await;
        let (status, page) = outside.get(&format!("{callback}?denied=ask")).await;
        assert!(status == 400 && page.contains("you declined on the page"), "{page}");
        outside
    });
    assert_eq!(done.await, Err(EnrollError::Denied { bot: "walt".to_owned() }));
    let done = run(Ways::default(), oauth2(), async |outside| {
        outside.script.types("?error=access_denied");
        outside
    });
    assert_eq!(done.await, Err(EnrollError::Denied { bot: "walt".to_owned() }));
}

#[tokio::test]
async fn waiting_ends() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        outside.page().await;
        outside.deadline.0.notify_one();
        outside
    });
    let error = done.await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no answer arrived within 10m: run `flockd enroll walt` again, agree on the page, and paste the address at \
         which the browser ends if it can't come back by itself, or the PIN if one is shown"
    );
}

#[tokio::test]
async fn without_input_the_browser_is_waited_for() {
    let done = run(Ways::default(), oauth1(), async |mut outside| {
        let callback = outside.callback().await;
        outside.script.leaves();
        outside.script.told("the input has ended; waiting for the browser").await;
        let (status, _) = outside.get(&format!("{callback}?oauth_token=ask&oauth_verifier=ver")).await;
        assert_eq!(status, 200);
        outside
    });
    done.await.unwrap();
}

#[tokio::test]
async fn without_input_and_without_a_listener_nothing_can_come() {
    let done = run(Ways::default(), pin(), async |outside| {
        outside.script.leaves();
        outside
    });
    assert_eq!(done.await, Err(EnrollError::NoInput { bot: "walt".to_owned() }));
}

#[tokio::test]
async fn an_app_that_is_not_known_fails_before_anybody_is_asked() {
    let done = run(Ways { keys_known: false, ..Ways::default() }, oauth1(), async |outside| outside);
    let error = done.await.unwrap_err().to_string();
    assert!(error.starts_with("X does not accept the app's consumer key and secret"), "{error}");
}

#[tokio::test]
async fn a_code_that_is_not_accepted_ends_it_and_the_browser_is_told() {
    let done = run(Ways { code: "other", ..Ways::default() }, oauth2(), async |mut outside| {
        let page = outside.page().await;
        let given = |key: &str| page.query_pairs().find(|(name, _)| name == key).unwrap().1.into_owned();
        let back = format!("{}?state={}&code=co", given("redirect_uri"), given("state"));
        let (status, page) = outside.get(&back).await;
        assert!(status == 400 && page.contains("X does not accept the code"), "{page}");
        assert!(!page.contains(&given("state")), "{page}");
        outside
    });
    assert!(matches!(done.await, Err(EnrollError::Rejection(_))));
}
