//! Actions on an Azure App Service: restart, slot swap, zip deployment.
//!
//! Sources: Azure Resource Manager `Microsoft.Web/sites` (`restart`, `slotsswap`, api-version 2025-05-01), and Kudu's
//! `/api/zipdeploy` and `/api/deployments`. None of them takes a key. After a lost answer a swap is looked for in the
//! site's `slotSwapStatus` and a deployment in Kudu's list, where its deployer carries the run's key; a restart cannot be
//! asked after and is never repeated. Nothing here can be told to stop.

use super::classify::{self, Meaning, Parts};
use super::{Job, failed, lost_for_good, poll};
use crate::connection::{AppServiceConfig, ConnectionConfig};
use crate::far_end::{Answer, HttpRequest};
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use trackside_core::job::run::{CallResult, ErrorClass, JobCall};
use trackside_core::job::spec::{AppServiceAction, JobTarget};
use url::Url;

const MANAGEMENT: &str = "https://management.azure.com";
const API_VERSION: &str = "2025-05-01";
/// Name of the slot that is not one.
const PRODUCTION: &str = "production";
/// Kudu's list of deployments.
const LIST: &str = "api/deployments";
/// Questions for a swap before its outcome is taken to be unknown.
const QUESTIONS: u32 = 10;

/// The request that does it.
pub(super) fn request(job: &Job<'_>, call: &JobCall, action: &AppServiceAction) -> Result<HttpRequest, String> {
    let site = site(job)?;
    match action {
        AppServiceAction::Restart { slot, soft } => {
            let mut url = resource(site, slot.as_deref(), Some("restart"))?;
            url.query_pairs_mut().append_pair("synchronous", "true").append_pair("softRestart", &soft.to_string());
            Ok(HttpRequest::new(Method::POST, url.as_str()).body("application/json", ""))
        }
        AppServiceAction::SwapSlots { source, target } => {
            let url = resource(site, Some(source), Some("slotsswap"))?;
            let target = target.as_deref().unwrap_or(PRODUCTION);
            let body = json!({"targetSlot": target, "preserveVnet": true});
            Ok(HttpRequest::new(Method::POST, url.as_str()).json(&body))
        }
        AppServiceAction::ZipDeploy { slot } => {
            let package = call.input.get("package_url").and_then(Value::as_str);
            let package = package.ok_or("the input has no text `package_url`: the address of the zip to deploy")?;
            let mut url = deployments(site, slot.as_deref(), "api/zipdeploy")?;
            url.query_pairs_mut()
                .append_pair("isAsync", "true")
                .append_pair("deployer", &deployer(job))
                .append_pair("message", &job.effect.key);
            Ok(HttpRequest::new(Method::PUT, url.as_str()).json(&json!({"packageUri": package})))
        }
    }
}

/// Whether a lost answer can be asked after.
pub(super) fn can_be_asked(target: &JobTarget) -> bool {
    let asked = |action: &AppServiceAction| !matches!(action, AppServiceAction::Restart { .. });
    matches!(target, JobTarget::AppService { action, .. } if asked(action))
}

/// The question whether it was done; `None` where that cannot be asked.
pub(super) fn question(job: &Job<'_>, action: &AppServiceAction) -> Option<Result<HttpRequest, String>> {
    let site = match site(job) {
        Ok(site) => site,
        Err(why) => return Some(Err(why)),
    };
    let url = match action {
        AppServiceAction::Restart { .. } => return None,
        AppServiceAction::SwapSlots { .. } => resource(site, None, None),
        AppServiceAction::ZipDeploy { slot } => deployments(site, slot.as_deref(), LIST),
    };
    Some(url.map(|url| HttpRequest::new(Method::GET, url.as_str()).header("accept", "application/json")))
}

