//! The faults, in the order of `docs/faults.md`.

use super::case::{Case, GROWING, Way, answers, forbidden, in_seconds, too_many, unreadable};
use crate::support::fake_x::{Behaviour, Reply};
use crate::support::machine::Ports;

/// Provably nothing was sent.
pub(super) const UNREACHABLE: &[Case] = &[
    Case::never_left("connection refused", |_| {
        // A port that no other test gets.
        let closed = Box::leak(Box::new(Ports::one()));
        format!("http://127.0.0.1:{}", closed.first)
    }),
    Case::never_left("name not found (DNS)", |_| "https://missing.invalid".to_owned()),
    Case::never_left("TLS fails", |url| url.replace("http:", "https:")),
];

/// The request was sent, and no answer settles it.
pub(super) const DOUBTS: &[Case] = &[
    Case::not_stored("connection reset before the request is read", |fake, _| {
        fake.next_post(Behaviour::CloseUnread);
    }),
    Case::not_stored("connection closed after the request is read", |fake, _| {
        fake.next_post(Behaviour::Close);
    }),
    Case::stored("connection closed after the post is stored", |fake, _| {
        fake.next_post(Behaviour::StoreAndClose);
    }),
    Case::stored("answer broken off", |fake, _| fake.next_post(Behaviour::StoreAndBreakOff)),
    Case {
        does: "waits 30 seconds, then looks at the account",
        way: Way::ClientOnly(|| Behaviour::StoreAndHang),
        ..Case::stored("no answer (timeout)", |_, _| ())
    },
    Case::stored("200 with broken JSON", |fake, _| {
        fake.next_post(Behaviour::StoreAndAnswer(Reply::new(200, "{\"data\":{\"id\":")));
    }),
    Case::not_stored("200 without a post in it", |fake, _| answers(fake, Reply::new(200, "{}"))),
    Case::not_stored("500", |fake, _| {
        answers(fake, Reply::new(500, "{\"title\":\"Internal Server Error\"}"));
    }),
    Case::not_stored("502, then success", |fake, _| {
        answers(fake, Reply::new(502, "<html>bad gateway</html>"));
    }),
    Case::stored("502, although the post is stored", |fake, _| {
        fake.next_post(Behaviour::StoreAndAnswer(Reply::new(502, "<html>bad gateway</html>")));
    }),
    Case::stored("403 with a proxy's page, although the post is stored", |fake, _| {
        fake.next_post(Behaviour::StoreAndAnswer(Reply::page(403, "Just a moment...")));
    }),
    Case::stored("307, although the post is stored", |fake, _| {
        let elsewhere = Reply::new(307, "").header("location", format!("{}/2/tweets", fake.url));
        fake.next_post(Behaviour::StoreAndAnswer(elsewhere));
    }),
    Case::not_stored("503", |fake, _| {
        answers(fake, Reply::new(503, "{\"title\":\"Service Unavailable\"}").header("retry-after", "0"));
    }),
    Case {
        does: "takes that as proof that the first attempt arrived",
        logs: &[("outcome-unknown", "silence"), ("retry-scheduled", ""), ("posted", "one")],
        sent: 2,
        known: false,
        ..Case::stored("403 duplicate content, on the repeat of an attempt that was not found", |fake, _| {
            fake.hide_new_posts(9);
            fake.next_post(Behaviour::StoreAndClose);
        })
    },
    Case {
        does: "assumes that it was posted, and says so",
        known: false,
        ..Case::stored("any of these, and the account may not be read", |fake, _| unreadable(fake))
    },
    Case {
        does: "waits until a person has looked and typed `flockd settle`",
        logs: &[("outcome-unknown", "silence"), ("still-unknown", "")],
        state: "unknown",
        known: false,
        bot: "unknown",
        keys: "on_unknown = \"ask\"\n",
        ..Case::stored("the same with `on_unknown = \"ask\"`", |fake, _| unreadable(fake))
    },
];

