//! The release binary as a child process, with a configuration written for one measurement.

use anyhow::{Context, Result, bail};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The ingest token of every measurement.
pub(super) const TOKEN: &str = "bench-token-that-nobody-else-knows-0001";

/// The release binary, where cargo puts it.
fn binary() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    target.join("release").join("trackside")
}

/// A server that is killed when it is dropped.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    /// Held until the server is gone.
    folder: tempfile::TempDir,
    admin: String,
}

/// Builds the release binary.
pub(super) fn build() -> Result<()> {
    let built =
        Command::new(env!("CARGO")).args(["build", "--quiet", "--release", "--package", "trackside"]).status()?;
    if built.success() { Ok(()) } else { bail!("the release build failed") }
}

impl Server {
    /// Starts a server with this configuration (sections beside `server` and `tokens`), its data beside the clone's target
    /// folder, so that the disk is the one the project lies on.
    pub(super) fn start(configuration: &str) -> Result<Self> {
        Self::start_with(configuration, &[], &mut Command::new(binary()))
    }

    /// The same on one core, with further files in the folder of the configuration.
    pub(super) fn start_pinned(configuration: &str, files: &[(&str, &str)]) -> Result<Self> {
        Self::start_with(configuration, files, Command::new("taskset").args(["-c", "1"]).arg(binary()))
    }

    fn start_with(configuration: &str, files: &[(&str, &str)], program: &mut Command) -> Result<Self> {
        let target = Path::new("target");
        std::fs::create_dir_all(target)?;
        let folder = tempfile::TempDir::new_in(target)?;
        let config = folder.path().join("config");
        std::fs::create_dir(&config)?;
        std::fs::write(folder.path().join("token"), TOKEN)?;
        let data = folder.path().join("data");
        let head = format!(
            "server: {{listen: '127.0.0.1:0', data: '{}'}}\ntokens: [{{name: bench, role: ingest, secret: {{file: '{}'}}}}]\n",
            data.display(),
            folder.path().join("token").display(),
        );
        std::fs::write(config.join("trackside.yaml"), head + configuration)?;
        for (name, text) in files {
            std::fs::write(config.join(name), text)?;
        }
        let (child, address) = launch(&config, program)?;
        let admin = std::fs::read_to_string(data.join("admin.token"))?.trim().to_owned();
        Ok(Self { child, address, folder, admin })
    }

    /// Kills it and starts it again on the same data.
    pub(super) fn restart(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.address) = launch(&self.folder.path().join("config"), &mut Command::new(binary()))?;
        Ok(())
    }

    /// The token of the local administrator.
    pub(super) fn admin(&self) -> &str {
        &self.admin
    }

    /// The process's own resident memory in bytes, without pages of files that the system may drop at any time.
    pub(super) fn resident(&self) -> Result<u64> {
        resident(self.child.id())
    }

    /// CPU time used so far, in seconds.
    pub(super) fn cpu_seconds(&self) -> Result<f64> {
        cpu_seconds(self.child.id())
    }
}

/// CPU time of all threads of a process, in seconds, as the scheduler counts it (in nanoseconds).
pub(super) fn cpu_seconds(process: u32) -> Result<f64> {
    let mut nanoseconds = 0.0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))?.flatten() {
        // A thread may end while this looks.
        let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
        let first = text.split_whitespace().next().context("no CPU time")?;
        nanoseconds += first.parse::<f64>()?;
    }
    Ok(nanoseconds / 1e9)
}

/// The resident memory of a process in bytes, without pages of files that the system may drop at any time.
pub(super) fn resident(process: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("no RssAnon")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kilobytes * 1024)
}

/// Starts the release binary and waits until it says where it listens.
fn launch(config: &Path, program: &mut Command) -> Result<(Child, SocketAddr)> {
    let mut child = program
        .args(["serve", "--config"])
        .arg(config)
        .env("RUST_LOG", "warn")
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", binary().display()))?;
    let stderr = child.stderr.take().context("no standard error")?;
    let mut lines = BufReader::new(stderr).lines();
    let address = loop {
        let line = lines.next().context("the server ended before it listened")??;
        if let Some(url) = line.strip_prefix("Trackside is at http://") {
            break url.parse()?;
        }
    };
    // Whatever it says later is passed on, so that the pipe never fills.
    std::thread::spawn(move || {
        for line in lines.map_while(Result::ok).filter(|line| !line.contains("Sign in")) {
            eprintln!("{line}");
        }
    });
    Ok((child, address))
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
