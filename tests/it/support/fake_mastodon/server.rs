//! The instance: software, limits, name.

use serde_json::{Value, json};

use super::{FakeMastodon, Reply, Shared, Software};

/// The most characters, and the length that a link counts.
pub(super) const fn text_limits(software: Software) -> (u64, u64) {
    match software {
        Software::Mastodon => (500, 23),
        Software::GoToSocial => (5_000, 25),
        Software::Pleroma => (5_000, 0),
    }
}

impl FakeMastodon {
    /// The fake's host name, and its accounts' handles behind an `@`.
    pub const DOMAIN: &'static str = "social.example";

    /// From now on a status may have this many characters, and a link counts as this many.
    pub fn set_text_limits(&self, characters: u64, per_url: u64) {
        self.change(|state| state.text_limits = (characters, per_url));
    }

    /// Imitates servers before 4.0: without the second version of the instance API.
    pub fn is_old(&self) {
        self.change(|state| state.is_old = true);
    }
}

impl Shared {
    /// `GET /api/v2/instance`.
    pub(super) fn instance_v2(&self) -> Reply {
        if self.state.lock().unwrap().is_old {
            return Reply::json(404, &json!({"error": "Not Found"}));
        }
        let mut instance = json!({
            "domain": FakeMastodon::DOMAIN,
            "title": "A server of poets",
            "version": self.version(),
            "source_url": self.source_url(),
            "description": "Poets only",
            "usage": {"users": {"active_month": 3}},
            "languages": ["en"],
            "configuration": self.configuration(),
            "registrations": {"enabled": false, "approval_required": false, "message": null},
            "contact": {"email": "poets@social.example", "account": null},
            "rules": [],
        });
        if self.software == Software::Mastodon {
            instance["api_versions"] = json!({"mastodon": 6});
        }
        Reply::json(200, &instance)
    }

    /// `GET /api/v1/instance`.
    pub(super) fn instance_v1(&self) -> Reply {
        let mut instance = json!({
            "uri": match self.software {
                Software::Mastodon => FakeMastodon::DOMAIN.to_owned(),
                // The others return an address here.
                _ => format!("https://{}", FakeMastodon::DOMAIN),
            },
            "title": "A server of poets",
            "version": self.version(),
            "stats": {"user_count": 3, "status_count": 9, "domain_count": 1},
            "languages": ["en"],
        });
        if self.software == Software::Pleroma {
            instance["max_toot_chars"] = json!(self.state.lock().unwrap().text_limits.0);
        } else {
            instance["configuration"] = self.configuration();
        }
        Reply::json(200, &instance)
    }

    fn version(&self) -> &'static str {
        match self.software {
            Software::Mastodon => "4.4.3",
            Software::GoToSocial => "0.19.1+git-2f8bd5b",
            Software::Pleroma => "2.7.2 (compatible; Pleroma 2.9.1)",
        }
    }

    fn source_url(&self) -> &'static str {
        match self.software {
            Software::Mastodon => "https://github.com/mastodon/mastodon",
            Software::GoToSocial => "https://codeberg.org/superseriousbusiness/gotosocial",
            Software::Pleroma => "https://git.pleroma.social/pleroma/pleroma",
        }
    }

    fn configuration(&self) -> Value {
        let (characters, per_url) = self.state.lock().unwrap().text_limits;
        json!({
            "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5},
            "statuses": {
                "max_characters": characters,
                "max_media_attachments": 4,
                "characters_reserved_per_url": per_url,
            },
            "media_attachments": {
                "supported_mime_types": ["image/jpeg", "image/png", "image/gif", "image/webp"],
                "image_size_limit": 16_777_216,
                "image_matrix_limit": 33_177_600,
                "description_limit": 1_500,
            },
            "polls": {"max_options": 4, "max_characters_per_option": 50, "min_expiration": 300, "max_expiration": 2_629_746},
            "translation": {"enabled": false},
        })
    }
}
