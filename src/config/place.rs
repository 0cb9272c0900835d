//! Where recipients of data stand.

use super::{Config, Upstream};

/// The member states of the European Union (ISO 3166-1 alpha-2).
const EU: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// What the European Economic Area has beside them.
const EEA: [&str; 3] = ["IS", "LI", "NO"];

impl Upstream {
    /// Whether it stands in a region: by the name of its own, or by its country.
    pub fn is_in(&self, region: &str) -> bool {
        let by_name = self
            .region
            .as_deref()
            .is_some_and(|own| own.strip_prefix(region).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')));
        let is_of = |list: &[&str]| self.country.as_deref().is_some_and(|country| list.contains(&country));
        by_name
            || self.country.as_deref().is_some_and(|country| country.eq_ignore_ascii_case(region))
            || (matches!(region, "eu" | "eea") && is_of(&EU))
            || (region == "eea" && is_of(&EEA))
    }
}

impl Config {
    /// Whether data may go to an upstream, wherever that stands.
    pub fn may_receive(&self, upstream: &Upstream) -> bool {
        self.regions.is_empty() || self.regions.iter().any(|region| upstream.is_in(region))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upstream(region: Option<&str>, country: Option<&str>) -> Upstream {
        let toml = "[[upstreams]]\nname = \"a\"\nurl = \"https://a.example\"\n";
        let mut one = Config::parse(toml).unwrap().config.upstreams.remove(0);
        (one.region, one.country) = (region.map(str::to_owned), country.map(str::to_owned));
        one
    }

    #[test]
    fn a_region_is_that_of_its_name_or_of_its_country() {
        for (region, country, wanted, is_in) in [
            (Some("eu"), None, "eu", true),
            (Some("eu-central-1"), None, "eu", true),
            (Some("europe"), None, "eu", false),
            (Some("us"), None, "eu", false),
            (None, None, "eu", false),
            (None, Some("DE"), "eu", true),
            (None, Some("DE"), "eea", true),
            (None, Some("DE"), "de", true),
            (None, Some("NO"), "eu", false),
            (None, Some("NO"), "eea", true),
            (None, Some("CH"), "eea", false),
            (Some("eu"), None, "eu-central", false),
        ] {
            assert_eq!(upstream(region, country).is_in(wanted), is_in, "{region:?} {country:?} {wanted}");
        }
    }
}
