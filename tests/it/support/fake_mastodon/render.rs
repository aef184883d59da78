//! A text as HTML, as each server renders it.

use super::Software;

/// How many characters of a link are visible on Mastodon.
const SHOWN: usize = 30;

/// The HTML of a text.
pub(super) fn html(software: Software, url: &str, text: &str) -> String {
    let (open, close, line) = match software {
        Software::Mastodon => ("<p>", "</p>", "<br />"),
        Software::GoToSocial => ("<p>", "</p>", "<br>"),
        // Pleroma makes no paragraphs.
        Software::Pleroma => return lines(software, url, text, "<br/>"),
    };
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.is_empty());
    paragraphs.map(|paragraph| format!("{open}{}{close}", lines(software, url, paragraph, line))).collect()
}

fn lines(software: Software, url: &str, text: &str, line: &str) -> String {
    let words =
        |line: &str| line.split(' ').map(|one| word(software, url, one)).collect::<Vec<_>>().join(" ");
    text.split('\n').map(words).collect::<Vec<_>>().join(line)
}

fn word(software: Software, url: &str, word: &str) -> String {
    if word.starts_with("https://") || word.starts_with("http://") {
        return link(software, word);
    }
    if let Some(tag) =
        word.strip_prefix('#').filter(|tag| !tag.is_empty() && tag.chars().all(char::is_alphanumeric))
    {
        let small = tag.to_lowercase();
        return match software {
            Software::Pleroma => {
                format!("<a class=\"hashtag\" data-tag=\"{small}\" href=\"{url}/tag/{small}\">#{tag}</a>")
            }
            _ => format!(
                "<a href=\"{url}/tags/{small}\" class=\"mention hashtag\" rel=\"tag\">#<span>{tag}</span></a>"
            ),
        };
    }
    match word.strip_prefix('@').filter(|rest| !rest.is_empty() && !rest.starts_with('@')) {
        // For an account on another server, only the name is shown.
        Some(rest) => {
            let (name, host) = rest.split_once('@').unwrap_or((rest, "social.example"));
            let class =
                if software == Software::Pleroma { "class=\"u-url mention\" data-user=\"9\" " } else { "" };
            let after =
                if software == Software::Pleroma { " rel=\"ugc\"" } else { " class=\"u-url mention\"" };
            let (host, name) = (escaped(software, host), escaped(software, name));
            format!(
                "<span class=\"h-card\"><a {class}href=\"https://{host}/@{name}\"{after}>@<span>{name}</span></a></span>"
            )
        }
        None => escaped(software, word),
    }
}

fn link(software: Software, link: &str) -> String {
    let href = escaped(software, link);
    match software {
        Software::GoToSocial => {
            format!("<a href=\"{href}\" rel=\"nofollow noreferrer noopener\" target=\"_blank\">{href}</a>")
        }
        Software::Pleroma => format!("<a href=\"{href}\" rel=\"ugc\">{href}</a>"),
        Software::Mastodon => {
            let (scheme, rest) = link.split_at(link.find("://").unwrap() + 3);
            let cut = rest.char_indices().nth(SHOWN).map_or(rest.len(), |(at, _)| at);
            let (seen, unseen) = rest.split_at(cut);
            let class = if unseen.is_empty() { "" } else { "ellipsis" };
            format!(
                "<a href=\"{href}\" target=\"_blank\" rel=\"nofollow noopener\" translate=\"no\"><span \
                 class=\"invisible\">{scheme}</span><span class=\"{class}\">{}</span><span \
                 class=\"invisible\">{}</span></a>",
                escaped(software, seen),
                escaped(software, unseen)
            )
        }
    }
}

/// Each server escapes what it must, and some a little more.
fn escaped(software: Software, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    match software {
        Software::Mastodon => text,
        Software::GoToSocial => text.replace('"', "&#34;").replace('\'', "&#39;"),
        Software::Pleroma => text.replace('"', "&quot;").replace('\'', "&#39;"),
    }
}
