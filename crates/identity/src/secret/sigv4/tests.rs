use super::*;
use url::Url;

fn keys(token: Option<&str>) -> Keys {
    Keys {
        id: "AKIDEXAMPLE".into(),
        secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
        token: token.map(SecretString::from),
    }
}

/// The signed names and the signature of a request of the test suite's date.
fn signed(
    method: Method,
    url: &str,
    headers: &[(&'static str, &str)],
    body: &str,
    scope: Scope<'_>,
    token: Option<&str>,
) -> (String, String) {
    let mut ask = Ask { method, body: body.to_owned().into(), ..Ask::get(Url::parse(url).unwrap()) };
    for (name, value) in headers {
        ask.headers.append(HeaderName::from_static(name), value.parse().unwrap());
    }
    let now = "2015-08-30T12:36:00Z".parse().unwrap();
    add_signature(&mut ask, &keys(token), scope, now).unwrap();
    let value = ask.headers[header::AUTHORIZATION].to_str().unwrap();
    assert!(ask.headers[header::AUTHORIZATION].is_sensitive());
    let (rest, signature) = value.rsplit_once("Signature=").unwrap();
    let names = rest.split("SignedHeaders=").nth(1).unwrap().trim_end_matches(", ");
    (names.to_owned(), signature.to_owned())
}

const SERVICE: Scope<'_> = Scope { region: "us-east-1", service: "service" };

/// From the test suite that AWS publishes with its signing guide.
#[test]
fn the_published_vectors() {
    let get = |url: &str| signed(Method::GET, url, &[], "", SERVICE, None).1;
    let base = "https://example.amazonaws.com/";
    for (name, url, expect) in [
        ("get-vanilla", String::new(), "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        (
            "get-vanilla-query-order-key-case",
            "?Param2=value2&Param1=value1".to_owned(),
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            "get-vanilla-query-unreserved",
            format!("?{0}={0}", "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"),
            "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197",
        ),
        (
            "get-vanilla-empty-query-key",
            "?Param1=value1".to_owned(),
            "a67d582fa61cc504c4bae71f336f98b97f1ea3c7a6bfe1b6e45aec72011b9aeb",
        ),
    ] {
        assert_eq!(get(&format!("{base}{url}")), expect, "{name}");
    }
    let post = |headers: &[(&'static str, &str)], body: &str| signed(Method::POST, base, headers, body, SERVICE, None);
    assert_eq!(post(&[], "").1, "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b", "post-vanilla");
    assert_eq!(
        post(&[("my-header1", "value1")], ""),
        (
            "host;my-header1;x-amz-date".to_owned(),
            "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c".to_owned()
        ),
        "post-header-key-sort"
    );
    assert_eq!(
        post(&[("content-type", "application/x-www-form-urlencoded")], "Param1=value1").1,
        "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a",
        "post-x-www-form-urlencoded"
    );
}

/// Made with botocore 1.43 (`botocore.auth.SigV4Auth`).
#[test]
fn what_botocore_signs() {
    let json = ("content-type", "application/x-amz-json-1.1");
    let target = ("x-amz-target", "secretsmanager.GetSecretValue");
    let body = r#"{"SecretId":"prod/app"}"#;
    let sign = |method, url, headers: &[_], body, region, service, token| {
        signed(method, url, headers, body, Scope { region, service }, token)
    };
    let url = "https://secretsmanager.eu-central-1.amazonaws.com/";
    assert_eq!(
        sign(Method::POST, url, &[json, target], body, "eu-central-1", "secretsmanager", None),
        (
            "content-type;host;x-amz-date;x-amz-target".to_owned(),
            "468e3b7e1c6505453a43c00cb07aaab36fd86d3f210a78f40a19111de8b046a9".to_owned()
        )
    );
    let token = Some("AQoDYXdzEPT//////////wEXAMPLE");
    let url = "http://127.0.0.1:19111/";
    assert_eq!(
        sign(Method::POST, url, &[json, target], body, "us-east-1", "secretsmanager", token),
        (
            "content-type;host;x-amz-date;x-amz-security-token;x-amz-target".to_owned(),
            "b8271b80faa9a620d62370352a018ba5a6ad81c0665e5e2de1c9561d1c4f10a3".to_owned()
        )
    );
    let url = "https://example.amazonaws.com/a%20b/%C3%BC/c+d?x=%2F&a=b%20c";
    assert_eq!(
        sign(Method::GET, url, &[], "", "us-east-1", "service", None).1,
        "96b2fb3779f3bb62fe5278cd2e366736b411d3867ed644722c240dd84fe87063"
    );
}

/// From "Authenticating Requests: Using the Authorization Header" of the Amazon S3 API reference.
#[test]
fn the_examples_of_s3() {
    let keys = Keys {
        id: "AKIAIOSFODNN7EXAMPLE".into(),
        secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into(),
        token: None,
    };
    let now = "2013-05-24T00:00:00Z".parse().unwrap();
    for (method, path, query, headers, body, expect) in [
        (
            Method::GET,
            "/test.txt",
            "",
            vec![("range", "bytes=0-9")],
            "",
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            Method::PUT,
            "/test$file.text",
            "",
            vec![("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
            "Welcome to Amazon S3.",
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (Method::GET, "/", "lifecycle", vec![], "", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
    ] {
        let headers: HeaderMap =
            headers.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect();
        let host = "examplebucket.s3.amazonaws.com";
        let draft = Draft { method: &method, host, path, query, headers: &headers, body: body.as_bytes() };
        let added = signature(&draft, &keys, Scope { region: "us-east-1", service: "s3" }, now).unwrap();
        let (name, value) = added.last().unwrap();
        assert!(*name == header::AUTHORIZATION && value.is_sensitive());
        assert!(value.to_str().unwrap().ends_with(&format!("Signature={expect}")), "{path}?{query}");
    }
}
