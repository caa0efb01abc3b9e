//! Who comes in by a provider that really signs, what their roles reach, and how they lose access: switched off in the
//! directory, signed out at the provider, a token rotated.

use crate::world::{Answer, World, bearer, configured, ruleset, secret};
use axum::body::Body;
use base64::Engine as _;
use http::{HeaderMap, Method, Request, StatusCode};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use tower::ServiceExt as _;
use trackside_core::ruleset::Ruleset;
use trackside_identity::callers::Callers;
use trackside_identity::certificate::{CertificateRule, Certificates, PeerCertificate};
use trackside_identity::directory::{Grant, Origin};
use trackside_identity::exchange::{Ask, Exchange, Reply};
use trackside_identity::issuer::{IssuerConfig, Issuers};
use trackside_identity::role::Role;
use trackside_identity::secret::Secrets;
use trackside_identity::sign_in::{SignIn, SignInConfig};
use trackside_identity::signer::Signer;
use trackside_identity::token::TokenHash;
use trackside_store::Store;
use trackside_store::audit::AuditFilter;

const ISSUER: &str = "https://idp.test";
const SCIM: &str = "a-token-for-scim";

fn signer() -> Signer {
    Signer::from_pem(include_str!("../../../../testdata/keys/ec.pem"), None).expect("a key")
}

fn sign(typ: &str, claims: &Value) -> String {
    signer().token(&json!({"typ": typ}), claims).expect("signed")
}

/// A provider that gives the ID token that lies ready.
#[derive(Clone, Default)]
struct Provider(Arc<Mutex<String>>);

impl Provider {
    fn exchange(&self) -> Exchange {
        let provider = self.clone();
        Arc::new(move |ask: Ask| {
            let body = match ask.url.path() {
                "/.well-known/openid-configuration" => json!({
                    "issuer": ISSUER, "jwks_uri": "https://idp.test/jwks", "authorization_endpoint": "https://idp.test/auth",
                    "token_endpoint": "https://idp.test/token",
                }),
                "/jwks" => json!({"keys": [signer().public_jwk().expect("public")]}),
                _ => {
                    let id_token = provider.0.lock().expect("lock").clone();
                    json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token})
                }
            };
            let reply = Reply { status: StatusCode::OK, headers: HeaderMap::new(), body: body.to_string().into() };
            Box::pin(std::future::ready(Ok(reply)))
        })
    }
}

/// Ana and Ben share the turns of payments.
fn rules() -> Ruleset {
    let mut rules = serde_json::to_value(ruleset()).expect("json");
    rules["people"] = json!({"ana": {"aliases": ["ana@example.net"], "zone": "UTC"}, "ben": {"zone": "UTC"}});
    rules["schedules"] = json!({"primary": {"layers": [{"name": "weeks", "rotation": {"tz": "UTC",
        "start": "2026-11-16T09:00:00", "unit": "week", "participants": ["ana", "ben"]}}]}});
    rules["escalations"] = json!({"wake": {"steps": [{"targets": ["oncall:primary"]}]}});
    rules["teams"]["payments"]["escalation"] = "wake".into();
    serde_json::from_value(rules).expect("rules")
}

fn grant() -> Grant {
    Grant {
        name: "okta".to_owned(),
        role: Role::Service,
        team: None,
        scopes: BTreeSet::from(["scim".to_owned()]),
        origin: Origin::Configuration,
        expires: None,
        hash: TokenHash::of(SCIM),
    }
}

fn certificate() -> PeerCertificate {
    let pem = include_str!("../../../../testdata/keys/certificate.pem");
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).expect("base64");
    PeerCertificate::read(&der).expect("a certificate")
}

struct Place {
    world: World,
    provider: Provider,
}

