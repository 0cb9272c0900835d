//! Packs: rule files with a `[pack]` head, switched on and off as one.

use crate::detect::rule::{RawFile, RuleError, RuleFile, is_id};
use std::fmt;
use std::str::FromStr;
use toml::Spanned;

/// A pack of rules, as the heads of its files describe it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Its name.
    pub name: String,
    /// What it finds, for people.
    pub description: String,
    /// Whether it is on where nothing is said about it.
    pub default: bool,
    /// The field it belongs to ("payment", "health").
    pub domain: Option<String>,
    /// The regions it is made for, as ISO 3166-1 alpha-2 codes or "EU"; empty
    /// for everywhere.
    pub regions: Vec<String>,
}

/// Switches packs on or off: `location`, `-account`, `all`, `domain:health`,
/// `-region:TR`, `-language:tr`. Of several that speak of the same, the last
/// counts.
///
/// A switch by region or language also leaves out single rules (and context
/// words) that are for no other region or language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackSwitch {
    on: bool,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    All,
    Pack(String),
    Domain(String),
    Region(String),
    Language(String),
}

/// The text is no switch.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` switches nothing; write a pack's name, all, domain:NAME, region:XX or language:xx, with - in front to switch off"
)]
pub struct BadSwitch(String);

/// A switch names what no rule file has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no {what} `{name}` in the rules; there are {known}")]
pub struct UnknownPack {
    what: &'static str,
    name: String,
    known: String,
}

impl FromStr for PackSwitch {
    type Err = BadSwitch;

    fn from_str(text: &str) -> Result<Self, BadSwitch> {
        let (on, name) = match text.strip_prefix('-') {
            Some(name) => (false, name),
            None => (true, text.strip_prefix('+').unwrap_or(text)),
        };
        let bad = || BadSwitch(text.chars().take(64).collect());
        let what = match name.split_once(':') {
            None if name == "all" => What::All,
            None if is_id(name) => What::Pack(name.to_owned()),
            Some(("domain", domain)) if is_id(domain) => What::Domain(domain.to_owned()),
            Some(("region", region)) if is_region(region) || region == "all" => What::Region(region.to_owned()),
            Some(("language", language)) if is_language(language) || language == "all" => {
                What::Language(language.to_owned())
            }
            _ => return Err(bad()),
        };
        Ok(Self { on, what })
    }
}

impl fmt::Display for PackSwitch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.on {
            f.write_str("-")?;
        }
        match &self.what {
            What::All => f.write_str("all"),
            What::Pack(name) => f.write_str(name),
            What::Domain(name) => write!(f, "domain:{name}"),
            What::Region(name) => write!(f, "region:{name}"),
            What::Language(name) => write!(f, "language:{name}"),
        }
    }
}

impl PackSwitch {
    /// Switches all packs, regions and languages on.
    pub(crate) fn everything() -> [Self; 3] {
        let all = || "all".to_owned();
        [What::All, What::Region(all()), What::Language(all())].map(|what| Self { on: true, what })
    }

    /// The name is in none of the packs, and what there is instead.
    pub(crate) fn unknown_in(&self, packs: &[Pack]) -> Option<UnknownPack> {
        let (what, name, mut known): (_, _, Vec<&str>) = match &self.what {
            What::Pack(name) => ("pack", name, packs.iter().map(|p| p.name.as_str()).collect()),
            What::Domain(name) => ("domain", name, packs.iter().filter_map(|p| p.domain.as_deref()).collect()),
            What::All | What::Region(_) | What::Language(_) => return None,
        };
        known.sort_unstable();
        known.dedup();
        (!known.contains(&name.as_str())).then(|| UnknownPack { what, name: name.clone(), known: known.join(", ") })
    }
}

/// Which rules and words take part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'s>(pub(crate) &'s [PackSwitch]);

impl Selection<'_> {
    /// Whether a pack is on. Rules without a pack always are.
    pub(crate) fn has_pack(self, pack: Option<&Pack>) -> bool {
        let Some(pack) = pack else { return true };
        let speaks = |switch: &&PackSwitch| match &switch.what {
            What::All => true,
            What::Pack(name) => *name == pack.name,
            What::Domain(domain) => Some(domain) == pack.domain.as_ref(),
            // A region that is switched off leaves out single rules, below.
            What::Region(region) => switch.on && pack.regions.contains(region),
            What::Language(_) => false,
        };
        self.0.iter().rev().find(speaks).map_or(pack.default, |switch| switch.on)
    }

    /// Whether one of the regions is on; none at all means everywhere.
    pub(crate) fn has_region(self, regions: &[String]) -> bool {
        let off = |region: &String| {
            let speaks =
                |switch: &&PackSwitch| matches!(&switch.what, What::Region(name) if name == region || name == "all");
            self.0.iter().rev().find(speaks).is_some_and(|switch| !switch.on)
        };
        regions.is_empty() || !regions.iter().all(off)
    }

    /// Whether one of the languages is on; none at all means any.
    pub(crate) fn has_language(self, languages: &[String]) -> bool {
        let off = |language: &String| {
            let speaks = |switch: &&PackSwitch| matches!(&switch.what, What::Language(name) if name == language || name == "all");
            self.0.iter().rev().find(speaks).is_some_and(|switch| !switch.on)
        };
        languages.is_empty() || !languages.iter().all(off)
    }
}

