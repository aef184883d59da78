//! The static facts about each network: one [`NetworkProfile`] each.
//!
//! A new network needs a variant of [`NetworkKind`], a profile here, a folder in `net/` with its client, and a line in
//! `net/registry.rs`. How a network counts characters, and what its responses mean, is code in that folder.

use std::time::Duration;

use unicode_segmentation::UnicodeSegmentation as _;

use super::NetworkKind;
use super::media::MediaKind;

/// The properties that distinguish networks.
#[derive(Debug)]
pub struct NetworkProfile {
    /// Its name, in its own spelling.
    pub name: &'static str,
    /// The sign-in methods, the preferred one first; none where there are no accounts.
    pub sign_in: &'static [SignInKind],
    /// Where a person signs in and out, as part of a sentence.
    pub site: &'static str,
    /// The format of handles; `None` where there are none.
    pub handle: Option<HandleRule>,
    /// Whether each of its servers has its own users, so that an account belongs to a server, and apps register there.
    pub has_servers: bool,
    /// Which tokens `flock.toml` may contain.
    pub tokens: TokenShape,
    /// Whether access tokens expire.
    pub tokens_expire: bool,
    /// Which keys an app has.
    pub app_keys: AppKeyRule,
    /// Its addresses, unless an app overrides them.
    pub addresses: Addresses,
    /// A page that every server serves or denies without an account, and that counts against no plan.
    pub health_path: &'static str,
    /// Whether an account has a bot flag that programs can set.
    pub marks_bots: bool,
    /// Whether it forbids identical posts, from one account or from several.
    pub forbids_duplicates: bool,
    /// The post options of `flock.toml` that have an effect.
    pub post_options: &'static [&'static str],
    /// The maximum number of languages of a post.
    pub languages_max: usize,
    /// How many posts it accepts; `None` if unlimited.
    pub limits: Option<PostLimits>,
    /// Its prices.
    pub prices: Prices,
    /// Which pictures it takes.
    pub media: MediaRules,
    /// How it shows an entry of several parts.
    pub threads: ThreadRules,
    /// Default of `max_per_hour`: flooding another network is worse than flooding our own feed.
    pub max_per_hour: u32,
    /// Default delays before each probe for a post whose outcome is unknown.
    pub probe_delays: &'static [Duration],
}

/// A sign-in method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignInKind {
    /// OAuth 1.0a, with a PIN where no browser can return.
    OAuth1,
    /// OAuth 2.0.
    OAuth2,
    /// An app password.
    AppPassword,
}

/// The format of handles.
#[derive(Debug)]
pub struct HandleRule {
    /// Whether a text, without `@`, is a valid handle.
    pub is_valid: fn(&str) -> bool,
    /// What it should be, for messages, after "a handle on".
    pub expected: &'static str,
}

/// Which tokens `flock.toml` may contain, or a person may enter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenShape {
    /// An access token and its secret.
    Pair,
    /// An access token alone.
    Single,
    /// None: they must be renewed and stored.
    Kept,
}

/// Which keys an app has in `flock.toml`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppKeyRule {
    /// Those of OAuth 1.0a, of OAuth 2.0, or both.
    ConsumerOrClient,
    /// Those of OAuth 2.0, or none, in which case the app registers itself.
    ClientIfAny,
    /// None.
    Nothing,
}

/// The addresses of a network; empty where it has none, or none that all servers share.
#[derive(Debug)]
pub struct Addresses {
    /// Its API.
    pub api_url: &'static str,
    /// The pages that people see.
    pub site_url: &'static str,
    /// The account directory.
    pub directory_url: &'static str,
}

/// How many posts a network accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostLimits {
    /// From all bots of an app in 24 hours, if limited.
    pub of_app_per_day: Option<u32>,
    /// From one bot within `window`.
    pub of_bot: u32,
    /// The length of that window.
    pub window: Duration,
}

/// The prices of a network, in thousandths of a US dollar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prices {
    /// A post.
    pub post: u32,
    /// A post with a link in it.
    pub post_with_link: u32,
    /// Each post that is read.
    pub read: u32,
    /// The maximum number of an account's posts that can be read.
    pub readable: u32,
    /// A picture.
    pub upload: u32,
    /// The description of a picture.
    pub alt_text: u32,
}

