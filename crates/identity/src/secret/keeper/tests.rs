use super::*;
use crate::secret::scripted::{FarEnd, at, file};
use crate::secret::{SecretError, Standing};
use secrecy::ExposeSecret as _;
use serde_json::json;

/// Never in any output.
const MARKER: &str = "hunter2-is-the-value";

fn reference(written: serde_json::Value) -> SecretRef {
    serde_json::from_value(written).unwrap()
}

fn wanted(references: &[serde_json::Value]) -> Wanted {
    let token = file("keeper-token", "vault-token");
    let key = file("keeper-key", "k");
    let sources = json!({
        "main": {"kind": "hashicorp", "address": "https://vault.example", "auth": {"token": {"file": token}}},
        "cloud": {"kind": "aws", "region": "eu-central-1", "refresh": "1m", "credentials": {
            "static": {"access_key_id": {"file": key}, "secret_access_key": {"file": key}}}},
    });
    let references = references.iter().cloned().map(|written| (reference(written), vec!["a.b".to_owned()])).collect();
    Wanted { sources: serde_json::from_value(sources).unwrap(), references }
}

#[allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]
fn vault_holds(far: &FarEnd, fields: serde_json::Value, version: u64) {
    far.answers(200, &json!({"data": {"data": fields, "metadata": {"version": version}}}).to_string());
}

fn keeper(far: &FarEnd) -> Keeper {
    Keeper::new(far.world())
}

fn value(keeper: &Keeper, reference: &SecretRef) -> Option<String> {
    keeper.secrets().get(reference).map(|value| value.expose_secret().to_owned())
}

/// A keeper with one secret of Vault, fetched at 0.
async fn keeping(far: &FarEnd) -> (Keeper, SecretRef) {
    far.answers(403, "{}");
    vault_holds(far, json!({"url": "first"}), 1);
    let keeper = keeper(far);
    let written = json!({"vault": "app#url"});
    let prepared = keeper.prepare(wanted(std::slice::from_ref(&written)), at(0)).await.unwrap();
    keeper.adopt(prepared).await;
    far.asked();
    (keeper, reference(written))
}

#[tokio::test]
async fn fields_of_one_secret_are_fetched_with_one_request() {
    let far = FarEnd::default();
    far.answers(403, "{}");
    vault_holds(&far, json!({"user": "u", "password": "p"}), 7);
    let keeper = keeper(&far);
    let (user, password) =
        (json!({"vault": "app#user"}), json!({"vault": {"path": "app", "field": "password", "source": "main"}}));
    let prepared = keeper.prepare(wanted(&[user.clone(), password.clone()]), at(0)).await.unwrap();
    let (user, password) = (reference(user), reference(password));
    // Used at once by what is made of the configuration, but not yet shown as in force.
    assert_eq!(user.resolve(&keeper.secrets()).unwrap().expose_secret(), "u");
    assert_eq!(keeper.secrets().status(), []);
    keeper.adopt(prepared).await;
    assert_eq!(password.resolve(&keeper.secrets()).unwrap().expose_secret(), "p");
    let status = keeper.secrets().status();
    assert_eq!(status.len(), 2);
    assert_eq!(
        (status[0].state, status[0].fetched, status[0].next, status[0].version.as_deref()),
        (Standing::Fresh, Some(at(0)), Some(at(300)), Some("7"))
    );
    assert_eq!(far.asked().len(), 2, "a look at the token, and one read");
    assert_eq!(keeper.once(at(299)).await, Some(at(300)));
    assert_eq!(far.asked(), [""; 0]);
}

#[tokio::test]
async fn a_rotated_secret_is_seen_and_told_of() {
    let far = FarEnd::default();
    let (keeper, reference) = keeping(&far).await;
    let changes = keeper.secrets().changes();
    vault_holds(&far, json!({"url": "first"}), 1);
    keeper.once(at(300)).await;
    assert!(!changes.has_changed().unwrap(), "the same value is no change");
    vault_holds(&far, json!({"url": "second"}), 2);
    keeper.once(at(600)).await;
    assert!(changes.has_changed().unwrap());
    assert_eq!(value(&keeper, &reference).as_deref(), Some("second"));
    assert_eq!((keeper.figures().fetched(), keeper.figures().failed()), (3, 0));
}

