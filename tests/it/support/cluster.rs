//! A `PostgreSQL` server of the test's own: made by `initdb` in a scratch
//! folder, on a free port of this machine, gone with the test.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// How long a server may take to start.
const PATIENCE: Duration = Duration::from_mins(1);

/// Who a server runs as, and connects as. `PostgreSQL` does not run as root.
const USER: &str = "postgres";

/// Waits for the end of the test, however it comes, then ends the servers
/// whose process ids stand in the folder, and removes it.
const GUARD: &str = r#"
read -r _
for file in "$1"/*/postmaster.pid "$1"/*/bouncer.pid; do
  [ -f "$file" ] && kill -QUIT "$(head -n 1 "$file")" 2>/dev/null
done
sleep 0.3
rm -rf "$1"
"#;

/// Whether an acknowledged commit outlives the end of the machine's power.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It is as a server should be.
    Full,
    /// Quick, for tests that kill no server.
    None,
}

/// A folder of servers.
pub struct Cluster {
    folder: PathBuf,
    guard: Child,
    durability: Durability,
    databases: AtomicU32,
    pub primary: Server,
}

/// One server.
pub struct Server {
    data: PathBuf,
    pub port: u16,
}

impl Cluster {
    /// Makes a server and starts it. `settings` are lines of its configuration.
    pub fn start(durability: Durability, settings: &[&str]) -> Self {
        let folder = tempfile::Builder::new().prefix("privet-postgres-").tempdir().unwrap().keep();
        own(&folder);
        let guard = Command::new("sh").args(["-c", GUARD, "guard"]).arg(&folder).stdin(Stdio::piped()).spawn().unwrap();
        let primary = Server { data: folder.join("primary"), port: free_port() };
        let mut make = as_user("initdb");
        make.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C", "-U", USER, "-D"]);
        succeed(make.arg(&primary.data));
        let cluster = Self { folder, guard, durability, databases: AtomicU32::new(0), primary };
        cluster.primary.configure(durability, settings);
        cluster.primary.start();
        cluster
    }

    /// A new, empty database: the URL of it.
    pub fn database(&self) -> String {
        let name = format!("privet_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.primary.run(&format!("create database {name}"));
        self.primary.url(&name)
    }

    /// The folder that holds all of it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A copy of the primary that follows it; a commit waits for it.
    pub fn synchronous_standby(&self) -> Server {
        let standby = Server { data: self.folder.join("standby"), port: free_port() };
        let port = self.primary.port.to_string();
        let mut copy = as_user("pg_basebackup");
        copy.args(["-h", "127.0.0.1", "-p", &port, "-U", USER, "--no-sync", "-c", "fast", "-R", "-D"]);
        succeed(copy.arg(&standby.data));
        standby.configure(self.durability, &[]);
        standby.start();
        self.primary.run("alter system set synchronous_standby_names = '*'");
        self.primary.run("select pg_reload_conf()");
        wait("the standby to follow", || {
            self.primary.ask("select count(*) from pg_stat_replication where sync_state = 'sync'") == "1"
        });
        standby
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        // It ends by itself.
        let _ = self.guard.wait();
    }
}

impl Server {
    /// The URL of a database.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Carries out a statement.
    pub fn run(&self, sql: &str) {
        self.ask(sql);
    }

    /// The one field of a statement's one row.
    pub fn ask(&self, sql: &str) -> String {
        self.ask_in(USER, sql)
    }

    /// The same in another database.
    pub fn ask_in(&self, database: &str, sql: &str) -> String {
        let port = self.port.to_string();
        let mut psql = Command::new(program("psql"));
        psql.args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-p", &port, "-U", USER]);
        succeed(psql.args(["-d", database, "-c", sql])).trim().to_owned()
    }

    /// Adds lines to its configuration; read at the next start.
    pub fn configure(&self, durability: Durability, settings: &[&str]) {
        let quick = "fsync = off\nfull_page_writes = off\n";
        let lines = format!(
            "port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nmax_connections = 200\n\
             shared_buffers = 32MB\nwal_level = replica\nlogging_collector = off\n{}{}\n",
            self.port,
            if durability == Durability::None { quick } else { "" },
            settings.join("\n"),
        );
        let file = self.data.join("postgresql.conf");
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + &lines).unwrap();
    }

