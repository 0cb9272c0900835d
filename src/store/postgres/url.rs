//! Where a `PostgreSQL` vault is: connection URIs as libpq reads them, with the
//! parameters that matter here.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How many connections one process holds, unless the URL says.
const CONNECTIONS: usize = 16;
/// The longest time to connect to one host.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// The longest time that a statement may take.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// A parsed `postgres://` URL. Neither its `Display` nor its `Debug` shows the
/// password.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresUrl {
    /// One for each host, in the order of the URL.
    pub(super) hosts: Vec<Config>,
    pub(super) verification: Verification,
    pub(super) connections: usize,
    pub(super) connect_timeout: Duration,
    pub(super) statement_timeout: Duration,
}

/// What is checked of the server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verification {
    /// No TLS, or TLS with whoever answers.
    None,
    /// That it leads to one of the roots: those of the file, or the system's.
    Authority(Option<PathBuf>),
    /// That too, and that it is the host's.
    Full(Option<PathBuf>),
}

/// Why a URL names no `PostgreSQL` vault. No text here repeats a part of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostgresUrlError {
    /// It is not of the form at all.
    #[error("is no connection URI: postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full")]
    Form,
    /// There is no host.
    #[error("names no host")]
    NoHost,
    /// A parameter has a value that it cannot have.
    #[error("has a {0} that is not understood")]
    Parameter(&'static str),
}

impl PostgresUrl {
    /// Parses all that follows the scheme and its colon: `//user@host/db?…`.
    ///
    /// # Errors
    ///
    /// [`PostgresUrlError`] where it is no connection URI.
    pub fn parse(rest: &str) -> Result<Self, PostgresUrlError> {
        let rest = rest.strip_prefix("//").ok_or(PostgresUrlError::Form)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, hosts) = authority.rsplit_once('@').map_or(("", authority), |(user, hosts)| (user, hosts));
        let own = Parameters::split(query)?;

        // One configuration for each host, so that each has all its time.
        let at = if user.is_empty() { "" } else { "@" };
        let one = |host: &str| {
            let text = format!("postgres://{user}{at}{host}/{database}?{}", own.others);
            text.parse::<Config>().map_err(|_| PostgresUrlError::Form)
        };
        let mut hosts = hosts.split(',').map(one).collect::<Result<Vec<Config>, _>>()?;
        let named = |config: &Config| !config.get_hosts().is_empty() || !config.get_hostaddrs().is_empty();
        if !hosts.iter().all(named) {
            return Err(PostgresUrlError::NoHost);
        }
        let (mode, verification) = own.security(hosts.iter().all(is_of_this_machine))?;
        for host in &mut hosts {
            host.ssl_mode(mode);
            if host.get_application_name().is_none() {
                host.application_name("privet");
            }
        }
        let connect_timeout = hosts.first().and_then(Config::get_connect_timeout).copied();
        Ok(Self {
            hosts,
            verification,
            connections: own.connections.unwrap_or(CONNECTIONS),
            connect_timeout: connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            statement_timeout: own.statement_timeout.unwrap_or(STATEMENT_TIMEOUT),
        })
    }
}

/// The parameters that are read here; the others are the library's.
#[derive(Default)]
struct Parameters {
    others: String,
    sslmode: Option<String>,
    sslrootcert: Option<PathBuf>,
    connections: Option<usize>,
    statement_timeout: Option<Duration>,
}

impl Parameters {
    fn split(query: &str) -> Result<Self, PostgresUrlError> {
        let mut found = Self::default();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').ok_or(PostgresUrlError::Form)?;
            let decoded = || {
                let text = percent_encoding::percent_decode_str(value).decode_utf8();
                text.map(std::borrow::Cow::into_owned).map_err(|_| PostgresUrlError::Form)
            };
            match name {
                "sslmode" => found.sslmode = Some(decoded()?),
                "sslrootcert" => {
                    found.sslrootcert = Some(decoded()?).filter(|path| path != "system").map(PathBuf::from);
                }
                "pool_max_conns" => {
                    let number = value.parse().ok().filter(|number| (1..=1000).contains(number));
                    found.connections = Some(number.ok_or(PostgresUrlError::Parameter("pool_max_conns"))?);
                }
                "statement_timeout" => {
                    let millis = value.parse().ok().filter(|millis| (1..=600_000).contains(millis));
                    let millis = millis.ok_or(PostgresUrlError::Parameter("statement_timeout"))?;
                    found.statement_timeout = Some(Duration::from_millis(millis));
                }
                _ => {
                    found.others.push_str(if found.others.is_empty() { "" } else { "&" });
                    found.others.push_str(pair);
                }
            }
        }
        Ok(found)
    }

    /// Without a word on it: the certificate is checked, unless the server is
    /// on this machine.
    fn security(&self, on_this_machine: bool) -> Result<(SslMode, Verification), PostgresUrlError> {
        let root = self.sslrootcert.clone();
        Ok(match self.sslmode.as_deref() {
            None if on_this_machine && root.is_none() => (SslMode::Prefer, Verification::None),
            Some("disable") => (SslMode::Disable, Verification::None),
            Some("allow" | "prefer") => (SslMode::Prefer, Verification::None),
            // As libpq has it: with a root, it is checked.
            Some("require") if root.is_none() => (SslMode::Require, Verification::None),
            Some("require" | "verify-ca") => (SslMode::Require, Verification::Authority(root)),
            None | Some("verify-full") => (SslMode::Require, Verification::Full(root)),
            Some(_) => return Err(PostgresUrlError::Parameter("sslmode")),
        })
    }
}

