//! One mail over SMTP (RFC 5321): connect, TLS as configured, authenticate, send, quit.
//!
//! A connection per mail: notifications are rare, and a fresh connection says surely whether the mail went out.

use crate::email::{MailRequest, MailServer, Tls};
use crate::far_end::Answer;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use secrecy::ExposeSecret;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// Longest wait for the server's goodbye.
const FAREWELL: Duration = Duration::from_secs(1);

/// Hands the mail to the server. Everything before `MAIL FROM` is `NotSent`, everything after without a reply is `Lost`.
pub(super) async fn send(mail: &MailRequest, limit: Duration) -> Answer {
    let deadline = Instant::now() + limit;
    let mut connection = match timeout_at(deadline, open(mail)).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(answer)) => return answer,
        Err(_) => return Answer::NotSent { error: "timed out while connecting".to_owned() },
    };
    match timeout_at(deadline, connection.send(&mail.envelope, &mail.message)).await {
        Ok(Ok(reply)) => {
            // Best effort: the mail is accepted, whatever becomes of the farewell.
            let _ = timeout_at(deadline.min(Instant::now() + FAREWELL), connection.quit()).await;
            let text = reply.message().collect::<Vec<_>>().join("\n");
            Answer::Response { status: reply.code().into(), headers: Vec::new(), body: text }
        }
        // lettre's "client" errors are its own refusals to begin.
        Ok(Err(error)) if error.is_client() => Answer::NotSent { error: error.to_string() },
        Ok(Err(error)) => replied(&error).unwrap_or_else(|| Answer::Lost { error: error.to_string() }),
        Err(_) => Answer::Lost { error: "timed out".to_owned() },
    }
}

async fn open(mail: &MailRequest) -> Result<AsyncSmtpConnection, Answer> {
    let MailServer { host, port, tls } = &mail.server;
    let not_sent = |error: Error| replied(&error).unwrap_or_else(|| Answer::NotSent { error: error.to_string() });
    let parameters = || TlsParameters::new(host.clone()).map_err(not_sent);
    let hello = ClientId::default();
    let wrapper = match tls {
        Tls::Implicit => Some(parameters()?),
        Tls::Opportunistic | Tls::Required => None,
    };
    let mut connection = AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), None, &hello, wrapper, None)
        .await
        .map_err(not_sent)?;
    let upgrade = match tls {
        Tls::Implicit => false,
        Tls::Required => true,
        Tls::Opportunistic => connection.can_starttls(),
    };
    if upgrade {
        connection.starttls(parameters()?, &hello).await.map_err(not_sent)?;
    }
    if let Some((username, password)) = &mail.login {
        if !connection.is_encrypted() {
            return Err(Answer::NotSent {
                error: "the server offers no TLS, so user name and password are not sent to it; \
                        use smtps:// or smtp+starttls://, or remove them"
                    .to_owned(),
            });
        }
        let login = Credentials::new(username.expose_secret().to_owned(), password.expose_secret().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &login).await.map_err(not_sent)?;
    }
    Ok(connection)
}

/// The server's own refusal, when there is one.
fn replied(error: &Error) -> Option<Answer> {
    let status = error.status()?.into();
    let body = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Some(Answer::Response { status, headers: Vec::new(), body })
}
