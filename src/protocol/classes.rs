//! What stands where in one request. Its messages are built alike, so that the
//! same places come again, and what is known of one is known of all.

use super::pattern::{Condition, Outline};
use super::request::{RequestField, RequestFields};
use crate::json::{Path, Step};

/// So many places of one request are kept in mind.
const MOST: usize = 8;

/// What stands at a place of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Class {
    /// How it is looked at.
    pub field: RequestField,
    /// Whether the API takes no brackets there.
    pub is_bare: bool,
    /// Whether the texts there go on from one to the next: the contents of
    /// messages, and the parts of a content.
    pub is_joined: bool,
}

/// Classifies the values of one document.
pub struct Classes<'f, 'a> {
    fields: &'f RequestFields,
    /// Places in arrays, of which what stands beside the value says nothing.
    known: Vec<(Path<'a>, Class)>,
}

impl<'f, 'a> Classes<'f, 'a> {
    /// Of a document of this protocol.
    pub fn new(fields: &'f RequestFields) -> Self {
        Self { fields, known: Vec::new() }
    }

    /// What stands at `path`; `holds` judges the conditions of patterns.
    pub fn of(&mut self, path: &Path<'a>, mut holds: impl FnMut(&Condition) -> bool) -> Class {
        if let Some((_, class)) = self.known.iter().find(|(known, _)| known.is_like(path)) {
            return *class;
        }
        let mut is_conditional = false;
        let judge = |condition: &Condition| {
            is_conditional = true;
            holds(condition)
        };
        let class = self.fields.class(path, Outline::of(path), judge);
        let comes_again = path.steps().iter().any(|step| matches!(step, Step::Index(_)));
        if comes_again && !is_conditional && self.known.len() < MOST {
            self.known.push((path.clone(), class));
        }
        class
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::{Str, Visitor, walk};
    use crate::protocol::Protocols;
    use proptest::prelude::*;

    /// Holds what is known of places against what is found out anew.
    struct Compare<'f, 'a> {
        fields: &'f RequestFields,
        classes: Classes<'f, 'a>,
        /// Whether conditions hold, which may be otherwise with each value.
        holds: Box<dyn FnMut() -> bool>,
        count: usize,
    }

    impl<'a> Visitor<'a> for Compare<'_, 'a> {
        fn string(&mut self, path: &Path<'a>, _value: Str<'a>) {
            let holds = (self.holds)();
            let anew = self.fields.class(path, Outline::of(path), |_| holds);
            assert_eq!(self.classes.of(path, |_| holds), anew, "{path:?}");
            self.count += 1;
        }
    }

    fn compare(fields: &RequestFields, document: &str, holds: Box<dyn FnMut() -> bool>) -> (usize, usize) {
        let mut compare = Compare { fields, classes: Classes::new(fields), holds, count: 0 };
        walk(document, &mut compare).unwrap();
        (compare.count, compare.classes.known.len())
    }

    #[test]
    fn places_that_come_again_are_looked_up_once() {
        let protocols = Protocols::builtin().unwrap();
        let fields = &protocols.named("openai-chat").unwrap().request;
        let message = r#"{"role": "user", "content": "Hello"}"#;
        let document = format!(r#"{{"model": "m", "messages": [{}]}}"#, [message; 9].join(","));
        assert_eq!(compare(fields, &document, Box::new(|| false)), (19, 2));
    }

    #[test]
    fn many_places_are_not_kept_in_mind() {
        let protocols = Protocols::builtin().unwrap();
        let fields = &protocols.named("openai-chat").unwrap().request;
        let members: Vec<_> = (0..100).map(|n| format!(r#"{{"a{n}": "x"}}"#)).collect();
        assert_eq!(compare(fields, &format!("[{}]", members.join(",")), Box::new(|| false)), (100, MOST));
    }

    fn value() -> impl Strategy<Value = String> {
        let name = prop::sample::select(vec![
            "messages",
            "content",
            "role",
            "type",
            "text",
            "input",
            "parts",
            "\\u0074ext",
            "image_url",
            "url",
            "name",
        ]);
        let leaf = Just(r#""x""#.to_owned());
        leaf.prop_recursive(5, 60, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(|values| format!("[{}]", values.join(","))),
                prop::collection::vec((name.clone(), inner), 0..6).prop_map(|members| {
                    let members: Vec<_> = members.iter().map(|(name, value)| format!(r#""{name}":{value}"#)).collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_known_of_places_holds(document in value(), which in 0..14_usize, turn in 1..4_usize) {
            let protocols = Protocols::builtin().unwrap();
            let names: Vec<_> = protocols.names().collect();
            let protocol = protocols.named(names[which % names.len()]).unwrap();
            let mut count = 0;
            let holds = move || {
                count += 1;
                count % turn == 0
            };
            compare(&protocol.request, &document, Box::new(holds));
        }
    }
}
