use super::super::patch;
use super::*;

const ANA: &str = "019a9f5e-0000-7000-8000-000000000001";
const BEN: &str = "019a9f5e-0000-7000-8000-000000000002";

fn id(text: &str) -> Uuid {
    text.parse().unwrap()
}

#[test]
fn members_change_in_the_order_of_the_operations() {
    let check = |operations: Value, expect: Change| {
        let mut group = Group::parse(json!({"displayName": "Data"})).unwrap();
        let change = group.patch(id(ANA), patch::parse(&json!({"Operations": operations})).unwrap()).unwrap();
        assert_eq!(change, expect, "{operations}");
    };
    let (ana, ben) = (BTreeSet::from([id(ANA)]), BTreeSet::from([id(BEN)]));
    let value = |id: &str| json!([{"value": id}]);
    check(
        json!([{"op": "Add", "path": "members", "value": value(ANA)}]),
        Change { add: ana.clone(), ..Change::default() },
    );
    check(
        json!([{"op": "Remove", "path": "members", "value": value(BEN)}]),
        Change { remove: ben.clone(), ..Change::default() },
    );
    check(
        json!([{"op": "remove", "path": format!("members[value eq \"{BEN}\"]")}]),
        Change { remove: ben.clone(), ..Change::default() },
    );
    check(json!([{"op": "replace", "path": "members", "value": value(ANA)}]), Change::exactly(ana));
    check(json!([{"op": "remove", "path": "members"}]), Change::exactly(BTreeSet::new()));
    check(
        json!([{"op": "add", "value": {"members": value(BEN)}}, {"op": "remove", "path": "members", "value": value(BEN)}]),
        Change { remove: ben, ..Change::default() },
    );
}

#[test]
fn a_group_is_renamed() {
    let mut group = Group::parse(json!({"displayName": "Data", "externalId": "1", "x": 1})).unwrap();
    let renamed = json!({"Operations": [{"op": "replace", "value": {"id": ANA, "displayName": "Data Engineering"}}]});
    let operations = || patch::parse(&renamed).unwrap();
    let refused = group.clone().patch(id(BEN), operations()).expect_err("the id of another");
    assert_eq!(refused.scim_type, Some("mutability"));
    assert_eq!(group.patch(id(ANA), operations()), Ok(Change::default()));
    assert_eq!((group.display.as_str(), group.external_id.as_deref()), ("Data Engineering", Some("1")));
    assert_eq!(Value::Object(group.attributes.clone()), json!({"x": 1}));
}