impl Place {
    async fn new() -> Self {
        let provider = Provider::default();
        let world = World::with_tokens(Store::memory().expect("a database"), rules(), vec![grant()]).await;
        let issuer: IssuerConfig = serde_json::from_value(json!({
            "issuer": ISSUER, "audience": ["hub"], "algorithms": ["ES256"],
            "teams": {"claim": "groups", "map": {"pay": "payments", "plat": "platform"}},
            "map": [
                {"role": "viewer"},
                {"when": {"roles": "responder"}, "role": "responder", "scope": "own_teams"},
                {"when": {"roles": "operator"}, "role": "operator", "scope": "own_teams"},
                {"when": {"roles": "admin"}, "role": "admin", "scope": "own_teams"},
            ],
        }))
        .expect("an issuer");
        let configs = BTreeMap::from([("corporate".to_owned(), issuer)]);
        let issuers = Issuers::open(&configs, &provider.exchange(), &Secrets::default(), &Issuers::default());
        let issuers = issuers.expect("valid");
        let config: SignInConfig =
            serde_json::from_value(json!({"issuer": "corporate", "client_id": "ts"})).expect("a configuration");
        let sign_in = SignIn::open(config, &issuers, provider.exchange(), Secrets::default()).expect("an issuer");
        let fingerprint = certificate().fingerprint().iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let rule = CertificateRule {
            name: "laptop".to_owned(),
            fingerprint: Some(fingerprint),
            role: Some(Role::Admin),
            ..CertificateRule::default()
        };
        let mut configured = configured(&rules(), vec![grant()]);
        configured.sign_in = Some(Arc::new(sign_in));
        configured.callers = Arc::new(Callers::new(Arc::new(issuers), Certificates::new(&[rule])));
        world.state.reconfigure(configured).await.expect("in force");
        Self { world, provider }
    }

    fn second(&self) -> i64 {
        self.world.now().as_second()
    }

    /// `Authorization` with an access token of the provider that says this beside the usual.
    fn token(&self, more: &Value) -> (&'static str, String) {
        let now = self.second();
        let mut claims = json!({"iss": ISSUER, "aud": "hub", "sub": "00u1", "iat": now, "exp": now + 3600});
        claims.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
        ("authorization", format!("Bearer {}", sign("at+jwt", &claims)))
    }

    async fn ask(&self, method: Method, path: &str, by: (&'static str, String), body: &Value) -> Answer {
        let headers = [by, ("content-type", "application/json".to_owned())];
        self.world.send(method, path, &headers, body.to_string()).await
    }

    async fn scim(&self, method: Method, path: &str, body: Value) -> Value {
        let by = ("authorization", format!("Bearer {SCIM}"));
        let answer = self.ask(method, &format!("/scim/v2{path}"), by, &body).await;
        assert!(answer.status.is_success(), "{path}: {}", answer.text());
        answer.json()
    }

    async fn page(&self, path: &str, cookie: &str) -> Answer {
        let headers = [("accept", "text/html".to_owned()), ("cookie", cookie.to_owned())];
        self.world.send(Method::GET, path, &headers, Body::empty()).await
    }

    /// Signs in with a browser; the answer to the way back, and the cookie of the session.
    async fn sign_in(&self, more: &Value) -> (Answer, String) {
        let away = self.page("/sign-in/provider", "").await;
        let taken = away.header("set-cookie").split(';').next().unwrap_or_default().to_owned();
        let there: url::Url = away.header("location").parse().expect("an address");
        let query: BTreeMap<String, String> = there.query_pairs().into_owned().collect();
        let now = self.second();
        let mut claims = json!({"iss": ISSUER, "aud": "ts", "sub": "00u1", "sid": "s1", "iat": now, "exp": now + 300, "nonce": query["nonce"]});
        claims.as_object_mut().expect("object").extend(more.as_object().cloned().unwrap_or_default());
        *self.provider.0.lock().expect("lock") = sign("JWT", &claims);
        let back = self.page(&format!("/sign-in/callback?code=c&state={}", query["state"]), &taken).await;
        let cookies = back.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
        let session = cookies.filter_map(|value| value.split(';').next()).find(|value| value.starts_with("trackside="));
        let session = session.unwrap_or_default().to_owned();
        (back, session)
    }

    async fn sessions(&self) -> usize {
        let all = self.world.get("/api/v1/sessions", Role::Admin).await.json();
        all.as_array().map_or(0, Vec::len)
    }
}

#[tokio::test]
async fn whoever_is_switched_off_has_no_access_left_and_finds_none_when_they_come_back() {
    let place = Place::new().await;
    let ana = json!({"email": "Ana@example.net"});
    let (back, session) = place.sign_in(&ana).await;
    assert_eq!((back.status, back.header("location")), (StatusCode::SEE_OTHER, "/"), "{}", back.text());
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::OK);
    let made =
        place.scim(Method::POST, "/Users", json!({"userName": "ana@example.net", "externalId": "mail-nick"})).await;
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::OK);
    let path = format!("/Users/{}", made["id"].as_str().expect("an id"));
    // As Entra says it.
    let off = json!({"schemas": [], "Operations": [{"op": "Replace", "path": "active", "value": "False"}]});
    place.scim(Method::PATCH, &path, off).await;
    assert_eq!(
        place.sessions().await,
        0,
        "their session has ended, although its subject says nothing to the directory"
    );
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::SEE_OTHER);
    let by_token = place.ask(Method::GET, "/api/v1/runs", place.token(&ana), &json!({})).await;
    assert_eq!(by_token.status, StatusCode::UNAUTHORIZED, "{}", by_token.text());
    let others = place.ask(Method::GET, "/api/v1/runs", place.token(&json!({"sub": "00u2"})), &json!({})).await;
    assert_eq!(others.status, StatusCode::OK);
    let (again, cookie) = place.sign_in(&ana).await;
    assert_eq!((again.status, cookie.as_str()), (StatusCode::FORBIDDEN, ""), "{}", again.text());
    // What leaves `active` out does not bring them back.
    place.scim(Method::PUT, &path, json!({"userName": "ana@example.net", "title": "gone"})).await;
    assert_eq!(place.sign_in(&ana).await.0.status, StatusCode::FORBIDDEN);
    place.scim(Method::PUT, &path, json!({"userName": "ana@example.net", "active": true})).await;
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::SEE_OTHER, "the old session stays over");
    let (_, session) = place.sign_in(&ana).await;
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::OK);
}

