use super::*;
use proptest::prelude::*;

fn key(byte: u8) -> SealKey {
    SealKey::new([byte; KEY_BYTES])
}

fn random(byte: u8) -> Randomness {
    let mut random = [byte; RANDOM_BYTES];
    for (index, value) in random.iter_mut().enumerate() {
        *value ^= u8::try_from(index).expect("few");
    }
    Randomness::new(random)
}

fn place(document: u128, field: &str) -> Place<'_> {
    Place { document: Uuid::from_u128(document), field }
}

fn sealed(value: &str) -> String {
    key(7).seal(&SecretString::from(value), place(1, "url"), random(1)).expect("sealed")
}

fn check(key: &SealKey, sealed: &str, place: Place<'_>, expect: Result<&str, SealError>) {
    let opened = key.open(sealed, place).map(|value| value.expose_secret().to_owned());
    assert_eq!(opened, expect.map(str::to_owned), "{sealed}");
}

#[test]
fn what_is_sealed_opens_in_its_place_and_nowhere_else() {
    let value = sealed("https://hooks.example/T/B/é");
    assert!(is_sealed(&value) && !is_sealed("https://hooks.example"));
    assert!(!value.contains("hooks"));
    check(&key(7), &value, place(1, "url"), Ok("https://hooks.example/T/B/é"));
    check(&key(7), &value, place(2, "url"), Err(SealError::Forged));
    check(&key(7), &value, place(1, "token"), Err(SealError::Forged));
    check(&key(8), &value, place(1, "url"), Err(SealError::OtherKey));
    check(&key(7), &sealed(""), place(1, "url"), Ok(""));
}

/// `s3cret`, sealed by the first version of this form.
const KEPT: &str = "sealed:v1:4l9xFbi3rEghICMiJSQnJikoKyo5d3z-2kK7PwHeqLHlHEUxX2ZSN-vhQyrN2hkSEpHZsa5rA2POgB1d3E-KhVPPOOYtLC8uMTAzMjU0NzY3rEJY1H370Cw1AqfFVi7DShfODyxf";

#[test]
fn the_form_stays_readable_for_later_versions() {
    check(&key(7), KEPT, place(1, "url"), Ok("s3cret"));
    assert_eq!(sealed("s3cret"), KEPT);
}

#[test]
fn the_same_value_with_other_randomness_is_another_text() {
    let again = key(7).seal(&SecretString::from("s3cret"), place(1, "url"), random(2)).expect("sealed");
    assert_ne!(again, sealed("s3cret"));
    check(&key(7), &again, place(1, "url"), Ok("s3cret"));
}

#[test]
fn a_change_anywhere_is_noticed() {
    let value = sealed("s3cret");
    for position in PREFIX.len()..value.len() {
        let mut forged = value.clone().into_bytes();
        forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
        let forged = String::from_utf8(forged).expect("ascii");
        assert!(key(7).open(&forged, place(1, "url")).is_err(), "{forged}");
    }
}

#[test]
fn parts_of_two_values_do_not_make_a_third() {
    let bytes = |value: &str| URL_SAFE_NO_PAD.decode(value.strip_prefix(PREFIX).expect("prefix")).expect("base64");
    let (one, two) = (bytes(&sealed("s3cret")), {
        let other = key(7).seal(&SecretString::from("other!"), place(1, "url"), random(2)).expect("sealed");
        bytes(&other)
    });
    let head = KEY_ID_BYTES + NONCE_LEN + WRAPPED_BYTES;
    let mixed = format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode([&one[..head], &two[head..]].concat()));
    check(&key(7), &mixed, place(1, "url"), Err(SealError::Forged));
}

#[test]
fn what_is_not_sealed_is_said_so() {
    for junk in ["", "s3cret", "sealed:v1:", "sealed:v1:!", "sealed:v1:AAAA", "sealed:v2:AAAA", "sealed:v1:é"] {
        check(&key(7), junk, place(1, "url"), Err(SealError::Malformed));
    }
    let value = sealed("s3cret");
    let short = &value[..PREFIX.len() + 40];
    check(&key(7), short, place(1, "url"), Err(SealError::Malformed));
    let long = format!("{PREFIX}{}", "A".repeat(2 * VALUE_BYTES));
    check(&key(7), &long, place(1, "url"), Err(SealError::Malformed));
    let longest = SecretString::from("x".repeat(VALUE_BYTES + 1));
    assert_eq!(key(7).seal(&longest, place(1, "url"), random(1)), Err(SealError::TooLong));
}

#[test]
fn a_key_survives_its_file() {
    let text = key(0xab).text();
    assert_eq!(text.expose_secret(), "ab".repeat(KEY_BYTES));
    let again = SealKey::parse(&format!(" {}\n", text.expose_secret())).expect("a key");
    check(&again, &key(0xab).seal(&"v".into(), place(1, "a"), random(1)).expect("sealed"), place(1, "a"), Ok("v"));
    let (short, long) = ("ab".repeat(31), "ab".repeat(33));
    for bad in ["", "ab", short.as_str(), long.as_str(), &"zz".repeat(32), &"+1".repeat(32), &"é".repeat(32)] {
        assert_eq!(SealKey::parse(bad).map(|_| ()), Err(SealError::BadKey), "{bad}");
    }
}

#[test]
fn nothing_secret_is_printed() {
    let shown = format!("{:?} {:?}", key(7), random(7));
    assert!(!shown.contains("7, 7"), "{shown}");
}

proptest! {
    #[test]
    fn any_value_opens_only_where_it_was_sealed(
        value in ".{0,200}",
        document: u128,
        field in "[a-z.]{0,20}",
        other in "[a-z.]{0,20}",
        secret: [u8; KEY_BYTES],
        data_key: [u8; KEY_BYTES],
        nonces: [u8; 24],
    ) {
        let mut random = [0; RANDOM_BYTES];
        random[..KEY_BYTES].copy_from_slice(&data_key);
        random[KEY_BYTES..].copy_from_slice(&nonces);
        let key = SealKey::new(secret);
        let sealed = key.seal(&SecretString::from(value.as_str()), place(document, &field), Randomness::new(random));
        let sealed = sealed.expect("sealed");
        let opened = key.open(&sealed, place(document, &field)).expect("opened");
        prop_assert_eq!(opened.expose_secret(), value.as_str());
        prop_assert_eq!(key.open(&sealed, place(document, &other)).is_ok(), other == field);
        prop_assert!(key.open(&sealed, place(document ^ 1, &field)).is_err());
    }

    #[test]
    fn no_text_makes_opening_panic(text in "(sealed:v1:)?[A-Za-z0-9_=-]{0,300}") {
        prop_assert!(key(7).open(&text, place(1, "url")).is_err());
    }
}
