use super::*;
use crate::secret::scripted::{FarEnd, at, file};
use serde_json::json;

struct Story {
    config: AzureConfig,
    session: Session,
    far: FarEnd,
}

#[allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]
fn story(credential: serde_json::Value) -> Story {
    let config = json!({"vault_url": "https://hub.vault.azure.net", "credential": credential});
    Story { config: serde_json::from_value(config).unwrap(), session: Session::default(), far: FarEnd::default() }
}

fn principal() -> Story {
    let secret = file("azure-secret", "s3cr3t+/=~");
    story(json!({"service_principal": {"tenant": "t1", "client_id": "app", "proof": {"secret": {"file": secret}}}}))
}

const CHALLENGE: &str =
    r#"Bearer authorization="https://login.microsoftonline.com/t1", resource="https://vault.azure.net""#;

impl Story {
    async fn read(&mut self, seconds: i64) -> Result<String, String> {
        let world = self.far.world();
        let wish = Wish { vault: None, name: "hook", version: None };
        let fetched = self.session.read(&self.config, wish, &world, at(seconds)).await;
        fetched.map_err(|failure| format!("{}: {failure}", failure.class.as_str())).map(|fetched| {
            let Body::Text(text) = &fetched.body else { panic!("no text") };
            format!("{} {} {:?}", text.expose_secret(), fetched.version.unwrap_or_default(), fetched.expires)
        })
    }

    fn challenges(&self, challenge: &str) {
        self.far.with(401, &[("www-authenticate", challenge)], "{}");
    }

    fn gives_token(&self, token: &str, life: i64) {
        self.far.answers(200, &json!({"token_type": "Bearer", "expires_in": life, "access_token": token}).to_string());
    }

    fn holds(&self, value: &str) {
        let id = "https://hub.vault.azure.net/secrets/hook/4387e9f3d6e14c459867679a90fd0f79";
        self.far.answers(
            200,
            &json!({"value": value, "id": id, "attributes": {"enabled": true, "exp": 1_800_000_000}}).to_string(),
        );
    }
}

const SECRET: &str = "GET https://hub.vault.azure.net/secrets/hook?api-version=7.6";

#[tokio::test]
async fn the_challenge_is_answered_once_and_the_token_kept() {
    let mut story = principal();
    story.challenges(CHALLENGE);
    story.gives_token("e1", 3_600);
    story.holds("a");
    assert_eq!(story.read(0).await.unwrap(), "a 4387e9f3d6e14c459867679a90fd0f79 Some(2027-01-15T08:00:00Z)");
    assert_eq!(
        story.far.asked(),
        [
            SECRET,
            "POST https://login.microsoftonline.com/t1/oauth2/v2.0/token grant_type=client_credentials&client_id=app&\
             scope=https%3A%2F%2Fvault.azure.net%2F.default&client_secret=s3cr3t%2B%2F%3D%7E",
            &format!("{SECRET} authorization=Bearer e1"),
        ]
    );
    story.holds("b");
    story.read(1_700).await.unwrap();
    assert_eq!(story.far.asked(), [format!("{SECRET} authorization=Bearer e1")]);
    // Half of its life is over; Entra is busy, so the token is used on.
    story.far.with(503, &[("retry-after", "30")], "");
    story.holds("c");
    story.read(1_900).await.unwrap();
    story.far.asked();
    // It is over; without a new one nothing is read.
    story.far.with(503, &[("retry-after", "30")], "");
    let error = story.read(3_590).await.unwrap_err();
    assert!(error.starts_with("busy: no token for the key vault: the token endpoint answered 503"), "{error}");
}

