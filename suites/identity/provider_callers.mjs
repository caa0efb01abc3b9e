// The certified OpenID Provider of npm (oidc-provider) as an issuer of those who call Trackside: access tokens as RFC 9068
// says for a program that names the resource, opaque ones for a program that does not, introspection of the latter.
//
//   node provider_callers.mjs PORT
import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [port] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const algorithms = ['RS256', 'ES256', 'EdDSA'];
const keys = await Promise.all(algorithms.map(async (alg) => {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), alg, use: 'sig', kid: `op-${alg}` };
}));
const machine = (client_id, client_secret) => ({
  client_id, client_secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
  token_endpoint_auth_method: 'client_secret_basic',
});

const provider = new Provider(issuer, {
  jwks: { keys },
  scopes: ['openid', 'jobs.run'],
  enabledJWA: { idTokenSigningAlgValues: algorithms },
  clients: [machine('runner', 'runner secret'), machine('stranger', 'stranger secret'), machine('trackside-rs', 'rs/+ secret')],
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: false },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: (ctx, client, oneOf) => oneOf, useGrantedResource: () => true,
      // The last part of a resource's name says how its tokens are signed.
      getResourceServerInfo: (ctx, resource) => {
        const [, audience, alg] = /^(.*?)(?::(RS256|ES256|EdDSA))?$/.exec(resource);
        return { scope: 'jobs.run', audience, accessTokenTTL: 300, accessTokenFormat: 'jwt', jwt: { sign: { alg: alg ?? 'RS256' } } };
      },
    },
  },
  ttl: { ClientCredentials: 300, AccessToken: 300 },
});
provider.use(async (ctx, next) => {
  await next();
  console.log('asked', ctx.path, ctx.status);
});
provider.listen(Number(port), '127.0.0.1', () => console.log('ready', issuer));
