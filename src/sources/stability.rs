//! Decides how long a poem's file must be unchanged before it counts. A slow writer leaves an incomplete file for a
//! while: a truncated line would be posted, and posted again when complete, and a poem without its end would seem
//! exhausted.

use std::time::Duration;

use chrono::DateTime;

use crate::clock::Clock;
use crate::files::Fingerprint;
use crate::flock::poem::{PERCENT, Split};

/// How long a file must be unchanged if its last line is complete. Longer than the resolution of file timestamps, which
/// is two seconds at most, so that a later write is sure to get a different timestamp.
const WHOLE: Duration = Duration::from_secs(3);
/// How long a file must be unchanged if its last line has no line break, because a program that writes in blocks stops
/// in the middle of a line; or if another line of a stanza may follow.
const OPEN: Duration = Duration::from_secs(10);
/// How long a file must be unchanged while a person waits.
const BY_HAND: Duration = Duration::from_secs(5);
/// A file that never settles counts after this time, without its last line.
const RESTLESS: Duration = Duration::from_secs(60);

/// The purpose of reading a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stability {
    /// A slot.
    Usual,
    /// A post that a person requested.
    ByHand,
}

/// A state of a file, and since when it has been observed.
#[derive(Debug, Clone)]
pub(super) struct Observation {
    fingerprint: Option<Fingerprint>,
    is_readable: bool,
    since: Duration,
    /// Since when the file has been changing without settling.
    restless_since: Option<Duration>,
}

/// Whether a file counts in its present state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StabilityVerdict {
    /// It counts.
    AtRest,
    /// It counts after it has been unchanged for this much longer.
    Wait(Duration),
    /// It never settles; it counts without an end that may be incomplete.
    Restless(Duration),
}

impl StabilityVerdict {
    /// How much longer the file must be unchanged.
    pub(super) const fn wait(self) -> Option<Duration> {
        match self {
            Self::AtRest => None,
            Self::Wait(wait) | Self::Restless(wait) => Some(wait),
        }
    }
}

impl Observation {
    /// The observation at this uptime, given the previous one. A file that changed while it was read has no
    /// fingerprint, and neither has a missing one.
    pub(super) fn again(
        before: Option<Self>,
        fingerprint: Option<Fingerprint>,
        is_readable: bool,
        now: Duration,
    ) -> Self {
        let restless_since = before.as_ref().and_then(|before| before.restless_since).or(Some(now));
        match before {
            Some(before)
                if before.fingerprint == fingerprint
                    && before.is_readable == is_readable
                    && (fingerprint.is_some() || !is_readable) =>
            {
                before
            }
            _ => Self { fingerprint, is_readable, since: now, restless_since },
        }
    }

    /// Marks the file as settled.
    pub(super) const fn settle(&mut self) {
        self.restless_since = None;
    }

    /// How long the file has been unchanged: the longer of the time since it was first observed like this and the age
    /// of its last change. A file server's clock may be ahead of ours, in which case only the former is known.
    fn unchanged_for(&self, clock: &dyn Clock) -> Duration {
        let seen = clock.uptime().saturating_sub(self.since);
        let age = self.fingerprint.and_then(|fingerprint| {
            let (seconds, nanoseconds) = fingerprint.changed_at();
            let changed = DateTime::from_timestamp(seconds, u32::try_from(nanoseconds).ok()?)?;
            (clock.now() - changed).to_std().ok()
        });
        seen.max(age.unwrap_or_default())
    }
}

impl Stability {
    /// Whether the file counts in its present state.
    pub(super) fn judge(
        self,
        seen: &Observation,
        bytes: &[u8],
        split: Split,
        clock: &dyn Clock,
    ) -> StabilityVerdict {
        let open = open_end(bytes, split);
        let needed = match self {
            _ if open == 0 => WHOLE,
            Self::ByHand => BY_HAND,
            Self::Usual => OPEN,
        };
        let remains = needed.saturating_sub(seen.unchanged_for(clock));
        let restless = seen.restless_since.map(|since| clock.uptime().saturating_sub(since));
        match restless {
            _ if remains.is_zero() => StabilityVerdict::AtRest,
            Some(restless) if restless >= RESTLESS => StabilityVerdict::Restless(remains),
            _ => StabilityVerdict::Wait(remains),
        }
    }
}

/// The number of bytes at the end of a file that may be incomplete: a line without a line break, or a stanza or entry
/// without the line that ends it.
pub(super) fn open_end(bytes: &[u8], split: Split) -> usize {
    if split == Split::Folder {
        return 0;
    }
    let ends = |line: &[u8]| {
        let ends_group = match split {
            Split::Line | Split::Csv | Split::Tsv | Split::JsonLines | Split::Folder => true,
            Split::Stanza => line.trim_ascii().is_empty(),
            Split::Percent => line.trim_ascii_end() == PERCENT.as_bytes(),
        };
        ends_group && line.ends_with(b"\n")
    };
    let lines = bytes.split_inclusive(|byte| *byte == b'\n').rev();
    lines.take_while(|line| !ends(line)).map(<[u8]>::len).sum()
}
