//! Opaque tokens: asked about seldom, and never told to anybody who need not know them.

use crate::world::{World, at, now, vectors};
use serde_json::{Value, json};
use trackside_identity::callers::{Callers, NotKnown};

const PLACE: &str = "https://idp.test/introspect";

/// An issuer that is asked. The secret is some text that is in the environment wherever tests run.
fn callers(world: &World, more: Value) -> Callers {
    let mut issuer = json!({
        "issuer": "https://idp.test/", "audience": ["hub"], "keys": {"url": "https://idp.test/jwks"},
        "introspection": {"url": PLACE, "client_id": "a b", "secret": {"env": "CARGO_PKG_NAME"}},
        "map": [{"when": {"scope": "jobs.run"}, "role": "service"}],
    });
    issuer.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
    world.callers(json!({"idp": issuer}))
}

fn active(more: Value) -> String {
    let mut said =
        json!({"active": true, "sub": "airflow", "client_id": "airflow", "scope": "jobs.run x", "aud": "hub"});
    for (name, value) in more.as_object().expect("object") {
        said[name] = value.clone();
    }
    said.to_string()
}

#[tokio::test]
async fn an_answer_is_kept_for_a_minute_at_most() {
    let world = World::new(String::new());
    let callers = callers(&world, json!({}));
    world.answer(PLACE, 200, active(json!({"exp": now().as_second() + 90})));
    let identity = callers.identify("opaque", now()).await.expect("active");
    assert_eq!((identity.caller.subject.as_str(), identity.caller.via.as_str()), ("idp:airflow", "introspection"));
    assert_eq!(identity.rights.to_string(), "service");
    assert_eq!(world.bodies(), ["token=opaque&token_type_hint=access_token"]);
    assert_eq!(world.asked(), [PLACE]);
    for (seconds, asked) in [(59, 0), (60, 1), (89, 0)] {
        assert!(callers.identify("opaque", at(seconds)).await.is_ok());
        assert_eq!(world.asked().len(), asked, "{seconds}");
    }
    world.answer(PLACE, 200, r#"{"active": false}"#);
    for seconds in [90, 120, 149] {
        assert_eq!(callers.identify("opaque", at(seconds)).await.map(drop), Err(NotKnown::Foreign), "{seconds}");
    }
    assert_eq!(world.asked().len(), 1, "that it is not active is kept as well");
}

#[tokio::test]
async fn what_is_said_is_judged() {
    let world = World::new(String::new());
    let check = async |config: Value, said: String, expect: bool| {
        world.answer(PLACE, 200, said.clone());
        let found = callers(&world, config).identify("opaque", now()).await;
        assert_eq!(found.is_ok(), expect, "{said}: {found:?}");
    };
    check(json!({}), active(json!({})), true).await;
    check(json!({}), active(json!({"aud": "other"})), false).await;
    check(json!({}), active(json!({"aud": null})), false).await;
    check(json!({"clients": ["airflow"]}), active(json!({"aud": null})), true).await;
    check(json!({"clients": ["other"]}), active(json!({})), false).await;
    check(json!({}), active(json!({"iss": "https://evil.test/"})), false).await;
    check(json!({}), active(json!({"exp": now().as_second() - 60})), false).await;
    // Nobody but the program itself.
    check(json!({}), active(json!({"sub": null})), true).await;
    check(json!({}), active(json!({"sub": null, "client_id": null})), false).await;
    check(json!({}), active(json!({"sub": ""})), false).await;
    check(json!({}), active(json!({"nbf": now().as_second() + 60})), false).await;
    check(json!({}), active(json!({"nbf": "soon"})), false).await;
    // Bound to a key whose proof is not looked at.
    check(json!({}), active(json!({"cnf": {"jkt": "x"}})), false).await;
    check(json!({}), active(json!({"token_type": "DPoP"})), false).await;
    // Servers answer for refresh tokens too, each in words of its own.
    check(json!({}), active(json!({"token_type": "refresh_token"})), false).await;
    check(json!({}), active(json!({"token_use": "refresh_token"})), false).await;
    check(json!({}), active(json!({"typ": "Refresh"})), false).await;
    check(json!({}), active(json!({"token_type": "Bearer", "token_use": "access_token", "typ": "Bearer"})), true).await;
    check(json!({}), r#"{"active": "true"}"#.to_owned(), false).await;
    check(json!({}), r#"{"active": true, "active": false}"#.to_owned(), false).await;
}

#[tokio::test]
async fn an_issuer_that_is_away_does_not_stand_in_the_way_of_others() {
    let world = World::new(String::new());
    let issuer = |place: &str, iss: &str| {
        json!({
            "issuer": iss, "audience": ["hub"], "keys": {"url": "https://idp.test/jwks"},
            "introspection": {"url": place, "client_id": "hub", "secret": {"env": "CARGO_PKG_NAME"}},
        })
    };
    let other = "https://other.test/introspect";
    let callers =
        world.callers(json!({"a": issuer(PLACE, "https://idp.test/"), "b": issuer(other, "https://other.test/")}));
    world.gone(PLACE);
    world.answer(other, 200, active(json!({})));
    let found = callers.identify("theirs", now()).await.expect("the second one knows it");
    assert_eq!(found.caller.subject, "b:airflow");
    // Nobody knows it, but not everybody could be asked: that is not a no, and it is not kept.
    world.answer(other, 200, r#"{"active": false}"#);
    assert!(matches!(callers.identify("whose", now()).await, Err(NotKnown::Unavailable(_))));
    world.answer(PLACE, 200, active(json!({})));
    assert_eq!(callers.identify("whose", now()).await.expect("known").caller.subject, "a:airflow");
}

#[tokio::test]
async fn signed_tokens_and_our_own_stay_here() {
    let world = World::new(vectors()["jwks"].to_string());
    let callers = callers(&world, json!({}));
    let signed = vectors()["tokens"][0]["token"].as_str().expect("a token");
    assert!(callers.identify(signed, now()).await.is_ok());
    for token in ["ts_gone", "a.b.c", "with space", ""] {
        assert!(callers.identify(token, now()).await.is_err(), "{token}");
    }
    assert_eq!(world.asked(), ["https://idp.test/jwks"]);
    assert!(matches!(callers.identify("opaque", now()).await, Err(NotKnown::Unavailable(_))));
}
