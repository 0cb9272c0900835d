//! `privet check`: is the configuration right, and are the rules?

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use super::flags::Settings;
use super::rule_files::{self, engine_of};
use super::{Failure, message, warn};
use crate::config::{Config, Flag, Sources};
use crate::detect::Engine;
use crate::proxy::Gateway;

/// Check configuration and rules without starting anything.
///
/// Each problem is printed with its file, line and column, and with what to
/// write instead. Takes the same settings as `privet serve`; with `--rules`
/// alone it checks the rules, and no upstream is needed.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Checks, and ends with 1 where something is wrong.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let mut sources = args.settings.into_sources();
    let rules_alone = are_rules_alone(&sources);
    if rules_alone {
        // Nothing is sent there: it stands where the configuration wants one.
        sources.flags.push(Flag { flag: "--upstream", key: "upstream", value: "http://127.0.0.1".to_owned() });
    }
    if let Some(file) = &sources.file
        && let Err(error) = std::fs::File::open(file)
    {
        return Err(Failure::Usage(format!("{} cannot be read: {error}", file.display())));
    }
    let (errors, warnings, doubts): (Vec<String>, _, _) = match Config::load(&sources) {
        Ok(loaded) => {
            let doubts = rule_files::load(loaded.config.rules.as_deref()).map(|set| set.doubts());
            (beyond(&loaded.config), loaded.warnings, doubts.unwrap_or_default())
        }
        Err(problems) => {
            // What is wrong with the configuration hides nothing of the rules.
            let rules = rules_flag(&sources).map_or_else(Vec::new, |dir| wrong_rules(Path::new(dir)));
            let errors = problems.errors.iter().map(ToString::to_string).chain(rules).collect();
            (errors, problems.warnings, Vec::new())
        }
    };
    warn(&warnings);
    for doubt in &doubts {
        message("warning", doubt);
    }
    for problem in &errors {
        message("error", problem);
    }
    if errors.is_empty() {
        let what = if rules_alone { "rules are right" } else { "configuration and rules are right" };
        writeln!(std::io::stdout(), "{what}")?;
        return Ok(ExitCode::SUCCESS);
    }
    Ok(ExitCode::from(1))
}

/// Whether a folder of rules is all that is named: no file, and no upstream.
fn are_rules_alone(sources: &Sources) -> bool {
    let is_upstream = |name: &str| name.starts_with("PRIVET_UPSTREAM");
    rules_flag(sources).is_some()
        && sources.file.is_none()
        && sources.flags.iter().all(|flag| flag.key != "upstream")
        && !sources.environment.iter().any(|(name, value)| is_upstream(name) && !value.is_empty())
}

/// The folder that `--rules` names.
fn rules_flag(sources: &Sources) -> Option<&str> {
    sources.flags.iter().find(|flag| flag.key == "rules").map(|flag| flag.value.as_str())
}

/// What is wrong with the rules of a folder.
fn wrong_rules(dir: &Path) -> Vec<String> {
    // A folder that is not there is told as a mistake of the setting.
    if !dir.is_dir() {
        return Vec::new();
    }
    let engine = rule_files::load(Some(dir)).and_then(|set| Engine::compile(&set));
    engine.err().into_iter().flat_map(|errors| errors.0).map(|error| error.to_string()).collect()
}

/// What is wrong beyond the file itself: with the rules, the names of protocols.
fn beyond(config: &Config) -> Vec<String> {
    let mut errors = Vec::new();
    match engine_of(config) {
        Ok(engine) => {
            warn(&Gateway::doubtful_names(config, &engine));
            errors.extend(Gateway::unknown_names(config, &engine).iter().map(ToString::to_string));
        }
        Err(rules) => errors.extend(rules),
    }
    if let Err(error) = Gateway::check(config) {
        errors.push(error.to_string());
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(flags: &[(&'static str, &str)], environment: &[(&str, &str)]) -> Sources {
        Sources {
            flags: flags.iter().map(|&(key, value)| Flag { flag: "--", key, value: value.to_owned() }).collect(),
            environment: environment.iter().map(|&(name, value)| (name.to_owned(), value.into())).collect(),
            ..Sources::default()
        }
    }

    #[test]
    fn rules_are_alone_where_nothing_else_is_named() {
        assert!(are_rules_alone(&sources(&[("rules", "r")], &[("PRIVET_UPSTREAM", ""), ("PATH", "/bin")])));
        assert!(!are_rules_alone(&sources(&[], &[])));
        assert!(!are_rules_alone(&sources(&[("rules", "r"), ("upstream", "http://a.example")], &[])));
        assert!(!are_rules_alone(&sources(&[("rules", "r")], &[("PRIVET_UPSTREAM", "http://a.example")])));
        let named = Sources { file: Some("privet.toml".into()), ..sources(&[("rules", "r")], &[]) };
        assert!(!are_rules_alone(&named));
    }

    #[test]
    fn what_serve_would_refuse_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let rule = "[[rule]]\nid = \"own\"\nentity = \"STAFF\"\npattern = \"own-[0-9]+\"\noperator = \"hash\"\n";
        std::fs::write(folder.path().join("own.toml"), rule).unwrap();
        let toml = format!(
            "upstream = \"http://a.example\"\nrules = {:?}\n[[routes]]\npath = \"/a\"\nprotocol = \"none-such\"\n\
             [detection.entities.STAF]\noperator = \"hash\"\n[detection.rules.own]\nstate = \"off\"\n",
            folder.path()
        );
        let errors = beyond(&Config::parse(&toml).unwrap().config);
        assert_eq!(errors.len(), 2, "{errors:?}");
        assert_eq!(errors[0], "configuration:6:21: no rule finds the entity `STAF`; write `STAFF`");
        assert!(errors[1].starts_with("configuration:5:1: no protocol has the name `none-such`; write"), "{errors:?}");
    }
}
