//! `trackside login`, `logout` and `whoami`: signing in as a person by the server's identity provider (device flow,
//! RFC 8628).
//!
//! The server says which provider; it is asked for a code, which the person types in on its page, on any device. What
//! comes is kept by [`super::kept`].

use super::client::Client;
use super::kept::{self, Login};
use super::{ServerArgs, show};
use crate::clock::{Clock, sleep_until};
use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use trackside_identity::exchange::{self, Exchange};
use trackside_identity::issuer::discovery::{self, Address};
use trackside_identity::sign_in::client::{self as provider, DeviceCode, Moment, Proof, Refusal, Tokens};

/// What a provider that is asked too often adds to the time between two questions (RFC 8628 §3.5).
const SLOWER: u64 = 5;
/// Longest time between two questions, in seconds, however often the provider cannot be reached.
const SLOWEST: u64 = 60;

/// What the server says about signing in.
#[derive(Deserialize)]
struct Ways {
    issuer: Option<String>,
    cli: Option<CliClient>,
}

/// How the command line signs in.
#[derive(Deserialize)]
struct CliClient {
    client_id: String,
    scopes: Vec<String>,
    resource: Option<String>,
}

/// Signs in at a server.
pub(super) async fn login(args: &ServerArgs, issuer: Option<&str>) -> Result<()> {
    let (clock, network) = (Clock::system(), exchange::network());
    let ways: Ways = serde_json::from_value(Client::anonymous(args)?.get("sign-in", &[]).await?)?;
    let (Some(named), Some(client)) = (ways.issuer, ways.cli) else {
        bail!(
            "the server at {} has no sign-in for the command line (`sign_in.cli` in its configuration); use --token",
            args.url
        );
    };
    if let Some(wanted) = issuer.filter(|wanted| *wanted != named) {
        bail!("the server names the issuer `{named}`, and you expect `{wanted}`; nothing was asked there");
    }
    let metadata = discovery::fetch(&network, &address(&named)?).await.map_err(|why| anyhow!(why))?;
    let device = metadata.device_authorization_endpoint.context("the provider has no device flow")?;
    let endpoint = metadata.token_endpoint.context("the provider has no token address")?;
    let us = provider::Client { id: client.client_id.clone(), proof: Proof::Nothing };
    let scopes = client.scopes.join(" ");
    let mut fields = vec![("scope", scopes.as_str())];
    fields.extend(client.resource.as_deref().map(|resource| ("resource", resource)));
    let code = provider::device_code(&network, device.url(), &us, &fields, moment(&clock)).await?;
    tell(&code);
    let asking = Asking { network: &network, endpoint: &endpoint, us: &us, resource: client.resource.as_deref() };
    let tokens = asking.wait(&code, &clock).await?;
    kept::keep(&args.url, Login::new(&named, &client.client_id, &tokens, clock.now()))?;
    whoami(&ServerArgs { token: None, ..args.clone() }).await
}

/// Forgets the sign-in at a server.
pub(super) fn logout(args: &ServerArgs) -> Result<()> {
    let found = kept::forget(&args.url)?;
    show::remark(if found { "signed out here" } else { "nobody was signed in here" });
    Ok(())
}

/// Says who one is at a server.
pub(super) async fn whoami(args: &ServerArgs) -> Result<()> {
    let answer = Client::new(args)?.get("whoami", &[]).await?;
    if args.json {
        show::line(&serde_json::to_string_pretty(&answer)?);
        return Ok(());
    }
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    show::line(&format!("{} at {}: {}", text("subject"), args.url, text("rights")));
    Ok(())
}

/// What is asked until the person has signed in.
struct Asking<'a> {
    network: &'a Exchange,
    endpoint: &'a Address,
    us: &'a provider::Client,
    resource: Option<&'a str>,
}

/// What an answer means for the next question.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    /// Ask again after so many seconds.
    Again(u64),
    /// It is over.
    Over(String),
}

impl Asking<'_> {
    async fn wait(&self, code: &DeviceCode, clock: &Clock) -> Result<Tokens> {
        let ends = clock.now().saturating_add(seconds(code.expires_in))?;
        let mut interval = code.interval.max(1);
        loop {
            let next = clock.now().saturating_add(seconds(interval))?;
            if next >= ends {
                bail!("nobody signed in in time; run `trackside login` again");
            }
            sleep_until(clock, next).await;
            let (code, resource) = (&code.device_code, self.resource);
            let answer =
                provider::device_tokens(self.network, self.endpoint.url(), self.us, code, resource, moment(clock))
                    .await;
            match answer {
                Ok(tokens) => return Ok(tokens),
                Err(refusal) => match after(&refusal, interval) {
                    Next::Again(seconds) => interval = seconds,
                    Next::Over(why) => bail!(why),
                },
            }
        }
    }
}

/// What an answer that gives no token means (RFC 8628 §3.5).
fn after(refusal: &Refusal, interval: u64) -> Next {
    match refusal {
        Refusal::Refused(code) => match code.error.as_str() {
            "authorization_pending" => Next::Again(interval),
            "slow_down" => Next::Again(interval + SLOWER),
            "access_denied" => Next::Over("the sign-in was refused".to_owned()),
            "expired_token" => Next::Over("nobody signed in in time; run `trackside login` again".to_owned()),
            _ => Next::Over(refusal.to_string()),
        },
        // It may be there again in a moment; each time it is given longer.
        Refusal::Unusable(_) => Next::Again((interval * 2).min(SLOWEST.max(interval))),
    }
}

/// Says where to go. What a provider sends is shown without control characters.
fn tell(code: &DeviceCode) {
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_control()).take(500).collect() };
    show::remark(&format!("Open {} and enter the code {}", plain(&code.verification_uri), plain(&code.user_code)));
    if let Some(complete) = &code.verification_uri_complete {
        show::remark(&format!("or open {}", plain(complete)));
    }
}

fn address(issuer: &str) -> Result<Address> {
    Address::parse(issuer).map_err(|why| anyhow!("the server names an issuer that cannot be used: {why}"))
}

fn seconds(seconds: u64) -> SignedDuration {
    SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX))
}

fn moment(clock: &Clock) -> Moment {
    let now: Timestamp = clock.now();
    Moment { now, random: clock.random() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackside_identity::sign_in::client::ErrorCode;

    #[test]
    fn what_an_answer_means() {
        let refused = |error: &str| Refusal::Refused(ErrorCode { error: error.to_owned(), error_description: None });
        let check = |refusal: Refusal, interval, expect: Option<u64>| {
            let next = after(&refusal, interval);
            match expect {
                Some(seconds) => assert_eq!(next, Next::Again(seconds), "{refusal}"),
                None => assert!(matches!(next, Next::Over(_)), "{refusal}"),
            }
        };
        check(refused("authorization_pending"), 5, Some(5));
        check(refused("slow_down"), 5, Some(10));
        check(refused("slow_down"), 10, Some(15));
        check(refused("access_denied"), 5, None);
        check(refused("expired_token"), 5, None);
        check(refused("invalid_client"), 5, None);
        check(Refusal::Unusable("no answer".to_owned()), 5, Some(10));
        check(Refusal::Unusable("no answer".to_owned()), 50, Some(60));
        check(Refusal::Unusable("no answer".to_owned()), 90, Some(90));
    }
}