/// Which pictures a network takes, and how it shows them. Where servers choose these limits themselves, these are the usual
/// ones, and the account knows its server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MediaRules {
    /// The maximum number of pictures of a post.
    pub per_post: usize,
    /// The maximum size of a file, in bytes.
    pub max_bytes: u64,
    /// The same for a GIF, which is posted as it is.
    pub max_gif_bytes: u64,
    /// The maximum number of pixels.
    pub max_pixels: u64,
    /// The maximum width and height.
    pub max_side: u32,
    /// The types that it takes.
    pub kinds: &'static [MediaKind],
    /// Whether a GIF must be the only picture of its post.
    pub gif_alone: bool,
    /// The maximum length of a description, in the unit in which the network counts it.
    pub alt_max: usize,
    /// That unit.
    pub alt_unit: AltUnit,
    /// An upload that is older than this is renewed before it is used: the network drops unused uploads soon after.
    pub max_age: Duration,
    /// The scope that uploading needs beyond posting, where tokens have scopes.
    pub scope: Option<&'static str>,
    /// Whether it can hide pictures until a reader asks for them.
    pub hides_pictures: bool,
    /// Whether it can display another text until a reader opens the post.
    pub has_spoiler_text: bool,
}

/// How a network counts the length of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AltUnit {
    /// In Unicode code points.
    CodePoints,
    /// In what people see as characters.
    Graphemes,
}

impl AltUnit {
    /// The length of a description.
    pub fn length(self, alt: &str) -> usize {
        match self {
            Self::CodePoints => alt.chars().count(),
            Self::Graphemes => alt.graphemes(true).count(),
        }
    }
}

/// How a network shows an entry of several parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadRules {
    /// As one post with the whole text and all pictures.
    Whole,
    /// As posts that answer each other.
    Replies {
        /// The pause before each part after the first: the network may not show the one before at once.
        pause: Duration,
        /// Whether parts after the first stay out of public timelines.
        unlisted: bool,
    },
}

impl ThreadRules {
    /// Whether each part is a post of its own.
    pub const fn has_replies(self) -> bool {
        matches!(self, Self::Replies { .. })
    }
}

impl Prices {
    const FREE: Self = Self { post: 0, post_with_link: 0, read: 0, readable: 0, upload: 0, alt_text: 0 };

    /// The cost of reading this many posts.
    pub fn of_reading(&self, posts: usize) -> u32 {
        u32::try_from(posts).unwrap_or(u32::MAX).saturating_mul(self.read)
    }

    /// The maximum cost of reading every post that the network shows of an account.
    pub const fn of_history(&self) -> u32 {
        self.readable.saturating_mul(self.read)
    }
}

/// The addresses of a network without servers.
const NOWHERE: Addresses = Addresses { api_url: "", site_url: "", directory_url: "" };

/// The usual delays before each probe: an accepted post normally shows within seconds, and a line that is posted twice
/// can't be undone.
const LOOKS: &[Duration] = &[Duration::from_secs(10), Duration::from_secs(60), Duration::from_secs(300)];

/// The delays on Bluesky, where a server shows at once what it has: only an attempt that was cut off may still be in
/// transit.
const LOOKS_AT_RECORDS: &[Duration] = &[Duration::from_secs(5), Duration::from_secs(60)];

