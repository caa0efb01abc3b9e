//! A mail server that keeps what it gets (RFC 5321, without TLS and authentication).

use crate::behaviour::Behaviour;
use crate::journal::{Entry, Journal};
use crate::requests::Requests;
use crate::server::Protocol;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::watch;

/// Name in the journal.
pub const NAME: &str = "mail";
/// Longest line read, in bytes.
const LINE_BYTES: u64 = 64 * 1024;
/// Largest mail kept, in bytes.
const MAIL_BYTES: usize = 4 * 1024 * 1024;

/// A mail as it arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mail {
    /// `MAIL FROM`.
    pub from: String,
    /// `RCPT TO`.
    pub to: Vec<String>,
    /// The message, lines ended by `\n`.
    pub message: String,
}

impl Mail {
    /// The value of a header, unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.message.split("\n\n").next()?.replace("\n ", " ").replace("\n\t", " ");
        head.lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
    }
}

/// The far end's state. Clones share it.
#[derive(Clone, Debug)]
pub struct Mailbox {
    journal: Journal,
    mails: Arc<Mutex<Vec<Mail>>>,
    requests: Requests,
}

impl Mailbox {
    pub(crate) fn new(journal: Journal, requests: Requests) -> Self {
        Self { journal, mails: Arc::default(), requests }
    }

    /// All mails, oldest first.
    #[must_use]
    pub fn mails(&self) -> Vec<Mail> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Mail>> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mail: Mail) {
        let header = |name: &str| mail.header(name).unwrap_or_default();
        let entry = Entry {
            identity: header("Message-ID"),
            key: header("References"),
            action: header("X-Trackside-Action"),
            summary: header("Subject"),
            body: mail.message.clone(),
        };
        self.lock().push(mail);
        self.journal.record(NAME, entry);
    }

    async fn converse(&self, stream: TcpStream, mut behaviour: watch::Receiver<Behaviour>) -> io::Result<()> {
        let mut stream = BufReader::new(stream);
        say(&mut stream, "220 sim ESMTP").await?;
        let mut mail = Mail::default();
        loop {
            let Some(line) = read_line(&mut stream).await? else { return Ok(()) };
            let verb = line.split([' ', ':']).next().unwrap_or_default().to_ascii_uppercase();
            let now = *behaviour.borrow_and_update();
            if verb == "MAIL" {
                self.requests.note(self.journal.now());
            }
            match (verb.as_str(), now) {
                ("EHLO", _) => say(&mut stream, "250-sim\r\n250-8BITMIME\r\n250 SIZE 4194304").await?,
                ("HELO" | "NOOP", _) => say(&mut stream, "250 ok").await?,
                ("RSET", _) => {
                    mail = Mail::default();
                    say(&mut stream, "250 ok").await?;
                }
                ("QUIT", _) => return say(&mut stream, "221 bye").await,
                ("MAIL", Behaviour::Hang | Behaviour::Refuse) => {
                    let _ = behaviour.changed().await;
                    return Ok(());
                }
                ("MAIL", Behaviour::Status { code, .. }) => {
                    say(&mut stream, &format!("{code} the far end was told to fail")).await?;
                }
                ("MAIL", _) => {
                    mail = Mail { from: address(&line), ..Mail::default() };
                    say(&mut stream, "250 ok").await?;
                }
                ("RCPT", _) => {
                    mail.to.push(address(&line));
                    say(&mut stream, "250 ok").await?;
                }
                ("DATA", _) if mail.to.is_empty() => say(&mut stream, "503 RCPT first").await?,
                ("DATA", _) => {
                    say(&mut stream, "354 go on").await?;
                    mail.message = read_message(&mut stream).await?;
                    self.keep(std::mem::take(&mut mail));
                    match now {
                        Behaviour::DropAfterAccept => return Ok(()),
                        Behaviour::SlowBody => {
                            stream.get_mut().write_all(b"2").await?;
                            let _ = behaviour.changed().await;
                            return Ok(());
                        }
                        _ => say(&mut stream, "250 queued").await?,
                    }
                }
                _ => say(&mut stream, "502 not implemented").await?,
            }
        }
    }
}

impl Protocol for Mailbox {
    async fn serve(&self, stream: TcpStream, behaviour: watch::Receiver<Behaviour>) {
        // Ends with an error whenever the sender hangs up.
        let _ = self.converse(stream, behaviour).await;
    }
}

async fn say(stream: &mut BufReader<TcpStream>, reply: &str) -> io::Result<()> {
    stream.get_mut().write_all(format!("{reply}\r\n").as_bytes()).await
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> io::Result<Option<String>> {
    use tokio::io::AsyncReadExt as _;
    let mut line = Vec::new();
    let read = (&mut *stream).take(LINE_BYTES).read_until(b'\n', &mut line).await?;
    Ok((read > 0).then(|| String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']).to_owned()))
}

/// Lines until a lone dot; a dot in front is taken away (RFC 5321 §4.5.2).
async fn read_message(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut message = String::new();
    while let Some(line) = read_line(stream).await? {
        if line == "." {
            return Ok(message);
        }
        if message.len() + line.len() > MAIL_BYTES {
            return Err(io::Error::other("the mail is too large"));
        }
        message.push_str(line.strip_prefix('.').unwrap_or(&line));
        message.push('\n');
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// What stands between the angle brackets.
fn address(line: &str) -> String {
    let inner = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
    inner.map_or(line, |(address, _)| address).to_owned()
}
