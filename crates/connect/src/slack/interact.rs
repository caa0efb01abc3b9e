//! What people press in Slack: the requests of "Interactivity" (<https://api.slack.com/interactivity/handling>).
//!
//! A form with JSON in `payload`; signed over `v0:TIME:BODY` with the app's signing secret
//! (<https://api.slack.com/authentication/verifying-requests-from-slack>). Invariants: only `block_actions` with our own
//! buttons mean anything, everything else of the app is left alone; a person is known by the user id alone, because
//! everybody chooses their names.

use super::button::{self, Answer, Button};
use crate::door::{Reject, decode, one_line};
use crate::signature::{self, BadSignature};
use jiff::Timestamp;
use secrecy::SecretString;
use serde_json::Value;
use trackside_core::approval::request::Says;
use trackside_core::ids::IncidentId;
use uuid::Uuid;

/// Largest body, in bytes. Slack repeats the message in it: 50 blocks of up to 3,000 characters would be larger, ours
/// never are.
pub const BODY_BYTES: usize = 64 * 1024;
/// Header of the time, Unix seconds.
pub const TIMESTAMP: &str = "x-slack-request-timestamp";
/// Header of the signature.
pub const SIGNATURE: &str = "x-slack-signature";
/// Most buttons of one request; Slack sends one.
const PRESSED: usize = 25;

/// Whether a request is Slack's and fresh.
///
/// # Errors
/// Why it is not.
pub fn verify<'h>(
    header: impl Fn(&str) -> Option<&'h str>,
    body: &[u8],
    secrets: &[SecretString],
    now: Timestamp,
) -> Result<(), BadSignature> {
    let time = header(TIMESTAMP).ok_or(BadSignature::Missing(TIMESTAMP))?;
    let given = header(SIGNATURE).ok_or(BadSignature::Missing(SIGNATURE))?;
    signature::fresh(time, TIMESTAMP, now)?;
    let given = given.strip_prefix("v0=").ok_or(BadSignature::Mismatch(SIGNATURE))?;
    for secret in secrets {
        let mac = signature::mac(secret, &[b"v0:", time.as_bytes(), b":", body])?;
        if signature::fits_hex(mac, given) {
            return Ok(());
        }
    }
    Err(BadSignature::Mismatch(SIGNATURE))
}

/// Somebody pressed buttons.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interaction {
    /// Their user id (`U…`), the name to trust.
    pub user: String,
    /// The name they chose, for people.
    pub name: Option<String>,
    /// The buttons of incidents that they pressed.
    pub pressed: Vec<Pressed>,
    /// What they said to questions for agreement.
    pub said: Vec<Said>,
}

/// One pressed button of a question for agreement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Yes or no.
    pub says: Says,
    /// To which question.
    pub approval: Uuid,
    /// A name of this very press: the same when Slack sends it again.
    pub id: String,
}

/// One pressed button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// Which.
    pub button: Button,
    /// Of which incident.
    pub incident: IncidentId,
    /// Of which life of it.
    pub life: u32,
    /// A name of this very press: the same when Slack sends it again.
    pub id: String,
}

/// Reads a request that was verified.
///
/// # Errors
/// 400 for what is no form with JSON in `payload`, or names no user.
pub fn parse(body: &[u8]) -> Result<Interaction, Reject> {
    let payload = url::form_urlencoded::parse(body).find(|(field, _)| field == "payload");
    let (_, payload) = payload.ok_or_else(|| Reject::new(400, "", "the form has no field `payload`"))?;
    let payload: Value = decode(payload.as_bytes()).map_err(|reject| Reject { status: 400, ..reject })?;
    let user = one_line(&payload["user"]["id"]).ok_or_else(|| Reject::new(400, "/user/id", "is missing"))?;
    let name = ["username", "name"].iter().find_map(|field| one_line(&payload["user"][field]));
    let ours = payload["type"] == "block_actions";
    let actions = payload["actions"].as_array().filter(|_| ours).map_or(&[][..], Vec::as_slice);
    let actions = actions.iter().take(PRESSED);
    let said = actions.clone().filter_map(|action| said(&payload, &user, action)).collect();
    let pressed = actions.filter_map(|action| pressed(&payload, &user, action)).collect();
    Ok(Interaction { user, name, pressed, said })
}

/// A button of ours; the app may have others.
fn pressed(payload: &Value, user: &str, action: &Value) -> Option<Pressed> {
    let id = action["action_id"].as_str()?;
    let button = Button::ALL.into_iter().find(|button| button.action_id() == id)?;
    let (incident, life) = button::read_value(action["value"].as_str()?)?;
    let marks = marks(payload, action);
    Some(Pressed { button, incident, life, id: format!("{user}/{id}/{incident}/{life}/{marks}") })
}

/// A button of a question.
fn said(payload: &Value, user: &str, action: &Value) -> Option<Said> {
    let id = action["action_id"].as_str()?;
    let answer = Answer::ALL.into_iter().find(|answer| answer.action_id() == id)?;
    let approval: Uuid = action["value"].as_str()?.parse().ok()?;
    let marks = marks(payload, action);
    Some(Said { says: answer.0, approval, id: format!("{user}/{id}/{approval}/{marks}") })
}

/// What tells one press from another: the time is Slack's, to the microsecond; the trigger is named anew for each.
fn marks(payload: &Value, action: &Value) -> String {
    let marks = [&action["action_ts"], &payload["trigger_id"], &payload["container"]["message_ts"]];
    marks.map(|mark| one_line(mark).unwrap_or_default()).join("/")
}

#[cfg(test)]
mod tests;
