"""People from a directory: the SCIM door is judged by PyPI `scim2-tester`, then driven as Entra and Okta drive it; who is
switched off there loses access here, at once."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

import httpx2
from lib.checks import Checks
from lib.http import Answer, call
from lib.trackside import Trackside
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server

TOKEN = "a-long-random-text-for-scim"
PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
# What is different on purpose: who was switched off stays switched off until somebody says otherwise, so `active` always
# has a value; and a member comes back with the name that the server knows, which is read-only.
DIFFERENT = (
    "check_remove_attribute (User): PATCH modify() did not remove attribute 'active'",
    "check_add_attribute (Group): PATCH modify() returned unexpected value for 'members'",
    "check_replace_attribute (Group): PATCH modify() returned unexpected value for 'members'",
)


def run(checks: Checks, trackside: Trackside, ca: Path, whoami: Callable[[str], Answer]) -> None:
    """`whoami` asks the server with a token of somebody of that subject."""
    tls = ssl.create_default_context(cafile=ca)

    def scim(method: str, path: str, body: object = None) -> Answer:
        headers = {"Content-Type": "application/scim+json"} if body is not None else {}
        return call(method, f"{trackside.url}/scim/v2{path}", body=body, token=TOKEN, tls=tls, headers=headers)

    _judged(checks, trackside, tls)
    refused = call("GET", f"{trackside.url}/scim/v2/Users", token=trackside.admin_token, tls=tls)
    checks.equal("a token without the scope does not open the door, not even an administrator's", refused.status, 403)
    _entra(checks, scim, whoami)
    _okta(checks, scim, whoami)


def _judged(checks: Checks, trackside: Trackside, tls: ssl.SSLContext) -> None:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with httpx2.Client(base_url=f"{trackside.url}/scim/v2", headers=headers, verify=tls) as client:
        results = check_server(SyncSCIMClient(client))
    failed = [f"{result.title} ({result.resource_type}): {result.reason}" for result in results if result.status in (Status.ERROR, Status.CRITICAL)]
    bad = [text for text in failed if not text.startswith(DIFFERENT)]
    good = sum(result.status == Status.SUCCESS for result in results)
    checks.check(f"scim2-tester finds nothing wrong in {good} checks", not bad and good > 75, "\n       ".join(bad) or good)


def _entra(checks: Checks, scim: Callable[..., Answer], whoami: Callable[[str], Answer]) -> None:
    probe = scim("GET", "/Users?filter=userName+eq+%227f2b6c1e-0000-4a4a-9b9b-5d5d5d5d5d5d%22")
    checks.equal("Entra's test of the connection", (probe.status, probe.json()["totalResults"]), (200, 0))
    before = whoami("ana@example.net").status
    made = scim("POST", "/Users", {
        "schemas": [USER, ENTERPRISE], "externalId": "0a21f0f2", "userName": "Ana@example.net", "active": True,
        "emails": [{"primary": True, "type": "work", "value": "ana@example.net"}], "meta": {"resourceType": "User"},
        "name": {"formatted": "Ana Martin", "familyName": "Martin", "givenName": "Ana"}, ENTERPRISE: {"department": "Data"},
    })  # fmt: skip
    ana = str(made.json()["id"])
    checks.equal("Entra makes a user", (made.status, before, whoami("ana@example.net").status), (201, 200, 200))
    twice = scim("POST", "/Users", {"schemas": [USER], "userName": "ana@EXAMPLE.net"})
    checks.equal("a second of the name is refused", (twice.status, twice.json()["scimType"]), (409, "uniqueness"))
    group = scim("POST", "/Groups", {"schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
                                     "externalId": "8aa1a0c0", "displayName": "ML People", "meta": {"resourceType": "Group"}})  # fmt: skip
    joined = scim("PATCH", f"/Groups/{group.json()['id']}", _patch({"op": "Add", "path": "members", "value": [{"value": ana}]}))
    checks.equal("Entra puts her into a group", joined.status in (200, 204), True)
    checks.check("which is a team here", "ml" in whoami("ana@example.net").json()["teams"], whoami("ana@example.net").body)
    # Entra says false as a word.
    off = scim("PATCH", f"/Users/{ana}", _patch({"op": "Replace", "path": "active", "value": "False"}))
    checks.equal("Entra switches her off, and she is out at once", (off.status in (200, 204), whoami("ana@example.net").status), (True, 401))
    scim("PATCH", f"/Users/{ana}", _patch({"op": "Replace", "path": "active", "value": "True"}))
    checks.equal("switched on again she is in", whoami("ana@example.net").status, 200)
    left = scim("PATCH", f"/Groups/{group.json()['id']}", _patch({"op": "Remove", "path": "members", "value": [{"value": ana}]}))
    checks.equal("out of the group she is out of the team", (left.status in (200, 204), whoami("ana@example.net").json()["teams"]), (True, []))
    checks.equal("deleted she is out", (scim("DELETE", f"/Users/{ana}").status, whoami("ana@example.net").status), (204, 401))


def _okta(checks: Checks, scim: Callable[..., Answer], whoami: Callable[[str], Answer]) -> None:
    found = scim("GET", '/Users?filter=userName%20eq%20%22ben%40example.net%22&startIndex=1&count=100')
    checks.equal("Okta looks for a user", (found.status, found.json()["totalResults"]), (200, 0))
    body = {
        "schemas": [USER], "userName": "ben@example.net", "name": {"givenName": "Ben", "familyName": "Weber"}, "displayName": "Ben Weber",
        "emails": [{"primary": True, "value": "ben@example.net", "type": "work"}], "locale": "en-US", "externalId": "00u1",
        "groups": [], "password": "1mz050nq", "active": True,
    }  # fmt: skip
    made = scim("POST", "/Users", body)
    ben = str(made.json()["id"])
    checks.check("Okta makes a user, and no password is kept", made.status == 201 and "1mz050nq" not in made.body.decode() + scim("GET", f"/Users/{ben}").body.decode())
    kept = scim("PUT", f"/Users/{ben}", made.json() | {"name": {"givenName": "Benedikt", "familyName": "Weber"}})
    checks.equal("Okta writes him anew", (kept.status, kept.json()["name"]["givenName"]), (200, "Benedikt"))
    off = scim("PATCH", f"/Users/{ben}", _patch({"op": "replace", "value": {"active": False}}))
    checks.equal("Okta deactivates him, and he is out at once", (off.status in (200, 204), whoami("ben@example.net").status), (True, 401))


def _patch(operation: dict[str, object]) -> dict[str, object]:
    return {"schemas": [PATCH], "Operations": [operation]}
