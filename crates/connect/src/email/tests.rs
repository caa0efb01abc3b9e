use super::*;
use crate::far_end::request;
use crate::far_end::tests::{email, now};
use crate::template::sample_effect;
use std::sync::Arc;
use trackside_identity::act_link::{ActKey, ActLink, Wish};

fn mail(effect: &Effect) -> String {
    let request = request(&email(), effect, None, now()).unwrap();
    let Wire::Mail(mail) = request.wire else { panic!("not mail") };
    String::from_utf8(mail.message).unwrap()
}

#[test]
fn a_mail_has_text_html_and_what_threads_it() {
    insta::assert_snapshot!(mail(&sample_effect(Action::Trigger, now())).replace("\r\n", "\n"));
}

#[test]
fn a_repeat_is_the_same_mail() {
    let effect = sample_effect(Action::Trigger, now());
    assert_eq!(mail(&effect), mail(&effect));
}

#[test]
fn nothing_in_a_notice_can_add_a_header_or_markup() {
    let mut effect = sample_effect(Action::Trigger, now());
    effect.notice.incident = None;
    effect.notice.title = "fine\r\nBcc: eve@example.net".to_owned();
    effect.notice.summary = "<script>alert(1)</script>".to_owned();
    effect.notice.pipeline.as_mut().unwrap().name = "a\nBcc: eve@example.net".to_owned();
    let mail = mail(&effect);
    let head = mail.split("\r\n\r\n").next().unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    let html = mail.split("text/html").nth(1).unwrap();
    assert!(!html.contains("<script>"), "{html}");
}

fn linked(effect: &Effect) -> (MailRequest, Arc<ActKey>) {
    let key = Arc::new(ActKey::new([7; 32]));
    let request = request(&email().with_links(&key), effect, None, now()).unwrap();
    let Wire::Mail(mail) = request.wire else { panic!("not mail") };
    (mail, key)
}

/// The links in a mail, as the reader's program would find them.
fn links(mail: &[u8], key: &ActKey) -> Vec<ActLink> {
    let text = String::from_utf8(mail.to_vec()).unwrap().replace("=\r\n", "");
    let plain = text.split("text/html").next().unwrap();
    let tokens = plain.split("https://trackside.example.net/act/").skip(1).map(|rest| rest.split_whitespace().next());
    tokens.map(|token| key.open(token.unwrap(), now()).unwrap()).collect()
}

#[test]
fn links_act_for_whom_the_mail_is_for() {
    let effect = sample_effect(Action::Trigger, now());
    let (mail, key) = linked(&effect);
    let found = links(&mail.message, &key);
    assert_eq!(found.iter().map(|link| link.wish).collect::<Vec<_>>(), [Wish::Acknowledge, Wish::Resolve]);
    for link in &found {
        assert_eq!((link.incident, link.delivery, link.life), (effect.incident.unwrap(), effect.id, 0));
        assert_eq!((link.connection.as_str(), link.who.as_str()), ("under-test", "ana@example.net"));
        assert_eq!(link.expires, now() + trackside_identity::act_link::ACT_LINK_LIFETIME);
    }
    let (mail, key) = linked(&sample_effect(Action::Remind, now()));
    assert_eq!(links(&mail.message, &key)[0].who, "ana", "the person who is paged");
    let (mail, key) = linked(&sample_effect(Action::Acknowledge, now()));
    assert_eq!(links(&mail.message, &key).iter().map(|link| link.wish).collect::<Vec<_>>(), [Wish::Resolve]);
    for action in [Action::Resolve, Action::Test, Action::Message] {
        let (mail, key) = linked(&sample_effect(action, now()));
        assert_eq!(links(&mail.message, &key), [], "{action:?}");
    }
}

#[test]
fn what_acts_is_in_the_mail_alone() {
    let (mail, _) = linked(&sample_effect(Action::Trigger, now()));
    let shown = String::from_utf8(mail.shown).unwrap();
    assert!(shown.contains("https://trackside.example.net/act/[redacted]"), "{shown}");
    insta::assert_snapshot!(shown.replace("\r\n", "\n"));
    let mut nowhere = email();
    nowhere.public_url = None;
    let key = Arc::new(ActKey::new([7; 32]));
    let request = request(&nowhere.with_links(&key), &sample_effect(Action::Trigger, now()), None, now()).unwrap();
    assert!(!format!("{request:?}").contains("/act/"), "without an address there is nothing to link to");
}

#[test]
fn an_address_of_the_effect_takes_the_place_of_the_connections_own() {
    let mut effect = sample_effect(Action::Remind, now());
    effect.to = Some("Ben <ben@example.net>".to_owned());
    let mail = mail(&effect);
    assert!(mail.contains("\r\nTo: Ben <ben@example.net>\r\n") && !mail.contains("ana@example.net"), "{mail}");
    effect.to = Some("U123".to_owned());
    let error = request(&email(), &effect, None, now()).unwrap_err().to_string();
    assert!(error.contains("`U123` is not a mail address"), "{error}");
}
