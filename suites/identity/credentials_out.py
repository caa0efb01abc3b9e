"""Credentials out: the running server fetches tokens from a certified provider and from Azure (as Microsoft's SDKs take
it), signs its own, and presents each to a far end that verifies it with PyJWT and npm jose; requests to AWS it signs, and
moto verifies the signature. On whose behalf a call is made is shown through the gateway."""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import azure_double
import jwt
import trustme
from aws_double import REGION, ROLE, AwsFront, Moto, role_arn
from azure_double import CLIENT, CLIENT_SECRET, TENANT, AzureDouble
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from lib.checks import Checks
from lib.farends import FarEnds
from lib.http import call
from lib.processes import Bench, free_port, wait_until
from lib.trackside import Settings, Trackside

AUDIENCE = "urn:far-end"
START_SECONDS = 20


class FarEnd:
    """Keeps the credentials that come in, and takes each. With a certificate it speaks TLS, and is a token endpoint too."""

    def __init__(self, certificate: Path | None = None) -> None:
        self.seen: dict[str, list[str]] = {}
        seen = self.seen

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                seen.setdefault(self.path, []).append(self.headers.get("Authorization", ""))
                if self.path == "/sign-in":
                    self.send_response(302)
                    self.send_header("Location", "https://login.microsoftonline.com/common/oauth2/v2.0/authorize")
                else:
                    self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                token = json.dumps({"access_token": "private-token", "expires_in": 300, "token_type": "Bearer"}).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(token)))
                self.end_headers()
                self.wfile.write(token)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def token(self, path: str) -> str:
        """The last bearer token at a path."""
        return self.seen[path][-1].removeprefix("Bearer ")

    def stop(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()


def run(checks: Checks, modules: Path) -> None:
    """`modules` holds `oidc-provider` and `jose`."""
    far_end = FarEnd()
    with FarEnds() as ends, Bench("credentials-out") as bench:
        authority, issued, principal = _certificates(bench.folder)
        private = FarEnd(_private(bench.folder))
        moto = Moto(bench)
        with AzureDouble(issued, issued, principal / "principal.pem") as azure, AwsFront(moto.port) as aws:
            provider, port = f"http://127.0.0.1:{free_port()}", ""
            port = provider.rsplit(":", 1)[1]
            key = ec.generate_private_key(ec.SECP256R1())
            (bench.folder / "client.pem").write_bytes(_pem(key))
            trackside = Trackside(bench, Settings(
                far_end=ends.url, owners="  default: platform", connections=_connections(far_end.url, provider, azure, aws, bench.folder) + _private_connections(private.url, bench.folder),
                sections=_sections(gateway := f"127.0.0.1:{free_port()}"),
                env={"POST": "post-secret", "BASIC": "a b/+ secret", "AZURE": CLIENT_SECRET, "WRONG": "wrong",
                     "SSL_CERT_FILE": str(authority), "IDENTITY_ENDPOINT": f"{azure.machine}/msi/token", "IDENTITY_HEADER": azure_double.IDENTITY_HEADER},
            ))  # fmt: skip
            azure.trust(trackside.url, "trackside-prod")
            aws.trust(trackside.url, f"{trackside.url}/.well-known/jwks.json", ROLE, "trackside-prod")
            trackside.start()
            jwk = json.dumps({**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "client-1", "use": "sig", "alg": "ES256"})
            child = bench.start("provider", _node(modules, port, trackside.url, jwk), dict(os.environ))
            wait_until("provider ready", lambda: "ready" in child.log.read_text(), START_SECONDS)
            _of_the_provider(checks, trackside, far_end, provider)
            _of_azure(checks, trackside, far_end, azure)
            _of_aws(checks, trackside, aws, moto, f"http://{gateway}")
            _of_a_private_authority(checks, trackside, private, f"http://{gateway}")
            _of_trackside(checks, trackside, far_end, modules)
            _on_behalf(checks, trackside, far_end, f"http://{gateway}")
            _refusals(checks, trackside)
            _accepted_by_microsoft(checks, azure, authority, principal)
            checks.equal("trackside ends cleanly", trackside.stop(), 0)
            secrets = ("post-secret", "a b/+ secret", CLIENT_SECRET, far_end.token("/post"), "eyJ", "x-amz-security-token")
            checks.equal("no secret is in the log", [secret for secret in secrets if secret in trackside.log()], [])
        if checks.failed:
            bench.show_logs()
    private.stop()
    far_end.stop()


def _of_the_provider(checks: Checks, trackside: Trackside, far_end: FarEnd, provider: str) -> None:
    keys = jwt.PyJWKClient(f"{provider}/jwks")
    for name in ("post", "basic", "key"):
        came = _check(trackside, name)
        if not checks.check(f"client credentials by {name}: the far end is reached", came["good"], came):
            continue
        token = far_end.token(f"/{name}")
        told = jwt.decode(token, keys.get_signing_key_from_jwt(token), ["RS256"], audience=AUDIENCE, issuer=provider)
        checks.equal(f"client credentials by {name}: whose token", told["client_id"], f"by-{name}")
        checks.equal(f"client credentials by {name}: all scopes", set(told["scope"].split()), {"jobs.run", "jobs.read"})
    came = _check(trackside, "exchange")
    if checks.check("token exchange: the far end is reached", came["good"], came):
        token = far_end.token("/exchange")
        told = jwt.decode(token, keys.get_signing_key_from_jwt(token), ["RS256"], audience=AUDIENCE, issuer=provider)
        checks.equal("token exchange: for whom", (told["original"], told["aud"]), ("trackside", AUDIENCE))
    again = _check(trackside, "post")
    checks.check("the token is kept", again["good"] and len(set(far_end.seen["/post"])) == 1)
    for _ in range(2):
        answer = _act(trackside, "key", "credential")
        checks.check("fetching anew: a fresh assertion is taken each time", answer.ok, answer.body[:300])
    came = _check(trackside, "unknown-scope")
    checks.check("a scope that was left out is noticed", not came["good"] and "jobs.write" in came["detail"], came)


def _of_azure(checks: Checks, trackside: Trackside, far_end: FarEnd, azure: AzureDouble) -> None:
    for name, proof in (("secret", "secret"), ("ps256", "PS256"), ("rs256", "RS256"), ("federated", "federated")):
        came = _check(trackside, f"azure-{name}")
        ok = checks.check(f"Entra with {name}", came["good"], came)
        checks.check(f"Entra with {name}: how it was proven", ok and azure.proofs[-1] == proof, azure.proofs)
    azure.metadata_failures[:] = [429]
    came = _check(trackside, "azure-metadata")
    checks.check("metadata service: one failure is waited out", came["good"] and not azure.metadata_failures, came)
    came = _check(trackside, "azure-app-service")
    told = jwt.decode(far_end.token("/azure-app-service"), options={"verify_signature": False}) if came["good"] else {}
    checks.equal("App Service: for whom", told.get("aud"), "api://far-end")


def _of_aws(checks: Checks, trackside: Trackside, aws: AwsFront, moto: Moto, gateway: str) -> None:
    """A role for a token that Trackside signs; moto says whose keys signed, and refuses what is signed otherwise."""
    storage = moto.boto("s3", moto.key, moto.secret)
    storage.create_bucket(Bucket="results")
    storage.put_object(Bucket="results", Key="a~b.json", Body=b'{"rows": 3}')
    came = _check(trackside, "aws-storage")
    checks.check("AWS takes the signature of the role's keys", came["good"], came)
    came = _check(trackside, "aws-stranger")
    checks.check("a subject that the role does not trust is told so", "trust policy" in came["detail"], came)
    answer = call("GET", f"{gateway}/aws-storage/results/a~b.json", token=trackside.admin_token)
    checks.equal("a request without body is signed at the gateway", (answer.status, answer.body), (200, b'{"rows": 3}'))
    asked, form = b"Action=GetCallerIdentity&Version=2011-06-15", {"Content-Type": "application/x-www-form-urlencoded"}
    said = call("POST", f"{gateway}/aws/", raw=asked, headers=form, token=trackside.admin_token)
    checks.check("and one with a body", f"assumed-role/{ROLE}/nightly" in said.body.decode(), (said.status, said.body))
    large = call("POST", f"{gateway}/aws/", raw=b"x" * (1024 * 1024 + 1), headers=form, token=trackside.admin_token)
    checks.equal("one that is too large to be signed is refused", large.status, 413)
    run = call("POST", f"{trackside.url}/jobs/stored/runs?wait=20", body={"key": "a~b.json"}, token=trackside.admin_token, timeout=30)
    checks.check("a job's request is signed", '"output":{"rows":3}' in run.body.decode(), (run.status, run.body))
    names = [one["RoleSessionName"] for one in aws.assumed]
    checks.equal("each connection took the role once, under its name", sorted(names), ["nightly", "trackside"])


def _of_a_private_authority(checks: Checks, trackside: Trackside, private: FarEnd, gateway: str) -> None:
    """`ca` holds wherever the connection is used: at the token endpoint, for the button Test, in jobs, at the gateway."""
    came = _check(trackside, "private")
    checks.check("certificates of a private authority are trusted where `ca` names it", came["good"], came)
    checks.equal("also where the token is fetched", private.token("/private"), "private-token")
    run = call("POST", f"{trackside.url}/jobs/private/runs?wait=20", body={}, token=trackside.admin_token, timeout=30)
    checks.check("also by a job", '"state":"succeeded"' in run.body.decode(), run.body)
    checks.equal("also by the gateway", call("GET", f"{gateway}/private", token=trackside.admin_token).status, 200)
    came = _check(trackside, "private-unknown")
    checks.check("and nowhere else", not came["good"] and "certificate" in came["detail"].lower(), came)


def _on_behalf(checks: Checks, trackside: Trackside, far_end: FarEnd, gateway: str) -> None:
    """The token that goes out says for whom, and through whom."""
    for name, expect in (
        ("workload-behalf", ("builder", "trackside", None)),
        ("exchange", ("builder", "trackside", None)),
        ("exchange-actor", ("builder", "trackside", "trackside")),
    ):
        answer = call("GET", f"{gateway}/{name}", token=trackside.admin_token)
        if not checks.equal(f"{name}: the far end is reached", answer.status, 200):
            continue
        told = jwt.decode(far_end.token(f"/{name}"), options={"verify_signature": False})
        act = told.get("act") or {}
        got = (told.get("original", told["sub"]), act.get("sub"), (act.get("act") or {}).get("sub"))
        checks.equal(f"{name}: for whom and through whom", got, expect)
    first = far_end.token("/exchange")
    call("GET", f"{gateway}/exchange", token=trackside.viewer_token)
    checks.check("each caller has a token of their own", far_end.token("/exchange") != first)


def _of_trackside(checks: Checks, trackside: Trackside, far_end: FarEnd, modules: Path) -> None:
    came = _check(trackside, "workload")
    if not checks.check("a token of ours: the far end is reached", came["good"], came):
        return
    page = call("GET", f"{trackside.url}/.well-known/openid-configuration").json()
    checks.equal("discovery names us", page["issuer"], trackside.url)
    token = far_end.token("/workload")
    key = jwt.PyJWKClient(page["jwks_uri"]).get_signing_key_from_jwt(token)
    told = jwt.decode(token, key, page["id_token_signing_alg_values_supported"], audience=AUDIENCE, issuer=trackside.url,
                      options={"require": ["exp", "iat", "nbf", "jti", "sub", "aud", "iss"]})  # fmt: skip
    checks.equal("PyJWT takes our token", (told["sub"], told["client_id"], told["role"]), ("nightly", "trackside", "admin"))
    checks.check("it lives as long as was said", told["exp"] - told["iat"] == 120, told)
    asked = {"what": "verify", "token": token, "jwks": page["jwks_uri"], "issuer": trackside.url, "audience": AUDIENCE}
    verified = _jose(modules, asked)
    checks.equal("jose takes it, with the keys from our page", verified.get("value"), told)
    checks.equal("and takes it for nobody else", _jose(modules, asked | {"audience": "urn:other"}).get("error"), "ERR_JWT_CLAIM_VALIDATION_FAILED")


def _jose(modules: Path, asked: dict[str, object]) -> dict[str, object]:
    """One question to npm jose."""
    program = modules.parent / "mint.mjs"
    program.write_text((Path(__file__).parent / "mint.mjs").read_text())
    argv = ["node", str(program), str(free_port())]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        answer = json.loads(process.stdout.readline())
        process.kill()
    return answer


def _refusals(checks: Checks, trackside: Trackside) -> None:
    came = _check(trackside, "azure-wrong")
    checks.check("a wrong secret is said in words", "secret's value" in came["detail"], came)
    came = _check(trackside, "sign-in")
    checks.check("a redirect to a sign-in is a refusal", not came["good"] and came["status"] == 302 and "sign-in" in came["detail"], came)
    listed = {item["name"]: item for item in trackside.get("/api/v1/connections")}
    wrong = listed["azure-wrong"]["credentials"][0]
    checks.equal("the list says that there is no token", wrong["state"], "missing")
    checks.equal("the list says that there is one", listed["post"]["credentials"][0]["state"], "good")
    checks.check("with its end", "expires" in listed["post"]["credentials"][0])
    answer = call("POST", f"{trackside.url}/api/v1/connections/post/credential", token=trackside.viewer_token)
    checks.equal("a viewer fetches nothing anew", answer.status, 403)


def _accepted_by_microsoft(checks: Checks, azure: AzureDouble, authority: Path, principal: Path) -> None:
    """Microsoft's own clients take the double: what it says of Azure is what they expect."""
    import socket

    from azure.identity import CertificateCredential, ClientSecretCredential, ManagedIdentityCredential
    from azure.keyvault.secrets import SecretClient

    os.environ |= {"REQUESTS_CA_BUNDLE": str(authority), "AZURE_POD_IDENTITY_AUTHORITY_HOST": azure.machine}
    told: list[str] = []
    where = {"authority": azure.cloud, "disable_instance_discovery": True}
    by_secret = ClientSecretCredential(TENANT, CLIENT, CLIENT_SECRET, **where)
    for name, credential in (
        ("metadata service", ManagedIdentityCredential()),
        ("secret", by_secret),
        ("certificate", CertificateCredential(TENANT, CLIENT, str(principal / "both.pem"), **where)),
    ):
        token = credential.get_token("https://vault.azure.net/.default").token
        checks.check(f"azure-identity takes the double: {name}", token.count(".") == 2, told)
    real = socket.getaddrinfo
    socket.getaddrinfo = lambda host, *rest, **more: real("127.0.0.1" if str(host).endswith(".localhost") else host, *rest, **more)
    try:
        value = SecretClient(azure.vault, by_secret).get_secret("slack-webhook").value
    finally:
        socket.getaddrinfo = real
    checks.equal("azure-keyvault-secrets takes the double", value, azure_double.VAULT_SECRETS["slack-webhook"])


def _check(trackside: Trackside, connection: str) -> dict[str, object]:
    return _act(trackside, connection, "check").json()


def _act(trackside: Trackside, connection: str, act: str) -> object:
    return call("POST", f"{trackside.url}/api/v1/connections/{connection}/{act}", token=trackside.admin_token, timeout=30)


def _sections(gateway: str) -> str:
    routes = "".join(
        f"  {name}: {{match: {{path: /{name}}}, upstream: {name}, access: authenticated}}\n" for name in ("workload-behalf", "exchange", "exchange-actor")
    )
    return f"""gateway: {{listen: "{gateway}"}}
routes:
{routes}  aws: {{match: {{path: "/aws/**"}}, upstream: aws, access: authenticated, strip_prefix: /aws}}
  private: {{match: {{path: /private}}, upstream: private, access: authenticated}}
  storage: {{match: {{path: "/aws-storage/**"}}, upstream: aws-storage, access: authenticated, strip_prefix: /aws-storage}}
jobs:
  private: {{owner: platform, target: {{kind: http, connection: private, method: GET, path: /private}}, input: {{type: object}}}}
  stored:
    owner: platform
    target: {{kind: http, connection: aws-storage, method: GET, path: "/results/{{key}}"}}
    input: {{type: object, required: [key], properties: {{key: {{type: string}}}}}}
"""


def _connections(far_end: str, provider: str, azure: AzureDouble, aws: AwsFront, folder: Path) -> str:
    def http(name: str, credential: dict[str, object], check: str = "") -> str:
        return f"  {name}: {json.dumps({'kind': 'http', 'url': far_end, 'check': check or f'/{name}', 'credential': credential})}\n"

    def client(name: str, proof: dict[str, object], **more: object) -> dict[str, object]:
        base = {"kind": "client_credentials", "endpoint": {"issuer": provider}, "client_id": name, "proof": proof}
        return base | {"resource": AUDIENCE, "scopes": ["jobs.run", "jobs.read"]} | more

    def entra(proof: dict[str, object]) -> dict[str, object]:
        base = {"kind": "azure_service_principal", "tenant": TENANT, "client_id": CLIENT, "scope": "api://far-end/.default"}
        return base | {"authority": azure.cloud, "proof": proof}

    def certificate(algorithm: str) -> dict[str, object]:
        return {"certificate": {"certificate": {"file": f"{folder}/principal.pem"}, "key": {"file": f"{folder}/principal.key"}, "algorithm": algorithm}}

    def amazon(name: str, subject: str, service: str, **more: object) -> str:
        credential = {"kind": "aws_web_identity", "role_arn": role_arn(ROLE), "token": {"workload": {"subject": subject}}, "region": REGION,
                      "service": service, "sts_endpoint": aws.url, **more}  # fmt: skip
        return f"  {name}: {json.dumps({'kind': 'http', 'url': aws.url, 'check': '/', 'credential': credential})}\n"

    managed = {"kind": "azure_managed_identity", "resource": "api://far-end"}
    return "".join((
        http("post", client("by-post", {"secret_post": {"env": "POST"}})),
        http("basic", client("by-basic", {"secret_basic": {"env": "BASIC"}})),
        http("key", client("by-key", {"private_key": {"key": {"file": f"{folder}/client.pem"}, "kid": "client-1"}})),
        http("unknown-scope", client("by-post", {"secret_post": {"env": "POST"}}, scopes=["jobs.run", "jobs.write"])),
        http("exchange", client("by-post", {"secret_post": {"env": "POST"}}, kind="token_exchange", scopes=["jobs.run"])),
        http("exchange-actor", client("by-key", {"private_key": {"key": {"file": f"{folder}/client.pem"}, "kid": "client-1"}},
                                      kind="token_exchange", scopes=["jobs.run"], actor="minted")),
        http("workload-behalf", {"kind": "workload", "audience": AUDIENCE, "behalf": "caller"}),
        amazon("aws", "trackside-prod", "sts", session_name="nightly"),
        amazon("aws-storage", "trackside-prod", "s3"),
        amazon("aws-stranger", "somebody-else", "s3"),
        http("azure-secret", entra({"secret": {"env": "AZURE"}})),
        http("azure-wrong", entra({"secret": {"env": "WRONG"}})),
        http("azure-ps256", entra(certificate("PS256"))),
        http("azure-rs256", entra(certificate("RS256"))),
        http("azure-federated", entra({"workload": {"subject": "trackside-prod"}})),
        http("azure-metadata", managed | {"endpoint": f"{azure.machine}/metadata/identity/oauth2/token"}),
        http("azure-app-service", managed),
        http("workload", {"kind": "workload", "audience": AUDIENCE, "subject": "nightly", "lifetime_seconds": 120, "claims": {"role": "admin"}}),
        http("sign-in", {"kind": "workload", "audience": AUDIENCE}),
    ))  # fmt: skip


def _private_connections(url: str, folder: Path) -> str:
    token = {"kind": "client_credentials", "endpoint": {"url": f"{url}/token"}, "client_id": "c", "proof": {"secret_post": {"env": "POST"}}}
    known = {"kind": "http", "url": url, "check": "/private", "ca": f"{folder}/private-ca.pem", "credential": token}
    unknown = {"kind": "http", "url": url, "check": "/private"}
    return f"  private: {json.dumps(known)}\n  private-unknown: {json.dumps(unknown)}\n"


def _private(folder: Path) -> Path:
    """The certificate of a far end whose authority only `ca` names."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "private-ca.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(folder / "private.pem")
    return folder / "private.pem"


def _certificates(folder: Path) -> tuple[Path, Path, Path]:
    """The authority, the server's certificate with its key, and the folder with the principal's."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    issued = authority.issue_cert("127.0.0.1", "localhost", "myvault.vault.localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(folder / "azure.pem")
    principal = trustme.CA(key_type=trustme.KeyType.RSA).issue_cert("trackside@example.net", key_type=trustme.KeyType.RSA)
    principal.cert_chain_pems[0].write_to_path(folder / "principal.pem")
    key = serialization.load_pem_private_key(principal.private_key_pem.bytes(), None)
    (folder / "principal.key").write_bytes(_pem(key))
    (folder / "both.pem").write_bytes(_pem(key) + (folder / "principal.pem").read_bytes())
    return folder / "ca.pem", folder / "azure.pem", folder


def _pem(key: object) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _node(modules: Path, *arguments: str) -> list[str]:
    """ES modules are found beside the program, so it runs from beside them."""
    program = modules.parent / "provider_out.mjs"
    program.write_text((Path(__file__).parent / "provider_out.mjs").read_text())
    return ["node", str(program), *arguments]
