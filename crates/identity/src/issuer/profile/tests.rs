//! What profiles take and refuse, as tables.

#![allow(clippy::needless_pass_by_value, reason = "tables of JSON read better without references")]

use super::*;
use crate::issuer::config::{MapRule, RoleScope, TeamClaim};
use crate::role::Role;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const TENANT: &str = "11112222-bbbb-3333-cccc-4444dddd5555";

fn config(value: Value) -> IssuerConfig {
    serde_json::from_value(value).expect("a configuration")
}

fn entra(more: Value) -> IssuerConfig {
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let mut value = json!({"issuer": issuer, "profile": "entra", "audience": ["api"]});
    value.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
    config(value)
}

fn claims(value: Value) -> Claims {
    Claims::parse(value.to_string().as_bytes()).expect("claims")
}

fn header(typ: Option<&str>) -> Header {
    Header { algorithm: Algorithm::RS256, kid: None, typ: typ.map(str::to_owned) }
}

fn entra_claims(more: Value) -> Claims {
    let mut value = json!({"tid": TENANT, "ver": "2.0", "azp": "app-1", "oid": "o-1", "sub": "s", "scp": "read"});
    let members = value.as_object_mut().expect("object");
    for (name, more) in more.as_object().expect("object") {
        members.insert(name.clone(), more.clone());
    }
    claims(value)
}

#[test]
fn entra_takes_what_somebody_assigned() {
    let check = |config: &IssuerConfig, more: Value, fits: bool| {
        let claims = entra_claims(more.clone());
        let admitted = admit(config, &header(Some("jwt")), &claims).and_then(|()| nothing_left_out(config, &claims));
        assert_eq!(admitted.is_ok(), fits, "{more}: {admitted:?}");
    };
    let plain = entra(json!({}));
    check(&plain, json!({}), true);
    check(&plain, json!({"scp": null, "roles": ["Run"]}), true);
    // Any application of the tenant can get this one.
    check(&plain, json!({"scp": null}), false);
    check(&plain, json!({"scp": null, "roles": []}), false);
    check(&plain, json!({"idtyp": "app"}), false);
    check(&plain, json!({"tid": "99992222-bbbb-3333-cccc-4444dddd5555"}), false);
    check(&plain, json!({"ver": "1.0"}), false);
    // An ID token for the same application.
    check(&plain, json!({"azp": null}), false);
    check(&plain, json!({"nonce": "n"}), false);
    let listed = entra(json!({"clients": ["app-1"]}));
    check(&listed, json!({"scp": null}), true);
    check(&listed, json!({"azp": "app-2"}), false);
    check(&entra(json!({"clients": ["o-1"]})), json!({"scp": null, "azp": "app-2"}), true);
    let groups = entra(json!({"teams": {"claim": "groups", "map": {"g": "ml"}}}));
    check(&groups, json!({"groups": ["g"]}), true);
    check(&groups, json!({"_claim_names": {"groups": "src1"}}), false);
    check(&groups, json!({"hasgroups": true}), false);
    check(&plain, json!({"_claim_names": {"groups": "src1"}}), true);
    check(&entra(json!({"attributes": {"g": "groups"}})), json!({"_claim_names": {"groups": "src1"}}), false);
    let kind = entra(json!({"kind": {"service_when": {"wids": "w"}}}));
    check(&kind, json!({"_claim_names": {"groups": "src1"}}), true);
    check(&kind, json!({"_claim_names": {"groups": "src1", "wids": "src1"}}), false);
    assert!(admit(&plain, &header(None), &entra_claims(json!({}))).is_err(), "typ must be JWT");
}

#[test]
fn entra_names_one_tenant() {
    for (issuer, expect) in [
        (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), Some("2.0")),
        (format!("https://login.microsoftonline.us/{TENANT}/v2.0"), Some("2.0")),
        (format!("https://sts.windows.net/{TENANT}/"), Some("1.0")),
        (format!("https://sts.windows.net/{TENANT}"), None),
        ("https://login.microsoftonline.com/common/v2.0".to_owned(), None),
        ("https://login.microsoftonline.com/organizations/v2.0".to_owned(), None),
        ("https://idp.test/".to_owned(), None),
    ] {
        assert_eq!(tenant(&issuer).map(|(_, version)| version), expect, "{issuer}");
    }
}

#[test]
fn rfc_9068_asks_for_its_claims() {
    let config = config(json!({"issuer": "https://idp.test/", "profile": "access_token", "audience": ["hub"]}));
    let whole = json!({"client_id": "c", "jti": "1", "iat": 1, "sub": "s"});
    assert_eq!(admit(&config, &header(Some("at+jwt")), &claims(whole.clone())), Ok(()));
    assert!(admit(&config, &header(Some("jwt")), &claims(whole.clone())).is_err());
    for missing in ["client_id", "jti", "iat"] {
        let mut part = whole.clone();
        part.as_object_mut().expect("object").remove(missing);
        assert!(admit(&config, &header(Some("at+jwt")), &claims(part)).is_err(), "{missing}");
    }
}

