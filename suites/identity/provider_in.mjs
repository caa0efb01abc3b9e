// The certified OpenID Provider of npm (oidc-provider) as the place where people sign in: authorization code with PKCE,
// device flow with rotating refresh tokens, logout from either side.
//
//   node provider_in.mjs PORT TRACKSIDE_URL
import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const [port, trackside] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = await jose.generateKeyPair('RS256', { extractable: true });
const key = { ...(await jose.exportJWK(privateKey)), alg: 'RS256', use: 'sig', kid: 'op-1' };

const provider = new Provider(issuer, {
  jwks: { keys: [key] },
  scopes: ['openid', 'offline_access', 'profile', 'email'],
  claims: { openid: ['sub', 'sid'], email: ['email', 'email_verified'], profile: ['name', 'groups'] },
  clients: [
    {
      client_id: 'trackside', client_secret: 'a secret/+', grant_types: ['authorization_code'], response_types: ['code'],
      redirect_uris: [`${trackside}/sign-in/callback`], post_logout_redirect_uris: [`${trackside}/sign-in`],
      token_endpoint_auth_method: 'client_secret_basic',
      backchannel_logout_uri: `${trackside}/sign-in/back-channel-logout`, backchannel_logout_session_required: true,
    },
    {
      client_id: 'trackside-cli', grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token'],
      redirect_uris: [], response_types: [], token_endpoint_auth_method: 'none', application_type: 'native',
    },
  ],
  pkce: { required: () => true },
  rotateRefreshToken: true,
  features: {
    deviceFlow: { enabled: true }, devInteractions: { enabled: true }, rpInitiatedLogout: { enabled: true },
    backchannelLogout: { enabled: true },
    resourceIndicators: {
      enabled: true, defaultResource: (ctx, client, oneOf) => oneOf, useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: 'openid profile', audience: resource, accessTokenTTL: 40, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  // It refuses to call this machine; here that is where Trackside is.
  fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options),
  extraTokenClaims: () => ({ groups: ['operators'] }),
  findAccount: (ctx, id) => ({
    accountId: id,
    claims: () => ({ sub: id, name: id, email: `${id}@example.net`, groups: id === 'mallory' ? [] : ['operators'] }),
  }),
  ttl: { AccessToken: 40, DeviceCode: 600, IdToken: 3600, Session: 3600, Grant: 3600, Interaction: 600, RefreshToken: 3600 },
});
provider.on('server_error', (ctx, error) => console.log('server error', error.stack));
provider.on('backchannel.error', (ctx, error) => console.log('back-channel error', error.stack, error.cause));
provider.listen(Number(port), '127.0.0.1', () => console.log('provider at', issuer));
