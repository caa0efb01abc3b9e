//! The real program as a child process: a folder to live in, starting, asking, reading what it says, ending.
//!
//! Nothing here waits for a fixed time: [`eventually`] looks until something is so, or fails with a deadline. A child
//! sees no variable of this process, so that a developer's own `TRACKSIDE_URL` changes nothing.

use reqwest::StatusCode;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use trackside_sim::far_ends::{
    PAGERDUTY_ROUTING_KEY, PAGERDUTY_WEBHOOK_SECRET, SLACK_SIGNING_SECRET, SLACK_TOKEN, WEBHOOK_SECRET,
};
use trackside_sim::signed::Signed;

/// Longest wait for the program to start, to end, or to answer; long, so that a busy machine fails no test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// How often [`eventually`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(25);
/// Items on a page of a listing.
const PAGE: usize = 500;
/// The token that may send events.
pub(crate) const INGEST: &str = "ingest-token-of-the-tests-0123456789";

/// Held by the tests whose figures need the machine for themselves.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

/// Looks until there is something to see.
pub(crate) async fn eventually<T>(what: &str, within: Duration, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + within;
    let mut again = tokio::time::interval(LOOK_EVERY);
    loop {
        again.tick().await;
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(Instant::now() < deadline, "not within {within:?}: {what}");
    }
}

/// A folder with a configuration, secrets and data, in which the program runs.
pub(crate) struct Home {
    folder: TempDir,
}

impl Home {
    /// A home with this configuration. It may refer to `secrets/{pagerduty,pagerduty-webhook,slack,slack-signing,webhook,ingest}`; address and data
    /// folder are set.
    pub(crate) fn new(configuration: &str) -> Self {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        for folder in ["config", "secrets"] {
            std::fs::create_dir(home.path(folder)).unwrap();
        }
        let secrets = [
            ("pagerduty", PAGERDUTY_ROUTING_KEY),
            ("pagerduty-webhook", PAGERDUTY_WEBHOOK_SECRET),
            ("slack", SLACK_TOKEN),
            ("slack-signing", SLACK_SIGNING_SECRET),
            ("webhook", WEBHOOK_SECRET),
            ("ingest", INGEST),
        ];
        for (name, value) in secrets {
            home.write(&format!("secrets/{name}"), value);
        }
        home.write("config/server.yaml", "server: {listen: '127.0.0.1:0', data: data}\n");
        home.write("config/trackside.yaml", configuration);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The program with these arguments, in this home.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        command(self.folder.path(), arguments)
    }

    /// Runs a command to its end.
    pub(crate) async fn run(&self, arguments: &[&str]) -> Ran {
        finish(self.command(arguments)).await
    }

    /// Starts the server and waits until it can be asked.
    pub(crate) async fn serve(&self) -> Running {
        Running::start(self.command(&["serve", "--config", "config"]), &self.path("data")).await
    }
}

