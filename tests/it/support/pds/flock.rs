//! Flocks whose bots are on the PDS, and the person who signs them in.

use super::super::program::{Folder, Said};
use super::super::signing::{feed, poem};
use super::{Front, Pds, Poet};

impl Front {
    /// A flock that comes by this front. Each bot has a poem of three lines, `NAME one` and so on.
    pub fn flock(&self, bots: &[(&str, &Poet, &str)]) -> Folder {
        let url = &self.url;
        let mut text = format!(
            "[web]\nlisten = \"127.0.0.1:PORT\"\n[apps.sky]\nnetwork = \"bluesky\"\napi_url = \"{url}\"\n\
             directory_url = \"{url}\"\nlooks = [\"100ms\", \"200ms\"]\n"
        );
        for (name, poet, schedule) in bots {
            text.push_str(&format!(
                "[bots.{name}]\napp = \"sky\"\naccount = \"{}\"\npoem = \"{name}.txt\"\nschedule = \"{schedule}\"\n",
                poet.handle
            ));
        }
        let folder = Folder::with(&text);
        for (name, ..) in bots {
            folder.write(&format!("{name}.txt"), poem(name).join("\n").as_bytes());
        }
        folder
    }
}

impl Pds {
    /// An account with this name, its front, and a flock with it as its one bot, which is signed in.
    pub async fn settled(&self, name: &str, schedule: &str) -> (Front, Poet, Folder) {
        let (front, poet) = (Front::before(self).await, self.account(name).await);
        let folder = front.flock(&[(name, &poet, schedule)]);
        enroll(&folder, name, &poet);
        (front, poet, folder)
    }
}

/// Signs a bot in: the app password comes by a pipe.
pub fn enroll(folder: &Folder, bot: &str, poet: &Poet) -> Said {
    let said = feed(folder.command(&["enroll", bot]), &poet.app_password);
    assert!(said.code == 0 && said.out.contains("is signed in as @"), "{said:?}");
    said
}