#[tokio::test]
async fn the_last_good_value_is_kept_while_the_source_fails() {
    let far = FarEnd::default();
    let (keeper, reference) = keeping(&far).await;
    // After 10 s, 20 s, 40 s …, at most 5 min; a sealed Vault is left alone for a minute.
    let mut now = 300;
    for wait in [10, 20, 40, 80, 160, 300, 300] {
        far.silent();
        assert_eq!(keeper.once(at(now)).await, Some(at(now + wait)));
        now += wait;
    }
    far.answers(503, r#"{"errors": ["Vault is sealed"]}"#);
    keeper.once(at(now)).await;
    let status = keeper.secrets().status().remove(0);
    assert_eq!((status.state, status.fetched, status.failing_since), (Standing::Kept, Some(at(0)), Some(at(300))));
    assert!(status.error.unwrap().contains("sealed"));
    assert_eq!(value(&keeper, &reference).as_deref(), Some("first"));
    assert_eq!(keeper.figures().failed(), 8);
    vault_holds(&far, json!({"url": "second"}), 2);
    assert_eq!(keeper.once(at(now + 300)).await, Some(at(now + 600)));
    let status = keeper.secrets().status().remove(0);
    assert_eq!((status.state, status.error, status.failing_since), (Standing::Fresh, None, None));
}

#[tokio::test]
async fn a_source_that_is_silent_is_asked_once_in_a_round() {
    let far = FarEnd::default();
    let keeper = keeper(&far);
    far.silent();
    let paths = ["a#x", "b#x", "c#x"].map(|path| json!({ "vault": path }));
    let missing = keeper.prepare(wanted(&paths), at(0)).await.unwrap_err();
    assert_eq!((missing.len(), far.asked().len()), (3, 1));
    assert!(missing.iter().all(|unfetched| unfetched.failure.class == FailureClass::NoAnswer));
}

#[tokio::test]
async fn a_configuration_that_cannot_be_prepared_changes_nothing() {
    let far = FarEnd::default();
    let (keeper, reference) = keeping(&far).await;
    far.answers(404, r#"{"errors": []}"#);
    let wishes = [
        json!({"vault": "app#url"}),
        json!({"vault": "other#url"}),
        json!({"azure": "hook"}),
        json!({"aws": {"name": "x", "source": "main"}}),
    ];
    let missing = keeper.prepare(wanted(&wishes), at(10)).await.unwrap_err();
    let texts: Vec<String> =
        missing.iter().map(|unfetched| format!("{}: {}", unfetched.reference, unfetched.failure)).collect();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].starts_with("Vault secret `other#url`: there is nothing at `other`"), "{texts:?}");
    assert!(
        texts[1].contains("declares no source of this kind with the name `main`; declared are: cloud"),
        "{texts:?}"
    );
    assert_eq!(texts[2], "Azure secret `hook`: `vaults` declares no source of this kind; add one");
    // What is in force was not fetched again, and stays.
    assert_eq!(far.asked().len(), 1);
    assert_eq!(value(&keeper, &reference).as_deref(), Some("first"));
    assert_eq!(keeper.secrets().status().len(), 1);
}

#[tokio::test]
async fn what_another_configuration_no_longer_wants_is_forgotten() {
    let far = FarEnd::default();
    let (keeper, reference) = keeping(&far).await;
    far.answers(200, r#"{"SecretString": "{\"token\": \"x\"}", "VersionId": "v1"}"#);
    let aws = json!({"aws": "prod/slack#token"});
    let prepared = keeper.prepare(wanted(std::slice::from_ref(&aws)), at(10)).await.unwrap();
    assert_eq!(value(&keeper, &reference).as_deref(), Some("first"), "still in force");
    keeper.adopt(prepared).await;
    assert_eq!(value(&keeper, &reference), None);
    let error = reference.resolve(&keeper.secrets()).unwrap_err();
    assert_eq!(error, SecretError::NotFetched(Box::new(reference)));
    assert_eq!(value(&keeper, &self::reference(aws)).as_deref(), Some("x"));
    assert_eq!(keeper.once(at(11)).await, Some(at(70)), "as often as the source says");
}

#[tokio::test]
async fn a_secret_that_lost_its_field_keeps_none() {
    let far = FarEnd::default();
    let (keeper, reference) = keeping(&far).await;
    vault_holds(&far, json!({"uri": MARKER}), 2);
    keeper.once(at(300)).await;
    let status = keeper.secrets().status().remove(0);
    assert_eq!(status.error.as_deref(), Some("the Vault secret `app#url` has no field `url`; it has uri"));
    assert_eq!((status.state, value(&keeper, &reference).as_deref()), (Standing::Kept, Some("first")));
}

#[tokio::test]
async fn a_value_shows_nowhere() {
    let far = FarEnd::default();
    let keeper = keeper(&far);
    let mut outputs = Vec::new();
    let wishes = [json!({"vault": "app#url"}), json!({"aws": "prod/app#token"}), json!({"vault": "list#url"})];
    // Every answer holds the marker, most of them where it does not belong.
    let bodies = [
        (200, json!({"SecretString": MARKER}).to_string()),
        (200, format!("{{\"data\": {{\"data\": {{\"other\": \"{MARKER}\"}}}}}}")),
        (200, format!("{{\"data\": {{\"data\": [\"{MARKER}\"]}}}}")),
        (200, MARKER.to_owned()),
        (404, format!("{{\"data\": \"{MARKER}\"}}")),
        (500, MARKER.to_owned()),
        (400, MARKER.to_owned()),
    ];
    for (status, body) in &bodies {
        for _ in 0..8 {
            far.answers(*status, body);
        }
        match keeper.prepare(wanted(&wishes), at(0)).await {
            Err(missing) => {
                outputs.extend(missing.iter().map(|unfetched| format!("{unfetched:?} {}", unfetched.failure)));
            }
            Ok(prepared) => outputs.push(format!("{prepared:?}")),
        }
        far.asked();
        while far.left() > 0 {
            far.drop_one();
        }
    }
    let (keeper, reference) = keeping(&far).await;
    vault_holds(&far, json!({"url": MARKER}), 2);
    keeper.once(at(300)).await;
    assert_eq!(value(&keeper, &reference).as_deref(), Some(MARKER));
    let status = keeper.secrets().status();
    outputs.push(format!("{keeper:?} {:?} {status:?} {}", keeper.secrets(), serde_json::to_string(&status).unwrap()));
    outputs.push(format!("{:?}", reference.resolve(&keeper.secrets())));
    assert!(outputs.len() > 10);
    for output in outputs {
        assert!(!output.contains(MARKER), "{output}");
    }
}
