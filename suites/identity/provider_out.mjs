// The certified OpenID Provider of npm (oidc-provider) as the far side of our token brokers: client credentials in each
// way of proving a client, and token exchange as a registered grant that takes tokens of Trackside.
//
//   node provider_out.mjs PORT TRACKSIDE_URL CLIENT_JWK
import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [port, trackside, clientKey] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
const key = { ...(await jose.exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'op-1' };

const machine = (client_id, method, more) => ({
  client_id, grant_types: ['client_credentials', TOKEN_EXCHANGE], redirect_uris: [], response_types: [],
  token_endpoint_auth_method: method, ...more,
});

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  scopes: ['openid', 'jobs.run', 'jobs.read'],
  clients: [
    machine('by-post', 'client_secret_post', { client_secret: 'post-secret' }),
    machine('by-basic', 'client_secret_basic', { client_secret: 'a b/+ secret' }),
    machine('by-key', 'private_key_jwt', { jwks: { keys: [JSON.parse(clientKey)] }, token_endpoint_auth_signing_alg: 'ES256' }),
  ],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true,
      defaultResource: (ctx, client, oneOf) => oneOf,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'jobs.run jobs.read', audience: resource, accessTokenTTL: 300, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  clientAuthMethods: ['client_secret_basic', 'client_secret_post', 'private_key_jwt', 'none'],
  enabledJWA: { clientAuthSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA'] },
  extraTokenClaims: (ctx, token) => ({ act: token.extra?.act, original: token.extra?.original }),
  ttl: { ClientCredentials: 300, AccessToken: 300 },
});

provider.registerGrantType(TOKEN_EXCHANGE, async (ctx) => {
  const { subject_token, actor_token, resource } = ctx.oidc.params;
  const keys = jose.createRemoteJWKSet(new URL(`${trackside}/.well-known/jwks.json`));
  const verified = async (token) => (await jose.jwtVerify(token, keys, { issuer: trackside, audience: issuer })).payload;
  let subject;
  let actor;
  try {
    subject = await verified(subject_token);
    actor = actor_token && (await verified(actor_token));
  } catch (error) {
    ctx.status = 400;
    ctx.body = { error: 'invalid_grant', error_description: String(error.code) };
    return;
  }
  const { ClientCredentials, ResourceServer } = ctx.oidc.provider;
  const token = new ClientCredentials({ client: ctx.oidc.client, scope: 'jobs.run' });
  token.resourceServer = new ResourceServer(resource, {
    scope: 'jobs.run', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
  });
  // Who acts now stands before who acted already (RFC 8693, section 4.1).
  token.extra = { act: actor ? { sub: actor.sub, act: subject.act } : subject.act, original: subject.sub };
  ctx.body = {
    access_token: await token.save(), issued_token_type: ACCESS_TOKEN, token_type: 'Bearer', expires_in: token.expiration, scope: token.scope,
  };
}, ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'resource', 'audience', 'scope', 'requested_token_type'], ['resource']);

provider.listen(Number(port), '127.0.0.1', () => console.log('ready', issuer));
