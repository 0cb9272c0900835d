//! `privet demo`: the whole product on loopback with no set-up. A built-in
//! chatbot as upstream, the gateway in front of it, and a chat page that shows
//! side by side what the person sees and what the chatbot sees.

mod chatbot;
mod dialogue;
mod site;

use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

use tokio::net::TcpListener;

use super::Failure;
use super::serve::{self, Running};
use crate::config::Config;
use crate::server::Shutdown;

/// The version of the page's privacy notice.
const POLICY: &str = "2026-05";

/// Show the whole product on this machine, with no set-up.
///
/// Starts a chatbot, the gateway in front of it, and a chat page that shows
/// side by side what you see and what the chatbot sees. Key and vault are made
/// for this run and removed at its end.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Where the chat traffic is served; port 0 takes any free port
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8080")]
    pub listen: String,
    /// Where metrics, health and the status page are served
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:9464")]
    pub admin: String,
}

/// Runs until it is interrupted. The key is made for this run and the vault
/// lies in a temporary folder that is removed at the end, so that nothing of
/// the demo is left.
#[expect(clippy::needless_pass_by_value, reason = "every command takes its arguments over")]
pub fn run(args: Args) -> Result<ExitCode, Failure> {
    if args.listen == args.admin && !args.listen.ends_with(":0") {
        let said = "`--listen` and `--admin` name one address; give them two ports.";
        return Err(Failure::Usage(said.to_owned()));
    }
    check_free("--listen", &args.listen)?;
    check_free("--admin", &args.admin)?;
    let folder = tempfile::Builder::new()
        .prefix("privet-demo-")
        .tempdir()
        .map_err(|e| Failure::Failed(format!("A temporary folder for the vault cannot be made: {e}.")))?;
    serve::runtime()?.block_on(run_in(folder.path(), &args))?;
    Ok(ExitCode::SUCCESS)
}

async fn run_in(folder: &Path, args: &Args) -> Result<(), Failure> {
    let (listener, site) = bind_site()
        .await
        .map_err(|e| Failure::Failed(format!("The demo's chatbot cannot listen on a loopback port: {e}.")))?;
    let running = start_gateway(folder, args, site).await?;
    let gateway = reachable(&running.gateway_url());

    let feed = site::Feed::new();
    let app = chatbot::router(chatbot::Chatbot::new(feed.clone())).merge(site::router(feed, &gateway));
    let serving = tokio::spawn(async move { axum::serve(listener, app).await });

    announce(&gateway, &reachable(&running.admin_url()), site)?;
    let key = running.admin_key().await?;
    writeln!(io::stderr(), "The admin API takes this key: Authorization: Bearer {}", key.expose())?;
    running.ended().await;
    serving.abort();
    Ok(())
}

async fn bind_site() -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The gateway in front of the chatbot.
async fn start_gateway(folder: &Path, args: &Args, site: SocketAddr) -> Result<Running, Failure> {
    let mut config = Config::parse(&settings(folder, args, site))?.config;
    config.key = Some(serve::new_key()?);
    serve::start(config, Shutdown::on_signals()?).await
}

/// The demo's configuration, as a site would write it.
fn settings(folder: &Path, args: &Args, site: SocketAddr) -> String {
    let port = site.port();
    let text = |s: &str| toml::Value::from(s).to_string();
    format!(
        r#"
listen = {listen}
admin = {admin}
upstream = "http://{site}"
vault = {vault}

[[purposes]]
name = "support"

[consent]
policy = "{POLICY}"

[[notices]]
lang = "en"
title = "May a chatbot answer you?"
text = """The Corner Shop answers questions with the help of a chatbot that another company runs.

Names, email addresses, phone numbers, card and account numbers are replaced by tokens before they leave. Only you get them back. You can withdraw at any time, at the top of this page."""
[notices.purposes.support]
title = "Support"
text = "Answering your questions in this chat. Nothing is used for advertising or for profiling."

[cors]
origins = ["http://127.0.0.1:{port}", "http://localhost:{port}"]
"#,
        listen = text(&args.listen),
        admin = text(&args.admin),
        vault = text(&format!("embedded:{}", folder.join("vault").display())),
    )
}

