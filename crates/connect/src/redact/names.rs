//! Which names announce a secret. One list for JSON keys and for assignments in texts.

/// Endings that announce a secret wherever they stand: `dbPassword`, `AWS_SECRET_ACCESS_KEY`, `x-api-key`.
/// Compared without separators, in lower case.
pub(super) const ENDINGS: [&str; 29] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "secrets",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "signingkey",
    "encryptionkey",
    "accountkey",
    "sharedkey",
    "routingkey",
    "integrationkey",
    "masterkey",
    "sessionkey",
    "functionskey",
    "subscriptionkey",
    "sessionid",
    "connectionstring",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "cookies",
    "bearer",
];

/// Short endings that announce a secret only as a word of their own: `db_pass`, `dbPass`, but not `bypass`.
pub(super) const WORDS: [&str; 8] = ["pass", "pwd", "auth", "creds", "dsn", "jwt", "sig", "signature"];

/// Words that may follow: `password_hash`, `secretValue`, `token2`.
pub(super) const SUFFIXES: [&str; 6] = ["value", "hash", "base64", "b64", "old", "new"];

/// Longest part of a name that is looked at, from its end, in bytes without separators.
const LOOKED_AT: usize = 48;

/// True when the value beside this name is a secret.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let mut tail = [0u8; LOOKED_AT];
    let mut start = LOOKED_AT;
    let mut word = None;
    let mut after: Option<u8> = None;
    for byte in name.bytes().rev() {
        if !byte.is_ascii_alphanumeric() {
            if start < LOOKED_AT {
                word.get_or_insert(start);
            }
            after = None;
            continue;
        }
        if start == 0 {
            break;
        }
        // A capital before a small letter begins a word: `dbPass`.
        start -= 1;
        tail[start] = byte.to_ascii_lowercase();
        if byte.is_ascii_uppercase() && after.is_some_and(|next| next.is_ascii_lowercase()) {
            word.get_or_insert(start);
        }
        after = Some(byte);
    }
    let whole = &tail[start..];
    let last_word = &tail[word.unwrap_or(start)..];
    announces(whole, last_word) || without_suffix(whole).is_some_and(|whole| announces(whole, whole))
}

fn announces(whole: &[u8], last_word: &[u8]) -> bool {
    ENDINGS.iter().any(|ending| whole.ends_with(ending.as_bytes()))
        || WORDS.iter().any(|word| word.as_bytes() == last_word)
}

fn without_suffix(whole: &[u8]) -> Option<&[u8]> {
    let digits = whole.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > 0 {
        return Some(&whole[..whole.len() - digits]);
    }
    SUFFIXES.iter().find_map(|suffix| whole.strip_suffix(suffix.as_bytes()))
}
