//! What stand-ins say, and when: the same for each name at each run, and never in step with one another.

use std::time::Duration;

/// A line before its numbers are drawn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) level: Level,
    pub(super) text: &'static str,
}

/// How much it matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// Padded to one width, as log readers like it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => " INFO",
            Self::Warn => " WARN",
            Self::Error => "ERROR",
        }
    }
}

/// How many lines of a hundred are of each level.
const SHARES: [(Level, u64); 4] = [(Level::Error, 3), (Level::Warn, 12), (Level::Debug, 15), (Level::Info, 70)];

/// Draws lines, pauses and delays.
pub(super) struct Chatter {
    state: u64,
    /// What was said last: nobody says the same twice in a row who has something else to say.
    last: Option<&'static str>,
}

impl Chatter {
    /// The one that belongs to a name.
    pub(super) fn of(name: &str) -> Self {
        // FNV-1a: names that differ in a letter get states that differ everywhere.
        let state = name
            .bytes()
            .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
        Self { state, last: None }
    }

    /// How long it takes to get ready.
    pub(super) fn start_up(&mut self) -> Duration {
        self.between(300, 1_500)
    }

    /// How long until the next line.
    pub(super) fn pause(&mut self) -> Duration {
        self.between(500, 3_000)
    }

    /// How long an answer takes: mostly a few milliseconds, sometimes more.
    pub(super) fn answer_delay(&mut self) -> Duration {
        if self.below(12) == 0 { self.between(25, 90) } else { self.between(1, 14) }
    }

    /// A line with its numbers drawn; `None` when there are none.
    pub(super) fn line(&mut self, lines: &[Line]) -> Option<(Level, String)> {
        let mut left = self.below(SHARES.iter().map(|(_, share)| share).sum());
        let level = SHARES.iter().find_map(|(level, share)| match left.checked_sub(*share) {
            Some(rest) => {
                left = rest;
                None
            }
            None => Some(*level),
        });
        let fitting = |line: &&Line| Some(line.level) == level && Some(line.text) != self.last;
        let fits: Vec<&Line> = match lines.iter().filter(fitting).collect() {
            none if Vec::is_empty(&none) => lines.iter().filter(|line| Some(line.text) != self.last).collect(),
            some => some,
        };
        let chosen = self.below(u64::try_from(fits.len()).unwrap_or(u64::MAX).max(1));
        let line = fits.get(usize::try_from(chosen).unwrap_or(0))?;
        self.last = Some(line.text);
        Some((line.level, self.with_numbers(line.text)))
    }

    /// Each run of `#` becomes a number without a leading zero.
    fn with_numbers(&mut self, text: &str) -> String {
        let mut in_number = false;
        text.chars()
            .map(|c| {
                let first = !in_number;
                in_number = c == '#';
                match (c, first) {
                    ('#', true) => digit(1 + self.below(9)),
                    ('#', false) => digit(self.below(10)),
                    (other, _) => other,
                }
            })
            .collect()
    }

    fn between(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// From 0 to less than `limit`, which is at least 1.
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64 (Steele, Lea, Flood 2014): enough for a play.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn digit(value: u64) -> char {
    u32::try_from(value).ok().and_then(|value| char::from_digit(value, 10)).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Chatter, Level};
    use crate::demo::cast::CAST;

    #[test]
    fn a_name_always_says_the_same_and_two_names_do_not() {
        let said = |name| {
            let mut chatter = Chatter::of(name);
            (0..20).map(|_| chatter.line(CAST[0].lines).unwrap().1).collect::<Vec<_>>()
        };
        assert_eq!(said("gitea"), said("gitea"));
        assert_ne!(said("gitea"), said("gitee"));
    }

    #[test]
    fn numbers_are_filled_in_and_every_level_comes_up() {
        let mut chatter = Chatter::of("orchestrator");
        let said: Vec<_> = (0..400).map(|_| chatter.line(CAST[0].lines).unwrap()).collect();
        assert!(said.iter().all(|(_, text)| !text.contains('#')));
        for level in [Level::Debug, Level::Info, Level::Warn, Level::Error] {
            assert!(said.iter().any(|(said, _)| *said == level), "{level:?}");
        }
        assert!(chatter.line(&[]).is_none());
    }

    #[test]
    fn nobody_says_the_same_twice_in_a_row() {
        let mut chatter = Chatter::of("gitea");
        let lines = [CAST[0].lines[0], CAST[0].lines[5]];
        let mut last = None;
        for _ in 0..50 {
            let (level, _) = chatter.line(&lines).unwrap();
            assert_ne!(last.replace(level), Some(level));
        }
    }

    #[test]
    fn the_pace_is_natural() {
        let mut chatter = Chatter::of("coredns");
        for _ in 0..200 {
            assert!((Duration::from_millis(500)..=Duration::from_secs(3)).contains(&chatter.pause()));
            assert!(chatter.answer_delay() < Duration::from_millis(100));
        }
    }
}
