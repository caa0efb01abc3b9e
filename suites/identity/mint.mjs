// An issuer of its own, made with npm jose: a key of each algorithm, tokens signed with them, and tokens of Trackside
// verified. Serves its JWK set; each line on standard input is a request, each on standard output its answer, in JSON.
//
//   node mint.mjs PORT
import http from 'node:http';
import readline from 'node:readline';
import * as jose from 'jose';

const [port] = process.argv.slice(2);
const keys = {};

async function make(alg, kid) {
  const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  keys[kid] = { alg, privateKey, jwk: { ...(await jose.exportJWK(publicKey)), alg, kid, use: 'sig' } };
}

const does = {
  make: async ({ alg, kid }) => { await make(alg, kid); return kid; },
  sign: async ({ kid, header, claims }) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg: keys[kid].alg, kid, typ: 'at+jwt', ...header }).sign(keys[kid].privateKey),
  // Signed with what everybody can read: the public key as a shared secret.
  confuse: async ({ kid, claims }) =>
    new jose.SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid, typ: 'at+jwt' })
      .sign(new TextEncoder().encode(await jose.exportSPKI(await jose.importJWK(keys[kid].jwk)))),
  unsigned: async ({ claims }) => `${jose.base64url.encode('{"alg":"none","typ":"at+jwt"}')}.${jose.base64url.encode(JSON.stringify(claims))}.`,
  verify: async ({ token, jwks, issuer, audience }) =>
    (await jose.jwtVerify(token, jose.createRemoteJWKSet(new URL(jwks)), { issuer, audience, typ: 'at+jwt' })).payload,
};

http.createServer((request, response) => {
  response.setHeader('content-type', 'application/jwk-set+json');
  response.end(JSON.stringify({ keys: Object.values(keys).map((key) => key.jwk) }));
}).listen(Number(port), '127.0.0.1', () => console.log(JSON.stringify('ready')));

for await (const line of readline.createInterface({ input: process.stdin })) {
  const { what, ...rest } = JSON.parse(line);
  const answer = await does[what](rest).then((value) => ({ value }), (error) => ({ error: String(error.code ?? error) }));
  console.log(JSON.stringify(answer));
}
