use super::*;
use serde::Deserialize as _;
use serde::de::IntoDeserializer;
use serde::de::value::{Error as ValueError, MapDeserializer};

fn from_map(pairs: &[(&'static str, &'static str)]) -> Result<SecretRef, String> {
    let map = MapDeserializer::<_, ValueError>::new(pairs.iter().copied());
    SecretRef::deserialize(map).map_err(|error| error.to_string())
}

#[test]
fn references_are_read_and_everything_else_is_refused_without_repeating_it() {
    let env = SecretRef::Env("PD_KEY".to_owned());
    let file = SecretRef::File("/run/secrets/pd".into());
    assert_eq!(from_map(&[("env", "PD_KEY")]), Ok(env));
    assert_eq!(from_map(&[("file", "/run/secrets/pd")]), Ok(file));
    for (pairs, says) in [
        (&[][..], "empty mapping"),
        (&[("hunter2", "")][..], "unknown secret source"),
        (&[("env", "A"), ("file", "hunter2")][..], "more than one source"),
        (&[("env", "hunter2-is-here")][..], "letters, digits"),
    ] {
        let error = from_map(pairs).unwrap_err();
        assert!(error.contains(says), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_literal_is_refused_without_repeating_it() {
    let literal = IntoDeserializer::<ValueError>::into_deserializer("hunter2");
    let error = SecretRef::deserialize(literal).unwrap_err().to_string();
    assert!(error.contains("literal secret is refused") && !error.contains("hunter2"), "{error}");
    let number = IntoDeserializer::<ValueError>::into_deserializer(4711_u64);
    let error = SecretRef::deserialize(number).unwrap_err().to_string();
    assert!(error.contains("literal secret is refused") && !error.contains("4711"), "{error}");
}

fn file_with(name: &str, content: &[u8]) -> SecretRef {
    let path = std::env::temp_dir().join(format!("trackside-secret-{}-{name}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    SecretRef::File(path)
}

#[test]
fn a_file_is_read_again_each_time_and_loses_one_line_break() {
    let secret = file_with("rotated", b"first\n");
    assert_eq!(secret.resolve(&Secrets::default()).unwrap().expose_secret(), "first");
    let secret = file_with("rotated", b"second line\n\r\n");
    assert_eq!(secret.resolve(&Secrets::default()).unwrap().expose_secret(), "second line\n");
}

#[test]
fn what_cannot_be_a_secret_is_an_error_that_names_the_place_only() {
    for (name, content, says) in [
        ("empty", &b"\n"[..], "is empty"),
        ("long", &vec![b'x'; SECRET_BYTES + 1][..], "more than 65536 bytes"),
        ("binary", &b"hunter2\xff"[..], "not valid UTF-8"),
    ] {
        let error = file_with(name, content).resolve(&Secrets::default()).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(name), "{error}");
        assert!(!error.contains("hunter2") && !error.contains("xxx"), "{error}");
    }
    let longest = file_with("longest", &[vec![b'x'; SECRET_BYTES], b"\r\n".to_vec()].concat());
    assert_eq!(longest.resolve(&Secrets::default()).unwrap().expose_secret().len(), SECRET_BYTES);
    let missing = SecretRef::File("/nowhere/at/all".into()).resolve(&Secrets::default()).unwrap_err();
    assert_eq!(missing.to_string(), "secret file `/nowhere/at/all` cannot be read: no such file");
    let unset = SecretRef::Env("TRACKSIDE_TEST_UNSET".into()).resolve(&Secrets::default()).unwrap_err();
    assert_eq!(unset, SecretError::EnvMissing("TRACKSIDE_TEST_UNSET".into()));
}

#[test]
fn a_variable_is_read() {
    // PATH is set wherever a test runs; setting variables in a test is not safe with threads.
    let value = SecretRef::Env("PATH".into()).resolve(&Secrets::default()).unwrap();
    assert_eq!(value.expose_secret(), std::env::var("PATH").unwrap());
    assert!(!format!("{value:?}").contains('/'));
}

fn written(value: serde_json::Value) -> Result<SecretRef, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

#[test]
fn references_to_secret_managers() {
    use serde_json::json;
    for (value, expect) in [
        (json!({"vault": "kv/data/app#password"}), "Vault secret `kv/data/app#password`"),
        (
            json!({"vault": {"path": "/app/db/", "field": "user", "version": 3, "source": "main"}}),
            "Vault secret `app/db#user` version 3 of `main`",
        ),
        (json!({"vault": "odd#path#field"}), "Vault secret `odd#path#field`"),
        (json!({"aws": "prod/app"}), "AWS secret `prod/app`"),
        (
            json!({"aws": "arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-a1b2c3#token"}),
            "AWS secret `arn:aws:secretsmanager:eu-central-1:123456789012:secret:app-a1b2c3#token`",
        ),
        (
            json!({"aws": {"name": "app", "version_stage": "AWSPREVIOUS", "source": "x"}}),
            "AWS secret `app` AWSPREVIOUS of `x`",
        ),
        (json!({"azure": "slack-webhook"}), "Azure secret `slack-webhook`"),
        (
            json!({"azure": {"name": "n", "vault": "https://other.vault.azure.net", "version": "abc123"}}),
            "Azure secret `n` version abc123 in https://other.vault.azure.net",
        ),
    ] {
        let reference = written(value.clone()).unwrap();
        assert_eq!(reference.to_string(), expect);
        let again = serde_json::to_value(&reference).unwrap();
        assert_eq!(written(again), Ok(reference), "{value}");
    }
    for (value, says) in [
        (json!({"vault": "hunter2"}), "`vault` takes `PATH#FIELD`"),
        (json!({"vault": "hunter2/../x#f"}), "none empty, `.` or `..`"),
        (json!({"vault": "hunter2#"}), "the field of a secret"),
        (json!({"vault": {"path": "p"}}), "`vault` takes `PATH#FIELD`"),
        (json!({"vault": {"path": "p", "field": "f", "hunter2": "x"}}), "unknown part"),
        (json!({"vault": {"path": "p", "field": "f", "version": "hunter2"}}), "`version` takes a number"),
        (json!({"vault": {"path": "p", "field": ["hunter2"]}}), "invalid type: sequence"),
        (json!({"vault": true}), "expected a text here"),
        (json!({"aws": "hunter2 with spaces"}), "the name of an AWS secret"),
        (json!({"aws": {}}), "`aws` takes"),
        (json!({"azure": "hunter2_underscore"}), "the name of an Azure secret"),
        (
            json!({"azure": {"name": "n", "vault": "http://hunter2.example"}}),
            "looks like `https://NAME.vault.azure.net`",
        ),
        (json!({"azure": {"name": "n", "vault": "https://hunter2.example/path"}}), "looks like"),
        (json!({"aws": "a", "env": "hunter2"}), "more than one source"),
        (json!({"gcp": "hunter2"}), "unknown secret source"),
    ] {
        let error = written(value).unwrap_err();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn sources_are_judged() {
    use serde_json::json;
    let mistakes = |value: serde_json::Value| {
        let config: vaults::VaultConfig = serde_json::from_value(value).unwrap();
        config
            .mistakes()
            .into_iter()
            .map(|(field, problem)| format!("{field}: {problem}"))
            .collect::<Vec<_>>()
            .join("; ")
    };
    let vault = |address: &str, more: serde_json::Value| {
        let mut whole = json!({"kind": "hashicorp", "address": address, "auth": {"token": {"env": "T"}}});
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        whole
    };
    for (value, says) in [
        (vault("https://vault.example", json!({})), ""),
        (vault("http://127.0.0.1:8200", json!({})), ""),
        (vault("http://vault.example", json!({})), "address: must begin with `https://`"),
        (vault("https://v.example", json!({"kv": 3})), "kv: must be 1 or 2"),
        (vault("https://v.example", json!({"mount": "a//b"})), "mount: must be a path"),
        (
            vault("https://v.example", json!({"auth": {"token": {"aws": "t"}}})),
            ": what a secret manager is opened with",
        ),
        (json!({"kind": "aws", "region": "eu/../", "credentials": "instance"}), "region: must be a region"),
        (
            json!({"kind": "azure", "vault_url": "http://x.vault.azure.net", "credential": {"managed_identity": {}}}),
            "vault_url: ",
        ),
        (
            json!({"kind": "azure", "vault_url": "https://x.vault.azure.net", "credential": {"service_principal": {
            "tenant": "t", "client_id": "c", "proof": {"workload": {"subject": "s"}}}}}),
            "credential.service_principal.proof: ",
        ),
    ] {
        let found = mistakes(value);
        assert!(found.starts_with(says) && (says.is_empty() == found.is_empty()), "{found}");
    }
}
