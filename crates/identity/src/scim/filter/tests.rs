use super::*;
use serde_json::json;

fn ana() -> Value {
    json!({
        "id": "2819c223", "userName": "Ana@Example.net", "externalId": "00uA", "active": true, "title": "",
        "name": {"familyName": "O'Neil"},
        "emails": [{"value": "ana@example.net", "type": "work", "primary": true}, {"value": "a@home.net", "type": "home"}],
        "meta": {"lastModified": "2026-11-20T10:00:00Z"},
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"department": "Data"}
    })
}

#[test]
fn filters_pass_what_they_say() {
    let check = |filter: &str, passes: bool| {
        let parsed = Filter::parse(filter).unwrap_or_else(|error| panic!("{filter}: {error}"));
        assert_eq!(parsed.matches(&ana()), passes, "{filter}");
    };
    check("userName eq \"ana@example.net\"", true);
    check("USERNAME Eq \"ana@example.net\"", true);
    check("urn:ietf:params:scim:schemas:core:2.0:User:userName sw \"ANA\"", true);
    check("externalId eq \"00uA\"", true);
    check("externalId eq \"00ua\"", false);
    check("active eq true", true);
    check("active eq \"False\"", false);
    check("name.familyName co \"'ne\"", true);
    check("emails eq \"a@home.net\"", true);
    check("emails.value ew \"home.net\" and not (active eq false)", true);
    check("emails[type eq \"work\" and value co \"home\"]", false);
    check("emails[type eq \"work\" and value co \"example\"]", true);
    check("emails[type eq \"work\"].value eq \"ana@example.net\"", true);
    check("emails[type eq \"home\"].value eq \"ana@example.net\"", false);
    check("title pr", false);
    check("title eq null", true);
    check("nickName eq null", true);
    check("userName ne \"ben\" or active eq false and title pr", true);
    check("(userName eq \"ben\" or userName eq \"cleo\") and active eq true", false);
    check("meta.lastModified gt \"2026-11-20T09:59:59.5Z\"", true);
    check("meta.lastModified ge \"2026-11-20T11:00:00+01:00\"", true);
    check("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department eq \"data\"", true);
}

#[test]
fn what_is_no_filter_is_refused_with_its_place() {
    let check = |filter: &str, expect: &str| {
        let error = Filter::parse(filter).expect_err(filter);
        assert_eq!(error.scim_type, Some("invalidFilter"), "{filter}");
        assert!(error.detail.contains(expect), "{filter}: {}", error.detail);
    };
    check("", "not the name of an attribute (at position 1");
    check("userName", "operator is missing");
    check("userName = \"x\"", "operator is missing");
    check("userName eq x", "value is missing");
    check("userName eq \"x\" or", "not the name");
    check("(userName eq \"x\"", "`)` is missing");
    check("emails[type eq \"work\"", "`]` is missing");
    check("userName eq \"x\" userName eq \"y\"", "something follows");
    check(&"(".repeat(100), "levels");
    check(&vec!["a pr"; 200].join(" or "), "comparisons");
    check(&"a".repeat(5000), "longer than");
}
