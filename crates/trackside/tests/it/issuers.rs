//! Tokens of an issuer and client certificates against the real program: who gets in, what the others are told, and what
//! a rotated token does.

use crate::binary::{Home, INGEST, PATIENCE};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, PKCS_ED25519, PublicKeyData as _,
    SanType, SigningKey as _,
};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::{Value, json};
use std::time::Duration;
use trackside::clock::Clock;

/// An issuer that exists for one test.
struct Issuer {
    key: KeyPair,
    kid: &'static str,
}

impl Issuer {
    fn new(kid: &'static str) -> Self {
        Self { key: KeyPair::generate_for(&PKCS_ED25519).unwrap(), kid }
    }

    fn jwks(&self) -> String {
        let x = URL_SAFE_NO_PAD.encode(self.key.der_bytes());
        json!({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": self.kid, "use": "sig", "x": x}]}).to_string()
    }

    /// A token with these claims beside the usual ones.
    fn token(&self, more: &Value) -> String {
        let now = Clock::system().now().as_second();
        let mut claims =
            json!({"iss": "https://idp.test/", "aud": "trackside", "sub": "airflow", "iat": now, "exp": now + 600});
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let header = json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.kid});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(signed.as_bytes()).unwrap());
        format!("{signed}.{signature}")
    }
}

const CONFIGURATION: &str = "
teams: {payments: {}, data: {}}
owners: {default: data}
tokens: [{name: airflow, role: ingest, secret: {file: secrets/ingest}}]
issuers:
  idp:
    issuer: https://idp.test/
    audience: [trackside]
    keys: {file: jwks.json}
    teams: {claim: groups, map: {g-pay: payments}}
    map:
      - {when: {roles: events}, role: ingest}
      - {when: {roles: 'read-*'}, role: viewer}
";

/// What a request came to: status, challenge, body.
async fn ask(request: RequestBuilder) -> (StatusCode, String, String) {
    let answer = request.send().await.unwrap();
    let challenge = answer.headers().get("www-authenticate").map(|value| value.to_str().unwrap().to_owned());
    (answer.status(), challenge.unwrap_or_default(), answer.text().await.unwrap())
}

#[tokio::test]
async fn an_issuer_vouches_and_the_api_says_why_not() {
    let (home, issuer, other) = (Home::new(CONFIGURATION), Issuer::new("k1"), Issuer::new("k2"));
    home.write("jwks.json", &issuer.jwks());
    let mut server = home.serve().await;
    server.says("keys are read").await;
    let http = patient();
    let runs = |token: &str| http.get(format!("{}/api/v1/runs", server.url)).bearer_auth(token);
    let reader = issuer.token(&json!({"roles": ["read-all"]}));
    assert_eq!(ask(runs(&reader)).await.0, StatusCode::OK);

    let (status, challenge, _) = ask(http.get(format!("{}/api/v1/runs", server.url))).await;
    assert_eq!((status, challenge.as_str()), (StatusCode::UNAUTHORIZED, "Bearer realm=\"trackside\""));
    for (token, status, expect) in [
        (issuer.token(&json!({"exp": 1})), 401, "error=\"invalid_token\", error_description=\"the token has expired\""),
        (issuer.token(&json!({"aud": "x"})), 401, "the token's 'aud' is not one that is taken here"),
        (issuer.token(&json!({"iss": "https://x.test/"})), 401, "this token is not known here"),
        (other.token(&json!({"roles": ["read-all"]})), 401, "signed with a key its issuer does not have"),
        (issuer.token(&json!({})), 403, "error=\"insufficient_scope\""),
    ] {
        let (found, challenge, body) = ask(runs(&token)).await;
        assert_eq!(found.as_u16(), status, "{body}");
        assert!(
            challenge.starts_with("Bearer realm=\"trackside\", error=") && challenge.contains(expect),
            "{challenge}"
        );
    }
    // A door takes it as well, and what comes in belongs to the team.
    let event = json!({"id": "1", "source": "x", "type": "run.started", "pipeline": "p", "run": "r"});
    let post = |token: &str| http.post(format!("{}/api/v1/events", server.url)).bearer_auth(token).json(&event);
    assert_eq!(ask(post(&reader)).await.0, StatusCode::FORBIDDEN);
    let (status, _, body) = ask(post(&issuer.token(&json!({"roles": ["events"], "groups": ["g-pay"]})))).await;
    assert!(!matches!(status.as_u16(), 401 | 403), "{body}");
    assert!(!matches!(ask(post(INGEST)).await.0.as_u16(), 401 | 403));

    // Other keys in the file: found without a restart, and the old ones count no more.
    home.write("jwks.json", &other.jwks());
    crate::binary::eventually("the new key counts", Duration::from_secs(30), async || {
        let status = ask(runs(&other.token(&json!({"roles": ["read-all"]})))).await.0;
        (status == StatusCode::OK).then_some(())
    })
    .await;
    assert_eq!(ask(runs(&reader)).await.0, StatusCode::UNAUTHORIZED);
    let metrics =
        ask(http.get(format!("{}/metrics", server.url)).bearer_auth(other.token(&json!({"roles": ["read-x"]}))))
            .await
            .2;
    assert!(metrics.contains("trackside_issuer_keys{issuer=\"idp\"} 1"), "{metrics}");
    server.kill().await;
}

