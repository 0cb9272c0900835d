//! `privet serve`: the gateway.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::beside::{self, Published, Unpublish};
use super::chores::Chores;
use super::flags::Settings;
use super::rule_files::engine_of;
use super::{Failure, demo, open, warn};
use crate::admin::api::Services;
use crate::admin::login::Proofs;
use crate::admin::operators::Name;
use crate::admin::role::Role;
use crate::admin::{self, AdminState, Facts, Pages, Readiness};
use crate::config::{self, Config};
use crate::detect::Engine;
use crate::incident::Alerts;
use crate::proxy::{DataService, Gateway};
use crate::sensitive::Sensitive;
use crate::server::tls::server_config;
use crate::server::{self, Drained, Limits, Listener, Peer, Shutdown};
use crate::telemetry::{self, Metrics, VaultOperation};
use crate::transcripts::Transcripts;
use crate::vault::{Vault, VaultUrl};

/// Bodies over 256 KiB are looked through on such threads, and the vault's file is opened.
const MAX_BLOCKING_THREADS: usize = 16;

/// Run the gateway between chat clients and a chatbot.
///
/// Settings come from a file, from `PRIVET_…` environment variables, and from
/// these flags; the later outweigh the earlier. All are checked before a port
/// is opened. `PRIVET_KEY`, or a file named by `PRIVET_KEY_FILE`, holds the key of
/// the vault: 32 random bytes in base64.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  export PRIVET_KEY=$(openssl rand -base64 32)\n  \
                        privet serve --upstream https://chatbot.example")]
pub struct Args {
    #[command(flatten)]
    settings: Settings,
}

/// Reads the configuration, says what is wrong with it, and runs the gateway.
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    let loaded = Config::load(&args.settings.into_sources())?;
    warn(&loaded.warnings);
    if loaded.config.key.is_none() && loaded.config.keys.transit.is_none() {
        return Err(Failure::Usage(open::NO_KEY.to_owned()));
    }
    serve(loaded.config)
}

/// Runs the gateway until it is told to stop.
fn serve(config: Config) -> Result<ExitCode, Failure> {
    let (format, level) = (log_format(config.log.format), log_level(config.log.level));
    telemetry::init(format, level).map_err(failed)?;
    runtime()?.block_on(async {
        let running = start(config, Shutdown::on_signals()?).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "gateway: {}", running.gateway_url())?;
        writeln!(out, "admin: {}", running.admin_url())?;
        out.flush()?;
        drop(out);
        running.ended().await;
        Ok(ExitCode::SUCCESS)
    })
}

/// A key that nobody else knows and that ends with this process.
pub(super) fn new_key() -> Result<Sensitive, Failure> {
    let mut key = Zeroizing::new([0; 32]);
    rand::fill(key.as_mut()).map_err(|_| Failure::Failed("The system gives no random numbers.".to_owned()))?;
    Ok(Sensitive::new(STANDARD.encode(key.as_ref())))
}

/// The runtime that fits the cores this process may use: with one core a
/// second thread would only be in the way.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    let one_core = std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1);
    let mut builder = if one_core { Builder::new_current_thread() } else { Builder::new_multi_thread() };
    builder.enable_all().max_blocking_threads(MAX_BLOCKING_THREADS).build().map_err(failed)
}

/// A gateway at work, with its admin listener.
pub(super) struct Running {
    gateway: SocketAddr,
    admin: SocketAddr,
    gateway_tls: bool,
    admin_tls: bool,
    tasks: [JoinHandle<Drained>; 2],
    services: Arc<Services>,
    chores: Chores,
    _alerts: Alerts,
    /// What goes on beside requests.
    beside: JoinHandle<()>,
    transcripts: Option<Transcripts>,
    _published: Option<Unpublish>,
}

impl Running {
    /// Where the chat traffic goes.
    pub(super) fn gateway_url(&self) -> String {
        url(self.gateway, self.gateway_tls)
    }

