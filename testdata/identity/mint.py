#!/usr/bin/env python3
"""Makes tokens.json: tokens that must be taken or refused, signed with keys that are thrown away afterwards.

python3 mint.py NODE_FOLDER   (needs PyPI pyjwt and cryptography; NODE_FOLDER has npm jose in its node_modules)

Plain tokens are signed by PyJWT and, for every algorithm, by npm jose as well; tokens that a library would not make are put
together here. All times are relative to `now` of the file."""
import base64, hashlib, hmac, json, os, re, subprocess, sys
import jwt
from cryptography.hazmat.primitives import hashes, serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

NOW = 1_800_000_000
HERE = os.path.dirname(os.path.abspath(__file__))
b64 = lambda b: base64.urlsafe_b64encode(b).rstrip(b"=").decode()
num = lambda i, n=None: b64(i.to_bytes(n or (i.bit_length() + 7) // 8, "big"))
pem = lambda k: k.private_bytes(ser.Encoding.PEM, ser.PrivateFormat.PKCS8, ser.NoEncryption())

def rsa_jwk(k, **more):
    p = k.public_key().public_numbers()
    return dict(kty="RSA", n=num(p.n), e=num(p.e), **more)

def ec_jwk(k, crv, size, **more):
    p = k.public_key().public_numbers()
    return dict(kty="EC", crv=crv, x=num(p.x, size), y=num(p.y, size), **more)

K = dict(rs1=rsa.generate_private_key(65537, 2048), rs2=rsa.generate_private_key(65537, 2048), any=rsa.generate_private_key(65537, 2048),
         evil=rsa.generate_private_key(65537, 2048), weak=rsa.generate_private_key(65537, 1024), enc=rsa.generate_private_key(65537, 2048),
         ops=rsa.generate_private_key(65537, 2048),
         es1=ec.generate_private_key(ec.SECP256R1()), es3=ec.generate_private_key(ec.SECP384R1()), es5=ec.generate_private_key(ec.SECP521R1()),
         ed1=ed25519.Ed25519PrivateKey.generate())
raw = K["ed1"].public_key().public_bytes(ser.Encoding.Raw, ser.PublicFormat.Raw)
JWKS = dict(keys=[
    rsa_jwk(K["rs1"], kid="rs1", use="sig", alg="RS256"), rsa_jwk(K["rs2"], kid="rs2", use="sig", alg="RS256"),
    rsa_jwk(K["any"], kid="any"), rsa_jwk(K["weak"], kid="weak"), rsa_jwk(K["enc"], kid="enc", use="enc"),
    rsa_jwk(K["ops"], kid="ops", key_ops=["encrypt"]),
    ec_jwk(K["es1"], "P-256", 32, kid="es1", use="sig", alg="ES256"), ec_jwk(K["es3"], "P-384", 48, kid="es3", use="sig"),
    ec_jwk(K["es5"], "P-521", 66, kid="es5"), dict(kty="OKP", crv="Ed25519", x=b64(raw), kid="ed1", use="sig", alg="EdDSA"),
    dict(kty="oct", kid="oct", k=b64(b"0" * 32)), dict(kty="EC", crv="secp256k1", kid="odd", x="AA", y="AA")])

def claims():
    return dict(iss="https://idp.test/", sub="spn-000000-airflow@svc.example.com", aud="hub", exp=NOW + 3600, nbf=NOW - 60, iat=NOW - 60,
                jti="0" * 32, azp="6f2a7d7c-1b1e-4f0e-9a55-3f5f5d6f6a11", scope="jobs.run jobs.read", roles=["jobs.run", "events.write"],
                groups=["g0", "g1"], preferred_username="airflow-prod@example.com")

def secret(key, form):
    pub = K[key].public_key()
    text = pub.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo)
    return {"pem": text, "pem-nonl": text.strip(), "der": pub.public_bytes(ser.Encoding.DER, ser.PublicFormat.SubjectPublicKeyInfo),
            "n": base64.urlsafe_b64decode(rsa_jwk(K[key])["n"] + "=="), "empty": b"", "jwk": json.dumps(JWKS["keys"][0]).encode()}[form]

def sign(t, key, alg, m):
    if "hmac_pub" in t:
        return hmac.new(secret(key, t["hmac_pub"]), m, hashlib.sha256).digest()
    k, h = K[key], {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}.get(alg[-3:], hashes.SHA256())
    if alg.startswith("PS"):
        return k.sign(m, padding.PSS(padding.MGF1(h), h.digest_size), h)
    if alg.startswith("ES"):
        size = (k.key_size + 7) // 8
        r, s = decode_dss_signature(k.sign(m, ec.ECDSA(h)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return k.sign(m) if alg == "EdDSA" else k.sign(m, padding.PKCS1v15(), h)

def token(t):
    if "lit" in t:
        return t["lit"]
    key, alg, c = t.get("key", "rs1"), t.get("alg", "RS256"), claims()
    for k, v in t.get("claims", {}).items():
        c.pop(k, None) if v is None else c.update({k: v})
    c.update({k: NOW + d for k, d in t.get("claims_rel", {}).items()})
    c.update(t.get("payload_set", {}))
    head = {"alg": alg, "typ": "at+jwt", "kid": key}
    for k, v in t.get("headers", {}).items():
        head[k] = rsa_jwk(K["evil"]) if v == "${evil_jwk}" else v
    head = {k: v for k, v in head.items() if v is not None}
    if not set(t) - {"key", "alg", "claims", "claims_rel"} and alg != "none":
        try:
            return jwt.encode(c, pem(K[key]), alg, headers={"typ": "at+jwt", "kid": key})
        except TypeError:
            pass  # PyJWT refuses to make it
    if "alg_raw" in t:
        head.pop("alg")
        if t["alg_raw"] is not None:
            head["alg"] = t["alg_raw"]
    text, body = json.dumps(head, separators=(",", ":")), t.get("payload_raw", json.dumps(c, separators=(",", ":")))
    if "header_dup" in t:
        text = text[:-1] + "," + t["header_dup"] + "}"
    for k, v in t.get("payload_text", {}).items():
        body = re.sub(r'"%s":[^,}]*' % k, '"%s":%s' % (k, v), body)
    if "payload_dup" in t:
        body = body[:-1] + "," + ",".join("%s:%s" % (json.dumps(k), json.dumps(v)) for k, v in t["payload_dup"].items()) + "}"
    h, p = b64(text.encode()), b64(body.encode())
    s = sign(t, key, alg, (h + "." + p).encode())
    if "tamper" in t:
        p = b64(json.dumps({**c, **t["tamper"]}).encode())
    how = t.get("sig")
    half = len(s) // 2
    s = {"empty": b"", "garbage": b"\x01" * 256, "flip": bytes([s[0] ^ 1]) + s[1:], "trunc": s[:-1], "zero64": b"\0" * 64,
         "der": encode_dss_signature(int.from_bytes(s[:half], "big"), int.from_bytes(s[half:], "big")) if how == "der" else b""}.get(how, s)
    S = b64(s)
    if how == "cut":
        return h + "." + p
    if t.get("pad"):
        S, h, p = [x + "=" * (-len(x) % 4 or 4) for x in (S, h, p)]
    if t.get("stdb64"):
        S = base64.b64encode(s).decode().rstrip("=")
    if t.get("space"):
        S = S[:20] + " " + S[20:]
    return h + "." + p + "." + S + t.get("suffix", "")

def jose(folder):
    """A token for every algorithm, by npm jose."""
    jobs = [dict(alg=a, key=k, pem=pem(K[k]).decode()) for a, k in ALGS]
    script = """import {SignJWT, importPKCS8} from 'jose'; const {jobs, claims} = JSON.parse(process.argv[2]); const out = [];
    for (const j of jobs) out.push(await new SignJWT(claims).setProtectedHeader({alg: j.alg, kid: j.key, typ: 'at+jwt'}).sign(await importPKCS8(j.pem, j.alg)));
    console.log(JSON.stringify(out));"""
    open(os.path.join(folder, "sign.mjs"), "w").write(script)
    text = subprocess.run(["node", "sign.mjs", json.dumps(dict(jobs=jobs, claims=claims()))], cwd=folder, check=True, capture_output=True, text=True).stdout
    return json.loads(text)

ALGS = [("RS256", "rs1"), ("RS256", "rs2"), ("RS256", "any"), ("RS384", "any"), ("RS512", "any"), ("PS256", "any"), ("PS384", "any"),
        ("PS512", "any"), ("ES256", "es1"), ("ES384", "es3"), ("ES512", "es5"), ("EdDSA", "ed1")]

if __name__ == "__main__":
    out = [dict(id=f"pyjwt-{a}-{k}", why=f"{a} by PyJWT", token=token(dict(key=k, alg=a)), expect="allow") for a, k in ALGS]
    out += [dict(id=f"jose-{a}-{k}", why=f"{a} by jose", token=t, expect="allow") for (a, k), t in zip(ALGS, jose(sys.argv[1]))]
    for case in json.load(open(os.path.join(HERE, "cases.json"))):
        made = token(case["token"])
        out.append(dict(id=case["id"], why=case["why"], expect=case["expect"], token=made,
                        **({"roles": case["roles"]} if "roles" in case else {})))
    json.dump(dict(now=NOW, jwks=JWKS, tokens=out), open(os.path.join(HERE, "tokens.json"), "w"), indent=0)
    print(len(out), "tokens")
