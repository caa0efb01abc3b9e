//! Azure's kinds of credential through the brokers: waits, proofs, what is read anew.

use super::kinds::{part, workload};
use super::*;
use serde_json::json;

const KEY: &str = include_str!("../../../../../testdata/keys/rsa.pem");
const CERTIFICATE: &str = include_str!("../../../../../testdata/keys/certificate.pem");

fn principal(proof: &str) -> String {
    format!(
        r#"{{"kind":"azure_service_principal","tenant":"t","client_id":"app","scope":"https://vault.azure.net/.default","proof":{proof}}}"#
    )
}

#[tokio::test]
async fn the_metadata_service_is_tried_as_microsoft_says() {
    let credential = r#"{"kind":"azure_managed_identity","resource":"https://vault.azure.net"}"#;
    for (script, expect, waits) in [
        (vec![token("t", 86_399)], Ok("Bearer t"), vec![]),
        (
            vec![Say::Later(429, "1"), Say::Body(500, String::new()), Say::Lost, token("t", 60)],
            Ok("Bearer t"),
            vec![2, 6, 14],
        ),
        (vec![Say::Body(404, String::new())], Err("busy for 5"), vec![2, 6, 14, 30]),
        (vec![Say::Body(410, String::new())], Err("busy for 5"), vec![2, 6, 14, 30, 20]),
        (vec![Say::Body(400, "{}".to_owned())], Err("permanent for 60"), vec![]),
        (vec![Say::Body(403, "{}".to_owned())], Err("refused for 60"), vec![]),
    ] {
        let world = World::new(script);
        let got = header(&world.brokers(credential), None).await;
        assert_eq!(got.as_deref().map_err(String::as_str), expect);
        assert_eq!(world.waited(), waits);
        assert_eq!(
            (world.asked(), &world.ask(0).headers["metadata"]),
            (waits.len() + 1, &http::HeaderValue::from_static("true"))
        );
    }
}

#[tokio::test]
async fn a_principal_proves_itself_in_each_way() {
    let ((_one, key), (_two, certificate), (_three, secret)) =
        (secret_file(KEY), secret_file(CERTIFICATE), secret_file("s3cr3t"));
    let (federated, _) = secret_file("federated.token.one\n");
    let path = federated.path().display();
    for (proof, check) in [
        (format!(r#"{{"secret":{secret}}}"#), "secret"),
        (format!(r#"{{"certificate":{{"certificate":{certificate},"key":{key}}}}}"#), "PS256"),
        (format!(r#"{{"certificate":{{"certificate":{certificate},"key":{key},"algorithm":"RS256"}}}}"#), "RS256"),
        (format!(r#"{{"federated_file":"{path}"}}"#), "federated"),
        (r#"{"workload":{"subject":"trackside-prod"}}"#.to_owned(), "workload"),
    ] {
        let world = World::new([token("t", 3_599)]);
        let brokers = world.brokers_with(&principal(&proof), workload());
        assert_eq!(header(&brokers, None).await.as_deref(), Ok("Bearer t"), "{check}");
        assert_eq!(world.ask(0).url.as_str(), "https://login.microsoftonline.com/t/oauth2/v2.0/token");
        let form = world.form(0);
        assert_eq!((form["client_id"].as_str(), form["scope"].as_str()), ("app", "https://vault.azure.net/.default"));
        match check {
            "secret" => assert_eq!(form["client_secret"], "s3cr3t"),
            "federated" => assert_eq!(form["client_assertion"], "federated.token.one"),
            "workload" => {
                let claims = part(&form["client_assertion"], 1);
                assert_eq!(
                    (&claims["aud"], &claims["sub"]),
                    (&json!("api://AzureADTokenExchange"), &json!("trackside-prod"))
                );
                assert_eq!(part(&form["client_assertion"], 0)["typ"], "JWT");
            }
            algorithm => assert_eq!(part(&form["client_assertion"], 0)["alg"], algorithm),
        }
    }
}

#[tokio::test]
async fn a_federated_token_is_read_for_each_request() {
    use std::io::{Seek as _, Write as _};
    let (mut file, _) = secret_file("token.number.one");
    let world = World::new([Say::Later(503, "1"), token("t", 60)]);
    let brokers = world.brokers(&principal(&format!(r#"{{"federated_file":"{}"}}"#, file.path().display())));
    assert!(header(&brokers, None).await.is_err());
    file.rewind().expect("rewound");
    file.write_all(b"token.number.two").expect("written");
    world.pass(1);
    assert!(header(&brokers, None).await.is_ok());
    assert_eq!(
        (world.form(0)["client_assertion"].as_str(), world.form(1)["client_assertion"].as_str()),
        ("token.number.one", "token.number.two")
    );
}
