//! When a token is fetched, kept, renewed and dropped, and how long a refusal holds.

use super::*;
use futures_util::future::join_all;

fn refused(body: &str) -> Say {
    Say::Body(401, body.to_owned())
}

#[tokio::test]
async fn a_token_is_fetched_once_and_used_until_it_is_due() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("one", 3_600), token("two", 3_600)]);
    let brokers = world.brokers(&client(&secret));
    let all = join_all((0..20).map(|_| header(&brokers, None))).await;
    assert!(all.iter().all(|got| got.as_deref() == Ok("Bearer one")), "{all:?}");
    assert_eq!(world.asked(), 1, "twenty callers, one fetch");
    world.pass(1_799);
    assert_eq!((header(&brokers, None).await.as_deref(), world.asked()), (Ok("Bearer one"), 1));
    world.pass(1);
    let all = join_all((0..20).map(|_| header(&brokers, None))).await;
    assert_eq!(world.asked(), 2, "one of them renews");
    assert!(all.iter().all(|got| matches!(got.as_deref(), Ok("Bearer one" | "Bearer two"))), "{all:?}");
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer two"));
}

#[tokio::test]
async fn the_old_token_is_used_while_it_cannot_be_renewed() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("one", 3_600), Say::Later(503, "100"), Say::Lost, token("two", 3_600)]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_ok());
    world.pass(1_800);
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer one"));
    assert_eq!(world.asked(), 2);
    let status = brokers.status().remove(0);
    assert_eq!(
        (status.state, status.error.as_deref()),
        (CredentialState::Failing, Some("the token endpoint answered 503"))
    );
    world.pass(99);
    assert_eq!((header(&brokers, None).await.as_deref(), world.asked()), (Ok("Bearer one"), 2), "left alone");
    world.pass(1);
    // A lost answer is tried once more at once, which succeeds here.
    assert_eq!((header(&brokers, None).await.as_deref(), world.asked()), (Ok("Bearer two"), 4));
    assert_eq!(brokers.status()[0].state, CredentialState::Good);
}

#[tokio::test]
async fn a_token_is_not_used_in_its_last_moments() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("one", 3_600), Say::Lost]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_ok());
    world.pass(3_569);
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer one"));
    world.pass(1);
    assert_eq!(header(&brokers, None).await, Err("no_answer for 4".to_owned()));
    assert_eq!(brokers.status()[0].state, CredentialState::Missing);
}

#[tokio::test]
async fn a_refusal_holds_as_long_as_its_kind_says() {
    let (_file, secret) = secret_file("s");
    for (said, class, hold) in [
        (refused(r#"{"error":"invalid_request"}"#), "refused", 60),
        (refused(r#"{"error":"invalid_client","error_codes":[7000215]}"#), "permanent", 60),
        (Say::Body(200, "{}".to_owned()), "unusable", 60),
        (Say::Later(429, "17"), "busy", 17),
        (Say::Later(503, "999999"), "busy", 3_600),
        (Say::Body(500, String::new()), "busy", 5),
        (Say::Lost, "no_answer", 5),
    ] {
        let world = World::new([said]);
        let brokers = world.brokers(&client(&secret));
        assert_eq!(header(&brokers, None).await, Err(format!("{class} for {hold}")));
        let asked = world.asked();
        world.pass(hold - 1);
        assert_eq!(header(&brokers, None).await, Err(format!("{class} for 1")), "held");
        assert_eq!(world.asked(), asked);
        world.pass(1);
        assert_eq!(header(&brokers, None).await, Err(format!("{class} for {hold}")), "asked again");
        assert_eq!(world.asked(), 2 * asked);
    }
}

#[tokio::test]
async fn a_missing_secret_is_said_without_asking_anybody() {
    let world = World::new([token("one", 60)]);
    let brokers = world.brokers(&client(r#"{"file":"/there/is/no/such/file"}"#));
    assert_eq!(header(&brokers, None).await, Err("here for 5".to_owned()));
    assert_eq!(world.asked(), 0);
}

#[tokio::test]
async fn a_rejected_token_is_fetched_anew_once() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("one", 3_600), token("two", 3_600)]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_ok());
    world.pass(10);
    for _ in 0..5 {
        brokers.rejected("far", None);
        assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer two"));
    }
    assert_eq!(world.asked(), 2, "the second is as young as one can be");
    brokers.rejected("unknown", None);
}

#[tokio::test]
async fn the_loop_renews_what_is_in_use() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("one", 600), token("two", 600)]);
    let brokers = world.brokers(&client(&secret));
    brokers.renew().await;
    assert_eq!(world.asked(), 0, "nobody used it");
    assert!(header(&brokers, None).await.is_ok());
    world.pass(300);
    brokers.renew().await;
    assert_eq!((world.asked(), header(&brokers, None).await.as_deref()), (2, Ok("Bearer two")));
}

