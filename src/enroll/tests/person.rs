//! A scripted person.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::enroll::Person;

/// The person, as the sign-in sees them.
pub(super) struct Scripted {
    lines: mpsc::UnboundedReceiver<String>,
    opened: mpsc::UnboundedSender<String>,
    told: Arc<watch::Sender<Vec<String>>>,
}

/// The test's side: controls the person, and sees what they were told.
pub(super) struct Script {
    lines: Mutex<Option<mpsc::UnboundedSender<String>>>,
    opened: mpsc::UnboundedReceiver<String>,
    told: watch::Receiver<Vec<String>>,
}

pub(super) fn scripted() -> (Scripted, Script) {
    let (type_, lines) = mpsc::unbounded_channel();
    let (open, opened) = mpsc::unbounded_channel();
    let (tell, told) = watch::channel(Vec::new());
    let person = Scripted { lines, opened: open, told: Arc::new(tell) };
    (person, Script { lines: Mutex::new(Some(type_)), opened, told })
}

#[async_trait]
impl Person for Scripted {
    fn tell(&mut self, line: &str) {
        self.told.send_modify(|told| told.push(line.to_owned()));
    }

    async fn open(&mut self, url: &str) {
        let _ = self.opened.send(url.to_owned());
    }

    async fn line(&mut self) -> Option<String> {
        self.lines.recv().await
    }
}

impl Script {
    /// Makes the person type a line.
    pub(super) fn types(&self, line: &str) {
        let lines = self.lines.lock().unwrap();
        let _ = lines.as_ref().expect("the person is there").send(line.to_owned());
    }

    /// Ends the person's input.
    pub(super) fn leaves(&self) {
        self.lines.lock().unwrap().take();
    }

    /// The page that they were asked to open.
    pub(super) async fn opened(&mut self) -> url::Url {
        self.opened.recv().await.expect("a page is to be opened").parse().unwrap()
    }

    /// Waits until they were told a line that contains these words.
    pub(super) async fn told(&mut self, words: &str) {
        let told = self.told.wait_for(|told| told.iter().any(|line| line.contains(words))).await;
        assert!(told.is_ok(), "{words:?} was not said");
    }
}
