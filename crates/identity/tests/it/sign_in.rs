//! Signing in by a provider: ID tokens, logout tokens, and what they say of somebody. Signed with a key that everybody knows.

use crate::world::{World, at, now};
use serde_json::{Value, json};
use std::sync::Arc;
use trackside_identity::issuer::{Issuer, Issuers};
use trackside_identity::secret::Secrets;
use trackside_identity::session::SessionKey;
use trackside_identity::sign_in::client::Moment;
use trackside_identity::sign_in::flow::Answer;
use trackside_identity::sign_in::{Failed, SignIn, SignedIn};
use trackside_identity::signer::Signer;

const ISSUER: &str = "https://idp.test/";
const PLACE: &str = "https://idp.test/.well-known/openid-configuration";
const LOGOUT: &str = "http://schemas.openid.net/event/backchannel-logout";

fn signer() -> Signer {
    Signer::from_pem(include_str!("../../../../testdata/keys/ec.pem"), None).expect("a key")
}

/// A provider that publishes its key.
fn provider() -> World {
    let world = World::new(json!({"keys": [signer().public_jwk().expect("public")]}).to_string());
    let page = json!({
        "issuer": ISSUER, "jwks_uri": "https://idp.test/jwks", "authorization_endpoint": "https://idp.test/auth",
        "token_endpoint": "https://idp.test/token", "userinfo_endpoint": "https://idp.test/me",
    });
    world.answer(PLACE, 200, page.to_string());
    world
}

fn issuers(world: &World, more: Value) -> Issuers {
    let mut issuer = json!({"issuer": ISSUER, "audience": ["hub"], "map": [{"role": "viewer"}]});
    issuer.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
    world.issuers(json!({"idp": issuer}), &Issuers::default())
}

fn issuer(world: &World) -> Arc<Issuer> {
    Arc::clone(issuers(world, json!({})).named("idp").expect("the issuer"))
}

/// A token with these claims changed; `null` takes one away.
fn token(mut claims: Value, changes: &Value, typ: &str) -> String {
    let members = claims.as_object_mut().expect("an object");
    for (name, value) in changes.as_object().expect("an object") {
        if value.is_null() {
            members.remove(name)
        } else {
            members.insert(name.clone(), value.clone())
        };
    }
    signer().token(&json!({"typ": typ}), &claims).expect("signed")
}

fn id_claims() -> Value {
    let second = now().as_second();
    json!({"iss": ISSUER, "sub": "ana", "aud": "ts", "nonce": "n", "iat": second, "exp": second + 300})
}

fn logout_claims() -> Value {
    let second = now().as_second();
    let events = json!({LOGOUT: {}});
    json!({"iss": ISSUER, "sub": "ana", "aud": "ts", "iat": second, "exp": second + 120, "jti": "j", "events": events})
}

#[tokio::test]
async fn an_id_token_answers_one_sign_in_of_one_client() {
    let world = provider();
    let issuer = issuer(&world);
    let check = async |changes: Value, typ: &str, fits: bool| {
        let token = token(id_claims(), &changes, typ);
        let found = issuer.verify_id_token(&token, Some("n"), "ts", now()).await;
        assert_eq!(found.is_ok(), fits, "{changes} {typ}: {found:?}");
    };
    check(json!({}), "JWT", true).await;
    check(json!({"azp": "ts"}), "JWT", true).await;
    check(json!({"aud": ["ts"]}), "JWT", true).await;
    check(json!({"aud": ["ts", "other"], "azp": "ts"}), "JWT", true).await;
    check(json!({"aud": ["ts", "other"]}), "JWT", false).await;
    check(json!({"aud": ["ts", "other"], "azp": "other"}), "JWT", false).await;
    check(json!({"azp": "other"}), "JWT", false).await;
    // For Trackside as an API, not as a client.
    check(json!({"aud": "hub"}), "JWT", false).await;
    for claim in ["iss", "sub", "aud", "nonce", "iat", "exp"] {
        check(json!({claim: null}), "JWT", false).await;
    }
    check(json!({"nonce": "other"}), "JWT", false).await;
    check(json!({"iss": "https://idp.test"}), "JWT", false).await;
    check(json!({"exp": now().as_second() - 31}), "JWT", false).await;
    check(json!({"iat": now().as_second() + 31}), "JWT", false).await;
    check(json!({}), "at+jwt", false).await;
    check(json!({"events": {LOGOUT: {}}}), "JWT", false).await;
}

#[tokio::test]
async fn a_logout_token_is_nothing_else() {
    let world = provider();
    let issuer = issuer(&world);
    let check = async |changes: Value, typ: &str, fits: bool| {
        let token = token(logout_claims(), &changes, typ);
        let found = issuer.verify_logout_token(&token, "ts", now()).await;
        assert_eq!(found.is_ok(), fits, "{changes} {typ}: {found:?}");
        assert!(found.is_err() || found.is_ok_and(|logout| logout.jti == "j" && logout.expires == at(120)));
    };
    check(json!({}), "logout+jwt", true).await;
    check(json!({}), "JWT", true).await;
    check(json!({"sub": null, "sid": "s"}), "logout+jwt", true).await;
    check(json!({"sub": null}), "logout+jwt", false).await;
    for claim in ["iss", "aud", "iat", "exp", "jti", "events"] {
        check(json!({claim: null}), "logout+jwt", false).await;
    }
    check(json!({"nonce": "n"}), "logout+jwt", false).await;
    check(json!({"events": {"http://other.test/event": {}}}), "logout+jwt", false).await;
    check(json!({"events": {LOGOUT: true}}), "logout+jwt", false).await;
    check(json!({"events": LOGOUT}), "logout+jwt", false).await;
    check(json!({"aud": "other"}), "logout+jwt", false).await;
    check(json!({"exp": now().as_second() - 31}), "logout+jwt", false).await;
    check(json!({}), "at+jwt", false).await;
}

