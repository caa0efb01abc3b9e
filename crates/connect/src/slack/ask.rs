//! Did a message arrive? Asked after a lost answer with `conversations.history`, or `conversations.replies` for the
//! answer in a thread, by the delivery id in the message's metadata.
//!
//! Needs the channel's id: of an earlier message of the incident, or a configured `C…`. By name Slack cannot be asked,
//! and then the message is sent again. Only the newest messages since the decision are looked at; the bot needs scope
//! `channels:history` (`groups:history` for private channels).

use super::send::{Api, METADATA_TYPE, far_ref};
use crate::far_end::{Answer, HttpRequest, Repeat, Request, Verdict, Wire, retry_after};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use trackside_core::effect::{Action, Effect};

/// Messages looked at, the most Slack recommends for one answer. Long ones with their blocks fit into
/// [`crate::far_end::ANSWER_BYTES`].
const MESSAGES: u32 = 200;
/// How far Slack's clock may be behind ours.
const CLOCK_SKEW: SignedDuration = SignedDuration::from_mins(5);

/// The question, when the channel's id is known.
pub(crate) fn request(api: &Api<'_>, effect: &Effect, previous: Option<&str>) -> Option<Request> {
    let channel = channel_id(api.channel, previous)?;
    let oldest = effect.at.checked_sub(CLOCK_SKEW).unwrap_or(effect.at).as_second();
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query
        .append_pair("channel", channel)
        .append_pair("oldest", &oldest.to_string())
        .append_pair("inclusive", "true")
        .append_pair("include_all_metadata", "true")
        .append_pair("limit", &MESSAGES.to_string());
    let thread = previous.and_then(|previous| previous.split_once(':')).filter(|_| replies(effect));
    let method = match thread {
        Some((_, ts)) => {
            query.append_pair("ts", ts);
            "conversations.replies"
        }
        None => "conversations.history",
    };
    let http = HttpRequest::new(http::Method::GET, format!("{}/{method}?{}", api.base, query.finish()))
        .header("authorization", api.authorization());
    Some(Request::new(Wire::Http(http), Repeat::Harmless, vec![api.token.clone()]))
}

/// `Done` when the message is there, `Retry` (send again) when it is not or Slack will never tell, `Unknown` when the
/// question is to be asked again.
pub(crate) fn classify(
    configured: &str,
    effect: &Effect,
    previous: Option<&str>,
    answer: &Answer,
    now: Timestamp,
) -> Verdict {
    let (status, headers, body) = match answer {
        Answer::NotSent { error } | Answer::Withheld { error } | Answer::Lost { error } => {
            return Verdict::Unknown { not_before: None, why: format!("could not ask: {error}") };
        }
        Answer::Response { status, headers, body } => (*status, headers, body),
    };
    let reply: Option<Value> = serde_json::from_str(body).ok();
    if status == 200 && reply.is_none() {
        // Cut off, or not from Slack: nothing is known, and sending again might show the message twice.
        return Verdict::Unknown { not_before: None, why: "could not ask: the answer cannot be read".to_owned() };
    }
    let reply = reply.unwrap_or_default();
    if status == 200 && reply["ok"] == true {
        return found(configured, effect, previous, &reply);
    }
    let error = reply["error"].as_str().unwrap_or("no reason given");
    let passing = matches!(status, 408 | 429 | 500..=599)
        || matches!(error, "ratelimited" | "rate_limited" | "fatal_error" | "internal_error" | "request_timeout");
    if passing {
        let not_before = retry_after(headers, now);
        return Verdict::Unknown { not_before, why: format!("could not ask: answered {status} `{error}`") };
    }
    Verdict::Retry { not_before: None, why: format!("Slack does not tell (`{error}`), so it is sent again") }
}

/// Whether the news is told by an answer in the thread, beside the edit.
fn replies(effect: &Effect) -> bool {
    matches!(effect.action, Action::Resolve | Action::Remind)
}

fn found(configured: &str, effect: &Effect, previous: Option<&str>, reply: &Value) -> Verdict {
    let id = effect.id.to_string();
    let ours = |message: &&Value| {
        let metadata = &message["metadata"];
        metadata["event_type"] == METADATA_TYPE && metadata["event_payload"]["delivery"] == id.as_str()
    };
    let message = reply["messages"].as_array().and_then(|messages| messages.iter().find(ours));
    match message {
        // The answer in a thread is part of the news; the incident's message stays its reference.
        Some(_) if replies(effect) && previous.is_some() => Verdict::Done { far_ref: previous.map(str::to_owned) },
        Some(message) => {
            let channel = channel_id(configured, previous).map(Value::from).unwrap_or_default();
            Verdict::Done { far_ref: far_ref(&channel, &message["ts"]) }
        }
        None => Verdict::Retry { not_before: None, why: "Slack does not have it, so it is sent again".to_owned() },
    }
}

/// The channel's id: public channels begin with C, private ones with C or G, direct messages with D.
fn channel_id<'a>(configured: &'a str, previous: Option<&'a str>) -> Option<&'a str> {
    if let Some((channel, _)) = previous.and_then(|previous| previous.split_once(':')) {
        return Some(channel);
    }
    let id = configured.len() >= 9
        && configured.starts_with(['C', 'G', 'D'])
        && configured.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    id.then_some(configured)
}