    /// What holds the values.
    pub(super) fn vault(&self) -> &Vault {
        &self.services.vault
    }

    /// The key of a new operator who may do everything.
    pub(super) async fn admin_key(&self) -> Result<Sensitive, Failure> {
        let name = Name::try_from("demo".to_owned()).map_err(failed)?;
        let (_, key) = self.services.logins.operators.add(name, Role::Admin, None).await.map_err(failed)?;
        Ok(key)
    }

    /// Where the metrics are.
    pub(super) fn admin_url(&self) -> String {
        url(self.admin, self.admin_tls)
    }

    /// Waits for a signal to end, and for the requests in flight.
    pub(super) async fn ended(self) {
        for task in self.tasks {
            // A listener that panicked has been logged; the other one goes on draining.
            let _ = task.await;
        }
        drop(self.chores);
        self.beside.abort();
        if let Some(transcripts) = self.transcripts {
            transcripts.close().await;
        }
        self.services.close().await;
    }
}

/// Opens the vault, compiles the rules, binds both listeners and serves them.
/// All that can be wrong is found before a port is bound.
/// `shutdown` ends it.
pub(super) async fn start(config: Config, shutdown: Shutdown) -> Result<Running, Failure> {
    let metrics = Metrics::new().map_err(failed)?;
    telemetry::catch_panics(Some(metrics.panics.clone()));
    let engine = Arc::new(engine_of(&config).map_err(|errors| Failure::Usage(errors.join("\n")))?);
    warn(&Gateway::doubtful_names(&config, &engine));
    let tls = match &config.tls {
        Some(tls) => Some(server_config(&tls.certificate, &tls.key).map_err(|e| Failure::Usage(e.to_string()))?),
        None => None,
    };
    let admin_tls = tls.clone().filter(|_| config.tls.as_ref().is_some_and(|tls| tls.admin));
    let limits = Limits {
        header_read: config.timeouts.header,
        write: config.timeouts.write,
        header_bytes: config.limits.header_bytes,
        headers: config.limits.headers,
        connections: config.limits.connections,
        h2_streams: config.limits.h2_streams,
        drain: config.timeouts.drain,
        ..Limits::default()
    };
    let proofs = Proofs::new(&open::proof_key(&config)?).map_err(failed)?;
    let (place, vault) = (open::place(&config)?, open::vault_with(&config, &engine).await?);

    let facts = facts(&config, &engine, &place);
    let (listen, admin) = (config.listen.clone(), config.admin.clone());
    let certificate = match &config.tls {
        Some(tls) if tls.admin => {
            let first = CertificateDer::from_pem_file(&tls.certificate).map_err(failed)?;
            Some(beside::certificate_hash(&first))
        }
        _ => None,
    };
    let rules = Some(Arc::clone(&engine));
    let services = Services::new(Arc::new(config.clone()), vault.clone(), proofs, Arc::clone(&metrics), rules);
    let services = services.await.map_err(|e| Failure::Failed(format!("{place}: {e}")))?;
    let alerts =
        Alerts::start(services.config.alerts, &services.audit, &services.incidents, &services.rights, &metrics);
    if let Some(syslog) = services.config.audit.syslog.clone() {
        // It ends with the runtime; what is not sent then is sent by the next process.
        tokio::spawn(services.audit.clone().forward(syslog));
    }
    let recorder = services.audit.recorder();
    let gateway = Gateway::new(
        config.clone(),
        engine,
        vault.clone(),
        Arc::clone(&services.rights),
        Arc::clone(&metrics),
        recorder,
    )
    .map_err(|e| Failure::Usage(e.to_string()))?;
    let transcripts = gateway.transcripts().cloned();
    let chores = Chores::begin(&config, &vault, &services.audit, transcripts.as_ref(), &metrics);
    // It ends by itself when nobody uses the ledger any more.
    tokio::spawn(gateway.ledger().follow(&vault));
    let beside = tokio::spawn({
        let (rights, metrics) = (Arc::clone(&services.rights), Arc::clone(&metrics));
        let ledger = gateway.ledger().clone();
        async move { rights.run(|counts| metrics.set_cases_due(counts), |row| _ = ledger.end(row)).await }
    });
    let data_listener = Listener::bind(&listen, tls.clone()).await.map_err(failed)?;
    let admin_listener = Listener::bind(&admin, admin_tls.clone()).await.map_err(failed)?;

    let readiness = Readiness::new({
        let (vault, metrics) = (vault.clone(), Arc::clone(&metrics));
        move || {
            let (vault, metrics) = (vault.clone(), Arc::clone(&metrics));
            async move { is_writable(&vault, &metrics).await }
        }
    });
    let pages = admin::router(AdminState::new(Arc::clone(&services), readiness, &facts));
    let (gateway_address, admin_address) = (data_listener.local_addr(), admin_listener.local_addr());
    let published = match &place {
        VaultUrl::Embedded(folder) => {
            let admin = demo::reachable(&url(admin_address, admin_tls.is_some()));
            Some(Published { admin, certificate }.write(folder).map_err(|e| Failure::Failed(format!("{place}: {e}")))?)
        }
        // Nobody else needs to be asked.
        VaultUrl::Memory => None,
        #[cfg(feature = "postgres")]
        VaultUrl::Postgres(_) => None,
    };
    let serving = move |peer: Peer| DataService { gateway: Arc::clone(&gateway), client: peer.address.ip() };
    let tasks = [
        tokio::spawn(server::serve(data_listener, serving, limits, shutdown.clone())),
        tokio::spawn(server::serve(admin_listener, move |peer| Pages::new(&pages, peer), limits, shutdown)),
    ];
    tracing::info!(gateway = %gateway_address, admin = %admin_address, "Privet is serving.");
    Ok(Running {
        gateway: gateway_address,
        admin: admin_address,
        gateway_tls: tls.is_some(),
        admin_tls: admin_tls.is_some(),
        tasks,
        services,
        chores,
        _alerts: alerts,
        beside,
        transcripts,
        _published: published,
    })
}

