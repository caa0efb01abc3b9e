use super::*;

#[test]
fn a_user_is_read_whatever_the_case_of_its_attributes() {
    let user = User::parse(json!({
        "USERNAME": "Ana@Example.net", "Active": "False", "password": "hunter2", "id": "x", "groups": [],
        "emails": [{"value": "ana.lima@example.net"}, "second@example.net"]
    }))
    .unwrap();
    assert_eq!((user.user_name.as_str(), user.active), ("Ana@Example.net", false));
    assert_eq!(
        user.names().into_iter().collect::<Vec<_>>(),
        ["ana.lima@example.net", "ana@example.net", "second@example.net"]
    );
    let shown = Value::Object(user.shown(Vec::new())).to_string();
    assert!(!shown.contains("hunter2") && !shown.contains("\"id\""), "{shown}");
}

#[test]
fn an_address_may_stand_without_a_list() {
    let user = User::parse(json!({"userName": "a", "emails": {"value": "a@example.net", "type": "work"}})).unwrap();
    assert_eq!(user.emails().collect::<Vec<_>>(), ["a@example.net"]);
}

#[test]
fn nobody_comes_back_because_nothing_is_said_of_it() {
    let check = |body: Value, before: Active, active: bool| {
        let user = User::replacing(body.clone(), before).unwrap();
        assert_eq!((user.active, &user.attributes["active"]), (active, &json!(active)), "{body} {before:?}");
    };
    check(json!({"userName": "a"}), Active::Yes, true);
    check(json!({"userName": "a"}), Active::No, false);
    check(json!({"userName": "a", "ACTIVE": null}), Active::No, false);
    check(json!({"userName": "a", "ACTIVE": "True"}), Active::No, true);
    check(json!({"userName": "a", "active": false}), Active::Yes, false);
}

#[test]
fn what_is_no_user_is_refused() {
    let check = |body: Value, expect: &str| {
        let error = User::parse(body.clone()).expect_err("refused");
        assert!(error.detail.contains(expect), "{body}: {}", error.detail);
    };
    check(json!([]), "not an object");
    check(json!({}), "`userName` is missing");
    check(json!({"userName": " "}), "`userName` is missing");
    check(json!({"userName": 7}), "must be a text");
    check(json!({"userName": "x".repeat(600)}), "longer than");
    check(json!({"userName": "x", "active": "maybe"}), "true or false");
}
