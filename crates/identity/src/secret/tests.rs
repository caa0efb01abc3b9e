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