async fn is_writable(vault: &Vault, metrics: &Metrics) -> bool {
    let written = vault.check_writable().await;
    metrics.vault_operation(VaultOperation::Check, written.is_ok());
    if let Err(error) = &written {
        tracing::warn!(%error, "The vault cannot be written.");
    }
    written.is_ok()
}

/// What the status page tells; it needs no login, so it names no secret.
fn facts(config: &Config, engine: &Engine, vault: &VaultUrl) -> Facts {
    let kind = match vault {
        VaultUrl::Memory => "memory",
        VaultUrl::Embedded(_) => "embedded",
        #[cfg(feature = "postgres")]
        VaultUrl::Postgres(_) => "postgres",
    };
    let facts = Facts::new()
        .with("Rules", format!("{} (version {})", engine.rules().count(), engine.version()))
        .with("Vault", kind);
    config.routes.iter().fold(facts, |facts, route| facts.with(format!("Route {}", route.path), route.purpose.clone()))
}

fn url(address: SocketAddr, tls: bool) -> String {
    format!("{}://{address}", if tls { "https" } else { "http" })
}

fn log_format(format: config::LogFormat) -> telemetry::LogFormat {
    match format {
        config::LogFormat::Text => telemetry::LogFormat::Text,
        config::LogFormat::Json => telemetry::LogFormat::Json,
    }
}

fn log_level(level: config::LogLevel) -> LevelFilter {
    match level {
        config::LogLevel::Error => LevelFilter::ERROR,
        config::LogLevel::Warn => LevelFilter::WARN,
        config::LogLevel::Info => LevelFilter::INFO,
        config::LogLevel::Debug => LevelFilter::DEBUG,
    }
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}
