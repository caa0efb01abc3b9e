use super::*;
use crate::secret::scripted::{FarEnd, at, file};

struct Story {
    config: HashicorpConfig,
    session: Session,
    far: FarEnd,
}

#[allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]
fn story(config: Value) -> Story {
    let mut whole = json!({"address": "https://vault.example"});
    whole.as_object_mut().unwrap().extend(config.as_object().unwrap().clone());
    Story { config: serde_json::from_value(whole).unwrap(), session: Session::default(), far: FarEnd::default() }
}

fn approle(name: &str, secret_id: &str) -> Story {
    story(json!({"auth": {"approle": {"role_id": "role-1", "secret_id": {"file": file(name, secret_id)}}}}))
}

impl Story {
    async fn read(&mut self, path: &str, seconds: i64) -> Result<String, String> {
        let world = self.far.world();
        let fetched = self.session.read(&self.config, path, None, &world, at(seconds)).await;
        fetched.map_err(|failure| format!("{}: {failure}", failure.class.as_str())).map(|fetched| {
            let Body::Fields(fields) = &fetched.body else { panic!("no fields") };
            let values: Vec<String> =
                fields.iter().map(|(name, value)| format!("{name}={}", value.expose_secret())).collect();
            format!("{} v{}", values.join(" "), fetched.version.unwrap_or_default())
        })
    }

    fn logs_in(&self, token: &str, lease: i64) {
        let auth = json!({"client_token": token, "lease_duration": lease, "renewable": true});
        self.far.answers(200, &json!({ "auth": auth }).to_string());
    }

    fn holds(&self, value: &str) {
        let data = json!({"data": {"data": {"url": value}, "metadata": {"version": 3}}, "lease_duration": 2_764_800});
        self.far.answers(200, &data.to_string());
    }
}

const LOGIN: &str = r#"POST https://vault.example/v1/auth/approle/login {"role_id":"role-1","secret_id":"sid-1"}"#;

fn read_with(token: &str) -> String {
    format!("GET https://vault.example/v1/secret/data/app x-vault-token={token}")
}