    /// Starts it and waits until it answers.
    pub fn start(&self) {
        // What a server that was killed left here is in its own way.
        let log = std::fs::File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut child = as_user("postgres")
            .arg("-D")
            .arg(&self.data)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let port = self.port.to_string();
        let started = Instant::now();
        while !Command::new(program("pg_isready"))
            .args(["-q", "-h", "127.0.0.1", "-p", &port])
            .status()
            .unwrap()
            .success()
        {
            if let Some(status) = child.try_wait().unwrap() {
                panic!("the server ended with {status}: {}", self.log());
            }
            assert!(started.elapsed() < PATIENCE, "the server does not start: {}", self.log());
            std::thread::park_timeout(Duration::from_millis(20));
        }
        // Somebody has to wait for its end.
        std::thread::spawn(move || child.wait());
    }

    /// The power fails: all its processes are gone at once.
    pub fn kill(&self) {
        let postmaster = self.process();
        let children = Command::new("ps").args(["-o", "pid=", "--ppid", &postmaster]).output().unwrap();
        let children = String::from_utf8(children.stdout).unwrap();
        let all: Vec<&str> = std::iter::once(postmaster.as_str()).chain(children.split_whitespace()).collect();
        // Some end by themselves first.
        let _ = Command::new("kill").arg("-KILL").args(all).stderr(Stdio::null()).status().unwrap();
        Self::wait_for_end(&postmaster);
    }

    /// Ends it as an operator does: connections are cut, nothing is lost.
    pub fn stop(&self) {
        let postmaster = self.process();
        self.signal("-INT");
        Self::wait_for_end(&postmaster);
    }

    /// Makes a standby the primary.
    pub fn promote(&self) {
        assert_eq!(self.ask("select pg_promote()"), "t");
    }

    /// Sends a signal to the process that owns all others.
    pub fn signal(&self, signal: &str) {
        succeed(Command::new("kill").args([signal, &self.process()]));
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.data.with_extension("log")
    }

    fn process(&self) -> String {
        let file = std::fs::read_to_string(self.data.join("postmaster.pid")).unwrap();
        file.lines().next().unwrap().trim().to_owned()
    }

    fn wait_for_end(process: &str) {
        wait("the server to end", || !Path::new("/proc").join(process).exists());
    }
}

/// A pooler in transaction mode in front of a server.
pub struct Bouncer {
    pub port: u16,
}

impl Bouncer {
    pub fn start(cluster: &Cluster) -> Self {
        let folder = cluster.folder.join("bouncer");
        std::fs::create_dir(&folder).unwrap();
        own(&folder);
        let (port, of_server) = (free_port(), cluster.primary.port);
        let show = |name: &str| folder.join(name).display().to_string();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={of_server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
             listen_port = {port}\nunix_socket_dir =\nauth_type = any\nauth_file = {}\npool_mode = transaction\n\
             default_pool_size = 4\nmax_client_conn = 200\nlogfile = {}\npidfile = {}\n",
            show("users"),
            show("log"),
            show("bouncer.pid"),
        );
        std::fs::write(folder.join("users"), format!("\"{USER}\" \"\"\n")).unwrap();
        // Whoever connects is this user there.
        let settings = settings.replace(&format!("port={of_server}"), &format!("port={of_server} user={USER}"));
        std::fs::write(folder.join("ini"), settings).unwrap();
        succeed(as_user("pgbouncer").args(["-q", "-d"]).arg(folder.join("ini")));
        let bouncer = Self { port };
        wait("the pooler", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        bouncer
    }

    /// The URL of a database behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }
}

fn wait(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < PATIENCE, "waiting in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

/// A program of `PostgreSQL` or beside it, run as the user that a server may
/// run as.
fn as_user(name: &str) -> Command {
    if !is_root() {
        return Command::new(program(name));
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid", USER, "--regid", USER, "--init-groups"]).arg(program(name)).current_dir("/");
    command
}

/// Where Debian keeps the newest server's programs.
fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut found: Vec<PathBuf> = versions.map(|entry| entry.unwrap().path().join("bin").join(name)).collect();
    found.retain(|path| path.exists());
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

/// Gives a file or folder to the user that servers run as.
pub fn own(path: &Path) {
    if is_root() {
        succeed(Command::new("chown").arg(USER).arg(path));
    }
}

fn is_root() -> bool {
    let mut status = String::new();
    std::fs::File::open("/proc/self/status").unwrap().read_to_string(&mut status).unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}

fn succeed(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|e| panic!("{command:?}: {e}; the tests need PostgreSQL and pgbouncer"));
    assert!(done.status.success(), "{command:?}: {}", String::from_utf8(done.stderr).unwrap());
    String::from_utf8(done.stdout).unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}
