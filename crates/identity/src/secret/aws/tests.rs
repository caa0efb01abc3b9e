use super::credentials::Lent;
use super::*;
use crate::secret::scripted::{FarEnd, at, file};
use secrecy::ExposeSecret as _;

struct Story {
    config: AwsConfig,
    session: Session,
    far: FarEnd,
}

#[allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]
fn story(credentials: serde_json::Value) -> Story {
    let config = json!({"region": "eu-central-1", "credentials": credentials});
    Story { config: serde_json::from_value(config).unwrap(), session: Session::default(), far: FarEnd::default() }
}

fn of_keys() -> Story {
    let (id, secret) = (file("aws-id", "AKID"), file("aws-secret", "s3cret-key"));
    story(json!({"static": {"access_key_id": {"file": id}, "secret_access_key": {"file": secret}}}))
}

impl Story {
    async fn read(&mut self, seconds: i64) -> Result<String, String> {
        let world = self.far.world();
        let fetched = self.session.read(&self.config, "prod/app", None, &world, at(seconds)).await;
        fetched.map_err(|failure| format!("{}: {failure}", failure.class.as_str())).map(|fetched| {
            let Body::Text(text) = &fetched.body else { panic!("no text") };
            format!("{} {}", text.expose_secret(), fetched.version.unwrap_or_default())
        })
    }

    fn holds(&self, value: &str) {
        self.far.answers(
            200,
            &json!({"SecretString": value, "VersionId": "v1", "VersionStages": ["AWSCURRENT"]}).to_string(),
        );
    }

    fn lends(&self, id: &str, expires: i64) {
        let xml = format!(
            "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
             <AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>{id}</AccessKeyId>\
             <SecretAccessKey>k&amp;k</SecretAccessKey><SessionToken>session-of-{id}</SessionToken>\
             <Expiration>{}</Expiration></Credentials></AssumeRoleWithWebIdentityResult>\
             </AssumeRoleWithWebIdentityResponse>",
            at(expires)
        );
        self.far.answers(200, &xml);
    }
}

