//! Reads an export line by line, and reports what is wrong with it. It does not know what the lines mean to a ledger.

use std::io::{BufRead, Read};

use super::{BadLine, ExportHeader, FORMAT, Numbered, Record};

/// The longest line that an export can have, in bytes: a text, twice, and some words around it.
const LONGEST_LINE: u64 = 4 << 20;

/// Reads an export: its first line now, the others on demand. Each line that can't be understood is an error, and so is
/// a file that ends too early, as the last item.
pub fn read(mut file: impl BufRead) -> Result<(ExportHeader, impl Iterator<Item = Numbered>), BadLine> {
    let complain = |message: &str| Err(BadLine { line: 1, message: message.to_owned() });
    let header = match next_line(&mut file) {
        Some(Ok(line)) => match serde_json::from_slice(&line) {
            Ok(Record::Export(header)) => header,
            _ => return complain(NO_EXPORT),
        },
        Some(Err(problem)) => return complain(&problem),
        None => return complain("the file is empty: write it with `flockd export`"),
    };
    if header.format > FORMAT {
        let version = &header.flockd;
        return complain(&format!(
            "this export was made by flockd {version}, which this flockd can't read: install flockd {version} or a newer one"
        ));
    }
    let rest = Remainder { file, line: 1, bots: header.bots, posts: header.posts, ended: false };
    Ok((header, rest))
}

/// The message for a file that does not begin like an export.
const NO_EXPORT: &str = "this is no export of a ledger: write one with `flockd export`";

/// The lines after the first.
struct Remainder<R> {
    file: R,
    line: u64,
    /// How many are still to come.
    bots: u64,
    posts: u64,
    ended: bool,
}

impl<R: BufRead> Iterator for Remainder<R> {
    type Item = Numbered;

    fn next(&mut self) -> Option<Numbered> {
        if self.ended {
            return None;
        }
        self.line += 1;
        let complaint = |message: String| Some(Err(BadLine { line: self.line, message }));
        match next_line(&mut self.file) {
            None => {
                self.ended = true;
                let (bots, posts) = (self.bots, self.posts);
                (bots + posts > 0).then_some(())?;
                complaint(format!(
                    "the file ends too early, {bots} bots and {posts} posts are missing: copy it again, whole"
                ))
            }
            Some(Err(problem)) => {
                self.ended = true;
                complaint(problem)
            }
            Some(Ok(line)) => Some(self.understood(&line)),
        }
    }
}

impl<R> Remainder<R> {
    fn understood(&mut self, line: &[u8]) -> Numbered {
        let complaint = |message: String| BadLine { line: self.line, message };
        let record = serde_json::from_slice(line).map_err(|error| {
            complaint(format!("this is not what flockd has exported: {}", in_line(&error)))
        })?;
        let flaw = match &record {
            Record::Export(_) => Some("a second export begins here: import one file after the other"),
            Record::Bot(_) if self.bots == 0 => Some("there are more bots than the first line says"),
            Record::Post(_) if self.posts == 0 => Some("there are more posts than the first line says"),
            Record::Post(post) => post.flaw(),
            Record::Bot(_) => None,
        };
        if let Some(flaw) = flaw {
            return Err(complaint(flaw.to_owned()));
        }
        match &record {
            Record::Bot(_) => self.bots -= 1,
            _ => self.posts -= 1,
        }
        Ok((self.line, record))
    }
}

/// The message of serde without the position, which counts within the line.
fn in_line(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or_default().to_owned()
}

