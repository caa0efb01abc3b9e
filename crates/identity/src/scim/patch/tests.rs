#![allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]

use super::*;
use serde_json::json;

#[track_caller]
fn check(operations: Value, expect: Value) {
    let mut resource = json!({
        "userName": "ana", "active": true, "name": {"givenName": "Ana"},
        "emails": [{"type": "work", "value": "ana@example.net"}]
    });
    let operations = parse(&json!({"Operations": operations})).unwrap();
    apply(resource.as_object_mut().unwrap(), operations).unwrap();
    for (name, value) in expect.as_object().unwrap() {
        assert_eq!(resource.get(name).unwrap_or(&Value::Null), value, "{name}: {resource}");
    }
}

#[test]
fn operations_in_the_shapes_of_okta_and_entra() {
    check(json!([{"op": "replace", "value": {"active": false}}]), json!({"active": false}));
    check(json!([{"op": "Replace", "path": "active", "value": "False"}]), json!({"active": "False"}));
    check(
        json!([{"op": "Add", "path": "emails[type eq \"home\"].value", "value": "a@home.net"}]),
        json!({"emails": [{"type": "work", "value": "ana@example.net"}, {"type": "home", "value": "a@home.net"}]}),
    );
    check(
        json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "new@example.net"}]),
        json!({"emails": [{"type": "work", "value": "new@example.net"}]}),
    );
    check(
        json!([{"op": "Add", "value": {"name.familyName": "Lima", "displayName": "Ana Lima"}}]),
        json!({"name": {"givenName": "Ana", "familyName": "Lima"}, "displayName": "Ana Lima"}),
    );
    let department = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department";
    check(
        json!([{"op": "Add", "path": department, "value": "Data"}]),
        json!({"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Data"}}),
    );
    let enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
    let whole = json!({"op": "add", "path": enterprise, "value": {"department": "Data", "employeeNumber": "7"}});
    check(json!([whole]), json!({enterprise: {"department": "Data", "employeeNumber": "7"}}));
    let remove = |path: &str| json!({"op": "remove", "path": path});
    check(json!([whole, remove(department)]), json!({enterprise: {"employeeNumber": "7"}}));
    check(json!([whole, remove(enterprise)]), json!({enterprise: null}));
    check(
        json!([whole, remove(department), remove(&format!("{enterprise}:employeeNumber"))]),
        json!({enterprise: null}),
    );
    let core = "urn:ietf:params:scim:schemas:core:2.0:User";
    check(
        json!([{"op": "replace", "path": core, "value": {"title": "Dr"}}]),
        json!({"title": "Dr", "userName": "ana"}),
    );
    check(json!([{"op": "remove", "path": "emails[type eq \"work\"]"}]), json!({"emails": []}));
    check(json!([{"op": "remove", "path": "name.givenName"}]), json!({"name": {}}));
    check(
        json!([{"op": "add", "path": "emails", "value": [{"value": "ana@example.net"}]}]),
        json!({
            "emails": [{"type": "work", "value": "ana@example.net"}]
        }),
    );
}

#[test]
fn what_cannot_be_done_is_refused() {
    let check = |operation: Value, expect: &str| {
        let mut resource = json!({"userName": "ana"});
        let done = parse(&json!({"Operations": [operation]}))
            .and_then(|operations| apply(resource.as_object_mut().unwrap(), operations));
        assert_eq!(done.expect_err("refused").scim_type, Some(expect), "{operation}");
    };
    check(json!({"op": "move", "path": "a"}), "invalidSyntax");
    check(json!({"op": "remove"}), "noTarget");
    check(json!({"op": "replace", "value": "x"}), "invalidValue");
    check(json!({"op": "replace", "path": "id", "value": "x"}), "mutability");
    check(json!({"op": "replace", "path": "emails[type eq", "value": "x"}), "invalidPath");
    check(json!({"op": "replace", "path": "emails[value co \"x\"].type", "value": "x"}), "noTarget");
}