#[tokio::test]
async fn a_secret_is_read_with_the_keys_of_a_user() {
    let mut story = of_keys();
    story.holds("value");
    assert_eq!(story.read(0).await.unwrap(), "value v1");
    let asked = story.far.asked();
    let start = "POST https://secretsmanager.eu-central-1.amazonaws.com/ authorization=AWS4-HMAC-SHA256 \
                 Credential=AKID/20261121/eu-central-1/secretsmanager/aws4_request";
    assert!(asked[0].starts_with(start) && asked[0].ends_with(r#" {"SecretId":"prod/app"}"#), "{asked:?}");
    story.far.answers(200, r#"{"SecretBinary": "YmluYXJ5", "VersionId": "v2"}"#);
    assert_eq!(story.read(1).await.unwrap(), "binary v2");
}

#[tokio::test]
async fn a_role_is_taken_again_well_before_it_ends() {
    let token = file("aws-token", "web-identity-1\n");
    let mut story =
        story(json!({"web_identity": {"role_arn": "arn:aws:iam::123456789012:role/hub", "token_file": token}}));
    story.lends("A1", 3600);
    story.holds("a");
    story.read(0).await.unwrap();
    assert_eq!(
        story.far.asked()[0],
        "POST https://sts.eu-central-1.amazonaws.com/ Action=AssumeRoleWithWebIdentity&Version=2011-06-15&\
         RoleArn=arn%3Aaws%3Aiam%3A%3A123456789012%3Arole%2Fhub&RoleSessionName=trackside&WebIdentityToken=web-identity-1"
    );
    // More than fifteen minutes are left.
    story.holds("b");
    story.read(2_699).await.unwrap();
    assert_eq!(story.far.asked().len(), 1);
    // Less than fifteen, and STS fails: the keys still do. The token file is read anew.
    file("aws-token", "web-identity-2\n");
    story.far.answers(400, "<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>");
    story.holds("c");
    story.read(2_701).await.unwrap();
    let asked = story.far.asked();
    assert!(asked[0].ends_with("WebIdentityToken=web-identity-2") && asked[1].contains("session-of-A1"), "{asked:?}");
    // Less than ten: without new keys nothing is read.
    story.far.answers(400, "<ErrorResponse><Error><Code>IDPCommunicationError</Code></Error></ErrorResponse>");
    let error = story.read(3_001).await.unwrap_err();
    assert!(error.starts_with("busy: AWS could not reach the issuer"), "{error}");
    story.lends("A2", 6_600);
    story.holds("d");
    story.read(3_010).await.unwrap();
    assert!(story.far.asked().pop().unwrap().contains("x-amz-security-token=session-of-A2"));
}

#[tokio::test]
async fn keys_that_are_over_are_replaced_once() {
    let token = file("aws-over", "web-identity");
    let mut story = story(json!({"web_identity": {"role_arn": "arn:aws:iam::1:role/hub", "token_file": token}}));
    story.lends("A1", 3600);
    story.far.answers(400, r#"{"__type": "ExpiredTokenException", "message": "over"}"#);
    story.lends("A2", 3600);
    story.holds("a");
    assert_eq!(story.read(0).await.unwrap(), "a v1");
    story.far.answers(400, r#"{"__type": "ExpiredTokenException", "message": "over"}"#);
    story.lends("A3", 3600);
    story.far.answers(400, r#"{"__type": "ExpiredTokenException", "message": "over"}"#);
    assert!(story.read(1).await.unwrap_err().starts_with("permanent: AWS does not take the keys"));
}

#[tokio::test]
async fn a_wrong_clock_is_corrected_by_what_aws_says() {
    let mut story = of_keys();
    let late = r#"{"__type": "InvalidSignatureException", "message": "Signature expired: 20261121T060000Z is now earlier than"}"#;
    story.far.with(400, &[("date", "Sat, 21 Nov 2026 07:00:00 GMT")], late);
    story.holds("a");
    assert_eq!(story.read(0).await.unwrap(), "a v1");
    let asked = story.far.asked();
    assert!(
        asked[0].contains("x-amz-date=20261121T060000Z") && asked[1].contains("x-amz-date=20261121T070000Z"),
        "{asked:?}"
    );
    // The difference is remembered, and corrected once per read.
    story.holds("b");
    story.read(10).await.unwrap();
    assert!(story.far.asked()[0].contains("x-amz-date=20261121T070010Z"));
    for _ in 0..2 {
        story.far.with(403, &[("date", "Sat, 21 Nov 2026 06:00:20 GMT")], r#"{"__type": "RequestTimeTooSkewed"}"#);
    }
    assert!(story.read(20).await.is_err());
}

#[tokio::test]
async fn what_an_answer_means() {
    for (status, body, expect) in [
        (
            400,
            r#"{"__type": "ThrottlingException", "message": "Rate exceeded"}"#,
            "busy: AWS Secrets Manager has too much to do (ThrottlingException: Rate exceeded)",
        ),
        (
            400,
            r#"{"__type": "com.amazonaws.secretsmanager#TooManyRequestsException"}"#,
            "busy: AWS Secrets Manager has too much to do",
        ),
        (400, r#"{"__type": "RequestLimitExceeded"}"#, "busy:"),
        (500, r#"{"__type": "InternalServiceError"}"#, "busy: AWS Secrets Manager failed"),
        (503, "", "busy: AWS Secrets Manager answered 503"),
        (
            400,
            r#"{"__type": "ResourceNotFoundException", "Message": "can't find"}"#,
            "permanent: there is no secret `prod/app`",
        ),
        (404, r#"{"__type": "ResourceNotFoundException"}"#, "permanent: there is no secret `prod/app`"),
        (400, r#"{"__type": "AccessDeniedException"}"#, "permanent: AWS denies access to `prod/app`"),
        (400, r#"{"__type": "DecryptionFailure"}"#, "permanent: AWS cannot decrypt"),
        (
            400,
            r#"{"__type": "InvalidRequestException", "message": "You can't perform this operation on the secret because it was marked for deletion."}"#,
            "permanent: AWS does not give out `prod/app`; is it marked for deletion?",
        ),
        (403, r#"{"__type": "SignatureDoesNotMatch"}"#, "permanent: AWS does not take the keys"),
        (400, "not json", "refused: AWS Secrets Manager answered 400"),
        (200, r#"{"VersionId": "v"}"#, "unusable: the secret in AWS has no value"),
        (200, r#"{"SecretBinary": "/w=="}"#, "unusable: the secret in AWS is binary"),
        (200, "s3cret", "unusable: the answer of AWS Secrets Manager cannot be understood"),
    ] {
        let mut story = of_keys();
        story.far.answers(status, body);
        let error = story.read(0).await.unwrap_err();
        assert!(error.starts_with(expect) && !error.contains("s3cret"), "{status} {body}: {error}");
    }
}

#[tokio::test]
async fn the_role_of_an_instance_comes_from_version_2_of_its_metadata_service() {
    let mut story = story(json!("instance"));
    story.far.answers(200, "session-1");
    story.far.answers(200, "hub-role\n");
    let keys =
        json!({"Code": "Success", "AccessKeyId": "A1", "SecretAccessKey": "k", "Token": "t1", "Expiration": at(7_200)});
    story.far.answers(200, &keys.to_string());
    story.holds("a");
    assert_eq!(story.read(0).await.unwrap(), "a v1");
    let asked = story.far.asked();
    assert_eq!(
        asked[..3],
        [
            "PUT http://169.254.169.254/latest/api/token",
            "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/ x-aws-ec2-metadata-token=session-1",
            "GET http://169.254.169.254/latest/meta-data/iam/security-credentials/hub-role x-aws-ec2-metadata-token=session-1",
        ]
    );
    let mut story = self::story(json!("instance"));
    story.far.answers(200, "session-1");
    story.far.answers(404, "");
    assert!(story.read(0).await.unwrap_err().contains("has the instance a role"));
}

#[tokio::test]
async fn the_variables_of_the_platform_are_read() {
    let mut story = story(json!("environment"));
    assert!(story.read(0).await.unwrap_err().starts_with("here: no AWS credentials in the environment"));
    story.far.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://somewhere.example/creds");
    assert!(story.read(0).await.unwrap_err().contains("must be HTTPS or an address of this machine"));
    story.far.variable("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://169.254.170.23/v1/credentials");
    let token = file("aws-container", "pod-token");
    story.far.variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &token.display().to_string());
    story.far.answers(
        200,
        &json!({"AccessKeyId": "A1", "SecretAccessKey": "k", "Token": "t1", "Expiration": at(7_200)}).to_string(),
    );
    story.holds("a");
    story.read(0).await.unwrap();
    assert_eq!(story.far.asked()[0], "GET http://169.254.170.23/v1/credentials authorization=pod-token");
    let mut story = self::story(json!("environment"));
    story.far.variable("AWS_ACCESS_KEY_ID", "AKENV");
    story.far.variable("AWS_SECRET_ACCESS_KEY", "k");
    story.holds("a");
    story.read(0).await.unwrap();
    assert!(story.far.asked()[0].contains("Credential=AKENV/"));
}

#[test]
fn the_answers_of_sts() {
    let reply = |status: u16, body: &str| Reply {
        status: StatusCode::from_u16(status).unwrap(),
        headers: http::HeaderMap::new(),
        body: body.to_owned().into(),
    };
    let error = |code: &str, status| {
        let xml = format!(
            "<ErrorResponse>\n <Error><Type>Sender</Type><Code>{code}</Code><Message>a &lt;b&gt;</Message></Error></ErrorResponse>"
        );
        let failure = sts::judge(&reply(status, &xml), at(0)).unwrap_err();
        format!("{}: {failure}", failure.class.as_str())
    };
    for (code, status, expect) in [
        (
            "IDPCommunicationError",
            400,
            "busy: AWS could not reach the issuer of the token (IDPCommunicationError: a <b>)",
        ),
        ("ExpiredTokenException", 400, "refused: the web identity token is over"),
        ("IDPRejectedClaim", 403, "permanent:"),
        ("InvalidIdentityToken", 400, "permanent:"),
        ("AccessDenied", 403, "permanent:"),
        ("Throttling", 400, "busy:"),
        ("Other", 400, "refused: AWS STS refuses to give the role (Other: a <b>)"),
        ("Other", 500, "busy:"),
    ] {
        let error = error(code, status);
        assert!(error.starts_with(expect), "{code}: {error}");
    }
    let good = "<r><Credentials a=\"1\"><AccessKeyId>A</AccessKeyId><SecretAccessKey>k&amp;lt;</SecretAccessKey>\
                <SessionToken>t</SessionToken><Expiration>2026-11-21T07:00:00Z</Expiration></Credentials></r>";
    let Lent { keys, expires } = sts::judge(&reply(200, good), at(0)).unwrap();
    assert_eq!((keys.secret.expose_secret(), expires), ("k&lt;", Some(at(3_600))));
    for broken in
        ["", "<Credentials>", "</Credentials>", "<Credentials></Credentials>", "\u{0}", &good.replace("2026", "x")]
    {
        assert!(sts::judge(&reply(200, broken), at(0)).is_err(), "{broken}");
    }
}
