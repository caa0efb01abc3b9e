use super::*;
use crate::far_end::request;
use crate::far_end::tests::{email, now};
use crate::template::sample_effect;

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
