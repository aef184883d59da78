//! The ear of a house: what an engine tells is kept until a test asks.

use std::sync::Mutex;

use flockd::flock::event::Event;
use tokio::sync::watch;

/// Hears every event, and keeps it until it is asked for.
#[derive(Default)]
pub(super) struct Ear {
    heard: Mutex<Vec<(Event, bool)>>,
    news: watch::Sender<()>,
}

impl Ear {
    pub(super) fn hear(&self, event: &Event) {
        self.heard.lock().unwrap().push((event.clone(), false));
        self.news.send_replace(());
    }

    /// Waits for such an event that was not taken yet, and takes it.
    pub(super) async fn hears(&self, wanted: impl Fn(&Event) -> bool) -> Event {
        let mut news = self.news.subscribe();
        loop {
            news.mark_unchanged();
            if let Some(event) = self.take(&wanted) {
                return event;
            }
            news.changed().await.expect("the ear lives as long as it is borrowed");
        }
    }

    /// The first such event that was not taken yet.
    fn take(&self, wanted: impl Fn(&Event) -> bool) -> Option<Event> {
        let mut heard = self.heard.lock().unwrap();
        let (event, taken) = heard.iter_mut().find(|(event, taken)| !taken && wanted(event))?;
        *taken = true;
        Some(event.clone())
    }

    /// Everything that was told.
    pub(super) fn all(&self) -> Vec<Event> {
        self.heard.lock().unwrap().iter().map(|(event, _)| event.clone()).collect()
    }
}
