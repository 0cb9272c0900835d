//! Finds personal data in texts that may be percent-encoded: the parts of an
//! address, the fields of a form, the values of headers. Pure.

use super::inspect::{self, FieldSeries, Findings, Form, Located, Manner, Reading, Rules, inspect_json};
use super::percent::{Encoding, NotUtf8, Places};
use crate::detect::{Detector, Finding, Input, Scratch};
use std::ops::Range;

/// How often what is encoded is decoded.
const LAYERS: usize = 3;

/// A text within a larger one.
#[derive(Clone, Copy)]
pub(super) struct Piece<'p> {
    pub(super) text: &'p str,
    /// Where it starts in the larger one.
    pub(super) start: usize,
    /// The name in front of it.
    pub(super) label: Option<&'p str>,
}

/// Collects the findings of many pieces.
pub(super) struct Look<'l> {
    detector: Detector<'l>,
    scratch: &'l mut Scratch,
    /// Where there are some, values that are JSON are looked through by them.
    rules: Option<&'l Rules<'l>>,
    pub(super) findings: Findings,
}

impl<'l> Look<'l> {
    pub(super) fn new(detector: impl Into<Detector<'l>>, scratch: &'l mut Scratch) -> Self {
        Self { detector: detector.into(), scratch, rules: None, findings: Findings::default() }
    }

    /// Looks into values that are JSON documents too.
    pub(super) fn within(rules: &'l Rules<'l>, scratch: &'l mut Scratch) -> Self {
        Self { rules: Some(rules), ..Self::new(rules.detector, scratch) }
    }

    /// Adds what is found in a piece, of which `wanted` may turn findings down.
    ///
    /// What is encoded twice, as the query of an address in a query, is decoded
    /// twice; what is found on either layer counts.
    pub(super) fn at(
        &mut self,
        piece: Piece<'_>,
        encoding: Encoding,
        form: Form,
        wanted: impl Fn(&str, &Finding) -> bool,
    ) -> Result<(), NotUtf8> {
        let first = self.findings.list.len();
        if encoding.is_absent(piece.text) {
            self.scan(piece, piece.text, form, &wanted, |offset| offset);
            self.read(piece, piece.text, first, form, &wanted, |offset| offset);
            return Ok(());
        }
        let form = if form == Form::Text { Form::Encoded } else { form };
        let mut layers = vec![encoding.decode(piece.text)?];
        while let Some(text) = layers.last() {
            let outer = std::iter::once(piece.text).chain(layers.iter().map(String::as_str));
            let mut places: Vec<Places<'_>> =
                outer.take(layers.len()).map(|text| Places::new(encoding, text)).collect();
            let place = |offset| places.iter_mut().rev().fold(offset, |offset, places| places.of(offset));
            self.scan(piece, text, form, &wanted, place);
            match encoding.decode(text) {
                Ok(inner) if layers.len() < LAYERS && inner != *text => layers.push(inner),
                _ => break,
            }
        }
        if layers.len() > 1 {
            self.settle(first);
        }
        if let Some(text) = layers.last() {
            let outer = std::iter::once(piece.text).chain(layers.iter().map(String::as_str));
            let mut places: Vec<Places<'_>> =
                outer.take(layers.len()).map(|text| Places::new(encoding, text)).collect();
            let place = move |offset| places.iter_mut().rev().fold(offset, |offset, places| places.of(offset));
            self.read(piece, text, first, form, &wanted, place);
        }
        Ok(())
    }

    /// Adds what other readings of a layer show, of which the findings begin at
    /// `first` of the list.
    fn read(
        &mut self,
        piece: Piece<'_>,
        text: &str,
        first: usize,
        form: Form,
        wanted: &impl Fn(&str, &Finding) -> bool,
        place: impl FnMut(usize) -> usize + Clone,
    ) {
        let how = Manner { detector: self.detector, label: piece.label, form, wanted };
        let in_body = || {
            let mut place = place.clone();
            move |range: Range<usize>| {
                let start = piece.start + place(range.start);
                start..piece.start + place(range.end)
            }
        };
        for reading in Reading::all(text, piece.label) {
            reading.look(how, self.scratch, &mut self.findings, piece.start, in_body());
        }
        inspect::look_encoded(text, how, self.scratch, &mut self.findings, first, in_body());
    }

