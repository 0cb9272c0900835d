//! The settings that the command line takes, shared by `serve` and `check`.

use std::path::PathBuf;

use crate::config::{Flag, Sources};

/// Settings from the command line; they outweigh variables and the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Settings {
    /// The configuration file (TOML); `privet config --defaults` prints one
    #[arg(long, value_name = "FILE", env = "PRIVET_CONFIG")]
    config: Option<PathBuf>,

    /// The chatbot or LLM backend, such as `https://chatbot.example`
    #[arg(long, value_name = "URL")]
    upstream: Option<String>,

    /// Where the chat traffic is served; port 0 takes any free port [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,

    /// Where metrics, health and the admin API are served [default: 127.0.0.1:9464]
    #[arg(long, value_name = "HOST:PORT")]
    admin: Option<String>,

    /// The vault: embedded:FOLDER, or memory: [default: embedded:./privet-data]
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
            file: self.config,
            environment: Sources::process_environment(),
            flags: flags.collect(),
            ..Sources::default()
        }
    }
}