/// The pack that a file belongs to. A file that comes with the product and has
/// no head belongs to none, as a file of the deployment without one.
pub(crate) fn of_file(name: &str, text: &str, raw: &RawFile, errors: &mut Vec<RuleError>) -> Option<Pack> {
    let raw = raw.pack.as_ref()?.get_ref();
    let mut fail = |at, problem: String| errors.push(RuleError::at(name, text, at, problem));
    for id in std::iter::once(&raw.name).chain(&raw.domain) {
        if !is_id(id.get_ref()) || id.get_ref() == "all" {
            fail(
                id.span(),
                "this must have 1 to 64 characters a-z, 0-9, -, . and _; write for example \"health\"".into(),
            );
        }
    }
    check_regions(&raw.regions, &mut fail);
    let text = |value: &Option<Spanned<String>>| value.as_ref().map(|v| v.get_ref().clone());
    Some(Pack {
        name: raw.name.get_ref().clone(),
        description: text(&raw.description).unwrap_or_default(),
        default: raw.default.as_ref().is_none_or(|d| *d.get_ref()),
        domain: text(&raw.domain),
        regions: raw.regions.iter().map(|r| r.get_ref().clone()).collect(),
    })
}

/// All packs of some files, each once, with what does not agree in `errors`.
pub(crate) fn of_files(files: &[RuleFile]) -> (Vec<Pack>, Vec<RuleError>) {
    let mut packs: Vec<Pack> = Vec::new();
    let mut errors = Vec::new();
    for file in files {
        let Some(pack) = &file.pack else { continue };
        match packs.iter_mut().find(|known| known.name == pack.name) {
            None => packs.push(pack.clone()),
            Some(known) => {
                if known.default != pack.default {
                    let at = file.raw.pack.as_ref().map_or(0..0, |p| p.get_ref().name.span());
                    let problem = format!(
                        "another file of the pack `{}` says default = {}; write the same in all",
                        pack.name, known.default
                    );
                    errors.push(RuleError::at(&file.name, &file.text, at, problem));
                }
                if known.description.is_empty() {
                    known.description.clone_from(&pack.description);
                }
                known
                    .regions
                    .extend(pack.regions.iter().filter(|r| !known.regions.contains(r)).cloned().collect::<Vec<_>>());
            }
        }
    }
    (packs, errors)
}

pub(crate) fn check_regions(regions: &[Spanned<String>], fail: &mut impl FnMut(std::ops::Range<usize>, String)) {
    for region in regions.iter().filter(|r| !is_region(r.get_ref())) {
        fail(region.span(), "a region is two capitals: a country of ISO 3166-1 like \"DE\", or \"EU\"".into());
    }
}

pub(crate) fn check_languages(languages: &[Spanned<String>], fail: &mut impl FnMut(std::ops::Range<usize>, String)) {
    for language in languages.iter().filter(|l| !is_language(l.get_ref())) {
        fail(language.span(), "a language is two or three small letters of ISO 639, like \"de\"".into());
    }
}

fn is_region(text: &str) -> bool {
    text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase())
}

fn is_language(text: &str) -> bool {
    (2..=3).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(default: bool) -> Pack {
        Pack {
            name: "bank".into(),
            description: String::new(),
            default,
            domain: Some("payment".into()),
            regions: vec!["DE".into(), "CH".into()],
        }
    }

    fn on(default: bool, switches: &[&str]) -> bool {
        let switches: Vec<PackSwitch> = switches.iter().map(|s| s.parse().unwrap()).collect();
        Selection(&switches).has_pack(Some(&pack(default)))
    }

    #[test]
    fn the_last_switch_that_speaks_of_a_pack_counts() {
        assert!(on(true, &[]) && !on(false, &[]));
        assert!(on(false, &["bank"]) && !on(true, &["-bank"]) && on(true, &["-bank", "+bank"]));
        assert!(on(false, &["domain:payment"]) && !on(true, &["domain:payment", "-all"]));
        assert!(on(false, &["region:CH"]) && !on(false, &["region:FR", "other"]));
        assert!(Selection(&["-all".parse().unwrap()]).has_pack(None));
    }

    #[test]
    fn a_region_is_left_out_where_all_of_a_rules_regions_are() {
        let switches: Vec<PackSwitch> = ["-region:all", "region:DE"].iter().map(|s| s.parse().unwrap()).collect();
        let selection = Selection(&switches);
        assert!(selection.has_region(&[]) && selection.has_region(&["FR".into(), "DE".into()]));
        assert!(!selection.has_region(&["FR".into()]));
        let switches = ["-language:tr".parse().unwrap()];
        assert!(!Selection(&switches).has_language(&["tr".into()]));
        assert!(Selection(&switches).has_language(&["tr".into(), "de".into()]));
    }

    #[test]
    fn what_is_no_switch_is_refused() {
        for bad in ["", "-", "A B", "region:de", "language:DE", "country:DE", "--x y"] {
            assert!(bad.parse::<PackSwitch>().is_err(), "{bad}");
        }
        for good in ["bank", "-bank", "all", "-all", "domain:payment", "-region:DE", "language:de"] {
            assert_eq!(good.parse::<PackSwitch>().unwrap().to_string(), good);
        }
        let unknown = "bnak".parse::<PackSwitch>().unwrap().unknown_in(&[pack(true)]).unwrap();
        assert_eq!(unknown.to_string(), "there is no pack `bnak` in the rules; there are bank");
    }
}
