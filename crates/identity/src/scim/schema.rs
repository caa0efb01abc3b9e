//! What the server says of itself: its configuration, resource types and schemas (RFC 7643 §5 to §7).

use super::PAGE;
use serde_json::{Value, json};

/// The schema of users.
pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
/// The schema of groups.
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
/// The extension for people of an enterprise.
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
/// The schema of lists.
pub const LIST: &str = "urn:ietf:params:scim:api:messages:2.0:ListResponse";

/// Whether a schema is that of a resource itself.
#[must_use]
pub fn is_core(urn: &str) -> bool {
    urn.eq_ignore_ascii_case(USER) || urn.eq_ignore_ascii_case(GROUP)
}

/// Whether the key of an object is the name of an extension.
#[must_use]
pub(super) fn is_extension(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    key.starts_with("urn:") && (key.ends_with(":user") || key.ends_with(":group"))
}

/// A schema's name as it is written, from its name in lower case.
#[must_use]
pub(super) fn written(lower: &str) -> String {
    if lower.eq_ignore_ascii_case(ENTERPRISE) { ENTERPRISE.to_owned() } else { lower.to_owned() }
}

/// `/ServiceProviderConfig`.
#[must_use]
pub fn service(base: &str) -> Value {
    json!({
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
        "documentationUri": "https://www.rfc-editor.org/rfc/rfc7644",
        "patch": {"supported": true},
        "bulk": {"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
        "filter": {"supported": true, "maxResults": PAGE},
        "changePassword": {"supported": false},
        "sort": {"supported": false},
        "etag": {"supported": true},
        "authenticationSchemes": [{
            "type": "oauthbearertoken",
            "name": "API token",
            "description": "An API token with the scope `scim`, as `Authorization: Bearer TOKEN`",
            "primary": true
        }],
        "meta": {"resourceType": "ServiceProviderConfig", "location": format!("{base}/ServiceProviderConfig")}
    })
}

/// `/ResourceTypes`.
#[must_use]
pub fn resource_types(base: &str) -> Vec<Value> {
    let meta = |id: &str| json!({"resourceType": "ResourceType", "location": format!("{base}/ResourceTypes/{id}")});
    vec![
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": "User", "name": "User", "endpoint": "/Users", "description": "A person", "schema": USER,
            "schemaExtensions": [{"schema": ENTERPRISE, "required": false}],
            "meta": meta("User")
        }),
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ResourceType"],
            "id": "Group", "name": "Group", "endpoint": "/Groups", "description": "A team", "schema": GROUP,
            "meta": meta("Group")
        }),
    ]
}

/// `/Schemas`.
#[must_use]
pub fn schemas(base: &str) -> Vec<Value> {
    let text = |name: &str, description: &str| attribute(name, "string", description);
    let with = |mut attribute: Value, changes: Value| {
        if let (Some(attribute), Value::Object(changes)) = (attribute.as_object_mut(), changes) {
            attribute.extend(changes);
        }
        attribute
    };
    let named = |id: &str, name: &str, description: &str, attributes: Vec<Value>| {
        json!({
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Schema"],
            "id": id, "name": name, "description": description, "attributes": attributes,
            "meta": {"resourceType": "Schema", "location": format!("{base}/Schemas/{id}")}
        })
    };
    let plural = |name: &str, description: &str| {
        let parts = json!({"multiValued": true, "subAttributes": [
            text("value", "The value"), text("display", "For people"), text("type", "What it is for"),
            attribute("primary", "boolean", "Whether it is the first choice")
        ]});
        with(attribute(name, "complex", description), parts)
    };
    let linked = |name: &str, description: &str, kind: &str| {
        let fixed = |part: Value, changes: Value| with(with(part, json!({"mutability": "immutable"})), changes);
        let parts = json!({"multiValued": true, "subAttributes": [
            fixed(text("value", "Its id"), json!({})),
            fixed(attribute("$ref", "reference", "Its address"), json!({"referenceTypes": [kind], "caseExact": true})),
            fixed(text("type", "What it is"), json!({"canonicalValues": [kind]})),
            fixed(text("display", "Its name"), json!({"mutability": "readOnly"}))
        ]});
        with(attribute(name, "complex", description), parts)
    };
    let user_name = with(text("userName", "Name to sign in with"), json!({"required": true, "uniqueness": "server"}));
    let parts = ["formatted", "familyName", "givenName", "middleName"].map(|part| text(part, "A part of the name"));
    let name = with(attribute("name", "complex", "Their name"), json!({"subAttributes": parts}));
    let groups = with(linked("groups", "Groups they are in", "Group"), json!({"mutability": "readOnly"}));
    let display = with(text("displayName", "Name of the group"), json!({"required": true, "uniqueness": "server"}));
    vec![
        named(
            USER,
            "User",
            "A person",
            vec![
                user_name,
                name,
                text("displayName", "Name for people"),
                with(text("externalId", "What the provider calls them"), json!({"caseExact": true})),
                text("title", "What they do"),
                attribute(
                    "active",
                    "boolean",
                    "Whether they may do anything; false ends their access and their turns on call",
                ),
                plural("emails", "Addresses; one of them links to a person of the configuration"),
                plural("phoneNumbers", "Kept, not used"),
                groups,
            ],
        ),
        named(GROUP, "Group", "A team", vec![display, linked("members", "Who is in it", "User")]),
        named(
            ENTERPRISE,
            "EnterpriseUser",
            "Kept, not used",
            vec![
                text("employeeNumber", "Number"),
                text("department", "Department"),
                text("organization", "Organization"),
            ],
        ),
    ]
}

fn attribute(name: &str, kind: &str, description: &str) -> Value {
    json!({
        "name": name, "type": kind, "multiValued": false, "description": description, "required": false,
        "caseExact": false, "mutability": "readWrite", "returned": "default", "uniqueness": "none"
    })
}
