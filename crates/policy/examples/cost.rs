//! What policies cost per question: none, 100 about other things, 100 that speak about this one.
//!
//! `cargo run --release -p trackside-policy --example cost`

#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    clippy::disallowed_methods,
    reason = "a measurement for developers"
)]

use jiff::Timestamp;
use std::fmt::Write as _;
use std::hint::black_box;
use std::time::Instant;
use trackside_core::caller::Caller;
use trackside_identity::directory::{Identity, Kind};
use trackside_identity::question::{Context, Question, Resource, ResourceKind, actions};
use trackside_identity::role::Role;
use trackside_policy::{Policies, Source};

const ROUNDS: u32 = 20_000;

fn main() {
    let mut who = Identity::simple(Caller::new("corp:etl", "jwt"), Kind::Service, Role::Service);
    who.names.extend(["jobs.run".to_owned(), "reports.read".to_owned()]);
    who.teams.insert("payments".to_owned());
    let context = Context {
        method: Some("GET".to_owned()),
        path: Some("/orders/7".to_owned()),
        ..Context::at(Timestamp::UNIX_EPOCH)
    };
    for (what, text) in [
        ("no policy", String::new()),
        ("100 about other routes", many(100, |n| format!("resource == Route::\"other-{n}\""), "")),
        (
            "1 about this route",
            many(1, |_| "resource == Route::\"orders\"".to_owned(), "when { context.method == \"GET\" }"),
        ),
        ("100 about any route", many(100, |_| "resource is Route".to_owned(), "when { context.hour > 23 }")),
    ] {
        let policies = Policies::compile(&[Source { name: "c.cedar".to_owned(), text }]).expect("valid");
        let resource = Resource { kind: ResourceKind::Route, name: "orders", team: Some("payments") };
        let question = Question { who: &who, action: actions::CALL, resource, context: &context };
        let _ = policies.answer(&question);
        let began = Instant::now();
        for _ in 0..ROUNDS {
            black_box(policies.answer(black_box(&question)));
        }
        println!("{what}: {:.2} µs", began.elapsed().as_secs_f64() * 1e6 / f64::from(ROUNDS));
    }
}

fn many(count: u32, resource: impl Fn(u32) -> String, condition: &str) -> String {
    let mut text = String::new();
    for n in 0..count {
        let condition = condition.replace("context.method", "(context has method) && context.method");
        writeln!(text, "permit(principal, action == Action::\"call\", {}) {condition};", resource(n))
            .expect("a string");
    }
    text
}
