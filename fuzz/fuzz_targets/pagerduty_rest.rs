//! Fuzzes what PagerDuty's REST API answers: any page is taken or refused, and what was taken can be compared.
#![no_main]

use std::collections::BTreeMap;
use trackside_connect::pagerduty::drift::compare;
use trackside_connect::pagerduty::rest::{Account, LISTS};
use trackside_core::ruleset::Ruleset;

libfuzzer_sys::fuzz_target!(|page: &[u8]| {
    let mut account = Account::default();
    for list in LISTS {
        let _ = account.take(list, 0, page);
    }
    let _ = compare(&Ruleset::default(), &BTreeMap::new(), &account);
});
