//! A real `PostgreSQL` of the tests' own: the installed server on a temporary cluster, reached by a socket in its folder.
//!
//! It ends with the process, however that ends: a shell between the two holds the server, and stops it and takes the
//! folder away when its standard input closes.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The owner of every database, and the password, as a URL writes it and as it is.
const USER: &str = "tollgate";
const PASSWORD: (&str, &str) = ("hunter2%2F%C3%A4", "hunter2/ä");
/// Nobody listens on it: each server has a folder for its socket.
const PORT: u16 = 5432;
/// How long a start may take.
const DEADLINE: Duration = Duration::from_secs(60);
/// How often it is looked whether the server is there.
const LOOK: Duration = Duration::from_millis(20);
/// Holds the server, does as it is told line by line, and cleans up at the end.
const HOLDER: &str = r#"
while read -r order; do
  case $order in
    start) "$1/postgres" -D "$2/data" >>"$2/log" 2>&1 & server=$! ;;
    stop) kill -INT "$server"; wait "$server" ;;
  esac
  echo done
done
kill -QUIT "$server"
wait "$server"
rm -rf "$2"
"#;

/// Numbers servers and databases within this process.
static NUMBER: AtomicU32 = AtomicU32::new(0);

/// A running server.
pub(crate) struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// Part of the socket's name, and the port where it has one.
    port: u16,
    holder: Mutex<Holder>,
}

struct Holder {
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    child: Child,
}

/// A database with nothing in it, gone with this value.
pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) name: String,
    server: Arc<Server>,
}

impl Server {
    /// The one that all tests of this process share; none where `PostgreSQL` is not installed, which is then said.
    pub(crate) fn shared() -> Option<Arc<Self>> {
        static SHARED: OnceLock<Option<Arc<Server>>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start(PORT, "fsync = off\nfull_page_writes = off", &[]))
            .clone()
            .or_else(not_run)
    }

    /// One that a test may stop and start.
    pub(crate) fn own() -> Option<Arc<Self>> {
        Self::start(PORT, "", &[]).or_else(not_run)
    }

    /// One that speaks TLS on a port of 127.0.0.1 too, with this chain and key.
    pub(crate) fn with_tls(port: u16, chain: &str, key: &str) -> Option<Arc<Self>> {
        let settings = format!(
            "listen_addresses = '127.0.0.1'\nport = {port}\nssl = on\nssl_cert_file = 'tls.crt'\nssl_key_file = 'tls.key'"
        );
        let files = [("tls.crt", chain), ("tls.key", key)];
        Self::start(port, &settings, &files).or_else(not_run)
    }

    fn start(port: u16, settings: &str, files: &[(&str, &str)]) -> Option<Arc<Self>> {
        let programs = installed()?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tollgate-postgres-{}-{number}", std::process::id());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder).expect("a folder for the cluster");
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(&folder, mode).expect("the mode is set");
        let owner = owner_of_servers(&folder);
        if let Some((user, group)) = owner {
            chown(&folder, Some(user), Some(group)).expect("the folder is given away");
        }
        make_cluster(&programs, &folder, owner, settings);
        for (name, text) in files {
            let file = folder.join("data").join(name);
            fs::write(&file, text).expect("a file");
            let mode = fs::Permissions::from_mode(0o600);
            fs::set_permissions(&file, mode).expect("the mode is set");
            if let Some((user, group)) = owner {
                chown(&file, Some(user), Some(group)).expect("the file is given away");
            }
        }
        let mut child = as_owner(&mut Command::new("sh"), owner)
            .args(["-c", HOLDER, "sh"])
            .args([&programs, &folder])
            // What a terminal tells the tests is not for the server.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let holder = Holder {
            orders: child.stdin.take(),
            answers: BufReader::new(child.stdout.take().expect("its output")),
            child,
        };
        let server = Self {
            programs,
            folder,
            port,
            holder: Mutex::new(holder),
        };
        server.begin();
        Some(Arc::new(server))
    }

    /// Starts the server again after [`Server::end`]; it is there when this returns.
    pub(crate) fn begin(&self) {
        self.order("start");
        let began = Instant::now();
        while !self.ask("postgres", "SELECT 1").status.success() {
            let log = self.folder.join("log");
            let log = || fs::read_to_string(&log).unwrap_or_default();
            assert!(began.elapsed() < DEADLINE, "{}", log());
            thread::sleep(LOOK);
        }
    }

    /// Stops the server as an operator does; it is gone when this returns.
    pub(crate) fn end(&self) {
        self.order("stop");
    }

    fn order(&self, order: &str) {
        let mut holder = self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        let orders = holder.orders.as_mut().expect("the server is held");
        writeln!(orders, "{order}").expect("the holder lives");
        let mut answer = String::new();
        let answered = holder.answers.read_line(&mut answer);
        answered.expect("the holder answers");
        assert_eq!(answer.trim_end(), "done", "{order}");
    }

    /// Makes a database.
    ///
    /// Beside the caller's runtime: the server first waits for whoever is just signing in, on that runtime perhaps.
    pub(crate) async fn database(self: &Arc<Self>) -> Database {
        let name = format!("ledger_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let (server, sql) = (Arc::clone(self), format!("CREATE DATABASE {name}"));
        let made = tokio::task::spawn_blocking(move || server.sql("postgres", &sql));
        made.await.expect("a database");
        let socket = self.folder.display().to_string().replace('/', "%2F");
        Database {
            url: format!(
                "postgres://{USER}:{}@localhost/{name}?host={socket}",
                PASSWORD.0
            ),
            name,
            server: Arc::clone(self),
        }
    }

    /// Runs a statement by the server's own client, and gives what it prints.
    pub(crate) fn sql(&self, database: &str, sql: &str) -> String {
        let done = self.ask(database, sql);
        let error = String::from_utf8_lossy(&done.stderr);
        assert!(done.status.success(), "{sql}: {error}");
        String::from_utf8_lossy(&done.stdout).trim_end().to_owned()
    }

    fn ask(&self, database: &str, sql: &str) -> std::process::Output {
        Command::new(self.programs.join("psql"))
            .args([
                "-X", "-q", "-A", "-t", "-U", USER, "-d", database, "-c", sql,
            ])
            .arg("-h")
            .arg(&self.folder)
            .args(["-p", &self.port.to_string()])
            .env("PGPASSWORD", PASSWORD.1)
            .stdin(Stdio::null())
            .output()
            .expect("psql runs")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let holder = self
            .holder
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        holder.orders = None;
        // It ends by itself; here it is only waited for.
        let _ = holder.child.wait();
    }
}