#[test]
fn rules_for_builds_rely_on_what_stays() {
    let check = |profile: Profile, when: Value, expect: &[&str]| {
        let when: BTreeMap<String, Values> = serde_json::from_value(when).expect("conditions");
        let base = json!({"issuer": "https://ci.test", "audience": ["hub"]});
        let rule = MapRule { when, role: Role::Service, scope: RoleScope::Everywhere };
        let config = IssuerConfig { profile, map: vec![rule], ..config(base) };
        let found: Vec<String> =
            config.check().into_iter().map(|bad| format!("{}: {}", bad.field, bad.problem)).collect();
        assert_eq!(found, expect);
    };
    check(Profile::Github, json!({"repository_id": "123", "ref": "refs/heads/*", "environment": "prod"}), &[]);
    check(Profile::Gitlab, json!({"project_id": ["1", "2"], "ref_protected": "true"}), &[]);
    check(Profile::Teamcity, json!({"build_type_internal_id": "bt7"}), &[]);
    check(
        Profile::Github,
        json!({"repository": "acme/*"}),
        &[
            "map[0].when.repository: `repository` can be renamed, and then belong to somebody else; use `repository_id`",
            "map[0].when: the rule would apply to the builds of others too; name one of `repository_id`, \
             `repository_owner_id`, `enterprise_id`",
        ],
    );
    check(Profile::Gitlab, json!({"project_id": "1*"}), &["map[0].when.project_id: write the whole id, without `*`"]);
    check(
        Profile::Teamcity,
        json!({"project_internal_id": "p1", "build_type_external_id": "Deploy"}),
        &["map[0].when.build_type_external_id: `build_type_external_id` can be renamed, and then belong to somebody \
           else; use `build_type_internal_id`"],
    );
}

#[test]
fn a_configuration_that_lets_anybody_in_is_refused() {
    let check = |value: Value, expect: &[&str]| {
        let found: Vec<String> = config(value).check().into_iter().map(|bad| bad.field).collect();
        assert_eq!(found, expect);
    };
    check(json!({"issuer": "https://idp.test/", "audience": ["hub"]}), &[]);
    check(json!({"issuer": "http://idp.test/", "audience": []}), &["issuer", "audience"]);
    check(json!({"issuer": "https://idp.test/", "audience": ["a"], "leeway": "61s"}), &["leeway"]);
    check(
        json!({"issuer": "https://login.microsoftonline.com/common/v2.0", "profile": "entra", "audience": ["a"]}),
        &["issuer"],
    );
    check(json!({"issuer": "https://idp.test/", "audience": ["a"], "keys": {"url": "http://x.test"}}), &["keys"]);
    let own = json!([{"role": "viewer", "scope": "own_teams"}]);
    check(json!({"issuer": "https://idp.test/", "audience": ["a"], "map": own}), &["map[0].scope"]);
}

#[test]
fn a_star_stands_for_any_characters() {
    let check = |value: &str, text: &str, expect: bool| assert_eq!(fits(value, text), expect, "{value} {text}");
    check("a", "a", true);
    check("a", "ab", false);
    check("a*", "a", true);
    check("*", "", true);
    check("a*a", "a", false);
    check("refs/heads/*", "refs/heads/main", true);
    check("*-data-*", "x-data-y", true);
    check("*-data-*", "x-dat-y", false);
    check("a*b*c", "a-c-b-c", true);
    check("[Prod] *", "[Prod] Admins", true);
    check("", "a", false);
}

#[test]
fn programs_and_people() {
    let check = |profile: Profile, value: Value, expect: Kind| assert_eq!(kind(profile, &claims(value)), expect);
    check(Profile::Standard, json!({"sub": "ann", "azp": "web"}), Kind::Person);
    check(Profile::AccessToken, json!({"sub": "airflow", "client_id": "airflow"}), Kind::Service);
    check(Profile::Standard, json!({"sub": "abc@clients", "azp": "abc"}), Kind::Service);
    check(Profile::Entra, json!({"scp": "read"}), Kind::Person);
    check(Profile::Entra, json!({"roles": ["Run"]}), Kind::Service);
    check(Profile::Github, json!({}), Kind::Service);
}

#[test]
fn groups_become_teams_only_where_the_map_says_so() {
    let claim = TeamClaim { claim: "groups".to_owned(), map: BTreeMap::from([("g1".to_owned(), "ml".to_owned())]) };
    let config = IssuerConfig { teams: Some(claim), ..config(json!({"issuer": "https://i.test", "audience": ["a"]})) };
    let identity = crate::issuer::identity::identity(
        "idp",
        &config,
        &claims(json!({"sub": "s", "groups": ["g1", "ml"]})),
        "jwt",
        None,
    );
    let identity = identity.expect("identity");
    assert_eq!(identity.teams.into_iter().collect::<Vec<_>>(), ["ml"]);
}