/// One `name: URL` a line for people and programs, and a line to paste.
fn announce(gateway: &str, admin: &str, site: SocketAddr) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "gateway: {gateway}")?;
    writeln!(out, "admin: {admin}")?;
    writeln!(out, "chat page: http://{site}/")?;
    writeln!(out, "{}", curl_line(gateway))?;
    out.flush()
}

fn curl_line(gateway: &str) -> String {
    format!(
        "curl -N {gateway}/v1/chat/completions -H 'Content-Type: application/json' -H 'Privet-Consent: support' \
         -d '{{\"stream\": true, \"messages\": [{{\"role\": \"user\", \"content\": \
         \"I am Anna Kowalska, please write to anna.kowalska@example.com\"}}]}}'"
    )
}

/// The address under which a browser on this machine reaches a listener that
/// takes every address.
pub(super) fn reachable(url: &str) -> String {
    url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
}

/// A taken default port is what a first run is most likely to meet, so it is
/// told apart from all else, with the flag that helps.
fn check_free(flag: &str, address: &str) -> Result<(), Failure> {
    match std::net::TcpListener::bind(address) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Err(Failure::Failed(format!(
            "{address} is in use by another program. Choose another address with `{flag} HOST:PORT`; \
             `{flag} 127.0.0.1:0` takes any free port."
        ))),
        // What else is wrong with it is said where it is bound for good.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(listen: &str) -> Args {
        Args { listen: listen.to_owned(), admin: "127.0.0.1:0".to_owned() }
    }

    #[test]
    fn one_address_for_both_is_refused() {
        let args = Args { admin: "127.0.0.1:9300".to_owned(), ..args("127.0.0.1:9300") };
        let Err(Failure::Usage(said)) = run(args) else { panic!("it was not refused") };
        assert!(said.contains("`--listen` and `--admin`"), "{said}");
    }

    #[test]
    fn a_taken_port_is_said_with_the_flag_that_helps() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let Err(Failure::Failed(said)) = check_free("--listen", &address) else { panic!("it was not refused") };
        assert!(said.contains(&address) && said.contains("--listen"), "{said}");
        drop(taken);
        assert!(check_free("--listen", &address).is_ok());
    }

    #[test]
    fn the_demo_settings_are_toml_whatever_the_flags_say() {
        let site = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000));
        let text = settings(Path::new("/tmp/a \"b\""), &args("x\"\nvault = 1"), site);
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["listen"].as_str(), Some("x\"\nvault = 1"));
        assert_eq!(table["vault"].as_str(), Some("embedded:/tmp/a \"b\"/vault"));
        assert_eq!(table["cors"]["origins"][1].as_str(), Some("http://localhost:4000"));
    }

    #[test]
    fn the_demo_settings_are_a_configuration_without_fault() {
        let site = SocketAddr::from((Ipv4Addr::LOCALHOST, 4000));
        let loaded = Config::parse(&settings(Path::new("/tmp/x"), &args("127.0.0.1:0"), site)).unwrap();
        assert!(loaded.warnings.is_empty());
        assert_eq!(loaded.config.consent.policy.as_deref(), Some(POLICY));
        assert_ne!(serve::new_key().unwrap(), serve::new_key().unwrap());
    }

    #[test]
    fn a_listener_on_every_address_is_reached_on_loopback() {
        assert_eq!(reachable("http://0.0.0.0:80"), "http://127.0.0.1:80");
        assert_eq!(reachable("http://[::]:80"), "http://[::1]:80");
        assert_eq!(reachable("http://127.0.0.1:80"), "http://127.0.0.1:80");
    }

    #[test]
    fn the_curl_line_holds_a_request_that_is_json() {
        let line = curl_line("http://127.0.0.1:8080");
        let body = line.split(" -d '").nth(1).unwrap().trim_end_matches('\'');
        let request: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(request["stream"], true);
        assert!(line.starts_with("curl ") && !line.contains('\n'));
    }
}
