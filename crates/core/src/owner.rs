//! Who owns a problem. Invariant: always somebody, and the trail says why and what was passed over.
//!
//! Order: explicit rule, owners the event names, tags `owner:`/`team:`, catalogue, last matching pattern, default.

use crate::decision::OwnerTrail;
use crate::rules::{Rules, Subject};

/// Resolves the owner of a subject.
#[must_use]
pub fn resolve(rules: &Rules, subject: &Subject<'_>) -> OwnerTrail {
    let mut passed_over = Vec::new();
    let (team, because) = find(rules, subject, &mut passed_over);
    OwnerTrail { team, because, passed_over }
}

fn find(rules: &Rules, subject: &Subject<'_>, passed_over: &mut Vec<String>) -> (String, String) {
    let tier = rules.tier(subject);
    for (index, (matcher, team)) in rules.owner_rules().enumerate() {
        if matcher.mismatch(subject, tier, None).is_none() {
            return (team.to_owned(), format!("owner rule {} of the configuration", index + 1));
        }
    }
    for owner in subject.owners {
        match rules.team(owner) {
            Some(team) => return (team.to_owned(), format!("owner `{owner}` of the event")),
            None => passed_over.push(format!("owner `{owner}` of the event is no team's name or alias")),
        }
    }
    for tag in subject.tags {
        let Some(value) = ["owner", "team"].iter().find_map(|name| {
            let rest = tag.strip_prefix(name)?;
            rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))
        }) else {
            continue;
        };
        match rules.team(value) {
            Some(team) => return (team.to_owned(), format!("tag `{tag}`")),
            None => passed_over.push(format!("tag `{tag}` names no team")),
        }
    }
    if let Some(owner) = rules.entry(subject, |entry| entry.owner.as_deref()) {
        return (owner.to_owned(), "the catalogue (`pipelines`)".to_owned());
    }
    if let Some(pattern) = rules.owner_pattern(subject) {
        return (pattern.team.clone(), format!("pattern `{}`", pattern.path));
    }
    (rules.source().owners.default.clone(), "nothing else said whose it is; this is the default owner".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ruleset::{OwnerPattern, OwnerRule, Owners, PipelineEntry, Ruleset, Selector, Team};

    fn rules() -> Rules {
        let team =
            |aliases: &[&str]| Team { aliases: aliases.iter().map(|a| (*a).to_owned()).collect(), ..Team::default() };
        Rules::new(Ruleset {
            teams: [("payments", team(&["pay"])), ("ml", team(&["ml-research"])), ("platform", team(&[]))]
                .map(|(name, team)| (name.to_owned(), team))
                .into(),
            owners: Owners {
                default: "platform".into(),
                rules: vec![OwnerRule {
                    matches: Selector { pipeline: Some("billing_*".into()), ..Selector::default() },
                    team: "payments".into(),
                }],
                patterns: vec![
                    OwnerPattern { path: "dbt/ml_*/**".into(), team: "ml".into() },
                    OwnerPattern { path: "airflow/**".into(), team: "payments".into() },
                    OwnerPattern { path: "airflow/ml_*/**".into(), team: "ml".into() },
                    OwnerPattern { path: "airflow/ml_*".into(), team: "ml".into() },
                ],
            },
            pipelines: vec![PipelineEntry {
                matches: Selector { pipeline: Some("ledger".into()), ..Selector::default() },
                tier: Some(1),
                owner: Some("ml".into()),
                runbook: None,
            }],
            ..Ruleset::default()
        })
        .unwrap()
    }

    #[track_caller]
    fn check(source: &str, pipeline: &str, task: &str, owners: &[&str], tags: &[&str], expect: &str) {
        let own = |list: &[&str]| list.iter().map(|x| (*x).to_owned()).collect::<Vec<_>>();
        let (owners, tags) = (own(owners), own(tags));
        let subject = Subject { source, pipeline, task, tags: &tags, owners: &owners };
        let trail = resolve(&rules(), &subject);
        assert_eq!(format!("{}: {} {:?}", trail.team, trail.because, trail.passed_over), expect);
    }

    #[test]
    fn the_first_source_of_an_owner_wins_and_the_last_pattern() {
        check("x", "billing_daily", "", &["ml"], &[], "payments: owner rule 1 of the configuration []");
        check(
            "x",
            "y",
            "",
            &["airflow", "pay"],
            &["team:ml"],
            "payments: owner `pay` of the event [\"owner `airflow` of the event is no team's name or alias\"]",
        );
        check(
            "x",
            "y",
            "",
            &[],
            &["team:nobody", "owner=ml-research"],
            "ml: tag `owner=ml-research` [\"tag `team:nobody` names no team\"]",
        );
        check("x", "ledger", "", &[], &[], "ml: the catalogue (`pipelines`) []");
        check("airflow", "ml_train", "fit", &[], &[], "ml: pattern `airflow/ml_*/**` []");
        check("airflow", "ml_train", "", &[], &[], "ml: pattern `airflow/ml_*` []");
        check("airflow", "other", "t", &[], &[], "payments: pattern `airflow/**` []");
        // A pattern over what is in a pipeline is about the pipeline too.
        check("dbt", "ml_nightly", "", &[], &[], "ml: pattern `dbt/ml_*/**` []");
        check("dbt", "ml_nightly", "load", &[], &[], "ml: pattern `dbt/ml_*/**` []");
        check(
            "prefect",
            "other",
            "",
            &[],
            &[],
            "platform: nothing else said whose it is; this is the default owner []",
        );
    }
}
