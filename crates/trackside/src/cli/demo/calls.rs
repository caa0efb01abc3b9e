//! What is asked of jobs, approvals and the gateway in the demonstration, through the doors that everybody uses.
//!
//! One job runs and succeeds, one fails, one runs after two people agreed, one still waits for the second of them;
//! somebody gets access to a route for a while, and somebody else is refused. Invariant: each call is made once, in this
//! order, by its caller's own token; an answer that was not expected ends the demonstration.

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use trackside_identity::token::Token;

/// Names of the tokens in the configuration that are people and programs who call.
pub(super) const CALLERS: [&str; 4] = ["airflow-prod", "ben", "mei", "kiran"];
/// Longest wait for a run of a job, in seconds; they take well under one.
const WAIT_SECONDS: u32 = 20;

/// Whoever calls, and where.
pub(super) struct Calls<'a> {
    pub(super) client: &'a Client,
    pub(super) server: SocketAddr,
    pub(super) gateway: SocketAddr,
    pub(super) tokens: &'a BTreeMap<&'static str, Token>,
}

impl Calls<'_> {
    /// Makes the calls.
    pub(super) async fn play(&self) -> Result<()> {
        self.jobs().await?;
        self.agreed().await?;
        self.access().await
    }

    /// A run that succeeds, the same asked for again, and one that fails.
    async fn jobs(&self) -> Result<()> {
        let asked = json!({"customer": "acme"});
        for status in [StatusCode::OK, StatusCode::OK] {
            self.start("refresh_features", &asked, "nightly/features/acme", "", status).await?;
        }
        let unknown = json!({"customer": "umbrella"});
        self.start("refresh_features", &unknown, "nightly/features/umbrella", "", StatusCode::OK).await?;
        Ok(())
    }

    /// A run that two people agreed to, and one that only the first of them has seen.
    async fn agreed(&self) -> Result<()> {
        for (day, voices) in [("2026-11-20", ["ben", "mei"].as_slice()), ("2026-11-21", &["ben"])] {
            let (input, key) = (json!({"day": day}), format!("prices/publish/{day}"));
            let why = "the supplier has sent its prices again";
            let run = self.start("publish_prices", &input, &key, why, StatusCode::ACCEPTED).await?;
            let approval = run["approval"].as_str().context("a run that needs an approval names none")?;
            for voice in voices {
                let remark = json!({"remark": "compared with the list of last week"});
                self.voice(voice, approval, &remark).await?;
            }
            if voices.len() == 2 {
                self.start("publish_prices", &input, &key, why, StatusCode::OK).await?;
            }
        }
        Ok(())
    }

    /// A call that is let through, one that is not, and one that is once somebody has agreed.
    async fn access(&self) -> Result<()> {
        self.through(Method::GET, "airflow-prod", StatusCode::OK).await?;
        self.through(Method::DELETE, "kiran", StatusCode::FORBIDDEN).await?;
        let wanted =
            json!({"route": "features-admin", "justification": "the features of acme look doubled, ticket 4711"});
        let asked = self.post(&format!("http://{}/api/v1/approvals", self.server), "kiran", &wanted).send().await?;
        let asked = expect(asked, StatusCode::CREATED).await?;
        self.voice("mei", asked["id"].as_str().context("an approval has no id")?, &json!({})).await
    }

    /// Starts a run, and waits for its end where one is expected.
    async fn start(&self, job: &str, input: &Value, key: &str, why: &str, status: StatusCode) -> Result<Value> {
        let wait = if status == StatusCode::OK { WAIT_SECONDS } else { 0 };
        let request = self.post(&format!("http://{}/jobs/{job}/runs?wait={wait}", self.server), "airflow-prod", input);
        let request = request.header("idempotency-key", key).header("trackside-origin", format!("airflow-prod/{key}"));
        let request = if why.is_empty() { request } else { request.header("trackside-justification", why) };
        expect(request.send().await?, status).await
    }

    async fn voice(&self, who: &str, approval: &str, remark: &Value) -> Result<()> {
        let address = format!("http://{}/api/v1/approvals/{approval}/approve", self.server);
        expect(self.post(&address, who, remark).send().await?, StatusCode::OK).await.map(drop)
    }

    async fn through(&self, method: Method, who: &str, status: StatusCode) -> Result<()> {
        let request = self.client.request(method, format!("http://{}/features/acme", self.gateway));
        let answer = request.bearer_auth(self.tokens[who].expose()).send().await?;
        expect(answer, status).await.map(drop)
    }

    fn post(&self, address: &str, who: &str, body: &Value) -> reqwest::RequestBuilder {
        let request = self.client.post(address).bearer_auth(self.tokens[who].expose());
        request.header("content-type", "application/json").body(body.to_string())
    }
}

async fn expect(answer: reqwest::Response, status: StatusCode) -> Result<Value> {
    let (came, address, body) = (answer.status(), answer.url().clone(), answer.text().await?);
    if came != status {
        bail!("{address} answered {came} and not {status}: {body}");
    }
    Ok(serde_json::from_str(&body).unwrap_or_default())
}
