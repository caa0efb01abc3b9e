use super::*;

#[test]
fn pages_follow_each_other_and_keys_do_not_stay() {
    let mut account = Account::default();
    let page = br#"{"services": [{"id": "PS1", "name": "Checkout", "status": "active", "teams": [{"id": "PT1", "summary": "ML"}],
        "escalation_policy": {"id": "PE1", "type": "escalation_policy_reference", "summary": "ML on call"},
        "integrations": [{"id": "PI1", "type": "events_api_v2_inbound_integration", "integration_key": "secretsecretsecretsecretsecretse"},
            {"id": "PI2", "type": "generic_email_inbound_integration"}]}], "limit": 100, "offset": 0, "more": true}"#;
    assert_eq!(account.take(List::Services, 0, page), Ok(Some(1)));
    assert_eq!(account.take(List::Services, 1, br#"{"services": [], "more": true}"#), Ok(None));
    let service = &account.services[0];
    assert_eq!(service.keys, BTreeSet::from([fingerprint("secretsecretsecretsecretsecretse")]));
    assert_eq!(service.teams[0].name, "ML");
    assert!(!serde_json::to_string(&account).unwrap().contains("secretsecret"));
    assert_eq!(List::Services.path(100), "/services?limit=100&offset=100&include%5B%5D=integrations");
}

#[test]
fn a_whole_entry_has_its_name_twice() {
    let mut account = Account::default();
    let page = br#"{"teams": [{"id": "PT1", "type": "team", "summary": "ML Research", "self": "https://api.pagerduty.com/teams/PT1",
        "html_url": "https://x.pagerduty.com/teams/PT1", "name": "ML Research", "description": null}], "more": false}"#;
    assert_eq!(account.take(List::Teams, 0, page), Ok(None));
    let page = br#"{"escalation_policies": [{"id": "PE1", "name": "ML", "summary": "ML", "escalation_rules": [{"id": "PR1",
        "targets": [{"id": "PU1", "type": "user", "name": "Zed", "summary": "Zed"}]}], "teams": [{"id": "PT1", "type": "team_reference",
        "summary": "ML Research", "self": "https://api.pagerduty.com/teams/PT1"}]}], "more": false}"#;
    assert_eq!(account.take(List::EscalationPolicies, 0, page), Ok(None));
    assert_eq!(account.teams[0].name, "ML Research");
    let again: Account = serde_json::from_str(&serde_json::to_string(&account).unwrap()).unwrap();
    assert_eq!(again, account);
}

#[test]
fn what_is_no_page_is_refused() {
    let check = |offset: usize, page: &str, expect: &str| {
        let error = Account::default().take(List::Users, offset, page.as_bytes()).expect_err(page);
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(0, "<html>", "cannot be read");
    check(0, r#"{"teams": []}"#, "`users` is missing");
    check(0, r#"{"users": [{"name": "no id"}]}"#, "missing field `id`");
    check(9_999, r#"{"users": [{"id": "P1"}], "more": true}"#, "more than 10000");
}