/// X. Its limits are those of `POST /2/tweets` (docs.x.com, "Rate limits"; where X's pages differ, the lower number),
/// its prices pay-per-use since 2026-02-06, as of 2026-04-20 (docs.x.com, "Pricing"). X charges less for reading if the
/// account owns the app, which can't be known here. It shows the newest 3,200 posts of an account (docs.x.com,
/// "Timelines"). Its limits on pictures are those of docs.x.com, "Media" (the sides: of its upload page), and it drops an
/// unused upload after a day.
static X: NetworkProfile = NetworkProfile {
    name: "X",
    sign_in: &[SignInKind::OAuth1, SignInKind::OAuth2],
    site: "at x.com",
    handle: Some(HandleRule { is_valid: is_x_handle, expected: "X: 1 to 15 letters, digits and `_`" }),
    has_servers: false,
    tokens: TokenShape::Pair,
    tokens_expire: true,
    app_keys: AppKeyRule::ConsumerOrClient,
    addresses: Addresses { api_url: "https://api.x.com", site_url: "https://x.com", directory_url: "" },
    health_path: "/",
    marks_bots: false,
    forbids_duplicates: true,
    post_options: &[],
    languages_max: 1,
    limits: Some(PostLimits {
        of_app_per_day: Some(10_000),
        of_bot: 100,
        window: Duration::from_secs(15 * 60),
    }),
    prices: Prices { post: 15, post_with_link: 200, read: 5, readable: 3_200, upload: 0, alt_text: 5 },
    media: MediaRules {
        per_post: 4,
        max_bytes: 5_000_000,
        max_gif_bytes: 15_000_000,
        max_pixels: 8_192 * 8_192,
        max_side: 8_192,
        kinds: MediaKind::ALL,
        gif_alone: true,
        alt_max: 1_000,
        alt_unit: AltUnit::CodePoints,
        max_age: Duration::from_secs(20 * 60 * 60),
        scope: Some("media.write"),
        hides_pictures: false,
        has_spoiler_text: false,
    },
    threads: ThreadRules::Replies { pause: Duration::from_secs(5), unlisted: false },
    max_per_hour: 60,
    probe_delays: LOOKS,
};

/// Mastodon and compatible servers, with the default limits of a server (docs.joinmastodon.org, "Rate limits" and
/// "Instance"). Unused uploads live for about a day.
static MASTODON: NetworkProfile = NetworkProfile {
    name: "Mastodon",
    sign_in: &[SignInKind::OAuth2],
    site: "on the server",
    handle: Some(HandleRule {
        is_valid: is_mastodon_handle,
        expected: "its server, like \"walt\" or \"walt@example.social\"",
    }),
    has_servers: true,
    tokens: TokenShape::Single,
    tokens_expire: false,
    app_keys: AppKeyRule::ClientIfAny,
    addresses: NOWHERE,
    health_path: "/",
    marks_bots: true,
    forbids_duplicates: false,
    post_options: &["visibility", "language", "spoiler_text"],
    languages_max: 1,
    limits: Some(PostLimits { of_app_per_day: None, of_bot: 300, window: Duration::from_secs(3 * 60 * 60) }),
    prices: Prices::FREE,
    media: MediaRules {
        per_post: 4,
        max_bytes: 16 * 1024 * 1024,
        max_gif_bytes: 16 * 1024 * 1024,
        max_pixels: 33_177_600,
        max_side: 16_384,
        kinds: MediaKind::ALL,
        gif_alone: false,
        alt_max: 1_500,
        alt_unit: AltUnit::CodePoints,
        max_age: Duration::from_secs(20 * 60 * 60),
        scope: Some("write:media"),
        hides_pictures: true,
        has_spoiler_text: true,
    },
    threads: ThreadRules::Replies { pause: Duration::ZERO, unlisted: true },
    max_per_hour: 60,
    probe_delays: LOOKS,
};