#[tokio::test]
async fn neither_opens_an_api() {
    let world = provider();
    let callers = world.callers(json!({"idp": {"issuer": ISSUER, "audience": ["ts"], "map": [{"role": "admin"}]}}));
    for (claims, typ) in [(id_claims(), "JWT"), (logout_claims(), "JWT"), (logout_claims(), "logout+jwt")] {
        let token = token(claims, &json!({}), typ);
        assert!(callers.identify(&token, now()).await.is_err(), "{typ}");
    }
}

/// Signs somebody in whose ID token and userinfo say this beside the usual.
async fn signed_in(issuer: Value, more: Value, userinfo: Value) -> Result<SignedIn, Failed> {
    let world = provider();
    let issuers = issuers(&world, issuer);
    let config =
        json!({"issuer": "idp", "client_id": "ts", "userinfo": if userinfo.is_null() { "skip" } else { "ask" }});
    let config = serde_json::from_value(config).expect("a configuration");
    let sign_in = SignIn::open(config, &issuers, world.exchange(), Secrets::default()).expect("there is one");
    let (key, redirect) = (SessionKey::new([1; 32]), "https://ts.test/sign-in/callback".parse().expect("an address"));
    let moment = Moment { now: now(), random: [2; 32] };
    let away = sign_in.depart(&key, &redirect, "/", moment).await.expect("away");
    let query: std::collections::BTreeMap<_, _> = away.url.query_pairs().into_owned().collect();
    let mut claims = id_claims();
    claims["nonce"] = query["nonce"].clone().into();
    let tokens = json!({"access_token": "a", "token_type": "Bearer", "id_token": token(claims, &more, "JWT")});
    world.answer("https://idp.test/token", 200, tokens.to_string());
    world.answer("https://idp.test/me", 200, userinfo.to_string());
    let answer = Answer { code: Some("c".to_owned()), state: Some(query["state"].clone()), ..Answer::default() };
    let accepted = sign_in.arrive(&key, Some(&away.cookie), &answer, now()).await.expect("it counts");
    sign_in.complete(&accepted, &redirect, moment).await
}

#[tokio::test]
async fn what_a_provider_says_of_somebody() {
    let found = signed_in(json!({}), json!({}), Value::Null).await.expect("signed in");
    assert_eq!(found.identity.caller.subject, "idp:ana");
    // Userinfo of somebody else, or one that would say who it is for.
    let other = signed_in(json!({}), json!({}), json!({"sub": "ben", "email": "ben@example.net"})).await;
    assert!(matches!(other, Err(Failed::Unusable(_))), "{other:?}");
    let same =
        signed_in(json!({}), json!({}), json!({"sub": "ana", "email": "ana@example.net", "iss": "https://evil.test/"}));
    let same = same.await.expect("signed in");
    assert_eq!((&same.claims["email"], &same.claims["iss"]), (&json!("ana@example.net"), &json!(ISSUER)));
    assert!(same.identity.aliases.contains("ana@example.net"), "{:?}", same.identity);
}

#[tokio::test]
async fn an_issuer_that_is_away_is_not_asked_by_everybody_who_comes() {
    let world = provider();
    let issuer = issuer(&world);
    let check = async |seconds: i64, there: bool, asked: usize| {
        assert_eq!(issuer.metadata(at(seconds)).await.is_ok(), there, "{seconds}");
        assert_eq!(world.asked().len(), asked, "{seconds}");
    };
    let page = json!({"issuer": ISSUER, "jwks_uri": "https://idp.test/jwks"}).to_string();
    world.gone(PLACE);
    check(0, false, 1).await;
    check(4, false, 0).await;
    world.answer(PLACE, 200, page.clone());
    check(5, true, 1).await;
    check(3604, true, 0).await;
    world.gone(PLACE);
    check(3605, true, 1).await;
    check(3664, true, 0).await;
    check(3665, true, 1).await;
    world.answer(PLACE, 200, page);
    check(3725, true, 1).await;
    check(3800, true, 0).await;
}

#[tokio::test]
async fn groups_that_stand_elsewhere_are_not_no_groups() {
    let teams = json!({"teams": {"claim": "groups", "map": {"g": "ml"}}});
    let elsewhere =
        json!({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x.test/"}}});
    let refused = signed_in(teams.clone(), elsewhere.clone(), Value::Null).await;
    assert!(refused.is_err_and(|failed| failed.to_string().contains("leaves the groups out")));
    assert!(signed_in(json!({}), elsewhere, Value::Null).await.is_ok(), "nobody asks for them here");
    let found = signed_in(teams, json!({"groups": ["g"]}), Value::Null).await.expect("signed in");
    assert_eq!(found.identity.team.as_deref(), Some("ml"));
}

#[tokio::test]
async fn an_address_that_nobody_has_verified_names_nobody() {
    let mail = json!({"attributes": {"email": "email", "mail": "email"}});
    for (verified, taken) in [(json!(true), true), (Value::Null, true), (json!(false), false), (json!("false"), false)]
    {
        let said = json!({"email": "ana@example.net", "email_verified": verified});
        let found = signed_in(mail.clone(), said, Value::Null).await.expect("signed in").identity;
        assert_eq!(found.attributes.contains_key("email"), taken, "{verified}");
        assert_eq!(found.attributes.contains_key("mail"), taken, "{verified}");
        assert!(found.aliases.contains("ana@example.net"), "to be refused by it, it need not be verified");
    }
}
