//! What people press in Slack: `POST /api/v1/slack/interactivity/{connection}`, the app's "Request URL".
//!
//! Slack wants its answer within three seconds, so a press is answered when it is durable; the message shows what came
//! of it when it is decided. Who may press the buttons of an incident is whom Slack lets see the message.

use crate::api::Segments;
use crate::api::approvals::forbidden;
use crate::door::refusal::Refusal;
use crate::door::{Door, Visit, back, refuse_store};
use crate::problem::Problem;
use crate::state::AppState;
use crate::voice::Voice;
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use http::StatusCode;
use std::collections::BTreeSet;
use trackside_connect::connection::Back;
use trackside_connect::slack::interact::{self, Interaction, Said};
use trackside_core::approval::request::{ApprovalAsk, ReplyTo};
use trackside_core::caller::Caller;
use trackside_core::ids::derive;
use trackside_core::input::{Input, Origin};
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::role::Role;
use trackside_identity::secret::SecretRef;
use trackside_store::log::NewEntry;

/// How they come in.
const VIA: &str = "slack";

/// Takes what people press below a message.
#[utoipa::path(post, path = "/api/v1/slack/interactivity/{connection}", tag = "far ends", security(()),
    params(("connection" = String, Path, description = "Name of a Slack connection with `signing_secret`"),
        ("X-Slack-Request-Timestamp" = String, Header, description = "Unix seconds, at most 300 s from now"),
        ("X-Slack-Signature" = String, Header, description = "`v0=` and the HMAC-SHA-256 of `v0:TIME:BODY` in hexadecimal digits")),
    request_body(content = String, content_type = "application/x-www-form-urlencoded", description = "`payload` with JSON, as Slack sends it"),
    responses((status = 200, description = "Durable, or nothing to do"), (status = 401, body = Problem, description = "The signature does not fit"),
        (status = 404, body = Problem), (status = 413, body = Problem), (status = 503, body = Problem)))]
pub(crate) async fn take(
    State(state): State<AppState>,
    path: Result<Segments<String>, Problem>,
    request: Request,
) -> Response {
    let Segments(connection) = match path {
        Ok(path) => path,
        Err(problem) => return problem.into_response(),
    };
    let visit = Visit::new(&state, Door::SlackPress);
    let (parts, body) = request.into_parts();
    let taken = async {
        let secrets = back::secrets(&state, &connection, secrets)?;
        let (body, _memory) = visit.read_signed(&parts.headers, body, interact::BODY_BYTES).await?;
        interact::verify(|name| back::header(&parts.headers, name), &body, &secrets, visit.at())
            .map_err(back::unproved)?;
        enter(&state, &connection, &interact::parse(&body)?).await?;
        Ok(StatusCode::OK.into_response())
    };
    let taken = taken.await;
    visit.end(taken, back::words)
}

fn secrets(back: &Back) -> &[SecretRef] {
    match back {
        Back::SlackInteractivity(secret) => std::slice::from_ref(secret),
        Back::PagerdutyWebhooks(_) | Back::Nothing => &[],
    }
}

async fn enter(state: &AppState, connection: &str, interaction: &Interaction) -> Result<(), Refusal> {
    let mut entries = Vec::new();
    for said in &interaction.said {
        let id = derive("slack press", &[connection, &said.id]);
        let input = answer(state, connection, interaction, said).await?;
        entries.push(NewEntry::input(state.now(), &input, id).map_err(refuse_store)?);
    }
    for pressed in &interaction.pressed {
        let id = derive("slack press", &[connection, &pressed.id]);
        let origin = Origin { connection: connection.to_owned(), to: None, occurred: None, life: Some(pressed.life) };
        let command = pressed.button.command(pressed.incident);
        entries.push(back::entry(state, id, caller(state, interaction), command, origin)?);
    }
    if !entries.is_empty() {
        state.store.append(entries).await.map_err(refuse_store)?;
    }
    Ok(())
}

/// What somebody said to a question for agreement. A message in Slack can be seen by people whom nobody knows here, so
/// only the word of a person of the configuration counts: for themselves and their teams. Others are told so.
async fn answer(state: &AppState, connection: &str, interaction: &Interaction, said: &Said) -> Result<Input, Refusal> {
    let configured = state.configured();
    let caller = caller(state, interaction);
    let person = back::person(&configured.ruleset, [interaction.user.as_str()]);
    let (speaks_for, barred) = match &person {
        None => {
            let user = &interaction.user;
            let why =
                format!("nobody here is known as Slack user {user}; ask for it to be added to the aliases of a person");
            (BTreeSet::new(), Some(why))
        }
        Some(person) => {
            let speaks_for = Voice::of_person(&configured.ruleset, person);
            let mut who = Identity::simple(caller.clone(), Kind::Person, Role::Viewer);
            who.teams =
                speaks_for.iter().filter(|name| configured.ruleset.teams.contains_key(*name)).cloned().collect();
            let approval = state.store.approval(said.approval).await.map_err(refuse_store)?;
            let barred = approval.and_then(|approval| forbidden(state, &who, &approval));
            (speaks_for, barred)
        }
    };
    let reply = Some(ReplyTo { connection: connection.to_owned(), to: interaction.user.clone() });
    let (approval, says) = (said.approval, said.says);
    let known_as = BTreeSet::new();
    let ask = ApprovalAsk::Say { approval, says, speaks_for, known_as, remark: None, barred, reply };
    Ok(Input::Approval { caller, ask })
}

/// Who pressed: the person with this user id among their aliases, else the user as Slack shows them.
fn caller(state: &AppState, interaction: &Interaction) -> Caller {
    let Interaction { user, name, .. } = interaction;
    let known = back::person(&state.configured().ruleset, [user.as_str()]);
    let shown = || name.as_ref().map_or_else(|| format!("Slack user {user}"), |name| format!("{name} (Slack {user})"));
    Caller::new(known.unwrap_or_else(shown), VIA)
}