fn renew_with(token: &str, life: i64) -> String {
    format!(r#"POST https://vault.example/v1/auth/token/renew-self x-vault-token={token} {{"increment":"{life}s"}}"#)
}

#[tokio::test]
async fn a_login_serves_many_reads_and_is_renewed_at_two_thirds() {
    let mut story = approle("thirds", "sid-1\n");
    story.logs_in("t1", 60);
    story.holds("a");
    assert_eq!(story.read("app", 0).await.unwrap(), "url=a v3");
    assert_eq!(story.far.asked(), [LOGIN.to_owned(), read_with("t1")]);
    assert_eq!(story.session.due(), Some(at(40)));
    story.holds("b");
    story.read("app", 39).await.unwrap();
    assert_eq!(story.far.asked(), [read_with("t1")]);
    // Vault gives less than was asked for: what it gives counts.
    story.far.answers(200, r#"{"auth": {"client_token": "t1", "lease_duration": 45, "renewable": true}}"#);
    story.holds("c");
    story.read("app", 41).await.unwrap();
    assert_eq!(story.far.asked(), [renew_with("t1", 60), read_with("t1")]);
    assert_eq!(story.session.due(), Some(at(71)));
    // Near its longest life it shrinks: a new login, before the old token ends.
    story.far.answers(200, r#"{"auth": {"client_token": "t1", "lease_duration": 9, "renewable": true}}"#);
    story.logs_in("t2", 60);
    story.holds("d");
    story.read("app", 71).await.unwrap();
    assert_eq!(story.far.asked(), [renew_with("t1", 60), LOGIN.to_owned(), read_with("t2")]);
}

#[tokio::test]
async fn a_renewal_that_gets_no_answer_is_tried_again_while_the_token_holds() {
    let mut story = approle("renewal", "sid-1");
    story.logs_in("t1", 60);
    story.holds("a");
    story.read("app", 0).await.unwrap();
    story.far.silent();
    story.holds("b");
    story.read("app", 40).await.unwrap();
    assert_eq!(story.session.due(), Some(at(45)));
    story.far.asked();
    // The token has ended by now.
    story.far.silent();
    assert!(story.read("app", 58).await.unwrap_err().starts_with("no_answer:"));
    story.logs_in("t2", 60);
    story.holds("c");
    story.read("app", 59).await.unwrap();
    assert_eq!(story.far.asked(), [renew_with("t1", 60), LOGIN.to_owned(), read_with("t2")]);
}

#[tokio::test]
async fn access_denied_leads_to_one_more_login_and_no_further() {
    let mut story = approle("denied", "sid-1");
    story.logs_in("t1", 60);
    story.holds("a");
    story.read("app", 0).await.unwrap();
    story.far.asked();
    story.far.answers(403, r#"{"errors": ["permission denied", "invalid token"]}"#);
    story.logs_in("t2", 60);
    story.holds("b");
    assert_eq!(story.read("app", 10).await.unwrap(), "url=b v3");
    assert_eq!(story.far.asked(), [read_with("t1"), LOGIN.to_owned(), read_with("t2")]);
    story.far.answers(403, "{}");
    story.logs_in("t3", 60);
    story.far.answers(403, "{}");
    let error = story.read("app", 20).await.unwrap_err();
    assert!(error.starts_with("permanent:") && error.contains("the policy of the role does not allow"), "{error}");
    assert_eq!(story.far.asked().len(), 3);
}

#[tokio::test]
async fn a_refused_login_is_not_repeated_until_something_changed() {
    let mut story = approle("used-up", "sid-1");
    for seconds in [0, 10, 299] {
        if seconds == 0 {
            story.far.answers(400, r#"{"errors": ["invalid role or secret ID"]}"#);
        }
        let error = story.read("app", seconds).await.unwrap_err();
        assert!(error.contains("no uses left") && !error.contains("sid-1"), "{error}");
    }
    assert_eq!(story.far.asked(), [LOGIN]);
    // A fresh secret id is used at once.
    file("used-up", "sid-2");
    story.logs_in("t1", 60);
    story.holds("a");
    story.read("app", 300).await.unwrap();
    assert_eq!(story.far.asked(), [LOGIN.replace("sid-1", "sid-2"), read_with("t1")]);
}

#[tokio::test]
async fn other_ways_to_log_in() {
    for (auth, expect) in [
        (json!({"jwt": {"role": "hub", "token_file": file("jwt", "a.b.c")}}), ("auth/jwt/login", "a.b.c")),
        (
            json!({"kubernetes": {"role": "hub", "token_path": file("k8s", "x.y.z\n"), "mount": "k8s/prod"}}),
            ("auth/k8s/prod/login", "x.y.z"),
        ),
    ] {
        let mut story = story(json!({"auth": auth, "namespace": "team/a"}));
        story.logs_in("t1", 0);
        story.holds("a");
        story.read("app", 0).await.unwrap();
        let asked = story.far.asked();
        let (request, body) = asked[0].split_once(" x-vault-namespace=team/a ").unwrap();
        assert_eq!(request, format!("POST https://vault.example/v1/{}", expect.0));
        assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"role": "hub", "jwt": expect.1}));
        assert!(asked[1].contains("x-vault-namespace=team/a"), "{asked:?}");
        assert_eq!(story.session.due(), None, "a lease of 0 does not end");
    }
}

#[tokio::test]
async fn a_given_token_is_renewed_as_long_as_it_can_be() {
    let mut story = story(json!({"auth": {"token": {"file": file("token", "given")}}}));
    story.far.answers(200, r#"{"data": {"ttl": 90, "renewable": true}}"#);
    story.holds("a");
    story.read("app", 0).await.unwrap();
    assert_eq!(
        story.far.asked(),
        ["GET https://vault.example/v1/auth/token/lookup-self x-vault-token=given".to_owned(), read_with("given")]
    );
    assert_eq!(story.session.due(), Some(at(60)));
    // It may not look at itself, and a denial makes it be read again: somebody may have replaced it.
    file("token", "fresh");
    story.far.answers(200, r#"{"auth": {"lease_duration": 90, "renewable": true}}"#);
    story.far.answers(403, "{}");
    story.far.answers(403, "{}");
    story.holds("b");
    assert_eq!(story.read("app", 60).await.unwrap(), "url=b v3");
    let asked = story.far.asked();
    assert_eq!(asked.last().unwrap(), &read_with("fresh"));
    assert_eq!(story.session.due(), None);
}

#[tokio::test]
async fn what_an_answer_means() {
    let deleted = r#"{"data": {"data": null, "metadata": {"version": 2, "deletion_time": "2026-11-20T01:00:00Z"}}}"#;
    let destroyed = r#"{"data": {"data": null, "metadata": {"version": 2, "destroyed": true}}}"#;
    for (status, body, expect) in [
        (
            404,
            r#"{"errors": []}"#,
            "permanent: there is nothing at `app` in Vault, or the policy does not allow to see it",
        ),
        (404, deleted, "permanent: version 2 of `app` in Vault was deleted"),
        (404, destroyed, "permanent: version 2 of `app` in Vault was destroyed"),
        (429, "{}", "busy: Vault answered 429: it is a standby node or has too much to do"),
        (472, "", "busy: Vault answered 472: it is a secondary for disaster recovery"),
        (473, "", "busy: Vault answered 473: it is a performance standby"),
        (
            503,
            r#"{"errors": ["Vault is sealed"]}"#,
            "busy: Vault answered 503: it is sealed or in maintenance: Vault is sealed",
        ),
        (500, "", "busy: Vault answered 500"),
        (307, "", "unusable: Vault answered 307: a redirect, which is not followed"),
        (200, "hunter2", "unusable: Vault's answer for `app` has no secret of this engine in it"),
        (
            200,
            r#"{"data": {"url": "hunter2"}}"#,
            "unusable: Vault's answer for `app` has no secret of this engine in it; if the mount is of version 1",
        ),
    ] {
        let mut story = approle("answers", "sid-1");
        story.logs_in("t1", 60);
        story.far.answers(status, body);
        let error = story.read("app", 0).await.unwrap_err();
        assert!(error.starts_with(expect) && !error.contains("hunter2"), "{status}: {error}");
    }
    let mut story = approle("sealed", "sid-1");
    story.far.answers(503, r#"{"errors": ["Vault is sealed"]}"#);
    let world = story.far.world();
    let failure = story.session.read(&story.config, "app", None, &world, at(0)).await.unwrap_err();
    assert_eq!(failure.hold().as_secs(), 60, "somebody has to unseal it");
}

#[tokio::test]
async fn a_node_that_is_behind_is_asked_again() {
    let mut story = approle("behind", "sid-1");
    story.logs_in("t1", 60);
    story.far.answers(412, r#"{"errors": ["required index state not present"]}"#);
    story.holds("a");
    assert_eq!(story.read("app", 0).await.unwrap(), "url=a v3");
    for _ in 0..3 {
        story.far.answers(412, "");
    }
    let error = story.read("app", 1).await.unwrap_err();
    assert_eq!(error, "busy: the node of Vault that was asked has not caught up with a write");
}

#[test]
fn a_path_may_be_whole_or_below_the_mount() {
    for (kv, mount, path, version, expect) in [
        (2, "secret", "app", None, "secret/data/app"),
        (2, "secret", "app/db", Some(4), "secret/data/app/db?version=4"),
        (2, "kv", "kv/data/app", None, "kv/data/app"),
        (2, "kv", "kv/app", None, "kv/data/app"),
        (2, "/team/kv/", "team/kv/data/a b", None, "team/kv/data/a%20b"),
        (2, "kv", "kvx/app", None, "kv/data/kvx/app"),
        (1, "kv", "app", Some(4), "kv/app"),
        (1, "kv", "kv/app?x=1#y", None, "kv/app%3Fx=1%23y"),
    ] {
        let config = json!({"address": "https://vault.example/base/", "mount": mount, "kv": kv, "auth": {"token": {"env": "T"}}});
        let url = address(&serde_json::from_value(config).unwrap(), path, version).unwrap();
        assert_eq!(url.as_str(), format!("https://vault.example/base/v1/{expect}"));
    }
}

#[tokio::test]
async fn the_first_version_of_the_engine() {
    let mut story = story(json!({"kv": 1, "auth": {"token": {"file": file("kv1", "t")}}}));
    story.far.answers(403, "{}");
    story.far.answers(200, r#"{"data": {"url": "a", "port": 8080, "none": null}, "lease_duration": 2764800}"#);
    assert_eq!(story.read("app", 0).await.unwrap(), "port=8080 url=a v");
    assert_eq!(story.session.due(), None, "the lease of a key-value secret is none");
}
