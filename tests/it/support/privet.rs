//! The real binary, run as a user would.

use super::{Client, Upstream};
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// 32 bytes in base64; not weak, and used nowhere else.
pub const KEY: &str = "e+AfWsk0jWLwpRN+yEvilg1x+qwlmF7jE2+wR4zZKlQ=";

/// How a gateway is set up.
pub struct Setup {
    upstream: String,
    vault: String,
    key: String,
    toml: String,
    environment: Vec<(&'static str, String)>,
}

impl Setup {
    /// In front of this chatbot, with a vault in memory.
    pub fn new(upstream: &Upstream) -> Self {
        Self::at(&upstream.url())
    }

    pub fn at(upstream: &str) -> Self {
        let (upstream, vault, key) = (upstream.to_owned(), "memory:".into(), KEY.into());
        Self { upstream, vault, key, toml: String::new(), environment: Vec::new() }
    }

    /// The configuration names its upstreams by itself.
    pub fn without_upstream() -> Self {
        Self::at("")
    }

    pub fn env(mut self, name: &'static str, value: &str) -> Self {
        self.environment.push((name, value.to_owned()));
        self
    }

    pub fn vault(mut self, folder: &Path) -> Self {
        self.vault = format!("embedded:{}", folder.display());
        self
    }

    /// With the vault of this URL.
    pub fn vault_at(mut self, url: &str) -> Self {
        url.clone_into(&mut self.vault);
        self
    }

    /// More configuration; tables must come last.
    pub fn toml(mut self, toml: &str) -> Self {
        self.toml.push_str(toml);
        self
    }

    /// Starts it and waits until it serves.
    pub fn start(self) -> Privet {
        let folder = scratch_folder();
        let file = folder.path().join("privet.toml");
        let Self { upstream, vault, key, toml, environment } = self;
        let head = format!("listen = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\nvault = \"{vault}\"\n");
        let head = if upstream.is_empty() { head } else { format!("{head}upstream = \"{upstream}\"\n") };
        std::fs::write(&file, head + &toml).unwrap();
        let mut command = privet();
        command.args(["serve", "--config"]).arg(&file).env("PRIVET_KEY", key).envs(environment);
        let mut privet = Privet::start(command);
        privet.folder = Some(folder);
        privet
    }
}

/// The command, without settings of this environment.
pub fn privet() -> Command {
    without_settings(env!("CARGO_BIN_EXE_privet"))
}

/// A program that is not told of settings in this environment.
pub fn without_settings(program: &str) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PRIVET_")) {
        command.env_remove(name);
    }
    command
}

pub fn scratch_folder() -> TempDir {
    tempfile::Builder::new().prefix("privet-test-").tempdir().unwrap()
}

fn text(log: &Mutex<Vec<u8>>) -> String {
    String::from_utf8(log.lock().unwrap().clone()).unwrap()
}

/// A running gateway; ended when dropped.
pub struct Privet {
    child: Child,
    pub gateway: String,
    pub admin: String,
    log: Arc<Mutex<Vec<u8>>>,
    /// Reads the log until the end of the process.
    reader: Option<JoinHandle<()>>,
    stdout: BufReader<ChildStdout>,
    /// Of its configuration; removed with it.
    folder: Option<TempDir>,
}

impl Privet {
    /// Starts what this command says, and waits until it serves.
    pub fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut stderr = child.stderr.take().unwrap();
        let sink = Arc::clone(&log);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(n @ 1..) = stderr.read(&mut piece) {
                sink.lock().unwrap().extend_from_slice(&piece[..n]);
            }
        });
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut address = |name: &str| {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            let found = line.trim().strip_prefix(&format!("{name}: ")).map(str::to_owned);
            found.unwrap_or_else(|| panic!("no `{name}: URL` line: {line:?}; the log: {}", text(&log)))
        };
        let (gateway, admin) = (address("gateway"), address("admin"));
        Self { child, gateway, admin, log, reader: Some(reader), stdout, folder: None }
    }

    /// The whole lines that it wrote to standard error so far.
    pub fn log(&self) -> String {
        let mut log = text(&self.log);
        log.truncate(log.rfind('\n').map_or(0, |end| end + 1));
        log
    }

    /// Waits until its log holds this: a line is written before the reply, yet
    /// read from a pipe, which may take longer. Gives what it wrote so far.
    pub async fn log_becomes(&self, has: &str) -> String {
        for _ in 0..200 {
            if self.log().contains(has) {
                return self.log();
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the log does not come to hold {has:?}: {}", self.log());
    }

    /// The id of its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The value of a series on its metrics page; 0 where there is none.
    pub async fn metric(&self, series: &str) -> u64 {
        let page = Client::new(&self.admin).get("/metrics").await;
        let found = page.text().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        found.map_or(0, |value| value.parse().unwrap())
    }

    /// Waits until a series has this value: some are counted when a reply has
    /// ended, just after the client has seen its end.
    pub async fn metric_becomes(&self, series: &str, value: u64) {
        for _ in 0..200 {
            if self.metric(series).await == value {
                return;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("{series} is {} and does not become {value}", self.metric(series).await);
    }

    /// The power fails, if it has not ended. Gives all that it wrote: to standard
    /// output behind its addresses, and to standard error.
    pub fn kill_and_read(mut self) -> (Vec<u8>, Vec<u8>) {
        // It may have ended already.
        let _ = self.child.kill();
        self.child.wait().unwrap();
        let mut stdout = Vec::new();
        self.stdout.read_to_end(&mut stdout).unwrap();
        self.reader.take().unwrap().join().unwrap();
        (stdout, self.log.lock().unwrap().clone())
    }

    /// Asks it to end, as an init system does.
    pub fn terminate(&self) {
        let done = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(done.success());
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(started.elapsed() < limit, "privet did not end; its log: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }
}

impl Drop for Privet {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