#[tokio::test]
async fn the_directory_is_written_by_tokens_of_this_server_only() {
    let place = Place::new().await;
    for more in [json!({"scope": "scim"}), json!({"roles": ["scim", "admin"]}), json!({"scp": "a scim"})] {
        let answer = place.ask(Method::GET, "/scim/v2/Users", place.token(&more), &json!({})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{more}: {}", answer.text());
    }
}

#[tokio::test]
async fn the_provider_ends_a_session_once() {
    let place = Place::new().await;
    let (_, session) = place.sign_in(&json!({})).await;
    let now = place.second();
    let event = json!({"http://schemas.openid.net/event/backchannel-logout": {}});
    let claims = json!({"iss": ISSUER, "aud": "ts", "sub": "00u1", "sid": "s1", "iat": now, "exp": now + 172_800, "jti": "j1", "events": event});
    let say = async || {
        let headers = [("content-type", "application/x-www-form-urlencoded".to_owned())];
        let body = format!("logout_token={}", sign("logout+jwt", &claims));
        place.world.send(Method::POST, "/sign-in/back-channel-logout", &headers, body).await.status
    };
    assert_eq!(say().await, StatusCode::OK);
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::SEE_OTHER);
    // The provider repeats itself, or somebody repeats the provider: a later session of the same name stays, also a day on.
    place.world.pass(jiff::SignedDuration::from_hours(25)).await;
    let (_, later) = place.sign_in(&json!({})).await;
    assert_eq!(say().await, StatusCode::OK);
    assert_eq!(place.page("/runs", &later).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_session_ends_with_the_secret_it_was_begun_with() {
    let place = Place::new().await;
    let make = json!({"name": "ana", "role": "viewer"});
    let open = async |token: &str| {
        let headers = [
            ("accept", "text/html".to_owned()),
            ("sec-fetch-site", "same-origin".to_owned()),
            ("content-type", "application/x-www-form-urlencoded".to_owned()),
        ];
        let answer = place.world.send(Method::POST, "/sign-in", &headers, format!("token={token}")).await;
        answer.header("set-cookie").split(';').next().unwrap_or_default().to_owned()
    };
    let secret_of = |answer: Answer| answer.json()["token"].as_str().expect("a secret").to_owned();
    let first = secret_of(place.ask(Method::POST, "/api/v1/tokens", bearer(Role::Admin), &make).await);
    let leaked = open(&first).await;
    assert_eq!(place.page("/runs", &leaked).await.status, StatusCode::OK);
    let rotate = json!({"overlap": "1h"});
    let rotated = place.ask(Method::POST, "/api/v1/tokens/ana/rotate", bearer(Role::Admin), &rotate).await;
    let second = open(&secret_of(rotated)).await;
    assert_eq!(place.page("/runs", &leaked).await.status, StatusCode::OK, "the old secret still counts");
    place.world.pass(jiff::SignedDuration::from_hours(1)).await;
    assert_eq!(place.page("/runs", &leaked).await.status, StatusCode::SEE_OTHER);
    assert_eq!(place.page("/runs", &second).await.status, StatusCode::OK);
    let gone = place.ask(Method::DELETE, "/api/v1/tokens/ana", bearer(Role::Admin), &json!({})).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    place.ask(Method::POST, "/api/v1/tokens", bearer(Role::Admin), &make).await;
    assert_eq!(
        place.page("/runs", &second).await.status,
        StatusCode::SEE_OTHER,
        "another token of this name is another token"
    );
}

#[tokio::test]
async fn a_role_for_one_team_changes_nothing_of_others() {
    let place = Place::new().await;
    let token = |role: &str, team: &str| place.token(&json!({"roles": [role], "groups": [team]}));
    let check = async |method: Method, path: &str, by: (&'static str, String), body: Value, status: u16| {
        let answer = place.ask(method.clone(), path, by, &body).await;
        assert_eq!(answer.status.as_u16(), status, "{method} {path} {body}: {}", answer.text());
        answer
    };
    let silence = |team: &str| json!({"matchers": [format!("team=\"{team}\"")], "for": "1h", "reason": "r"});
    let turn = json!({"user": "ben", "end": "2026-11-20T00:00:00Z"});
    let window = |matchers: Value| json!({"name": matchers.to_string(), "matchers": matchers, "when": {"tz": "UTC", "start": "2026-12-05T22:00:00", "end": "2026-12-06T02:00:00"}});
    let (pays, plat) = (|| token("responder", "pay"), || token("responder", "plat"));
    check(Method::POST, "/api/v1/silences", plat(), silence("payments"), 403).await;
    check(
        Method::POST,
        "/api/v1/silences",
        plat(),
        json!({"matchers": ["pipeline=~\".*\""], "for": "1h", "reason": "r"}),
        403,
    )
    .await;
    let made = check(Method::POST, "/api/v1/silences", pays(), silence("payments"), 201).await.json();
    let made = format!("/api/v1/silences/{}", made["id"].as_str().expect("an id"));
    let foreign = |role: &str, team: &str| place.token(&json!({"sub": "00u9", "roles": [role], "groups": [team]}));
    check(Method::DELETE, &made, foreign("operator", "plat"), json!({}), 403).await;
    check(Method::DELETE, &made, foreign("operator", "pay"), json!({}), 204).await;
    check(Method::POST, "/api/v1/schedules/primary/overrides", plat(), turn.clone(), 403).await;
    let over = check(Method::POST, "/api/v1/schedules/primary/overrides", pays(), turn, 201).await.json();
    let over = format!("/api/v1/overrides/{}", over["id"].as_str().expect("an id"));
    check(Method::DELETE, &over, plat(), json!({}), 403).await;
    check(Method::DELETE, &over, pays(), json!({}), 204).await;
    let operator = || token("operator", "pay");
    check(Method::POST, "/api/v1/maintenance", operator(), window(json!([])), 403).await;
    check(Method::POST, "/api/v1/maintenance", operator(), window(json!(["team=\"payments\""])), 201).await;
    // What is nobody's in particular needs the role everywhere.
    let none = "00000000-0000-0000-0000-000000000000";
    check(Method::POST, &format!("/api/v1/deliveries/{none}/retry"), operator(), json!({}), 403).await;
    check(Method::POST, &format!("/api/v1/automations/{none}/pause"), operator(), json!({}), 403).await;
    check(Method::POST, "/api/v1/connections/pd-payments/test", operator(), json!({}), 403).await;
    // An administrator of one team is none of the server.
    let admin = || token("admin", "pay");
    for path in ["/api/v1/tokens", "/api/v1/secrets", "/api/v1/audit/export"] {
        check(Method::GET, path, admin(), json!({}), 403).await;
    }
    check(Method::POST, "/api/v1/tokens", admin(), json!({"name": "x", "role": "admin"}), 403).await;
    check(Method::POST, "/api/v1/sign-in-links", admin(), json!({"person": "x", "role": "admin"}), 403).await;
    check(Method::DELETE, "/api/v1/sessions?subject=admin", admin(), json!({}), 403).await;
    let (_, session) = place.sign_in(&json!({})).await;
    let seen = check(Method::GET, "/api/v1/sessions", foreign("admin", "pay"), json!({}), 200).await.json();
    assert_eq!(seen, json!([]), "sessions of others");
    let all = place.world.get("/api/v1/sessions", Role::Admin).await.json();
    let theirs = format!("/api/v1/sessions/{}", all[0]["id"].as_str().expect("an id"));
    check(Method::DELETE, &theirs, foreign("admin", "pay"), json!({}), 404).await;
    assert_eq!(place.page("/runs", &session).await.status, StatusCode::OK);
}

/// Route by route: whoever has every role, but for one team, changes nothing that is not some team's, and sees nothing
/// that only administrators see.
#[tokio::test]
async fn every_role_for_one_team_opens_no_route_of_the_whole_server() {
    let place = Place::new().await;
    let all = json!({"roles": ["responder", "operator", "admin"], "groups": ["pay"]});
    let mut shut = 0;
    for route in trackside_web::routes() {
        let Ok(role) = route.needs.parse::<Role>() else { continue };
        let looks = matches!(route.method, Method::GET) || role == Role::Viewer;
        if role == Role::Ingest || (looks && role != Role::Admin) {
            continue;
        }
        let path = route.path.replace("{id}", "00000000-0000-0000-0000-000000000000").replace(['{', '}'], "");
        let answer = place.ask(route.method.clone(), &path, place.token(&all), &json!({})).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{} {path}: {}", route.method, answer.text());
        assert!(answer.text().contains("for every team"), "{} {path}: {}", route.method, answer.text());
        shut += 1;
    }
    assert!(shut > 30, "{shut}");
}

#[tokio::test]
async fn a_page_elsewhere_cannot_write_with_a_browsers_certificate() {
    let place = Place::new().await;
    let write = async |more: &[(&'static str, &'static str)]| {
        let body = json!({"name": format!("t{}", more.len()), "role": "viewer"}).to_string();
        let mut request = Request::post("/api/v1/tokens").body(Body::from(body)).expect("a request");
        request.extensions_mut().insert(Arc::new(certificate()));
        for (name, value) in more {
            request.headers_mut().insert(*name, value.parse().expect("a header"));
        }
        place.world.router.clone().oneshot(request).await.expect("infallible").status()
    };
    assert_eq!(write(&[]).await, StatusCode::CREATED, "a program");
    assert_eq!(write(&[("sec-fetch-site", "cross-site")]).await, StatusCode::FORBIDDEN);
    assert_eq!(write(&[("sec-fetch-site", "same-site")]).await, StatusCode::FORBIDDEN);
    assert_eq!(write(&[("origin", "https://evil.example")]).await, StatusCode::FORBIDDEN);
    assert_eq!(write(&[("origin", "null")]).await, StatusCode::FORBIDDEN);
    assert_eq!(
        write(&[("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:4180")]).await,
        StatusCode::CREATED
    );
}

#[tokio::test]
async fn who_made_a_sign_in_link_is_known() {
    let place = Place::new().await;
    let wanted = json!({"person": "ana", "role": "operator"});
    let made = place.ask(Method::POST, "/api/v1/sign-in-links", bearer(Role::Admin), &wanted).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let action_prefix = Some("sign_in_link.".to_owned());
    let filter = AuditFilter { action_prefix, limit: 10, ..AuditFilter::default() };
    let rows = place.world.store.audit(&filter).await.expect("readable").items;
    let told: Vec<(&str, &str)> = rows.iter().map(|row| (row.caller.subject.as_str(), row.summary.as_str())).collect();
    assert_eq!(told, [("admin", "Sign-in link made for ana with role operator")]);
}

#[tokio::test]
async fn a_token_in_an_address_can_do_nothing_else() {
    let place = Place::new().await;
    let feed = async |token: &str| {
        let path = format!("/api/v1/schedules/primary/calendar.ics?token={token}");
        place.world.send(Method::GET, &path, &[], Body::empty()).await.status
    };
    assert_eq!(feed(&secret(Role::Viewer)).await, StatusCode::OK);
    assert_eq!(feed(&secret(Role::Operator)).await, StatusCode::FORBIDDEN);
    let more = json!({"name": "more", "role": "viewer", "scopes": ["scim"]});
    let made = place.ask(Method::POST, "/api/v1/tokens", bearer(Role::Admin), &more).await.json();
    assert_eq!(feed(made["token"].as_str().expect("a secret")).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_job_is_seen_by_who_may_look_or_start_it() {
    let mut rules = serde_json::to_value(ruleset()).expect("json");
    let job = |needs: &[&str]| json!({"needs": needs, "target": {"kind": "http", "connection": "app", "path": "/x"}});
    rules["connections"]["app"] = json!({"kind": "http", "updates": "raised"});
    rules["jobs"] = json!({"load": job(&[]), "close": job(&["jobs.close"])});
    let rules = serde_json::from_value(rules).expect("rules");
    let world = World::with(Store::memory().expect("a database"), rules).await;
    let seen = async |role: Role| {
        let jobs = world.get("/jobs", role).await.json();
        let jobs = jobs.as_array().expect("a list").iter().map(|job| job["name"].as_str().expect("a name").to_owned());
        let one = world.get("/jobs/close", role).await.status.as_u16();
        format!("{} {one}", jobs.collect::<Vec<_>>().join(" "))
    };
    assert_eq!(seen(Role::Viewer).await, "close load 200");
    assert_eq!(seen(Role::Service).await, "load 404");
    // A token that leaks from a pipeline sends events, and tells nobody what could be run here.
    assert_eq!(seen(Role::Ingest).await, " 404");
}