/// What the answer to that question means.
pub(super) fn answered(job: &Job<'_>, action: &AppServiceAction, answer: &Answer) -> Meaning {
    let Answer::Response { status, headers, body } = answer else {
        let (why, trouble) = (classify::reason(answer), classify::trouble(answer));
        return Meaning::Unanswered { not_before: None, why, trouble };
    };
    let parts = Parts { status: *status, headers, body };
    let body = match (status, parts.json()) {
        (401, _) => return Meaning::Rejected { why: parts.reason(), status: 401 },
        (200, Some(body)) => body,
        _ => return Meaning::Unanswered { not_before: None, why: parts.reason(), trouble: classify::trouble(answer) },
    };
    match action {
        AppServiceAction::SwapSlots { source, target } => {
            let target = target.as_deref().unwrap_or(PRODUCTION);
            swapped(job, &body, source, target)
        }
        AppServiceAction::ZipDeploy { slot } => deployed(job, &body, slot.as_deref()),
        AppServiceAction::Restart { .. } => Meaning::Ended(lost_for_good("a restart cannot be asked after")),
    }
}

/// A swap shows in the site once it is done; until then it may still be under way, so it is not sent again.
fn swapped(job: &Job<'_>, site: &Value, source: &str, target: &str) -> Meaning {
    let status = site.pointer("/properties/slotSwapStatus").unwrap_or(&Value::Null);
    let at = status.get("timestampUtc").and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    let is = |member: &str, name: &str| {
        status.get(member).and_then(Value::as_str).is_some_and(|found| found.eq_ignore_ascii_case(name))
    };
    let same = is("sourceSlotName", source) && is("destinationSlotName", target);
    if same && at.is_some_and(|at| at >= job.effect.at) {
        return Meaning::Ended(CallResult::Succeeded { output: status.clone() });
    }
    if job.progress.unanswered >= QUESTIONS {
        return Meaning::Ended(lost_for_good("the site shows no swap of these slots since it was asked for"));
    }
    let why = "the site shows no swap of these slots yet".to_owned();
    Meaning::Unanswered { not_before: None, why, trouble: super::Trouble::None }
}

/// A deployment of this run is in the list as soon as Kudu took it.
fn deployed(job: &Job<'_>, list: &Value, slot: Option<&str>) -> Meaning {
    if ours(job, list).is_none() {
        let why = "Kudu has no deployment of this run".to_owned();
        return Meaning::NotTaken { not_before: None, why, status: None, trouble: super::Trouble::None };
    }
    match site(job).and_then(|site| deployments(site, slot, LIST)) {
        Ok(url) => {
            let why = "Kudu has the deployment of this run".to_owned();
            Meaning::Working { location: Some(url.into()), at: job.now, why }
        }
        Err(why) => Meaning::Ended(failed(ErrorClass::Internal, why, None)),
    }
}

/// Who deploys, as Kudu shows it. It is all that the placeholder shows of us that Kudu lists until it has the package;
/// the deployment itself then takes its place, with another id.
fn deployer(job: &Job<'_>) -> String {
    format!("trackside-{}", job.effect.key)
}

/// The deployment of this run in Kudu's list; its placeholder when there is no other.
fn ours<'a>(job: &Job<'_>, list: &'a Value) -> Option<&'a Value> {
    let deployer = deployer(job);
    let mut mine = list.as_array()?.iter().filter(|one| one.get("deployer").and_then(Value::as_str) == Some(&deployer));
    let first = mine.next()?;
    let placeholder = |one: &Value| one.get("is_temp").and_then(Value::as_bool).unwrap_or(false);
    if placeholder(first) { mine.find(|one| !placeholder(one)).or(Some(first)) } else { Some(first) }
}

/// What a 2xx to the action means.
pub(super) fn accepted(
    job: &Job<'_>,
    call: &JobCall,
    action: &AppServiceAction,
    asked_at: &str,
    parts: &Parts<'_>,
) -> Meaning {
    match (action, parts.status) {
        // Kudu names `…/deployments/latest`, which is somebody else's as soon as they deploy. Its list has ours.
        (AppServiceAction::ZipDeploy { slot }, _) => {
            match site(job).and_then(|site| deployments(site, slot.as_deref(), LIST)) {
                Ok(url) => Meaning::Working {
                    location: Some(url.into()),
                    at: poll::next(job, call, parts),
                    why: "the deployment is under way".to_owned(),
                },
                Err(why) => Meaning::Ended(failed(ErrorClass::Internal, why, Some(parts.status))),
            }
        }
        (_, 202) => classify::working(job, call, asked_at, parts),
        _ => Meaning::Ended(classify::result(call, parts.json().unwrap_or(Value::Null), parts.status)),
    }
}

