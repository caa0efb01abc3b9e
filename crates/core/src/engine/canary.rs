//! Test alerts through real channels: proof that a page would arrive.
//!
//! Invariants: at most one test is on its way per connection; one that has not arrived in time raises an alarm through
//! any other connection; the alarm ends with the next test that arrives. A test at PagerDuty is resolved as soon as it
//! has arrived, so that nobody has to.

use super::incident::Context;
use super::lag::SELF_SOURCE;
use super::turn::Turn;
use crate::effect::Action;
use crate::event::Severity;
use crate::incident::AlertKey;
use crate::input::{DeliveryResult, Outcome};
use crate::notice::{Notice, OwnerView};
use crate::rules::Rules;
use crate::ruleset::{Canary, ConnectionKind};
use crate::run::PipelineKey;
use crate::state::CanaryTest;
use crate::timer::TimerKey;

/// Name of the built-in rule.
const RULE: &str = "canary";

impl Turn<'_> {
    /// Sets the timers of tests, and forgets connections that are no longer tested.
    pub(super) fn watch_canaries(&mut self, rules: &Rules) {
        let tested = rules.source().canary.as_ref().map_or(&[][..], |canary| &canary.connections);
        let known: Vec<String> = self.state.canaries().map(|test| test.connection.clone()).collect();
        for connection in known.into_iter().filter(|known| !tested.contains(known)) {
            self.state.clear_timer(&TimerKey::Canary { connection: connection.clone() });
            self.state.remove_canary(&connection);
            self.clear(&alarm_key(&connection), "it is no longer tested", &Context::default());
        }
        for connection in tested {
            let key = TimerKey::Canary { connection: connection.clone() };
            if self.state.timer(&key).is_none() {
                self.state.set_timer(key, self.at);
            }
        }
    }

    /// A test is due, or the one on its way should have arrived.
    pub(super) fn canary_due(&mut self, connection: &str) {
        let Some(rules) = self.rules() else {
            return;
        };
        let Some(canary) =
            rules.source().canary.as_ref().filter(|canary| canary.connections.iter().any(|c| c == connection))
        else {
            return;
        };
        let lost = self.state.canary(connection).filter(|test| test.arrived.is_none()).cloned();
        if let Some(test) = lost {
            self.means(format!("the test through {connection} has not arrived"));
            self.canary_lost(&rules, canary, &test);
            let next = test.sent + canary.every.0;
            if self.at < next {
                self.state.set_timer(TimerKey::Canary { connection: connection.to_owned() }, next);
                return;
            }
        }
        self.send_canary(canary, connection);
    }

    fn send_canary(&mut self, canary: &Canary, connection: &str) {
        self.means(format!("a test through {connection} is due"));
        let notice = self.test_notice(
            "Trackside test alert: nothing is wrong",
            format!("This test goes through {connection} every {} and shows that alerts arrive.", canary.every),
        );
        let delivery = self.effect(connection, Action::Test, None, notice);
        self.audit("canary.sent", format!("test through {connection}"), None, Some(delivery));
        self.follows(format!("a test alert was queued through {connection}"));
        let timeout = canary.timeout.0.min(canary.every.0);
        self.state.put_canary(CanaryTest { connection: connection.to_owned(), sent: self.at, delivery, arrived: None });
        self.state.set_timer(TimerKey::Canary { connection: connection.to_owned() }, self.at + timeout);
    }

    fn test_notice(&self, title: &str, summary: String) -> Notice {
        let owner = OwnerView { team: "trackside".to_owned(), because: "it tests its own channels".to_owned() };
        Notice::plain(title.to_owned(), summary, Severity::Info, self.at, owner)
    }

    fn canary_lost(&mut self, rules: &Rules, canary: &Canary, test: &CanaryTest) {
        let title = format!("Test alerts through {} do not arrive", test.connection);
        let summary = format!("The test sent at {} had not arrived {} later", test.sent, canary.timeout);
        self.own_trouble(rules, alarm_key(&test.connection), title, summary, self.at, Some(&test.connection));
    }

    /// A delivery ended; if it was a test, notes how long it took and sets the time of the next one.
    pub(super) fn canary_ended(&mut self, outcome: &Outcome) {
        let Some(mut test) = self.state.canary(&outcome.connection).cloned() else {
            return;
        };
        if test.delivery != outcome.delivery || outcome.result != DeliveryResult::Delivered {
            return;
        }
        let Some(rules) = self.rules() else {
            return;
        };
        test.arrived = Some(self.at);
        let took = self.at.duration_since(test.sent);
        self.means(format!("the test through {} arrived after {took:#}", test.connection));
        self.audit("canary.arrived", format!("through {} after {took:#}", test.connection), None, Some(test.delivery));
        if let Some(canary) = &rules.source().canary {
            let next = (test.sent + canary.every.0).max(self.at);
            self.state.set_timer(TimerKey::Canary { connection: test.connection.clone() }, next);
        }
        if rules.connection(&test.connection).is_some_and(|info| info.kind == ConnectionKind::Pagerduty) {
            let notice = self.test_notice("Test arrived", "Test arrived".to_owned());
            self.effect_with_key(&test.connection, &test.delivery.to_string(), Action::Resolve, notice);
        }
        let connection = test.connection.clone();
        self.state.put_canary(test);
        self.clear(&alarm_key(&connection), "a test alert arrived", &Context::default());
    }
}

fn alarm_key(connection: &str) -> AlertKey {
    AlertKey {
        pipeline: PipelineKey { source: SELF_SOURCE.into(), name: connection.into() },
        rule: RULE.into(),
        subject: "".into(),
    }
}
