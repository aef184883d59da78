//! The ledger and the vault of a test engine as commands and other daemons see them: rows to read, commands
//! to submit, bots to sign in and out behind the engine's back, and ways to damage the file.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use flockd::flock::BotName;
use flockd::flock::account::Tokens;
use flockd::flock::post::{Post, PostId};
use flockd::store::sqlite::Sqlite;
use flockd::store::vault::{StoredTokens, Vault, VaultKey};
use flockd::store::{BotRecord, Command, CommandKind, CommandResult, Filter, Store};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, SqliteConnection};

use super::clock::seconds;
use super::fixture::EngineFixture;
use super::network::account;

impl EngineFixture {
    /// A bot's rows in the ledger, oldest first.
    pub(crate) async fn rows(&self, bot: &str) -> Vec<Post> {
        let filter = Filter { bot: Some(bot.parse().unwrap()), ..Filter::default() };
        let mut rows = self.ledger.posts(&filter).await.unwrap();
        rows.reverse();
        rows
    }

    /// The newest of them.
    pub(crate) async fn last(&self, bot: &str) -> Post {
        self.rows(bot).await.pop().expect("a row")
    }

    /// A bot's rows as text: the minute of the slot, the state, the cause, and the text.
    pub(crate) async fn history(&self, bot: &str) -> Vec<String> {
        self.rows(bot).await.iter().map(line_of).collect()
    }

    pub(crate) async fn standing(&self, bot: &str) -> BotRecord {
        self.ledger.bot_record(&bot.parse().unwrap(), self.now()).await.unwrap().unwrap()
    }

    /// Submits a command and notifies the engine, as a command does.
    pub(crate) async fn ask(&self, what: CommandKind) -> PostId {
        let id = self.submit_command(what).await;
        self.ledger.notify().await;
        id
    }

    /// Submits a command without notifying the engine.
    pub(crate) async fn submit_command(&self, what: CommandKind) -> PostId {
        let now = self.now();
        // Ids made within a millisecond are ordered by their random part; here it increases.
        let count = self.commands.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut growing = [0; 10];
        growing[..8].copy_from_slice(&count);
        let id = PostId::new(now, growing);
        self.ledger.submit_command(&Command { id, what, made_at: now }).await.unwrap();
        id
    }

    /// Submits the settling of a bot's newest post without notifying the engine.
    pub(crate) async fn write_settle(&self, bot: &str, posted: bool) -> PostId {
        let post = self.last(bot).await.id.to_string();
        self.submit_command(CommandKind::Settle { bot: bot.to_owned(), post, posted }).await
    }

    /// Reports every open command as still awaited, as commands do every two seconds.
    pub(crate) async fn still_waiting(&self) {
        for command in self.ledger.open_commands().await.unwrap() {
            self.ledger.submit_command(&Command { made_at: self.now(), ..command }).await.unwrap();
        }
    }

    /// Waits for the answer to a command.
    pub(crate) async fn answer(&self, id: PostId) -> CommandResult {
        let asked = async {
            loop {
                if let Some(answer) = self.ledger.command_result(id).await.unwrap() {
                    return answer;
                }
                tokio::task::yield_now().await;
            }
        };
        let answer = self.patiently("an answer", asked).await;
        self.at_rest().await;
        answer
    }

    /// Has a bot post a text, or its next line, and waits for the answer.
    pub(crate) async fn post(&self, bot: &str, text: Option<&str>) -> CommandResult {
        let text = text.map(str::to_owned);
        let id = self.ask(CommandKind::Post { bot: bot.to_owned(), text }).await;
        self.answer(id).await
    }

    /// Has a bot post its next line. Its network may hold that, so this does not wait for the answer; by the end the
    /// command was received.
    pub(crate) async fn post_without_waiting(&self, bot: &str) {
        self.ask(CommandKind::Post { bot: bot.to_owned(), text: None }).await;
        self.pass(seconds(31)).await;
    }

    /// Pauses a bot, or resumes it.
    pub(crate) async fn toggle_pause(&self, bot: &str) {
        let is_paused = self.standing(bot).await.paused.is_some();
        let bot = bot.to_owned();
        self.ask(if is_paused { CommandKind::Resume { bot } } else { CommandKind::Pause { bot } }).await;
        self.pass(seconds(31)).await;
    }

