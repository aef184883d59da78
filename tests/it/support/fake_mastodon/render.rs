//! A text as HTML, as each server writes it.

use super::Kin;

/// How many characters of a link are seen on Mastodon.
const SHOWN: usize = 30;

/// The HTML of a text.
pub(super) fn html(kin: Kin, url: &str, text: &str) -> String {
    let (open, close, line) = match kin {
        Kin::Mastodon => ("<p>", "</p>", "<br />"),
        Kin::GoToSocial => ("<p>", "</p>", "<br>"),
        // No paragraphs there.
        Kin::Pleroma => return lines(kin, url, text, "<br/>"),
    };
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("{open}{}{close}", lines(kin, url, paragraph, line))).collect()
}

fn lines(kin: Kin, url: &str, text: &str, line: &str) -> String {
    let words = |line: &str| line.split(' ').map(|one| word(kin, url, one)).collect::<Vec<_>>().join(" ");
    text.split('\n').map(words).collect::<Vec<_>>().join(line)
}

fn word(kin: Kin, url: &str, word: &str) -> String {
    if word.starts_with("https://") || word.starts_with("http://") {
        return link(kin, word);
    }
    if let Some(tag) =
        word.strip_prefix('#').filter(|tag| !tag.is_empty() && tag.chars().all(char::is_alphanumeric))
    {
        let small = tag.to_lowercase();
        return match kin {
            Kin::Pleroma => {
                format!("<a class=\"hashtag\" data-tag=\"{small}\" href=\"{url}/tag/{small}\">#{tag}</a>")
            }
            _ => format!(
                "<a href=\"{url}/tags/{small}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"
            ),
        };
    }
    match word.strip_prefix('@').filter(|rest| !rest.is_empty() && !rest.starts_with('@')) {
        // Of an account on another server only the name is shown.
        Some(rest) => {
            let (name, host) = rest.split_once('@').unwrap_or((rest, "social.example"));
            let class = if kin == Kin::Pleroma { "class=\"u-url mention\" data-user=\"9\" " } else { "" };
            let after = if kin == Kin::Pleroma { " rel=\"ugc\"" } else { " class=\"u-url mention\"" };
            let (host, name) = (escaped(kin, host), escaped(kin, name));
            format!(
                "<span class=\"h-card\"><a {class}href=\"https://{host}/@{name}\"{after}>@<span>{name}</span></a></span>"
            )
        }
        None => escaped(kin, word),
    }
}

fn link(kin: Kin, link: &str) -> String {
    let href = escaped(kin, link);
    match kin {
        Kin::GoToSocial => {
            format!("<a href=\"{href}\" rel=\"nofollow noreferrer noopener\" target=\"_blank\">{href}</a>")
        }
        Kin::Pleroma => format!("<a href=\"{href}\" rel=\"ugc\">{href}</a>"),
        Kin::Mastodon => {
            let (scheme, rest) = link.split_at(link.find("://").unwrap() + 3);
            let cut = rest.char_indices().nth(SHOWN).map_or(rest.len(), |(at, _)| at);
            let (seen, unseen) = rest.split_at(cut);
            let class = if unseen.is_empty() { "" } else { "ellipsis" };
            format!(
                "<a href=\"{href}\" target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\"><span \
                 class=\"invisible\">{scheme}</span><span class=\"{class}\">{}</span><span \
                 class=\"invisible\">{}</span></a>",
                escaped(kin, seen),
                escaped(kin, unseen)
            )
        }
    }
}

/// Each server escapes what it must, and some a little more.
fn escaped(kin: Kin, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    match kin {
        Kin::Mastodon => text,
        Kin::GoToSocial => text.replace('"', "&#34;").replace('\'', "&#39;"),
        Kin::Pleroma => text.replace('"', "&quot;").replace('\'', "&#39;"),
    }
}
