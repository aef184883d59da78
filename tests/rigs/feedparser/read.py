"""Reads the Atom feed on standard input as feed readers do, and prints what feedparser made of it as JSON."""

import json
import sys

import feedparser

feed = feedparser.parse(sys.stdin.buffer.read())
entries = [
    {
        "id": entry.get("id"),
        "title": entry.get("title"),
        "dated": bool(entry.get("published_parsed")) and bool(entry.get("updated_parsed")),
        "link": entry.get("link"),
        "kinds": [content.get("type") for content in entry.get("content", [])],
        "html": "".join(content.value for content in entry.get("content", [])),
        "enclosures": [
            {"href": one.get("href"), "type": one.get("type"), "length": one.get("length")}
            for one in entry.get("enclosures", [])
        ],
    }
    for entry in feed.entries
]
print(json.dumps({"bozo": bool(feed.bozo), "version": feed.version, "id": feed.feed.get("id"), "entries": entries}))
