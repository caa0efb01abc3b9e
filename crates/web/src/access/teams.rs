//! Which teams a plan touches, and whether somebody may make it: a role that holds for some teams is enough for what is
//! theirs, and for nothing that others have to bear as well.

use super::refusals::{self, Refused};
use crate::api::names;
use crate::problem::Problem;
use crate::state::AppState;
use http::StatusCode;
use std::cell::Cell;
use std::collections::BTreeSet;
use trackside_core::ruleset::Ruleset;
use trackside_core::ruleset::people::Target;
use trackside_identity::directory::Identity;
use trackside_identity::role::Role;

/// The teams whose problems fit matchers. One about something else than the team leaves any team possible.
///
/// # Errors
/// When a matcher cannot be used.
pub(crate) fn matched(ruleset: &Ruleset, matchers: &[String]) -> Result<BTreeSet<String>, Problem> {
    let mut teams: BTreeSet<String> = ruleset.teams.keys().cloned().collect();
    for text in matchers {
        let matcher = names::matchers(std::slice::from_ref(text))?;
        let about_others = Cell::new(false);
        teams.retain(|team| {
            let hit = matcher.matches(|label| {
                about_others.set(!matches!(label, "team" | "owner"));
                if about_others.get() { "".into() } else { team.as_str().into() }
            });
            hit || about_others.get()
        });
    }
    Ok(teams)
}

/// The teams whose pages go to whoever is on call in a schedule.
pub(crate) fn paged_by(ruleset: &Ruleset, schedule: &str) -> BTreeSet<String> {
    let leads_there = |policy: &String| {
        let steps = ruleset.escalations.get(policy).into_iter().flat_map(|policy| &policy.steps);
        let mut targets = steps.flat_map(|step| &step.targets);
        targets.any(|target| matches!(target, Target::OnCall(name) if name == schedule))
    };
    let teams = ruleset.teams.iter().filter(|(_, team)| team.escalation.as_ref().is_some_and(leads_there));
    teams.map(|(name, _)| name.clone()).collect()
}

/// Whether somebody has a role for every one of these teams; everywhere, when there are none.
pub(crate) fn held_for(who: &Identity, role: Role, teams: &BTreeSet<String>) -> bool {
    let everywhere = who.rights.allow_for(role, None);
    everywhere || (!teams.is_empty() && teams.iter().all(|team| who.rights.allow_for(role, Some(team))))
}

/// Passes when the caller has the role for every team that a plan touches.
///
/// # Errors
/// 403, which says which team it is not held for.
pub(crate) async fn may_plan(
    state: &AppState,
    who: &Identity,
    role: Role,
    teams: &BTreeSet<String>,
) -> Result<(), Problem> {
    if held_for(who, role, teams) {
        return Ok(());
    }
    let of_others = teams.iter().find(|team| !who.rights.allow_for(role, Some(team)));
    let of_others = of_others.map_or_else(String::new, |team| format!(" and touches `{team}`"));
    let because =
        format!("this needs the role `{role}` for every team that it touches{of_others}; you have `{}`", who.rights);
    let touched: Vec<&str> = teams.iter().map(String::as_str).collect();
    let resource = (!touched.is_empty()).then(|| format!("team:{}", touched.join(",")));
    let refused = Refused { kind: "plan".to_owned(), resource, because: because.clone(), policies: Vec::new() };
    refusals::tell(state, &who.caller, refused).await?;
    Err(Problem::new(StatusCode::FORBIDDEN, because))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use trackside_core::caller::Caller;
    use trackside_identity::directory::Kind;
    use trackside_identity::rights::{Rights, Scope};

    fn ruleset() -> Ruleset {
        serde_json::from_value(json!({
            "teams": {"ml": {"escalation": "deep"}, "ml-research": {"escalation": "deep"}, "payments": {"escalation": "pay"}},
            "owners": {"default": "payments"},
            "people": {"ana": {"zone": "UTC"}},
            "escalations": {
                "deep": {"steps": [{"targets": ["oncall:deep"]}]},
                "pay": {"steps": [{"targets": ["person:ana"]}, {"after": "5m", "targets": ["oncall:pay"]}]},
            },
        }))
        .expect("a ruleset")
    }

    #[test]
    fn which_teams_are_touched() {
        let check = |matchers: &[&str], expect: &str| {
            let matchers: Vec<String> = matchers.iter().map(|text| (*text).to_owned()).collect();
            let found = matched(&ruleset(), &matchers).expect("usable");
            assert_eq!(found.into_iter().collect::<Vec<_>>().join(" "), expect, "{matchers:?}");
        };
        let all = "ml ml-research payments";
        check(&[], all);
        check(&["pipeline=\"ml_daily\""], all);
        check(&["team=\"ml\""], "ml");
        check(&["\"owner\" = ml", "pipeline=~\".*\""], "ml");
        check(&["team=~\"ml.*\""], "ml ml-research");
        check(&["team!=\"payments\""], "ml ml-research");
        check(&["team=\"ml\"", "team=\"payments\""], "");
        check(&["note=\"team=ml\""], all);
        let paged = |schedule| paged_by(&ruleset(), schedule).into_iter().collect::<Vec<_>>().join(" ");
        assert_eq!(
            (paged("deep").as_str(), paged("pay").as_str(), paged("other").as_str()),
            ("ml ml-research", "payments", "")
        );
    }

    #[test]
    fn a_role_for_one_team_is_not_one_for_others() {
        let mut who = Identity::simple(Caller::new("ana", "session"), Kind::Person, Role::Viewer);
        let check = |who: &Identity, teams: &[&str], expect: bool| {
            let teams = teams.iter().map(|team| (*team).to_owned()).collect();
            assert_eq!(held_for(who, Role::Responder, &teams), expect, "{teams:?}");
        };
        check(&who, &["ml"], false);
        who.rights.grant(Role::Responder, Scope::Teams(["ml".to_owned()].into()));
        check(&who, &["ml"], true);
        check(&who, &["ml", "payments"], false);
        check(&who, &[], false);
        who.rights = Rights::everywhere(Role::Responder);
        check(&who, &[], true);
    }
}