impl Database {
    /// Runs a statement in it, as an operator would.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.sql(&self.name, sql)
    }

    /// Where it is by TCP, for a server that listens.
    pub(crate) fn url_over_tcp(&self, parameters: &str) -> String {
        let (port, password) = (self.server.port, PASSWORD.0);
        format!(
            "postgres://{USER}:{password}@127.0.0.1:{port}/{}?{parameters}",
            self.name
        )
    }

    /// Where it is, as a user of another password would write it.
    pub(crate) fn url_with_password(&self, password: &str) -> String {
        self.url.replace(PASSWORD.0, password)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The cluster is thrown away in the end; this saves room until then.
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let server = Arc::clone(&self.server);
        thread::spawn(move || server.ask("postgres", &sql));
    }
}

/// Says on the real standard error, which the test runner does not keep back, that this test did not run.
fn not_run() -> Option<Arc<Server>> {
    static TOLD: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test").to_owned();
    let mut told = TOLD.lock().unwrap_or_else(PoisonError::into_inner);
    if !told.contains(&test) {
        // Where nobody hears it, nobody is told.
        let _ = writeln!(
            std::io::stderr(),
            "not run: {test}: PostgreSQL's server is not installed"
        );
        told.push(test);
    }
    None
}

/// Where the server's programs are.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    folders.push("/usr/local/bin".into());
    // Debian keeps them by version; the newest is taken.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut versions: Vec<PathBuf> = versions.flatten().map(|entry| entry.path()).collect();
    versions.sort();
    folders.extend(versions.iter().rev().map(|version| version.join("bin")));
    let whole = |folder: &PathBuf| {
        ["postgres", "initdb", "psql"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    folders.into_iter().find(whole)
}

/// The server refuses to run as root: then somebody else owns it.
fn owner_of_servers(folder: &Path) -> Option<(u32, u32)> {
    if fs::metadata(folder).expect("the folder").uid() != 0 {
        return None;
    }
    let users = fs::read_to_string("/etc/passwd").expect("the users of this machine");
    let named = |name: &str| {
        let line = users
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut ids = line.split(':').skip(2).map_while(|id| id.parse().ok());
        Some((ids.next()?, ids.next()?))
    };
    Some(
        named("postgres")
            .or_else(|| named("nobody"))
            .expect("a user who is not root"),
    )
}

fn as_owner(command: &mut Command, owner: Option<(u32, u32)>) -> &mut Command {
    match owner {
        Some((user, group)) => command.uid(user).gid(group).current_dir("/"),
        None => command,
    }
}

fn make_cluster(programs: &Path, folder: &Path, owner: Option<(u32, u32)>, settings: &str) {
    let password = folder.join("password");
    fs::write(&password, PASSWORD.1).expect("the password is written");
    let data = folder.join("data");
    let made = as_owner(&mut Command::new(programs.join("initdb")), owner)
        .args([
            "-U",
            USER,
            "-A",
            "scram-sha-256",
            "-E",
            "UTF8",
            "--locale=C",
            "--no-sync",
        ])
        .arg("--pwfile")
        .arg(&password)
        .arg("-D")
        .arg(&data)
        .output()
        .expect("initdb runs");
    let error = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "initdb: {error}");
    let file = data.join("postgresql.conf");
    let config = fs::read_to_string(&file).expect("its config");
    let sockets = format!("unix_socket_directories = '{}'", folder.display());
    let fixed = "listen_addresses = ''\nmax_connections = 400\nshared_buffers = 64MB";
    let config = [config.as_str(), &sockets, fixed, settings].join("\n");
    fs::write(&file, config).expect("the config is written");
}