    /// Scans one layer, of which `place` says where its bytes stand in the piece.
    fn scan(
        &mut self,
        piece: Piece<'_>,
        text: &str,
        form: Form,
        wanted: &impl Fn(&str, &Finding) -> bool,
        mut place: impl FnMut(usize) -> usize,
    ) {
        for found in self.detector.scan(Input { text, label: piece.label }, self.scratch) {
            if !wanted(text, found) {
                continue;
            }
            let value = text.get(found.start..found.end).unwrap_or_default();
            let at = piece.start + place(found.start)..piece.start + place(found.end);
            self.findings.add(at, found, value, form);
        }
    }

    /// Adds what is found in the value of a form that is a JSON document, if
    /// it is one.
    fn at_document(&mut self, value: &str, start: usize) -> Result<bool, NotUtf8> {
        let Some(rules) = self.rules else { return Ok(false) };
        let text = Encoding::FORM.decode(value)?;
        if !text.trim_start_matches('\u{feff}').trim_start().starts_with(['{', '[']) {
            return Ok(false);
        }
        let Ok(mut found) = inspect_json(&text, rules, self.scratch) else { return Ok(false) };
        let mut places = Places::new(Encoding::FORM, value);
        for one in &mut found.list {
            one.at = places.of(one.at.start)..places.of(one.at.end);
            if one.form == Form::Text || one.form == Form::Encoded {
                one.form = Form::Percent;
            }
        }
        self.findings.append(found, start);
        Ok(true)
    }

    /// Sorts the findings of several layers; where they overlap, the stricter
    /// wins, then the longer.
    fn settle(&mut self, first: usize) {
        let mut layered = self.findings.list.split_off(first);
        layered.sort_by_key(|found| found.at.start);
        for found in layered {
            let rank = |found: &Located| (found.operator.strictness(), found.at.len());
            match self.findings.list.get_mut(first..).and_then(<[_]>::last_mut) {
                Some(last) if found.at.start < last.at.end => {
                    // Of two alike, the later one is decoded further.
                    if rank(&found) >= rank(last) {
                        *last = found;
                    }
                }
                _ => self.findings.list.push(found),
            }
        }
    }

    /// Adds what is cut over this value of a field and the one before of its name.
    fn join(&mut self, series: &mut FieldSeries, piece: Piece<'_>) -> Result<(), NotUtf8> {
        let text = Encoding::FORM.decode(piece.text)?;
        let joint = series.joint(piece.label, &text);
        let place = |range: Range<usize>| {
            let mut places = Places::new(Encoding::FORM, piece.text);
            piece.start + places.of(range.start)..piece.start + places.of(range.end)
        };
        joint.look(&text, place, Form::Percent, self.detector, self.scratch, &mut self.findings);
        joint.push(&text, |start| {
            let mut places = Places::new(Encoding::FORM, piece.text);
            inspect::Places::Each((start..=text.len()).map(|at| piece.start + places.of(at)).collect())
        });
        Ok(())
    }

    /// Adds what is found in `name=value` pairs between `&`: a query, or a
    /// form. A name is the label of its value; the value of a name that is
    /// `excepted` is not looked at. The pairs start at `start` of a larger text.
    pub(super) fn at_pairs(
        &mut self,
        pairs: &str,
        start: usize,
        excepted: impl Fn(&str) -> bool,
    ) -> Result<(), NotUtf8> {
        let mut start = start;
        let mut series = FieldSeries::default();
        for pair in pairs.split('&') {
            let (name, value) = pair.split_once('=').map_or((pair, None), |(name, value)| (name, Some(value)));
            self.at(Piece { text: name, start, label: None }, Encoding::FORM, Form::Percent, any)?;
            if let Some(value) = value {
                let decoded;
                let name_text = if Encoding::FORM.is_absent(name) {
                    name
                } else {
                    decoded = Encoding::FORM.decode(name)?;
                    &decoded
                };
                let value_start = start + name.len() + 1;
                if !excepted(name_text) && !self.at_document(value, value_start)? {
                    let piece = Piece { text: value, start: value_start, label: Some(name_text) };
                    self.at(piece, Encoding::FORM, Form::Percent, any)?;
                    self.join(&mut series, piece)?;
                }
            }
            start += pair.len() + 1;
        }
        Ok(())
    }
}