impl Verification {
    /// The file of the roots, where it is not the system's.
    pub(super) fn root(&self) -> Option<&Path> {
        match self {
            Self::None => None,
            Self::Authority(root) | Self::Full(root) => root.as_deref(),
        }
    }
}

fn is_of_this_machine(config: &Config) -> bool {
    let named = config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    });
    named && config.get_hostaddrs().iter().all(IpAddr::is_loopback)
}

impl fmt::Display for PostgresUrl {
    /// User, hosts and database.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        let first = self.hosts.first();
        if let Some(user) = first.and_then(Config::get_user) {
            write!(f, "{user}@")?;
        }
        for (at, config) in self.hosts.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            write_host(f, config)?;
        }
        match first.and_then(Config::get_dbname) {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresUrl({self})")
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, config: &Config) -> fmt::Result {
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match (config.get_hosts().first(), config.get_hostaddrs().first()) {
        (Some(Host::Tcp(name)), _) if name.contains(':') => write!(f, "[{name}]:{port}"),
        (Some(Host::Tcp(name)), _) => write!(f, "{name}:{port}"),
        #[cfg(unix)]
        (Some(Host::Unix(folder)), _) => write!(f, "{}:{port}", folder.display()),
        (None, Some(address)) => write!(f, "{address}:{port}"),
        (None, None) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<PostgresUrl, PostgresUrlError> {
        PostgresUrl::parse(rest)
    }

    #[test]
    fn hosts_user_and_database_are_read_and_the_password_is_not_shown() {
        for (rest, shown) in [
            ("//ana:s3cret@db1.example:6432/privet", "postgres://ana@db1.example:6432/privet"),
            (
                "//ana:s3cret@a.example,b.example:5433/p?connect_timeout=2",
                "postgres://ana@a.example:5432,b.example:5433/p",
            ),
            ("//[2001:db8::7]:5432/p", "postgres://[2001:db8::7]:5432/p"),
            ("///p?host=/run/postgresql&user=ana&password=s3cret", "postgres://ana@/run/postgresql:5432/p"),
            ("//ana:s3c%40ret@db.example", "postgres://ana@db.example:5432"),
        ] {
            let url = parse(rest).unwrap();
            assert_eq!(url.to_string(), shown);
            assert!(!format!("{url:?} {:?}", url.hosts).contains("s3c"), "{url:?}");
        }
        let url = parse("//u@a,b,c/p?pool_max_conns=4&statement_timeout=250&connect_timeout=7").unwrap();
        assert_eq!((url.hosts.len(), url.connections), (3, 4));
        assert_eq!(url.statement_timeout, Duration::from_millis(250));
        assert_eq!(url.connect_timeout, Duration::from_secs(7));
    }

    #[test]
    fn a_certificate_is_checked_unless_the_server_is_on_this_machine() {
        let of = |rest: &str| {
            let url = parse(rest).unwrap();
            (url.hosts[0].get_ssl_mode(), url.verification)
        };
        assert_eq!(of("//u@127.0.0.1/p"), (SslMode::Prefer, Verification::None));
        assert_eq!(of("///p?host=/run"), (SslMode::Prefer, Verification::None));
        assert_eq!(of("//u@db.example/p"), (SslMode::Require, Verification::Full(None)));
        assert_eq!(of("//u@127.0.0.1,db.example/p"), (SslMode::Require, Verification::Full(None)));
        assert_eq!(of("//u@db.example/p?sslmode=disable"), (SslMode::Disable, Verification::None));
        assert_eq!(of("//u@db.example/p?sslmode=require"), (SslMode::Require, Verification::None));
        let root = Some(PathBuf::from("/etc/ca one.pem"));
        assert_eq!(
            of("//u@db.example/p?sslmode=require&sslrootcert=/etc/ca%20one.pem"),
            (SslMode::Require, Verification::Authority(root.clone()))
        );
        assert_eq!(of("//u@localhost/p?sslrootcert=/etc/ca%20one.pem"), (SslMode::Require, Verification::Full(root)));
    }

    #[test]
    fn what_is_no_connection_uri_is_refused_without_being_shown() {
        for rest in [
            "",
            "//",
            "//ana:s3cret@/p",
            "//ana:s3cret@db.example:port/p",
            "//ana:s3cret@db.example/p?sslmode=maybe",
            "//ana:s3cret@db.example/p?pool_max_conns=0",
            "//ana:s3cret@db.example/p?statement_timeout=s3cret",
            "//ana:s3cret@db.example/p?s3cret=1",
            "//ana:s3cret@db.example/p?s3cret",
        ] {
            let error = parse(rest).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
