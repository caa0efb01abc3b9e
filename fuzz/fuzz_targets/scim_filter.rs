//! Fuzzes the filters and paths of SCIM: any text is read or refused, and what was read can be asked of a resource.
#![no_main]

use serde_json::json;
use trackside_identity::scim::filter::Filter;
use trackside_identity::scim::patch::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    if let Ok(filter) = Filter::parse(text) {
        let user = json!({"userName": "ana", "emails": [{"value": "ana@example.net", "type": "work"}], "active": true});
        let _ = (filter.matches(&user), filter.must_equal().len(), filter.mentions("members"));
    }
    let _ = Path::parse(text);
});