/// Turns no finding down.
pub(super) fn any(_text: &str, _found: &Finding) -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Engine;
    use proptest::prelude::*;

    /// A query with its findings in guillemets, and their values.
    fn found(engine: &Engine, query: &str) -> (String, Vec<String>) {
        let mut scratch = Scratch::default();
        let mut look = Look::new(engine, &mut scratch);
        look.at_pairs(query, 0, |_| false).unwrap();
        let list = &look.findings.list;
        assert!(list.windows(2).all(|two| two[0].at.end <= two[1].at.start), "{query}");
        let mut marked = query.to_owned();
        for found in list.iter().rev() {
            marked.insert(found.at.end, '»');
            marked.insert(found.at.start, '«');
        }
        (marked, list.iter().map(|found| look.findings.value(found).to_owned()).collect())
    }

    #[test]
    fn what_is_encoded_again_is_found_too() {
        let engine = Engine::builtin().unwrap();
        for (marked, value) in [
            ("next=https%3A%2F%2Fshop.example%2F%3Fto%3D«ana%2540example.com»%26x", "ana@example.com"),
            ("next=%2F%3Fto%3D«ana%252540example.com»", "ana@example.com"),
            ("a=100%25+«ana%40example.com»+%2520", "ana@example.com"),
            ("a=«%2B49+151+20000000»+%2541", "+49 151 20000000"),
            ("a=%+%4+%zz+«ana@example.com»", "ana@example.com"),
        ] {
            let query = marked.replace(['«', '»'], "");
            assert_eq!(found(&engine, &query), (marked.to_owned(), vec![value.to_owned()]));
        }
        let (marked, values) = found(&engine, "a=%2540+bo%40example.org+x%2540&b=ana%2540example.com");
        assert_eq!(marked, "a=%2540+«bo%40example.org»+x%2540&b=«ana%2540example.com»");
        assert_eq!(values, ["bo@example.org", "ana@example.com"]);
    }

    #[test]
    fn values_cut_over_fields_of_one_name_are_found() {
        let engine = Engine::builtin().unwrap();
        for (query, values) in [
            ("text=mail+«ana.no»&text=«vak%40example.com»", &["ana.novak@example.com", ""][..]),
            ("t[0]=mail+«ana.no»&t[1]=«vak%40example.com»+now", &["ana.novak@example.com", ""]),
            ("c1=«4111»&c2=«1111»&c3=«1111»&c4=«1111»", &["4111111111111111", "", "", ""]),
            ("a=ana.no&b=«vak%40example.com»", &["vak@example.com"]),
            ("user=«ana.novak»&domain=«%40example.com»", &["ana.novak@example.com", ""]),
            ("first=«ana.no»&second=«vak%40example.com»", &["ana.novak@example.com", ""]),
        ] {
            let plain = query.replace(['«', '»'], "");
            let values: Vec<_> = values.iter().map(|&value| value.to_owned()).collect();
            assert_eq!(found(&engine, &plain), (query.to_owned(), values));
        }
    }

    #[test]
    fn dates_are_no_people() {
        let engine = Engine::builtin().unwrap();
        for query in ["since=05+Jan+2026", "since=Tue%2C%2005%20Sep%202026", "d=Jul-5"] {
            assert_eq!(found(&engine, query).0, query);
        }
        assert_eq!(found(&engine, "name=Jan").0, "name=«Jan»");
    }

    fn part() -> impl Strategy<Value = String> {
        let whole = prop::sample::select(vec![
            "ana@example.com",
            "I am Anna Kowalska",
            "4111 1111 1111 1111",
            "203.0.113.7",
            "é€",
            "=",
            "%",
            "&",
            "%41",
            "+",
        ]);
        let text = prop_oneof![whole.prop_map(str::to_owned), "[a-zA-Z0-9 .:@/%+-]{0,6}"];
        (text, 0..3_usize).prop_map(|(text, layers)| {
            (0..layers).fold(text, |text, _| {
                percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
            })
        })
    }

    proptest! {
        #[test]
        fn a_finding_stands_where_its_value_is_written(parts in prop::collection::vec(part(), 0..8)) {
            static ENGINE: std::sync::LazyLock<Engine> = std::sync::LazyLock::new(|| Engine::builtin().unwrap());
            let query = parts.concat();
            let mut scratch = Scratch::default();
            let mut look = Look::new(&*ENGINE, &mut scratch);
            // Cut escapes may spell what is no UTF-8.
            if look.at_pairs(&query, 0, |_| false).is_ok() {
                let mut end = 0;
                for found in &look.findings.list {
                    prop_assert!(end <= found.at.start && found.at.start < found.at.end);
                    end = found.at.end;
                    let mut layers = vec![query[found.at.clone()].to_owned()];
                    // A layer that is no UTF-8 is none: there the text ends.
                    while layers.len() <= LAYERS
                        && let Ok(next) = Encoding::FORM.decode(layers.last().unwrap())
                    {
                        layers.push(next);
                    }
                    prop_assert!(layers.iter().any(|layer| layer == look.findings.value(found)), "{layers:?}");
                }
            }
        }
    }
}
