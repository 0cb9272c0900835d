//! The settings that the command line takes, shared by `serve` and `check`.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::config::{Flag, Sources};

/// Settings from the command line; they outweigh variables and the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Settings {
    /// The configuration file (TOML); `privet config --defaults` prints one, and `PRIVET_CONFIG` may name it too
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// The chatbot or LLM backend, such as `https://chatbot.example`
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,

    /// Where the chat traffic is served; port 0 takes any free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Where metrics, health and the status page are served [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,

    /// The vault: embedded:FOLDER, postgres://USER@HOST/DATABASE, or memory: [default: embedded:./privet-data]
    #[expect(clippy::doc_markdown, reason = "the help shows it as it stands")]
    #[arg(long, value_name = "URL")]
    vault: Option<String>,

    /// A folder of rules that are added to the built-in ones
    #[arg(long, value_name = "DIR")]
    rules: Option<String>,
}

impl Settings {
    /// All that the configuration is read from: the file, the variables of
    /// this process, these flags.
    pub(super) fn into_sources(self) -> Sources {
        let flags = [
            ("--upstream", "upstream", self.upstream),
            ("--listen", "listen", self.listen),
            ("--admin", "admin", self.admin),
            ("--vault", "vault", self.vault),
            ("--rules", "rules", self.rules),
        ];
        let flags = flags.into_iter().filter_map(|(flag, key, value)| Some(Flag { flag, key, value: value? }));
        Sources {
            file: file(self.config),
            environment: Sources::process_environment(),
            flags: flags.collect(),
            ..Sources::default()
        }
    }
}

/// The configuration file: the one that a flag names, or else `PRIVET_CONFIG`.
pub(super) fn file(flag: Option<PathBuf>) -> Option<PathBuf> {
    flag.or_else(|| named(std::env::var_os("PRIVET_CONFIG")))
}

/// The file that a variable names; an empty one names none.
fn named(variable: Option<OsString>) -> Option<PathBuf> {
    variable.filter(|name| !name.is_empty()).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn every_flag_sets_its_key() {
        let given = |text: &str| Some(text.to_owned());
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            config: None,
            upstream: given("http://u"),
            listen: given("l:1"),
            admin: given("a:1"),
            vault: given("memory:"),
            rules: given(&folder.path().display().to_string()),
        };
        let sources = Sources { environment: Vec::new(), ..settings.into_sources() };
        let config = Config::load(&sources).unwrap().config;
        assert_eq!((config.listen.as_str(), config.admin.as_str(), config.vault.as_str()), ("l:1", "a:1", "memory:"));
        assert_eq!((config.rules.as_deref(), config.upstreams[0].url.host()), (Some(folder.path()), Some("u")));
    }

    #[test]
    fn an_empty_variable_names_no_file() {
        assert_eq!(named(None), None);
        assert_eq!(named(Some(OsString::new())), None);
        assert_eq!(named(Some("a.toml".into())), Some(PathBuf::from("a.toml")));
    }
}
