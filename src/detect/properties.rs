//! What holds for every text, for the tests and the fuzz targets.

use crate::detect::{Engine, Finding, Input, Scratch};

/// Findings lie on character borders, are sorted and apart, and have a score
/// that is one; a scratch that has served another text changes nothing.
pub fn findings_are_sound(engine: &Engine, text: &str, used: &mut Scratch) -> Vec<Finding> {
    let found = engine.scan(Input::text(text), used).to_vec();
    let mut last = 0;
    for f in &found {
        assert!(last <= f.start && f.start < f.end && f.end <= text.len(), "{f:?}");
        assert!(text.is_char_boundary(f.start) && text.is_char_boundary(f.end), "{f:?}");
        assert!((0.5..=1.0).contains(&f.score), "{f:?}");
        last = f.end;
    }
    assert_eq!(engine.scan(Input::text(text), &mut Scratch::default()), found);
    found
}

/// A text and any part of it have sound findings.
pub fn parts_are_sound(engine: &Engine, text: &str, from: usize, to: usize) {
    let mut scratch = Scratch::default();
    findings_are_sound(engine, text, &mut scratch);
    let from = text.floor_char_boundary(from.min(text.len()));
    let to = text.floor_char_boundary(to.clamp(from, text.len())).max(from);
    findings_are_sound(engine, &text[from..to], &mut scratch);
}
