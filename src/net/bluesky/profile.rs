//! The profile record of an account, `app.bsky.actor.profile`. Changes keep the fields of other programs.

use serde_json::{Map, Value, json};
use unicode_segmentation::UnicodeSegmentation as _;

use crate::flock::account::Profile;

/// The collection of the record, and its key in it.
pub(super) const PLACE: (&str, &str) = ("app.bsky.actor.profile", "self");

/// The label of an automated account (docs.bsky.app, "Labels and moderation").
const BOT: &str = "bot";
/// The type of labels that an account applies to itself.
const SELF_LABELS: &str = "com.atproto.label.defs#selfLabels";

/// The most graphemes, and bytes in UTF-8, of the name and the description (lexicon app.bsky.actor.profile).
const NAME_MAX: (usize, usize) = (64, 640);
const BIO_MAX: (usize, usize) = (256, 2_560);

/// Whether the account is labeled as a bot.
pub(super) fn is_automated(record: &Value) -> bool {
    record["labels"]["values"].as_array().is_some_and(|labels| labels.iter().any(|label| label["val"] == BOT))
}

/// The id of the account's picture, if it has one.
pub(super) fn picture(record: &Value) -> Option<&str> {
    record["avatar"]["ref"]["$link"].as_str()
}

/// Why the network would not accept a profile, if it wouldn't.
pub(super) fn unfit(profile: &Profile) -> Option<String> {
    let long = |what: &str, text: &Option<String>, (max, bytes_max): (usize, usize)| {
        let text = text.as_ref()?;
        let (length, unit, max) = match text.graphemes(true).count() {
            length if length > max => (length, "characters", max),
            _ if text.len() > bytes_max => (text.len(), "bytes", bytes_max),
            _ => return None,
        };
        Some(format!("the {what} has {length} {unit}; Bluesky allows {max}: shorten it"))
    };
    long("name", &profile.name, NAME_MAX).or_else(|| long("bio", &profile.bio, BIO_MAX))
}

/// The record with these changes and the bot label. All other fields stay.
pub(super) fn changed(record: Option<Value>, profile: &Profile, picture: Option<Value>) -> Value {
    let mut fields = match record {
        Some(Value::Object(fields)) => fields,
        _ => Map::from_iter([("$type".to_owned(), json!(PLACE.0))]),
    };
    set(&mut fields, "displayName", profile.name.as_deref());
    set(&mut fields, "description", profile.bio.as_deref());
    if let Some(picture) = picture {
        fields.insert("avatar".to_owned(), picture);
    }
    let labels = labelled(fields.remove("labels"));
    fields.insert("labels".to_owned(), labels);
    Value::Object(fields)
}

/// An empty text removes the field.
fn set(fields: &mut Map<String, Value>, name: &str, text: Option<&str>) {
    match text {
        None => {}
        Some("") => drop(fields.remove(name)),
        Some(text) => drop(fields.insert(name.to_owned(), json!(text))),
    }
}

/// The account's own labels, including that of a bot.
fn labelled(labels: Option<Value>) -> Value {
    let mut labels = labels.filter(|labels| labels["values"].is_array());
    let labels = labels.get_or_insert_with(|| json!({ "$type": SELF_LABELS, "values": [] }));
    if let Some(values) = labels["values"].as_array_mut()
        && !values.iter().any(|label| label["val"] == BOT)
    {
        values.push(json!({ "val": BOT }));
    }
    labels.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(name: Option<&str>, bio: Option<&str>) -> Profile {
        Profile { name: name.map(str::to_owned), bio: bio.map(str::to_owned), picture: None }
    }

    #[test]
    fn an_account_without_a_profile_gets_one() {
        let record = changed(None, &profile(Some("Walt"), None), None);
        assert_eq!(
            record,
            json!({
                "$type": "app.bsky.actor.profile",
                "displayName": "Walt",
                "labels": { "$type": SELF_LABELS, "values": [{ "val": "bot" }] },
            })
        );
        assert!(is_automated(&record) && !is_automated(&json!({})));
    }

    #[test]
    fn other_fields_stay() {
        let before = json!({
            "$type": "app.bsky.actor.profile",
            "displayName": "Walt",
            "description": "old",
            "avatar": { "$type": "blob", "ref": { "$link": "bafy" } },
            "pinnedPost": { "uri": "at://x", "cid": "bafy" },
            "com.example.mood": { "a": [1, 2.5, null] },
            "labels": { "$type": SELF_LABELS, "values": [{ "val": "!no-unauthenticated", "more": true }], "extra": 1 },
        });
        let mut expected = before.clone();
        let record = changed(Some(before), &profile(None, Some("")), None);
        expected.as_object_mut().unwrap().remove("description");
        expected["labels"]["values"].as_array_mut().unwrap().push(json!({ "val": "bot" }));
        assert_eq!(record, expected);
        assert_eq!(picture(&record), Some("bafy"));
        assert_eq!(changed(Some(record.clone()), &Profile::default(), None), record, "a label is given once");
        let blob = json!({ "$type": "blob", "ref": { "$link": "bafz" } });
        assert_eq!(picture(&changed(Some(record), &Profile::default(), Some(blob))), Some("bafz"));
    }

    #[test]
    fn invalid_labels_are_replaced() {
        for labels in [json!(null), json!("bot"), json!({ "values": 1 })] {
            let record = changed(Some(json!({ "labels": labels })), &Profile::default(), None);
            assert!(is_automated(&record) && record["labels"]["$type"] == SELF_LABELS, "{record}");
        }
    }

    #[test]
    fn too_long_texts_are_refused_in_advance() {
        let flags = "🇩🇪".repeat(64);
        assert_eq!(unfit(&profile(Some(&flags), Some(&"ü".repeat(256)))), None);
        assert!(
            unfit(&profile(Some(&format!("{flags}!")), None))
                .unwrap()
                .contains("65 characters; Bluesky allows 64")
        );
        assert!(unfit(&profile(None, Some(&"a".repeat(257)))).unwrap().contains("bio has 257"));
        let family = "👨‍👩‍👧‍👦".repeat(26);
        assert!(unfit(&profile(Some(&family), None)).unwrap().contains("650 bytes; Bluesky allows 640"));
        assert_eq!(unfit(&profile(Some(&family[25..]), Some(&family))), None);
    }
}
