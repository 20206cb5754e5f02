//! Who may speak when: things happen side by side, but are told in the plan's order (R44).
//!
//! Every part of the report has a turn. The lines of the earliest turn that has not ended are told at once, those of later turns are
//! held until theirs comes. Lines that come after their turn has ended are told at once too: late, but never lost.

use super::line::Line;

/// The turns of one report.
#[derive(Debug)]
pub(super) struct Turns {
    turns: Vec<Turn>,
    /// The first turn that has not ended.
    current: usize,
}

#[derive(Debug, Default)]
struct Turn {
    held: Vec<Line>,
    has_ended: bool,
}

/// A line with the turn it belongs to.
pub(super) type Spoken = (usize, Line);

impl Turns {
    pub(super) fn new(n_turns: usize) -> Self {
        Self { turns: std::iter::repeat_with(Turn::default).take(n_turns).collect(), current: 0 }
    }

    /// Says `lines` in `turn`; returns what may be told now.
    pub(super) fn say(&mut self, turn: usize, lines: Vec<Line>) -> Vec<Spoken> {
        if turn <= self.current {
            return lines.into_iter().map(|line| (turn, line)).collect();
        }
        if let Some(turn) = self.turns.get_mut(turn) {
            turn.held.extend(lines);
        }
        Vec::new()
    }

    /// Ends the given turns; returns what may be told now that they have ended.
    pub(super) fn end(&mut self, turns: impl IntoIterator<Item = usize>) -> Vec<Spoken> {
        for turn in turns {
            if let Some(turn) = self.turns.get_mut(turn) {
                turn.has_ended = true;
            }
        }
        let mut told = Vec::new();
        while self.turns.get(self.current).is_some_and(|turn| turn.has_ended) {
            self.current += 1;
            let current = self.current;
            if let Some(turn) = self.turns.get_mut(current) {
                told.extend(std::mem::take(&mut turn.held).into_iter().map(|line| (current, line)));
            }
        }
        told
    }

    /// Ends every turn.
    pub(super) fn end_all(&mut self) -> Vec<Spoken> {
        self.end(0..self.turns.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{Spoken, Turns};
    use crate::report::Line;

    fn words(told: &[Spoken]) -> Vec<&str> {
        told.iter().map(|(_, line)| line.text()).collect()
    }

    #[test]
    fn the_earliest_unfinished_turn_is_told_live_and_later_ones_wait() {
        let mut turns = Turns::new(3);
        assert_eq!(words(&turns.say(0, vec![Line::result("a1")])), ["a1"]);
        assert!(turns.say(2, vec![Line::result("c1")]).is_empty());
        assert!(turns.say(1, vec![Line::result("b1")]).is_empty());
        assert!(turns.end([2]).is_empty());
        assert_eq!(words(&turns.say(0, vec![Line::result("a2")])), ["a2"]);
        assert_eq!(words(&turns.end([0])), ["b1"]);
        assert_eq!(words(&turns.say(1, vec![Line::result("b2")])), ["b2"]);
        assert_eq!(words(&turns.end([1])), ["c1"]);
    }

    #[test]
    fn a_line_that_comes_late_is_not_lost() {
        let mut turns = Turns::new(2);
        turns.end([0]);
        assert_eq!(words(&turns.say(0, vec![Line::result("late")])), ["late"]);
        assert!(turns.say(1, vec![Line::result("now")]).len() == 1);
    }

    #[test]
    fn the_end_tells_everything_that_was_held_in_order() {
        let mut turns = Turns::new(3);
        turns.say(2, vec![Line::result("c")]);
        turns.say(1, vec![Line::result("b")]);
        assert_eq!(words(&turns.end_all()), ["b", "c"]);
    }
}