/// The program in a folder. The width of help texts is fixed, the environment empty.
pub(crate) fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trackside"));
    command.current_dir(folder).args(arguments).env_clear().env("COLUMNS", "110").kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) async fn finish(mut command: Command) -> Ran {
    let output = timeout(PATIENCE, command.output()).await.expect("the command ends").unwrap();
    Ran {
        code: output.status.code().expect("it ended by itself"),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// What a command came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// What it printed, when it succeeded.
    #[track_caller]
    pub(crate) fn good(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// What it printed, as JSON, when it succeeded.
    #[track_caller]
    pub(crate) fn json(self) -> Value {
        let out = self.good();
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}"))
    }
}

/// A running server.
pub(crate) struct Running {
    child: Child,
    /// Address, without trailing slash.
    pub(crate) url: String,
    admin: String,
    http: reqwest::Client,
    said: watch::Receiver<String>,
    _reading: JoinSet<()>,
}

impl Running {
    async fn start(mut command: Command, data: &Path) -> Self {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (say, said) = watch::channel(String::new());
        let mut reading = JoinSet::new();
        reading.spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                say.send_modify(|text| text.extend([line.as_str(), "\n"]));
            }
        });
        let http = reqwest::Client::builder().timeout(PATIENCE).build().unwrap();
        let mut server = Self { child, url: String::new(), admin: String::new(), http, said, _reading: reading };
        let line = server.says("Trackside is at ").await;
        line.rsplit(' ').next().unwrap().clone_into(&mut server.url);
        server.admin = std::fs::read_to_string(data.join("admin.token")).unwrap().trim().to_owned();
        server
    }

    /// Waits until it says a line that contains `words`, and gives the line.
    pub(crate) async fn says(&mut self, words: &str) -> String {
        let has = |text: &String| text.lines().any(|line| line.contains(words));
        let said = timeout(PATIENCE, self.said.wait_for(has)).await;
        let found = match &said {
            Ok(Ok(text)) => text.lines().find(|line| line.contains(words)).map(str::to_owned),
            _ => None,
        };
        drop(said);
        found.unwrap_or_else(|| panic!("it never said `{words}`, but:\n{}", *self.said.borrow()))
    }

    /// Waits until it says `words` once more than it has.
    pub(crate) async fn says_again(&mut self, words: &str, before: usize) {
        let count = |text: &str| text.lines().filter(|line| line.contains(words)).count();
        let said = timeout(PATIENCE, self.said.wait_for(|text| count(text) > before)).await;
        assert!(matches!(said, Ok(Ok(_))), "it did not say `{words}` again");
    }

    /// How often it said `words`.
    pub(crate) fn times_said(&self, words: &str) -> usize {
        self.said.borrow().lines().filter(|line| line.contains(words)).count()
    }

    /// Everything it said so far.
    pub(crate) fn log(&self) -> String {
        self.said.borrow().clone()
    }

    /// Asks the API as the local administrator.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let url = format!("{}/api/v1/{path}", self.url);
        let answer = self.http.get(&url).bearer_auth(&self.admin).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{url}");
        answer.json().await.unwrap()
    }

    /// All items of a listing, in the order of its pages.
    pub(crate) async fn all(&self, path: &str) -> Vec<Value> {
        let join = if path.contains('?') { '&' } else { '?' };
        let mut items: Vec<Value> = Vec::new();
        let mut before = String::new();
        loop {
            let page = self.get(&format!("{path}{join}limit={PAGE}{before}")).await;
            items.extend(page["items"].as_array().unwrap().iter().cloned());
            match page["next"].as_u64() {
                Some(next) => before = format!("&before={next}"),
                None => return items,
            }
        }
    }

    /// Sends native events; they must be taken.
    pub(crate) async fn send(&self, events: &Value) -> Value {
        let url = format!("{}/api/v1/events", self.url);
        let answer = self.http.post(url).bearer_auth(INGEST).json(events).send().await.unwrap();
        let (status, body) = (answer.status(), answer.text().await.unwrap());
        assert_eq!(status, StatusCode::ACCEPTED, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Passes on what a far end sends, without any token.
    pub(crate) async fn tell(&self, path: &str, signed: Signed) -> StatusCode {
        let mut request = self.http.post(format!("{}{path}", self.url)).body(signed.body);
        for (name, value) in signed.headers {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status()
    }

    /// Opens or uses a link, as a browser that is not signed in.
    pub(crate) async fn browse(&self, method: reqwest::Method, url: &str) -> (StatusCode, String) {
        let answer = self.http.request(method, url).header("accept", "text/html").send().await.unwrap();
        (answer.status(), answer.text().await.unwrap())
    }

    /// Waits until everything that was decided was sent, or given up.
    pub(crate) async fn settle(&self, within: Duration) {
        eventually("nothing waits in the outbox", within, async || {
            let pending = self.get("deliveries?state=pending&limit=1").await;
            let sending = self.get("deliveries?state=sending&limit=1").await;
            [pending, sending].iter().all(|page| page["items"].as_array().unwrap().is_empty()).then_some(())
        })
        .await;
    }

    /// Ends it the hard way.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// Sends it a signal by name. `sh` has `kill` built in, so that the test needs no other program.
    pub(crate) async fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.child.id().unwrap());
        assert!(Command::new("sh").args(["-c", &kill]).status().await.unwrap().success());
    }

    /// Waits for its end.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        timeout(PATIENCE, self.child.wait()).await.expect("it ends").unwrap()
    }
}

/// A text without what differs from run to run: ids, times, addresses, tokens, durations, this home's path.
pub(crate) fn redact(home: &Home, text: &str) -> String {
    let replacements = [
        (r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "[id]"),
        (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?Z?", "[time]"),
        (r"127\.0\.0\.1:\d+", "[address]"),
        (r"\bts_[\w-]{43}", "[token]"),
        (r"\bin \d+ ms", "in [n] ms"),
        (r"\blog entry \d+", "log entry [n]"),
        // Padding of tables and trailing blanks depend on the width of the ids.
        (r" +\n", "\n"),
    ];
    let mut text = text.replace(&home.folder.path().display().to_string(), "[home]");
    for (pattern, name) in replacements {
        text = regex::Regex::new(pattern).unwrap().replace_all(&text, name).into_owned();
    }
    text
}