/// What Kudu's list says of the deployment of this run: 3 is failed, 4 is done, all else is under way. `None` for every
/// other target.
pub(super) fn deployment(job: &Job<'_>, call: &JobCall, parts: &Parts<'_>) -> Option<Meaning> {
    let JobTarget::AppService { action: AppServiceAction::ZipDeploy { .. }, .. } = &call.spec.target else {
        return None;
    };
    let list = parts.json().unwrap_or_default();
    let Some(ours) = ours(job, &list) else {
        let why = "Kudu's list does not have the deployment of this run, or not yet".to_owned();
        return Some(Meaning::Unanswered { not_before: None, why, trouble: super::Trouble::None });
    };
    Some(match ours.get("status").and_then(Value::as_i64) {
        Some(4) => Meaning::Ended(classify::result(call, ours.clone(), parts.status)),
        Some(3) => {
            let why = poll::said(&json!({"message": ours.get("status_text")}), "failed");
            Meaning::Ended(failed(ErrorClass::Failed, why, Some(parts.status)))
        }
        _ => {
            let why = "the deployment is under way".to_owned();
            Meaning::Working { location: None, at: poll::next(job, call, parts), why }
        }
    })
}

fn site<'a>(job: &Job<'a>) -> Result<&'a AppServiceConfig, String> {
    match job.config {
        ConnectionConfig::AppService(site) => Ok(site),
        other => Err(format!(
            "connection `{}` is of kind {}; this job needs one of kind app_service",
            job.effect.connection,
            other.kind().as_str()
        )),
    }
}

/// The site or a slot of it in Azure Resource Manager.
fn resource(site: &AppServiceConfig, slot: Option<&str>, action: Option<&str>) -> Result<Url, String> {
    let base = site.management_url.as_ref().map_or(MANAGEMENT, |url| url.as_str());
    let mut url = Url::parse(base).map_err(|error| error.to_string())?;
    {
        let mut path = url.path_segments_mut().map_err(|()| "the management address has no path".to_owned())?;
        path.pop_if_empty();
        path.extend(["subscriptions", &site.subscription, "resourceGroups", &site.resource_group]);
        path.extend(["providers", "Microsoft.Web", "sites", &site.site]);
        if let Some(slot) = slot.filter(|slot| !slot.eq_ignore_ascii_case(PRODUCTION)) {
            path.extend(["slots", slot]);
        }
        path.extend(action);
    }
    url.query_pairs_mut().append_pair("api-version", API_VERSION);
    Ok(url)
}

/// Where work is kept: in Azure Resource Manager, or at the deployment site.
pub(super) fn places(job: &Job<'_>, action: &AppServiceAction) -> Result<Vec<Url>, String> {
    let site = site(job)?;
    let slot = match action {
        AppServiceAction::ZipDeploy { slot } => slot.as_deref(),
        AppServiceAction::Restart { .. } | AppServiceAction::SwapSlots { .. } => None,
    };
    Ok(vec![resource(site, None, None)?, deployments(site, slot, "")?])
}

/// A page of the deployment site of the app or of a slot (`SITE-SLOT.scm…`).
fn deployments(site: &AppServiceConfig, slot: Option<&str>, path: &str) -> Result<Url, String> {
    let slot = slot.filter(|slot| !slot.eq_ignore_ascii_case(PRODUCTION));
    let base = match (&site.deployment_url, slot) {
        (Some(url), _) => url.as_str().to_owned(),
        (None, Some(slot)) => format!("https://{}-{slot}.scm.azurewebsites.net", site.site),
        (None, None) => format!("https://{}.scm.azurewebsites.net", site.site),
    };
    let base = Url::parse(&base).map_err(|error| error.to_string())?;
    super::http::join(&base, path)
}