#[tokio::test]
async fn a_token_is_rotated_with_an_overlap() {
    let home = Home::new("teams: {data: {}}\nowners: {default: data}\n");
    let server = home.serve().await;
    let http = patient();
    let works =
        async |token: &str| ask(http.get(format!("{}/api/v1/runs", server.url)).bearer_auth(token.trim())).await;
    let url = ["--url", server.url.as_str(), "--data", "data"];
    let run = async |words: &[&str]| home.run(&[words, &url].concat()).await.good();
    let first = run(&["token", "create", "dash", "--role", "viewer", "--scope", "jobs.read"]).await;
    assert_eq!(works(&first).await.0, StatusCode::OK);
    let second = run(&["token", "rotate", "dash", "--overlap", "1h"]).await;
    assert_eq!((works(&first).await.0, works(&second).await.0), (StatusCode::OK, StatusCode::OK));
    let third = run(&["token", "rotate", "dash"]).await;
    let (status, challenge, body) = works(&second).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{body}");
    assert!(challenge.contains("the token 'dash' ended at "), "{challenge}");
    assert_eq!((works(&first).await.0, works(&third).await.0), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    let listed = server.get("tokens").await;
    let dash = listed.as_array().unwrap().iter().find(|token| token["name"] == "dash").unwrap();
    assert_eq!(dash["scopes"], json!(["jobs.read"]));
    server.kill().await;
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate with its key, as PEM.
fn client(authority: &CertifiedIssuer<'static, KeyPair>, uri: &str) -> String {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    format!("{}{}", certificate.pem(), key.serialize_pem())
}

#[tokio::test]
async fn a_client_certificate_stands_for_whom_the_rules_say() {
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let home = Home::new(
        "
teams: {data: {}}
owners: {default: data}
certificates: [{name: grafana, uri: 'spiffe://example.org/grafana', role: viewer}]
",
    );
    let tls = "{cert: cert.pem, key: key.pem, client_ca: ca.pem}";
    home.write("config/server.yaml", &format!("server: {{listen: '127.0.0.1:0', data: data, tls: {tls}}}\n"));
    let server_key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    home.write("cert.pem", &params.signed_by(&server_key, &ours).unwrap().pem());
    home.write("key.pem", &server_key.serialize_pem());
    home.write("ca.pem", &ours.as_ref().pem());
    let server = home.serve().await;
    let root = reqwest::Certificate::from_pem(ours.as_ref().pem().as_bytes()).unwrap();
    let asked = async |identity: Option<String>| {
        let mut builder = Client::builder().tls_certs_only([root.clone()]);
        if let Some(pem) = identity {
            builder = builder.identity(reqwest::Identity::from_pem(pem.as_bytes()).unwrap());
        }
        let http = builder.build().unwrap();
        http.get(format!("{}/api/v1/runs", server.url)).send().await.map(|answer| answer.status().as_u16()).ok()
    };
    assert_eq!(asked(Some(client(&ours, "spiffe://example.org/grafana"))).await, Some(200));
    assert_eq!(asked(Some(client(&ours, "spiffe://example.org/other"))).await, Some(401));
    assert_eq!(asked(None).await, Some(401), "other credentials still work, so none is no reason to hang up");
    assert_eq!(asked(Some(client(&theirs, "spiffe://example.org/grafana"))).await, None, "TLS ends with a stranger");
    server.kill().await;
}

/// A client that trusts nobody in particular.
fn patient() -> Client {
    Client::builder().timeout(PATIENCE).build().unwrap()
}