/// The next line, without its end; `None` after the last.
fn next_line(file: &mut impl BufRead) -> Option<Result<Vec<u8>, String>> {
    let mut line = Vec::new();
    match file.take(LONGEST_LINE).read_until(b'\n', &mut line) {
        Err(error) => Some(Err(format!("the file can't be read: {error}"))),
        Ok(0) => None,
        Ok(read) if read as u64 == LONGEST_LINE => Some(Err(NO_EXPORT.to_owned())),
        Ok(_) => {
            let end = line.len() - usize::from(line.ends_with(b"\n"));
            line.truncate(end);
            Some(Ok(line))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flock::poem::EntryKey;

    const HEAD: &str =
        r#"{"export":{"format":1,"flockd":"0.1.0","made_at":"2026-01-02T03:04:05Z","bots":1,"posts":1}}"#;
    const BOT: &str =
        r#"{"bot":{"name":"walt","schedule":"@hourly UTC","considered":"2026-01-02T03:00:00Z"}}"#;

    fn post(more: &str) -> String {
        let id = "019b7c00-0000-7000-8000-000000000001";
        format!(
            r#"{{"post":{{"id":"{id}","bot":"walt","network":"x","state":"posted","due_at":"2026-01-02T03:00:00Z","planned_at":"2026-01-02T03:00:00.123Z"{more}}}}}"#
        )
    }

    fn complaints(file: &str) -> Vec<(u64, String)> {
        match read(file.as_bytes()) {
            Err(complaint) => vec![(complaint.line, complaint.message)],
            Ok((_, records)) => {
                records.filter_map(|read| Some(read.err()?).map(|said| (said.line, said.message))).collect()
            }
        }
    }

    #[test]
    fn an_export_is_read() {
        let post = post(r#","text":"I sing","line":{"round":1,"occurrence":2},"tomorrow":7"#);
        let file = format!("{HEAD}\n{BOT}\n{post}\n");
        let (header, records) = read(file.as_bytes()).unwrap();
        assert_eq!((header.bots, header.posts), (1, 1));
        let records: Vec<_> = records.map(Result::unwrap).collect();
        let [(2, Record::Bot(bot)), (3, Record::Post(post))] = &*records else { panic!("{records:?}") };
        assert_eq!((bot.name.as_str(), post.entry_key()), ("walt", Some(EntryKey::of("I  sing"))));
        assert_eq!(post.planned_at.timestamp_subsec_millis(), 123);
    }

    #[test]
    fn what_is_no_export_is_told_by_its_first_line() {
        for file in ["\n", "[]", "hello\n", BOT, "\u{0}\u{1}"] {
            assert_eq!(complaints(file), [(1, NO_EXPORT.to_owned())], "{file:?}");
        }
        assert!(complaints("")[0].1.contains("empty"));
        let newer = complaints(&HEAD.replace("\"format\":1", "\"format\":2").replace("0.1.0", "9.8.7"));
        assert!(newer[0].1.contains("install flockd 9.8.7"), "{newer:?}");
    }

    #[test]
    fn each_line_that_is_wrong_is_named() {
        let text = r#","text":"I sing""#;
        let cases = [
            (format!("{HEAD}\n{BOT}\n"), 3, "1 posts are missing"),
            (format!("{HEAD}\n{BOT}\n{}\n{}\n", post(text), post(text)), 4, "more posts than"),
            (format!("{HEAD}\n{BOT}\n{BOT}\n{}\n", post(text)), 3, "more bots than"),
            (format!("{HEAD}\n{BOT}\n{}\n{HEAD}\n", post(text)), 4, "a second export"),
            (format!("{HEAD}\n{BOT}\n{}\n", post("")), 3, "without a text"),
            (format!("{HEAD}\n{BOT}\n{}\n", post(r#","text":"a\u001b[2J""#)), 3, "control character"),
            (format!("{HEAD}\n{BOT}\n{}", &post(text)[..90]), 3, "not what flockd has exported"),
            (format!("{HEAD}\n{BOT}\n{}\n", post(text).replace("\"x\"", "\"y\"")), 3, "\"y\""),
            (format!("{HEAD}\n{}\n{}\n", BOT.replace("walt", "../walt"), post(text)), 2, "walt"),
            (
                format!("{HEAD}\n{BOT}\n{}\n", post(r#","text":"a","line":{"round":0,"occurrence":1}"#)),
                3,
                "count from 1",
            ),
        ];
        for (file, line, message) in cases {
            let said = complaints(&file);
            assert!(
                said.iter().any(|(at, what)| *at == line && what.contains(message)),
                "{message}: {said:?}"
            );
        }
    }

    #[test]
    fn a_line_without_an_end_is_not_read_for_ever() {
        let endless = std::io::BufReader::new(std::io::repeat(b'x'));
        assert_eq!(read(endless).err().map(|said| said.message), Some(NO_EXPORT.to_owned()));
    }
}
