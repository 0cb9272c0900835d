//! Lists, page by page.

use super::endpoint::at_most;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};
use std::borrow::Cow;

/// Which page of a list.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Paging {
    /// The `next` of the page before; the first page without it.
    #[serde(default, deserialize_with = "at_most::<_, _, 256>")]
    #[schemars(length(max = 256))]
    pub after: Option<String>,
    /// How many items at most.
    #[serde(default)]
    pub limit: Limit,
}

/// One page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// The `after` of the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// How many items of a list: 1 to 1000, 100 where nothing is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit(u16);

impl Limit {
    const MAX: u16 = 1000;

    /// As a number of items.
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(100)
    }
}

impl<'de> Deserialize<'de> for Limit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let limit = u16::deserialize(deserializer)?;
        match limit {
            1..=Self::MAX => Ok(Self(limit)),
            _ => Err(serde::de::Error::custom("a limit is a number from 1 to 1000")),
        }
    }
}

impl JsonSchema for Limit {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Limit".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": Self::MAX, "default": 100 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_bounded() {
        assert_eq!(serde_json::from_str::<Limit>("1000").unwrap().get(), 1000);
        for wrong in ["0", "1001", "-1", "70000", "\"1\""] {
            assert!(serde_json::from_str::<Limit>(wrong).is_err(), "{wrong}");
        }
    }
}
