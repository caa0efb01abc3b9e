//! Fuzzes changes of SCIM resources: any body is applied or refused, and a user that comes of it can be shown.
#![no_main]

use serde_json::{Value, json};
use trackside_identity::scim::group::Group;
use trackside_identity::scim::patch;
use trackside_identity::scim::user::User;
use uuid::Uuid;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(body) = serde_json::from_slice::<Value>(bytes) else { return };
    let _ = Group::parse(body.clone());
    if let Ok(user) = User::parse(body.clone()) {
        let _ = user.shown(Vec::new());
    }
    let Ok(operations) = patch::parse(&body) else { return };
    let mut user = json!({"userName": "ana", "emails": [{"value": "ana@example.net", "type": "work"}]});
    if let Some(attributes) = user.as_object_mut() {
        let _ = patch::apply(attributes, operations.clone());
    }
    let _ = User::parse(user);
    if let Ok(mut group) = Group::parse(json!({"displayName": "data"})) {
        let _ = group.patch(Uuid::nil(), operations);
    }
});