#[tokio::test]
async fn refreshing_by_hand_asks_whatever_holds() {
    let (_file, secret) = secret_file("s");
    let world = World::new([Say::Later(429, "600"), token("two", 3_600), Say::Body(500, String::new())]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_err());
    let status = brokers.refresh("far").await.expect("fetched");
    assert_eq!((status.state, status.fetched, status.failures), (CredentialState::Good, 1, 1));
    assert!(brokers.refresh("far").await.is_err());
    assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer two"), "the one that is there stays in use");
    assert!(brokers.refresh("unknown").await.is_err());
}

#[tokio::test]
async fn a_changed_connection_starts_anew() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("one", 3_600), token("two", 3_600)]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_ok());
    let other = client(&secret).replace(r#""client_id":"c""#, r#""client_id":"d""#);
    brokers.put(outlets(&[("far", &client(&secret)), ("new", &other)]));
    assert_eq!((header(&brokers, None).await.as_deref(), world.asked()), (Ok("Bearer one"), 1));
    brokers.put(outlets(&[("far", &other)]));
    assert_eq!((header(&brokers, None).await.as_deref(), world.asked()), (Ok("Bearer two"), 2));
    assert!(brokers.credential("new", None).await.is_err());
}

#[tokio::test]
async fn an_opaque_token_warns() {
    let (_file, secret) = secret_file("s");
    let world = World::new([token("zebra", 3_600)]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_ok());
    assert!(brokers.status()[0].warning.as_deref().is_some_and(|warning| warning.contains("`resource`")));
    let shown = format!("{brokers:?} {:?}", brokers.status());
    assert!(!shown.contains("zebra"), "{shown}");
}

#[tokio::test]
async fn trying_a_connection_says_what_the_answer_means() {
    let (_file, secret) = secret_file("s");
    let answer = |status| Say::Body(status, String::new());
    for (answers, status, meaning, asked) in [
        (vec![answer(204)], 204, ProbeMeaning::Good, 2),
        (vec![answer(403)], 403, ProbeMeaning::NotAllowed, 2),
        (vec![answer(404)], 404, ProbeMeaning::Other, 2),
        (vec![answer(302)], 302, ProbeMeaning::Other, 2),
        (vec![answer(401), answer(401)], 401, ProbeMeaning::NotAuthenticated, 3),
        (vec![Say::SignIn, Say::SignIn], 302, ProbeMeaning::NotAuthenticated, 3),
        (vec![Say::SignIn, answer(200)], 200, ProbeMeaning::Good, 3),
    ] {
        let world = World::new(std::iter::once(token("one", 3_600)).chain(answers));
        let brokers = world.brokers(&client(&secret));
        let probe = brokers.probe("far").await.expect("an answer");
        assert_eq!((probe.status.as_u16(), probe.meaning, world.asked()), (status, meaning, asked));
        assert_eq!(probe.url.as_str(), "https://far.example.net/base/me");
        assert_eq!(world.ask(1).headers["authorization"], "Bearer one");
    }
    let world = World::new([token("one", 3_600), answer(401), token("two", 3_600), answer(200)]);
    let brokers = world.brokers(&client(&secret));
    assert!(header(&brokers, None).await.is_ok());
    world.pass(60);
    assert_eq!(brokers.probe("far").await.expect("an answer").meaning, ProbeMeaning::Good);
    assert_eq!(world.ask(3).headers["authorization"], "Bearer two", "fetched anew once");
}