/// Bluesky. A server accepts 5,000 points an hour from an account, and a post costs two (docs.bsky.app, "Rate limits");
/// a post may have three languages (lexicon app.bsky.feed.post). The limits on pictures are those of the lexicon
/// app.bsky.embed.images, and the sides and the length of a description those of Bluesky's own app, as others would be
/// scaled and cut there. A server may drop an unused upload after an hour.
static BLUESKY: NetworkProfile = NetworkProfile {
    name: "Bluesky",
    sign_in: &[SignInKind::AppPassword],
    site: "at bsky.app",
    handle: Some(HandleRule { is_valid: is_bluesky_handle, expected: "Bluesky, like \"walt.bsky.social\"" }),
    has_servers: false,
    tokens: TokenShape::Kept,
    tokens_expire: true,
    app_keys: AppKeyRule::Nothing,
    addresses: Addresses {
        api_url: "https://bsky.social",
        site_url: "https://bsky.app",
        directory_url: "https://plc.directory",
    },
    health_path: "/xrpc/_health",
    marks_bots: true,
    forbids_duplicates: false,
    post_options: &["language"],
    languages_max: 3,
    limits: Some(PostLimits { of_app_per_day: None, of_bot: 2_500, window: Duration::from_secs(60 * 60) }),
    prices: Prices::FREE,
    media: MediaRules {
        per_post: 4,
        max_bytes: 2_000_000,
        max_gif_bytes: 0,
        max_pixels: 4_000 * 4_000,
        max_side: 4_000,
        kinds: &[MediaKind::Jpeg, MediaKind::Png, MediaKind::Webp],
        gif_alone: false,
        alt_max: 2_000,
        alt_unit: AltUnit::Graphemes,
        max_age: Duration::from_secs(50 * 60),
        scope: None,
        hides_pictures: true,
        has_spoiler_text: false,
    },
    threads: ThreadRules::Replies { pause: Duration::ZERO, unlisted: false },
    max_per_hour: 60,
    probe_delays: LOOKS_AT_RECORDS,
};

/// The feed that the daemon serves itself.
static FEED: NetworkProfile = local("Atom feed");

/// The network of a dry run.
static PAPER: NetworkProfile = local("paper");

/// Pictures on the built-in networks: whatever flockd itself can handle.
const LOCAL_MEDIA: MediaRules = MediaRules {
    per_post: 20,
    max_bytes: 16 * 1024 * 1024,
    max_gif_bytes: 16 * 1024 * 1024,
    max_pixels: 33_177_600,
    max_side: 16_384,
    kinds: MediaKind::ALL,
    gif_alone: false,
    alt_max: 10_000,
    alt_unit: AltUnit::CodePoints,
    max_age: Duration::MAX,
    scope: None,
    hides_pictures: true,
    has_spoiler_text: true,
};

/// A built-in network without accounts.
const fn local(name: &'static str) -> NetworkProfile {
    NetworkProfile {
        name,
        sign_in: &[],
        site: "",
        handle: None,
        has_servers: false,
        tokens: TokenShape::Kept,
        tokens_expire: false,
        app_keys: AppKeyRule::Nothing,
        addresses: NOWHERE,
        health_path: "/",
        marks_bots: false,
        forbids_duplicates: false,
        post_options: &[],
        languages_max: 1,
        limits: None,
        prices: Prices::FREE,
        media: LOCAL_MEDIA,
        threads: ThreadRules::Whole,
        max_per_hour: 3_600,
        probe_delays: LOOKS,
    }
}

impl NetworkKind {
    /// The network's profile.
    pub const fn profile(self) -> &'static NetworkProfile {
        match self {
            Self::X => &X,
            Self::Mastodon => &MASTODON,
            Self::Bluesky => &BLUESKY,
            Self::Feed => &FEED,
            Self::Paper => &PAPER,
        }
    }

    /// Whether a bot needs an app and tokens to post there.
    pub const fn needs_account(self) -> bool {
        !self.profile().sign_in.is_empty()
    }

    /// Whether a bot may sign in by this method.
    pub fn signs_in_by(self, kind: SignInKind) -> bool {
        self.profile().sign_in.contains(&kind)
    }
}

/// X's rule for handles.
fn is_x_handle(handle: &str) -> bool {
    (1..=15).contains(&handle.len()) && handle.bytes().all(is_word)
}

/// A user, with or without a server. Servers have different rules for user names.
fn is_mastodon_handle(handle: &str) -> bool {
    let (user, server) = handle.split_once('@').map_or((handle, None), |(user, server)| (user, Some(server)));
    let is_user = !user.is_empty() && user.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'));
    is_user && server.is_none_or(is_domain)
}

/// A domain, or the DID of an account.
fn is_bluesky_handle(handle: &str) -> bool {
    handle.starts_with("did:plc:") || handle.starts_with("did:web:") || is_domain(handle)
}

/// A domain of at least two labels, as handles of the AT Protocol are (atproto.com, specs/handle).
fn is_domain(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
