//! Overlaps: the stricter operator wins, then the longer span, then the higher
//! score, then the earlier start, then the rule that stands first. What a
//! stricter operator leaves of a longer span keeps that span's operator: a part
//! of an address is no less personal because a name in it is removed.

use crate::detect::Operator;
use crate::detect::scan::Candidate;
use std::cmp::Ordering;

/// Leaves the candidates of `text` that win, sorted and not overlapping.
pub(crate) fn resolve(candidates: &mut Vec<Candidate>, text: &str) {
    // Most texts bring them in order and apart already.
    let apart = candidates.is_sorted_by(|a, b| a.end <= b.start);
    if apart && candidates.iter().all(|c| c.operator != Operator::Keep) {
        return;
    }
    except(candidates);
    candidates.sort_unstable_by(|a, b| a.start.cmp(&b.start).then_with(|| prefer(a, b)));
    // Each run of candidates that hang together is settled on its own.
    let mut rests = Vec::new();
    let mut kept = 0;
    let mut from = 0;
    while from < candidates.len() {
        let mut to = from + 1;
        let mut end = candidates[from].end;
        while to < candidates.len() && candidates[to].start < end {
            end = end.max(candidates[to].end);
            to += 1;
        }
        kept = if to - from == 1 {
            candidates[kept] = candidates[from];
            kept + 1
        } else {
            settle(candidates, from, to, kept, &mut rests)
        };
        from = to;
    }
    candidates.truncate(kept);
    rests.retain_mut(|rest| is_something(rest, text));
    if !rests.is_empty() {
        candidates.append(&mut rests);
        candidates.sort_unstable_by_key(|c| c.start);
    }
}

/// Narrows what is left to its letters and digits; false where it has none.
fn is_something(rest: &mut Candidate, text: &str) -> bool {
    let Some(span) = text.get(rest.start..rest.end) else { return false };
    let edge = |c: char| !c.is_alphanumeric();
    rest.start += span.len() - span.trim_start_matches(edge).len();
    rest.end -= span.len() - span.trim_end_matches(edge).len();
    rest.start < rest.end
}

/// Settles one run and writes the winners at `kept`; what they leave of others
/// goes to `rests`.
fn settle(candidates: &mut [Candidate], from: usize, to: usize, kept: usize, rests: &mut Vec<Candidate>) -> usize {
    let Some(run) = candidates.get_mut(from..to) else { return kept };
    run.sort_unstable_by(prefer);
    let mut winners: Vec<Candidate> = Vec::with_capacity(4);
    for candidate in run.iter() {
        let at = winners.partition_point(|w| w.start < candidate.start);
        let free_left = at == 0 || winners[at - 1].end <= candidate.start;
        let free_right = at == winners.len() || candidate.end <= winners[at].start;
        if free_left && free_right {
            winners.insert(at, *candidate);
        }
    }
    leftovers(run, &winners, rests);
    for (i, winner) in winners.iter().enumerate() {
        candidates[kept + i] = *winner;
    }
    kept + winners.len()
}

/// What winners leave of spans that lost to a stricter operator. `run` is in the
/// order of preference: of two that lost to the same, the first takes all.
fn leftovers(run: &[Candidate], winners: &[Candidate], rests: &mut Vec<Candidate>) {
    let strictest =
        winners.iter().map(|w| w.operator).filter(|o| *o != Operator::Block).map(Operator::strictness).max();
    let mut held: Vec<(usize, usize)> = Vec::new();
    for loser in run.iter().filter(|c| Some(c.operator.strictness()) < strictest) {
        let first = winners.partition_point(|w| w.end <= loser.start);
        let over = winners.iter().skip(first).take_while(|w| w.start < loser.end);
        // Of what is blocked nothing is written.
        let stricter =
            |w: &Candidate| w.operator != Operator::Block && w.operator.strictness() > loser.operator.strictness();
        if !over.clone().any(stricter) {
            continue;
        }
        if held.is_empty() {
            held.extend(winners.iter().map(|w| (w.start, w.end)));
        }
        let mut at = loser.start;
        let mut next = held.partition_point(|(_, end)| *end <= loser.start);
        while at < loser.end {
            let (start, end) = held.get(next).copied().unwrap_or((usize::MAX, usize::MAX));
            if at < start.min(loser.end) {
                let rest = (at, start.min(loser.end));
                rests.push(Candidate { start: rest.0, end: rest.1, ..*loser });
                held.insert(next, rest);
                next += 1;
            }
            at = end;
            next += 1;
        }
    }
}