#[tokio::test]
async fn no_token_goes_to_a_host_that_is_not_under_the_resource() {
    for (resource, refused) in [
        ("https://vault.azure.net", false),
        ("https://VAULT.azure.net/", false),
        ("https://evil.example", true),
        ("https://azure.net.evil.example", true),
        ("https://hub.vault.azure.net", true),
        ("https://ault.azure.net", true),
        ("https://vault.azure.net:8443", true),
        ("not an address", true),
    ] {
        let mut story = principal();
        story.challenges(&CHALLENGE.replace("https://vault.azure.net", resource));
        if !refused {
            story.gives_token("e1", 3_600);
            story.holds("a");
        }
        let result = story.read(0).await;
        assert_eq!(result.is_err(), refused, "{resource}: {result:?}");
        if refused {
            assert!(
                result.unwrap_err().starts_with("permanent: no token is sent to hub.vault.azure.net"),
                "{resource}"
            );
            assert_eq!(story.far.asked(), [SECRET], "{resource}");
        }
    }
    let mut story = principal();
    story.far.answers(401, "");
    assert!(story.read(0).await.unwrap_err().starts_with("unusable: the answer 401 names no `resource`"));
}

#[tokio::test]
async fn a_scope_names_the_resource_too() {
    let mut story = principal();
    story.challenges(
        r#"Bearer authorization="https://login.microsoftonline.com/t1",scope="https://vault.azure.net/.default""#,
    );
    story.gives_token("e1", 3_600);
    story.holds("a");
    story.read(0).await.unwrap();
    assert!(story.far.asked()[1].contains("scope=https%3A%2F%2Fvault.azure.net%2F.default&"));
}

#[tokio::test]
async fn a_token_that_is_not_taken_is_fetched_anew_and_then_given_up() {
    let mut story = principal();
    story.challenges(CHALLENGE);
    story.gives_token("e1", 3_600);
    story.challenges(CHALLENGE);
    let error = story.read(0).await.unwrap_err();
    assert_eq!(error, "permanent: the key vault does not take the token; is `tenant` the vault's tenant?");
}

#[tokio::test]
async fn the_identity_of_the_machine() {
    let mut story = story(json!({"managed_identity": {"client_id": "c1"}}));
    story.challenges(CHALLENGE);
    let token =
        json!({"access_token": "m1", "expires_in": "86399", "expires_on": "1800000000", "token_type": "Bearer"});
    story.far.answers(200, &token.to_string());
    story.holds("a");
    story.read(0).await.unwrap();
    assert_eq!(
        story.far.asked()[1],
        "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01&\
         resource=https%3A%2F%2Fvault.azure.net&client_id=c1 metadata=true"
    );
    let mut story = self::story(json!({"managed_identity": {}}));
    story.far.variable("IDENTITY_ENDPOINT", "http://127.0.0.1:41234/msi/token");
    story.far.variable("IDENTITY_HEADER", "header-1");
    story.challenges(CHALLENGE);
    story.far.answers(200, &token.to_string());
    story.holds("a");
    story.read(0).await.unwrap();
    assert!(story.far.asked()[1].ends_with("x-identity-header=header-1"));
}

#[tokio::test]
async fn what_an_answer_means() {
    let said = |code: &str| json!({"error": {"code": code, "message": "what it says"}}).to_string();
    for (status, body, expect) in [
        (
            404,
            said("SecretNotFound"),
            "permanent: there is no secret `hook` in the key vault, or not in this version (SecretNotFound: what it says)",
        ),
        (403, said("Forbidden"), "permanent: the key vault denies access to `hook`"),
        (429, said("Throttled"), "busy: the key vault has too much to do"),
        (500, String::new(), "busy: the key vault answered 500"),
        (302, String::new(), "unusable: the key vault answered 302"),
        (200, "hunter2".to_owned(), "unusable: the answer of the key vault cannot be understood"),
    ] {
        let mut story = principal();
        story.challenges(CHALLENGE);
        story.gives_token("e1", 3_600);
        story.far.answers(status, &body);
        let error = story.read(0).await.unwrap_err();
        assert!(error.starts_with(expect) && !error.contains("hunter2"), "{status}: {error}");
    }
}
