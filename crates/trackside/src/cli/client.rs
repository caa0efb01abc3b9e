//! The API client of the command line.

use super::{ServerArgs, kept};
use crate::clock::Clock;
use anyhow::{Context, Result, anyhow, bail};
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::Value;
use std::time::Duration;

/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Longest wait for a run.
const JOB_TIMEOUT: Duration = Duration::from_secs(90);
/// Longest answer that comes bit by bit.
const STREAM: Duration = Duration::from_hours(1);

/// A server and what opens it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    credential: Credential,
}

/// What opens a server.
#[derive(Debug)]
enum Credential {
    /// Nothing.
    Nothing,
    /// A token.
    Token(String),
    /// What `trackside login` kept.
    Login,
}

impl Client {
    /// A client for the server that the arguments name.
    pub(super) fn new(args: &ServerArgs) -> Result<Self> {
        let credential = match &args.token {
            Some(token) => Credential::Token(token.clone()),
            None if kept::has(&args.url) => Credential::Login,
            None => Credential::Token(local_token(args)?),
        };
        Self::with(args, credential)
    }

    /// A client that says of nobody who they are.
    pub(super) fn anonymous(args: &ServerArgs) -> Result<Self> {
        Self::with(args, Credential::Nothing)
    }

    fn with(args: &ServerArgs, credential: Credential) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build()?;
        Ok(Self { http, url: args.url.trim_end_matches('/').to_owned(), credential })
    }

    /// Asks for JSON.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value> {
        self.answer(self.request(Method::GET, path).query(query)).await
    }

    /// Asks for text.
    pub(super) async fn text(&self, path: &str, query: &[(&str, String)]) -> Result<String> {
        Ok(self.accepted(self.request(Method::GET, path).query(query)).await?.text().await?)
    }

    /// Posts JSON (or nothing) and reads JSON (or nothing).
    pub(super) async fn post(&self, path: &str, body: Option<&Value>) -> Result<Value> {
        self.command(path, body).await.map(|(_, answer)| answer)
    }

    /// As [`Self::post`], with the status: 202 says that it will be decided.
    pub(super) async fn command(&self, path: &str, body: Option<&Value>) -> Result<(StatusCode, Value)> {
        let request = self.request(Method::POST, path);
        let request = match body {
            Some(body) => request.json(body),
            None => request,
        };
        let response = self.accepted(request).await?;
        let status = response.status();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap_or(Value::Null)))
    }

    /// Posts JSON and reads JSON, whatever the status.
    pub(super) async fn ask(&self, path: &str, body: &Value) -> Result<(StatusCode, Value)> {
        let response = self.send(self.request(Method::POST, path).json(body)).await?;
        let status = response.status();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap_or(Value::Null)))
    }

    /// Posts JSON; the answer comes bit by bit, and may take as long as the server likes.
    pub(super) async fn stream(&self, path: &str, body: &Value) -> Result<Response> {
        let request = self.request(Method::POST, path).json(body).timeout(STREAM);
        self.accepted(request).await
    }

    /// Reads an answer that comes bit by bit.
    pub(super) async fn follow(&self, path: &str) -> Result<Response> {
        self.accepted(self.request(Method::GET, path).timeout(STREAM)).await
    }

    /// Deletes.
    pub(super) async fn delete(&self, path: &str) -> Result<Value> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    /// Asks something below `/jobs`, with headers; gives the status and the JSON. Waiting for a run may take a minute.
    pub(super) async fn jobs(
        &self,
        method: Method,
        path: &str,
        headers: &[(&'static str, String)],
        body: Option<&Value>,
    ) -> Result<(StatusCode, Value)> {
        let mut request = self.http.request(method, format!("{}/jobs{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let response = self.send(request.timeout(JOB_TIMEOUT)).await?;
        let status = response.status();
        Ok((status, serde_json::from_str(&response.text().await?).unwrap_or(Value::Null)))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/api/v1/{path}", self.url))
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let request = match &self.credential {
            Credential::Nothing => request,
            Credential::Token(token) => request.bearer_auth(token),
            Credential::Login => request.bearer_auth(kept::token(&self.url, &Clock::system()).await?),
        };
        request.send().await.map_err(reqwest::Error::without_url).with_context(|| {
            format!("no answer from {}; is the server running? (`trackside serve`, or name it with --url)", self.url)
        })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value> {
        let body = self.accepted(request).await?.text().await?;
        Ok(serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// The response, when the server does what is asked.
    async fn accepted(&self, request: RequestBuilder) -> Result<Response> {
        let response = self.send(request).await?;
        if response.status().is_success() { Ok(response) } else { Err(refused(response).await) }
    }
}

/// What the server says when it does not do something.
async fn refused(response: Response) -> anyhow::Error {
    let status = response.status();
    let body = response.text().await.unwrap_or_default();
    let value: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
    let said = ["detail", "message", "error", "title"].iter().find_map(|field| value[*field].as_str());
    anyhow!("the server answered {status}: {}", said.unwrap_or(body.trim()))
}

/// The token that a server on this machine keeps in its data folder.
///
/// It opens the server on this machine and is sent to no other: the data folder may stand where the command is run.
fn local_token(args: &ServerArgs) -> Result<String> {
    if !is_this_machine(&args.url) {
        bail!("no token for {}: run `trackside login`, or give --token or TRACKSIDE_TOKEN", args.url);
    }
    let path = args.data.join(crate::server::ADMIN_TOKEN_FILE);
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!(
            "no token: give --token or TRACKSIDE_TOKEN, or --data with the data folder of a server on this machine (looked for {})",
            path.display()
        )
    })?;
    Ok(text.trim().to_owned())
}

/// Whether an address leads to this machine, whatever DNS says.
fn is_this_machine(url: &str) -> bool {
    let url = url::Url::parse(url).ok();
    match url.as_ref().and_then(url::Url::host) {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_of_this_machine_stays_here() {
        for here in ["http://127.0.0.1:4180", "http://localhost:4180/", "https://[::1]", "http://127.8.0.1"] {
            assert!(is_this_machine(here), "{here}");
        }
        for there in
            ["https://ts.example.net", "http://localhost.example.net", "http://127.0.0.1@evil.test", "", "127.0.0.1"]
        {
            assert!(!is_this_machine(there), "{there}");
        }
    }
}
