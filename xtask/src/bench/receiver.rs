//! A far end that takes webhooks and notes when each number came for the first time.

use anyhow::Result;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// The far end; it takes connections until the process ends.
pub(super) struct Receiver {
    address: SocketAddr,
    arrivals: Arc<Arrivals>,
    numbers: AtomicUsize,
}

#[derive(Default)]
struct Arrivals {
    requests: AtomicUsize,
    seen: Mutex<HashMap<usize, Instant>>,
    news: Notify,
}

impl Receiver {
    /// Starts it; `number_of` finds the number in a body.
    pub(super) async fn start(number_of: fn(&[u8]) -> Option<usize>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let arrivals = Arc::new(Arrivals::default());
        let shared = Arc::clone(&arrivals);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(take(stream, Arc::clone(&shared), number_of));
            }
        });
        Ok(Self { address, arrivals, numbers: AtomicUsize::new(0) })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/in", self.address)
    }

    /// Requests so far.
    pub(super) fn requests(&self) -> usize {
        self.arrivals.requests.load(Ordering::Relaxed)
    }

    /// A number nobody uses yet.
    pub(super) fn next(&self) -> usize {
        self.reserve(1)
    }

    /// The first of so many numbers nobody uses yet.
    pub(super) fn reserve(&self, count: usize) -> usize {
        self.numbers.fetch_add(count, Ordering::Relaxed)
    }

    /// When the number came; `None` when it did not come within `patience`.
    pub(super) async fn wait(&self, number: usize, patience: Duration) -> Option<Instant> {
        let came = async {
            loop {
                let news = self.arrivals.news.notified();
                if let Some(at) = self.arrivals.seen.lock().unwrap_or_else(PoisonError::into_inner).get(&number) {
                    return *at;
                }
                news.await;
            }
        };
        tokio::time::timeout(patience, came).await.ok()
    }
}

/// The whole body is the number.
pub(super) fn plain(body: &[u8]) -> Option<usize> {
    String::from_utf8_lossy(body).trim().trim_matches('"').parse().ok()
}

async fn take(mut stream: TcpStream, arrivals: Arc<Arrivals>, number_of: fn(&[u8]) -> Option<usize>) {
    let _ = stream.set_nodelay(true);
    let mut buffer = Vec::new();
    while let Some(body) = request(&mut stream, &mut buffer).await {
        let now = Instant::now();
        arrivals.requests.fetch_add(1, Ordering::Relaxed);
        if let Some(number) = number_of(&body) {
            arrivals.seen.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_insert(now);
            arrivals.news.notify_waiters();
        }
        if stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.is_err() {
            return;
        }
    }
}

/// The body of the next request; `None` at the end of the connection.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    while buffer.len() < end + length {
        if !matches!(stream.read_buf(buffer).await, Ok(1..)) {
            return None;
        }
    }
    let body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some(body)
}
