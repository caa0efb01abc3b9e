"""AWS on loopback: moto with the checking of signatures and policies, and before it what moto leaves out: STS takes a web
identity token only when it verifies by the keys of its issuer and the role's trust policy names its subject. Everything
else goes to moto as it came, signature and all."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self
from urllib.parse import parse_qsl

import boto3
import jwt
from lib.processes import Bench, free_port, wait_until

AUDIENCE = "sts.amazonaws.com"
ACCOUNT = "123456789012"
REGION = "us-east-1"
ROLE = "trackside-role"
START_SECONDS = 30
# Calls that moto takes without a signature: those that make the user and the role.
UNSIGNED = 5


class Moto:
    """moto, a user who may read and write secrets, and a role that may read them."""

    def __init__(self, bench: Bench) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        env = dict(os.environ) | {"INITIAL_NO_AUTH_ACTION_COUNT": str(UNSIGNED)}
        program = "from moto.server import main; main()"
        self._child = bench.start("moto", [sys.executable, "-c", program, "-p", str(self.port)], env)
        wait_until("moto listens", lambda: socket.create_connection(("127.0.0.1", self.port), timeout=1), START_SECONDS)
        iam = self.boto("iam", "x", "y")
        iam.create_user(UserName="trackside")
        key = iam.create_access_key(UserName="trackside")["AccessKey"]
        self.key, self.secret = key["AccessKeyId"], key["SecretAccessKey"]
        iam.put_user_policy(UserName="trackside", PolicyName="p", PolicyDocument=_allow("secretsmanager:*", "s3:*"))
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity", "Principal": {"AWS": "*"}}]}
        iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps(trust))
        iam.put_role_policy(RoleName=ROLE, PolicyName="p", PolicyDocument=_allow("secretsmanager:GetSecretValue", "s3:GetObject", "s3:ListAllMyBuckets"))

    def boto(self, service: str, key: str, secret: str) -> object:
        """Amazon's own client with these keys."""
        return boto3.client(service, region_name=REGION, endpoint_url=self.url, aws_access_key_id=key, aws_secret_access_key=secret)

    def stop(self) -> None:
        """Ends it."""
        self._child.kill()


def _allow(*actions: str) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]})


class AwsFront:
    """The address of AWS. `trusted` maps issuers to where their keys are, `subjects` roles to whom they trust."""

    def __init__(self, moto: int) -> None:
        """`moto` is the port of a moto server that checks signatures."""
        self.trusted: dict[str, str] = {}
        self.subjects: dict[str, str] = {}
        self.assumed: list[dict[str, str]] = []
        self._moto = moto
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Nothing."""

            def _take(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status, kind, reply = front._answer(self.command, self.path, dict(self.headers.items()), body)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_POST = do_PUT = _take

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def trust(self, issuer: str, keys: str, role: str, subject: str) -> None:
        """An identity provider of the account, and the subject that a role lets in."""
        self.trusted[issuer] = keys
        self.subjects[role] = subject

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        form = dict(parse_qsl(body.decode(errors="replace")))
        if form.get("Action") == "AssumeRoleWithWebIdentity":
            if refused := self._refused(form):
                return refused
            self.assumed.append(form)
            # The one call that nobody signs.
            self._pass("POST", "/moto-api/reset-auth", {}, b"1")
        return self._pass(method, path, headers, body)

    def _pass(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, str, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self._moto, timeout=20)
        told = {name.lower(): value for name, value in headers.items()} | {"content-length": str(len(body))}
        connection.putrequest(method, path, skip_host="host" in told, skip_accept_encoding=True)
        for name, value in told.items():
            connection.putheader(name, value)
        try:
            connection.endheaders(body)
            reply = connection.getresponse()
        except OSError:
            return _error(503, "ServiceUnavailable", "AWS is down")
        return reply.status, reply.headers.get("Content-Type") or "text/xml", reply.read()

    def _refused(self, form: dict[str, str]) -> tuple[int, str, bytes] | None:
        token, role = form["WebIdentityToken"], form["RoleArn"].rsplit("/", 1)[1]
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False})["iss"])
            with urllib.request.urlopen(self.trusted[issuer], timeout=5) as page:
                keys = jwt.PyJWKSet.from_dict(json.load(page))
            key = keys[jwt.get_unverified_header(token)["kid"]]
            told = jwt.decode(token, key, [key.algorithm_name], audience=AUDIENCE, issuer=issuer)
        except (jwt.PyJWTError, KeyError, OSError) as error:
            return _error(400, "InvalidIdentityToken", f"No OpenIDConnect provider takes it: {type(error).__name__}")
        if told["sub"] != self.subjects.get(role):
            return _error(403, "AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity")
        return None


def role_arn(name: str) -> str:
    """The ARN of a role of moto's account."""
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def _error(status: int, code: str, message: str) -> tuple[int, str, bytes]:
    text = f"<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
    return status, "text/xml", text.encode()