    /// Settles a post, and waits for the answer.
    pub(crate) async fn settle_post(&self, post: &Post, posted: bool) -> CommandResult {
        let (bot, post) = (post.bot.to_string(), post.id.to_string());
        let id = self.ask(CommandKind::Settle { bot, post, posted }).await;
        self.answer(id).await
    }

    /// Settles a bot's newest post, and waits for the answer.
    pub(crate) async fn settle(&self, bot: &str, posted: bool) -> CommandResult {
        let id = self.write_settle(bot, posted).await;
        self.ledger.notify().await;
        self.answer(id).await
    }

    /// Waits until a bot's network holds a request.
    pub(crate) async fn net_holds(&self, bot: &str) {
        let mut stirs = self.clock.stirs();
        let held = async {
            while self.net(bot).held() == 0 {
                stirs.changed().await.unwrap();
            }
        };
        self.patiently("a request", held).await;
    }

    /// Makes the ledger refuse this kind of change, until [`EngineFixture::heal`].
    pub(crate) async fn spoil(&self, when: &str) {
        self.tamper(&format!("create trigger spoilt {when} begin select raise(abort, 'spoilt'); end")).await;
    }

    pub(crate) async fn heal(&self) {
        self.tamper("drop trigger spoilt").await;
    }

    /// Changes the ledger behind flockd's back.
    pub(crate) async fn tamper(&self, statement: &str) {
        let mut db = self.stranger().await;
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut db).await.unwrap();
    }

    /// The ledger as another program sees it.
    pub(crate) async fn stranger(&self) -> SqliteConnection {
        let path = self.folder.path().join("flock.db");
        SqliteConnectOptions::new().filename(path).connect().await.unwrap()
    }

    /// The sum of a numeric column.
    pub(crate) async fn sum(&self, select: &str) -> i64 {
        let path = self.folder.path().join("flock.db");
        let mut db = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        let numbers: Vec<i64> = sqlx::query_scalar(AssertSqlSafe(select)).fetch_all(&mut db).await.unwrap();
        numbers.iter().sum()
    }

    /// The ledger as a command sees it.
    pub(crate) fn ledger(&self) -> &Sqlite {
        &self.ledger
    }
}

fn line_of(post: &Post) -> String {
    let slot = post.slot.map_or("by hand".to_owned(), |slot| slot.format("%H:%M:%S").to_string());
    let cause = post.cause.map_or(String::new(), |cause| format!(" ({cause})"));
    format!("{slot} {}{cause} {}", post.state, post.text.as_deref().unwrap_or("-"))
}

impl EngineFixture {
    /// Signs a bot in, each with a separate account.
    pub(crate) async fn sign_in(&self, bot: &str, tokens: &Tokens) {
        let version = self.version(bot).await;
        let (vault, account, now) = (self.vault(), account(bot), self.now());
        vault.sign_in(&name(bot), &account, tokens, version, now).await.unwrap();
    }

    /// Removes a bot's tokens.
    pub(crate) async fn sign_out(&self, bot: &str) {
        let version = self.version(bot).await;
        self.vault().sign_out(&name(bot), version).await.unwrap();
    }

    /// Puts newer tokens into the vault, as another process does after renewing them.
    pub(crate) async fn renew_elsewhere(&self, bot: &str, tokens: &Tokens) {
        let version = self.version(bot).await;
        self.vault().renewed(&name(bot), tokens, version).await.unwrap();
    }

    /// Has another process start renewing a bot's tokens, with a lease this long.
    pub(crate) async fn claim_elsewhere(&self, bot: &str, length: TimeDelta) {
        let (version, now) = (self.version(bot).await, self.now());
        assert!(self.ledger.lease_credential(&name(bot), version, now, now + length).await.unwrap());
    }

    /// Rekeys the vault, as a command does.
    pub(crate) async fn rekey(&self) {
        assert_eq!(self.vault().rekey(self.now()).await.unwrap(), 1);
    }

    /// A bot's tokens in the vault.
    pub(crate) async fn tokens(&self, bot: &str) -> Option<Tokens> {
        self.kept(bot).await.tokens
    }

    /// Their version.
    pub(crate) async fn version(&self, bot: &str) -> u64 {
        self.kept(bot).await.version
    }

    async fn kept(&self, bot: &str) -> StoredTokens {
        self.vault().tokens(&name(bot)).await.unwrap()
    }

    fn vault(&self) -> Vault {
        Vault::new(self.ledger.clone(), VaultKey::File(self.folder.path().join("flock.key")))
    }
}

fn name(bot: &str) -> BotName {
    bot.parse().unwrap()
}