/// Removes the exceptions and what they cover wholly, but for `block`.
fn except(candidates: &mut Vec<Candidate>) {
    let mut keeps: Vec<(usize, usize)> =
        candidates.iter().filter(|c| c.operator == Operator::Keep).map(|c| (c.start, c.end)).collect();
    if keeps.is_empty() {
        return;
    }
    keeps.sort_unstable();
    // The furthest end of all exceptions up to each one.
    let mut furthest = 0;
    for keep in &mut keeps {
        furthest = furthest.max(keep.1);
        keep.1 = furthest;
    }
    candidates.retain(|c| {
        let before = keeps.partition_point(|k| k.0 <= c.start);
        let covered = before > 0 && keeps[before - 1].1 >= c.end;
        c.operator != Operator::Keep && (!covered || c.operator == Operator::Block)
    });
}

fn prefer(a: &Candidate, b: &Candidate) -> Ordering {
    b.operator
        .strictness()
        .cmp(&a.operator.strictness())
        .then_with(|| (b.end - b.start).cmp(&(a.end - a.start)))
        .then_with(|| b.score.total_cmp(&a.score))
        .then_with(|| a.start.cmp(&b.start))
        .then_with(|| a.rule.cmp(&b.rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::RuleId;
    use crate::detect::evidence::Evidence;

    fn candidate(start: usize, end: usize, score: f32, operator: Operator) -> Candidate {
        Candidate { start, end, rule: RuleId(0), score, operator, evidence: Evidence::default() }
    }

    fn spans(mut all: Vec<Candidate>) -> Vec<(usize, usize)> {
        resolve(&mut all, &"x".repeat(40));
        all.iter().map(|c| (c.start, c.end)).collect()
    }

    use Operator::{Block, Hash, Keep, Remove, Token};

    #[test]
    fn the_stricter_then_the_longer_then_the_surer_wins() {
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Token), candidate(4, 6, 0.5, Block)]), [(4, 6)]);
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Token), candidate(4, 6, 0.5, Remove)]), [(0, 4), (4, 6), (6, 10)]);
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Hash), candidate(4, 6, 0.5, Block)]), [(4, 6)]);
        assert_eq!(spans(vec![candidate(0, 5, 0.9, Token), candidate(3, 12, 0.5, Token)]), [(3, 12)]);
        assert_eq!(spans(vec![candidate(0, 5, 0.6, Token), candidate(3, 8, 0.9, Token)]), [(3, 8)]);
    }

    #[test]
    fn a_loser_frees_what_only_it_overlapped() {
        // The middle one loses to the first; the last touches only the middle.
        let all = vec![candidate(0, 10, 0.9, Token), candidate(8, 14, 0.9, Token), candidate(12, 15, 0.9, Token)];
        assert_eq!(spans(all), [(0, 10), (12, 15)]);
    }

    #[test]
    fn touching_is_not_overlapping() {
        assert_eq!(spans(vec![candidate(5, 9, 0.9, Token), candidate(0, 5, 0.9, Token)]), [(0, 5), (5, 9)]);
    }

    #[test]
    fn keep_covers_all_but_block() {
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Keep)]), []);
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Keep), candidate(2, 8, 0.9, Token)]), []);
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Keep), candidate(2, 11, 0.9, Token)]), [(2, 11)]);
        assert_eq!(spans(vec![candidate(0, 10, 0.9, Keep), candidate(2, 8, 0.9, Block)]), [(2, 8)]);
        let nested = vec![candidate(0, 20, 0.9, Keep), candidate(3, 4, 0.9, Keep), candidate(5, 9, 0.9, Token)];
        assert_eq!(spans(nested), []);
    }
}
