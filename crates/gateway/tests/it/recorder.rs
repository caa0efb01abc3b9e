//! An upstream that records the raw bytes of what reaches it, and answers each request.

use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What reached the upstream over one connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connection {
    pub(crate) raw: Vec<u8>,
    pub(crate) requests: Vec<Seen>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) line: String,
    pub(crate) head: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) trailers: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// What is wrong with its framing.
    pub(crate) bad: Option<String>,
}

impl Seen {
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// The recorder.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Arc<Mutex<Connection>>>>>);

impl Recorder {
    /// Starts on a free port.
    pub(crate) async fn start(answer: &'static str) -> (Self, u16) {
        let recorder = Self::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let kept = recorder.clone();
        #[allow(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = Arc::<Mutex<Connection>>::default();
                kept.0.lock().unwrap().push(Arc::clone(&connection));
                tokio::spawn(async move { serve(stream, connection, answer).await });
            }
        });
        (recorder, port)
    }

    /// Everything that arrived so far; forgets it.
    pub(crate) fn take(&self) -> Vec<Connection> {
        let all = self.0.lock().unwrap();
        all.iter().map(|connection| std::mem::take(&mut *connection.lock().unwrap())).collect()
    }

    /// The requests that arrived so far; forgets them.
    pub(crate) fn requests(&self) -> Vec<Seen> {
        self.take().into_iter().flat_map(|connection| connection.requests).collect()
    }
}

struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    connection: Arc<Mutex<Connection>>,
}

impl Reader {
    async fn more(&mut self) -> Option<()> {
        let mut chunk = vec![0; 65536];
        let wait = Duration::from_secs(2);
        let count = tokio::time::timeout(wait, self.stream.read(&mut chunk)).await.ok()?.ok()?;
        if count == 0 {
            return None;
        }
        self.connection.lock().unwrap().raw.extend_from_slice(&chunk[..count]);
        self.buffer.extend_from_slice(&chunk[..count]);
        Some(())
    }

    async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(end.len()).position(|window| window == end) {
                let rest = self.buffer.split_off(at + end.len());
                return Some(std::mem::replace(&mut self.buffer, rest));
            }
            self.more().await?;
        }
    }

    async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            self.more().await?;
        }
        let rest = self.buffer.split_off(count);
        Some(std::mem::replace(&mut self.buffer, rest))
    }
}

async fn serve(stream: TcpStream, connection: Arc<Mutex<Connection>>, answer: &'static str) {
    let mut reader = Reader { stream, buffer: Vec::new(), connection };
    loop {
        // The first byte may be long in coming: connections are kept.
        while reader.buffer.is_empty() {
            let mut chunk = vec![0; 65536];
            let Ok(count @ 1..) = reader.stream.read(&mut chunk).await else { return };
            reader.connection.lock().unwrap().raw.extend_from_slice(&chunk[..count]);
            reader.buffer.extend_from_slice(&chunk[..count]);
        }
        let Some(head) = reader.until(b"\r\n\r\n").await else { return };
        let text = String::from_utf8_lossy(&head[..head.len() - 4]).into_owned();
        let mut lines = text.split("\r\n");
        let line = lines.next().unwrap_or_default().to_owned();
        let headers: Vec<(String, String)> = lines
            .map(|line| line.split_once(':').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect();
        let mut seen = Seen { line, head: text, headers, trailers: Vec::new(), body: Vec::new(), bad: None };
        if read_body(&mut reader, &mut seen).await.is_none() && seen.bad.is_none() {
            seen.bad = Some("incomplete body".to_owned());
        }
        let is_head = seen.line.starts_with("HEAD ");
        let broken = seen.bad.is_some();
        reader.connection.lock().unwrap().requests.push(seen);
        let text = if answer.is_empty() {
            let body = if is_head { "" } else { "{\"ok\":true}" };
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n{body}")
        } else {
            answer.to_owned()
        };
        if reader.stream.write_all(text.as_bytes()).await.is_err() || broken {
            return;
        }
        if answer.contains("Connection: close") {
            return;
        }
    }
}

async fn read_body(reader: &mut Reader, seen: &mut Seen) -> Option<()> {
    if !seen.all("transfer-encoding").is_empty() {
        loop {
            let line = reader.until(b"\n").await?;
            let Some(size) = line.strip_suffix(b"\r\n") else {
                seen.bad = Some("a chunk line without CR".to_owned());
                return None;
            };
            let size = String::from_utf8_lossy(size).into_owned();
            let Ok(size) = usize::from_str_radix(size.split(';').next().unwrap_or_default(), 16) else {
                seen.bad = Some(format!("chunk size {size:?}"));
                return None;
            };
            if size == 0 {
                break;
            }
            let chunk = reader.exactly(size + 2).await?;
            seen.body.extend_from_slice(&chunk[..size]);
            if &chunk[size..] != b"\r\n" {
                seen.bad = Some("a chunk without CR LF behind it".to_owned());
                return None;
            }
        }
        loop {
            let line = reader.until(b"\n").await?;
            let line = String::from_utf8_lossy(&line).trim_end().to_owned();
            if line.is_empty() {
                return Some(());
            }
            seen.trailers.push(line);
        }
    }
    let length = seen.all("content-length").first().and_then(|length| length.parse().ok()).unwrap_or(0);
    seen.body = reader.exactly(length).await?;
    Some(())
}