/// X is rate-limiting.
pub(super) const LIMITS: &[Case] = &[
    Case::limit("429 with `x-rate-limit-reset`", 600, |fake, now| {
        too_many(
            fake,
            &[("x-rate-limit-remaining", "0".into()), ("x-rate-limit-reset", in_seconds(now, 600))],
        );
    }),
    Case::limit("429 with `Retry-After` in seconds", 300, |fake, _| {
        too_many(fake, &[("retry-after", "300".into())]);
    }),
    Case::limit("429 with `Retry-After` as a date", 300, |fake, now| {
        let date = (now + chrono::TimeDelta::seconds(300)).format("%a, %d %b %Y %H:%M:%S GMT");
        too_many(fake, &[("retry-after", date.to_string())]);
    }),
    Case {
        does: "holds all bots of the app for as long as X asks for",
        logs: &[("app-cooldown", ""), ("retry-scheduled", "limits")],
        ..Case::limit("429, the app's 24 hours are used up", 1_800, |fake, now| {
            let (left, reset) = ("x-app-limit-24hour-remaining", "x-app-limit-24hour-reset");
            too_many(
                fake,
                &[
                    ("x-rate-limit-remaining", "42".into()),
                    (left, "0".into()),
                    (reset, in_seconds(now, 1_800)),
                ],
            );
        })
    },
    Case::limit("429, the account's 24 hours are used up", 1_800, |fake, now| {
        let (left, reset) = ("x-user-limit-24hour-remaining", "x-user-limit-24hour-reset");
        too_many(
            fake,
            &[("x-rate-limit-remaining", "42".into()), (left, "0".into()), (reset, in_seconds(now, 1_800))],
        );
    }),
    Case {
        way: Way::Told(|fake, _| too_many(fake, &[])),
        ..Case::returned("429 without a time to come back", GROWING)
    },
    Case {
        does: "waits for a day, and tries again if that is within `max_late`",
        keys: "max_late = \"2d\"\n",
        ..Case::limit("429 with an absurd reset", 24 * 60 * 60, |fake, now| {
            too_many(
                fake,
                &[
                    ("x-rate-limit-remaining", "0".into()),
                    ("x-rate-limit-reset", in_seconds(now, 1_000_000_000)),
                ],
            );
        })
    },
    Case {
        does: "gives the slot up",
        logs: &[("released", "")],
        state: "released",
        again: None,
        bot: "overdue",
        ..Case::limit("429 with a reset after `max_late`", 0, |fake, now| {
            too_many(
                fake,
                &[("x-rate-limit-remaining", "0".into()), ("x-rate-limit-reset", in_seconds(now, 7_200))],
            );
        })
    },
];

/// The app or the account has a problem.
pub(super) const AILMENTS: &[Case] = &[
    Case::ails("401", &[("retry-scheduled", "sign-in")], |fake, _| {
        answers(fake, Reply::problem(401, "about:blank", "Unauthorized", "Unauthorized"));
    }),
    Case {
        does: "suspends the bots of the app and says what to mend; one of them tries again every 15 minutes",
        ..Case::ails(
            "402 credits depleted",
            &[("app-cooldown", "buy credits"), ("retry-scheduled", "credits")],
            |fake, _| {
                let kind = "https://api.x.com/2/problems/credits-depleted";
                answers(fake, Reply::problem(402, kind, "Payment Required", "no credits"));
            },
        )
    },
    Case::ails("403 oauth1-permissions", &[("retry-scheduled", "sign-in")], |fake, _| {
        forbidden(
            fake,
            "oauth1-permissions",
            "Your client app is not configured with the appropriate permissions.",
        );
    }),
    Case::ails("403 user-suspended", &[("retry-scheduled", "account")], |fake, _| {
        forbidden(fake, "user-suspended", "The user used for authentication is suspended");
    }),
    Case {
        does: "suspends the bots of the app and says what to mend; one of them tries again every 15 minutes",
        ..Case::ails(
            "403 client-not-enrolled",
            &[("app-cooldown", ""), ("retry-scheduled", "app")],
            |fake, _| {
                let body = "{\"type\":\"https://api.x.com/2/problems/client-forbidden\",\
                            \"reason\":\"client-not-enrolled\",\"client_id\":\"1\"}";
                answers(fake, Reply::new(403, body));
            },
        )
    },
];

/// X rejects the text.
pub(super) const REFUSALS: &[Case] = &[
    Case {
        does: "posts another line first; the third time in a round, the line is `refused`",
        logs: &[("released", "duplicate"), ("posted", "two"), ("posted", "one")],
        state: "released",
        again: None,
        there: 1,
        bot: "ok",
        ..Case::limit("403 duplicate content, on a first attempt", 0, |fake, _| {
            forbidden(fake, "", "You are not allowed to create a Tweet with duplicate content.");
        })
    },
    Case {
        does: "posts the next line; after two in a row it suspects the app, and uses up no more lines",
        logs: &[("refused", "text"), ("posted", "two")],
        state: "refused",
        again: None,
        bot: "ok",
        ..Case::limit("403 not permitted", 0, |fake, _| {
            forbidden(fake, "", "You are not permitted to perform this action.");
        })
    },
];
