import { DinghyError } from '../errors';
import { checkRedirect } from './url-safety';
import type { RegistryAuth } from './credentials';
import { responseError } from './errors';
import { discard, type HttpRequest, type HttpResponse, type HttpSender, readBody, type TlsSettings } from './http';
import type { TrustedOrigin } from './url-safety';

const maxTokenBytes = 1024 * 1024;
const defaultLifetimeSeconds = 60;
const maxRedirects = 10;
// What token servers say that know only the older way: GCR, Artifactory, ACR and others.
const noOauth = new Set([400, 401, 404, 405]);

export interface TokenRequest {
  realm: URL;
  service?: string;
  /** One, or several with a space between them. */
  scope: string;
  auth?: RegistryAuth;
  registry: TrustedOrigin;
  tls: TlsSettings;
  signal?: AbortSignal;
}

export interface Token {
  value: string;
  /** Of this machine's monotonic clock, as `performance.now()` tells it. */
  expiresAtMs: number;
}

/**
 * A bearer token for a scope: by OAuth where there are credentials (distribution, "Registry OAuth2 token authentication"),
 * else or where the server does not know that, by GET ("Token authentication").
 * @throws ERR_REGISTRY_AUTH, ERR_REGISTRY_UNSAFE
 */
export async function fetchToken(sender: HttpSender, request: TokenRequest): Promise<Token> {
  const { auth } = request;
  const askedAtMs = performance.now();
  const hasCredentials = auth?.identityToken !== undefined || auth?.username !== undefined;
  let response = hasCredentials ? await postOauth(sender, request, auth) : await get(sender, request);
  if (hasCredentials && auth.identityToken === undefined && noOauth.has(response.status)) {
    await discard(response);
    response = await get(sender, request);
  }
  if (response.status !== 200) {
    throw await responseError(response, `get a token for ${request.scope || 'this account'}`);
  }
  return parseToken(await readBody(response, maxTokenBytes, 'token'), request.realm.host, askedAtMs);
}

function postOauth(sender: HttpSender, request: TokenRequest, auth: RegistryAuth): Promise<HttpResponse> {
  const form = new URLSearchParams({ client_id: 'dinghy', service: request.service ?? '', scope: request.scope });
  if (auth.identityToken !== undefined) {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', auth.identityToken);
  } else {
    form.set('grant_type', 'password');
    form.set('username', auth.username ?? '');
    form.set('password', auth.password ?? '');
  }
  // A redirect of this one is not followed: its body holds the password.
  return sender.send({
    url: request.realm,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    body: form.toString(),
    tls: request.tls,
    ...(request.signal ? { signal: request.signal } : {}),
  });
}

async function get(sender: HttpSender, request: TokenRequest): Promise<HttpResponse> {
  let url = new URL(request.realm);
  if (request.service !== undefined) {
    url.searchParams.set('service', request.service);
  }
  for (const scope of request.scope.split(' ').filter(Boolean)) {
    url.searchParams.append('scope', scope);
  }
  const { username, password } = request.auth ?? {};
  const origin = url.origin;
  for (let hop = 0; hop <= maxRedirects; hop++) {
    const sendPassword = username !== undefined && url.origin === origin;
    const head: HttpRequest = {
      url,
      headers: {
        accept: 'application/json',
        ...(sendPassword ? { authorization: basic(username, password ?? '') } : {}),
      },
      tls: request.tls,
      ...(request.signal ? { signal: request.signal } : {}),
    };
    const response = await sender.send(head);
    if (response.status < 300 || response.status > 399) {
      return response;
    }
    await discard(response);
    url = checkRedirect(response.header('location'), url, request.registry);
  }
  throw new DinghyError({
    code: 'ERR_REGISTRY_UNSAFE',
    message: `the token server ${request.realm.host} redirects more than ${maxRedirects} times`,
  });
}

export function basic(username: string, password: string): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function parseToken(body: Buffer, host: string, askedAtMs: number): Token {
  let answer: { token?: unknown; access_token?: unknown; expires_in?: unknown } | null;
  try {
    answer = JSON.parse(body.toString('utf8')) as typeof answer;
  } catch {
    answer = null; // no cause: the parser's message would quote the token
  }
  const value = answer?.token ?? answer?.access_token;
  if (typeof value !== 'string' || !/^[\x21-\x7e]+$/.test(value)) {
    throw new DinghyError({ code: 'ERR_REGISTRY_AUTH', message: `the token server ${host} answered without a token` });
  }
  const given = answer?.expires_in;
  const seconds = typeof given === 'number' && given > 0 && given < 1e9 ? given : defaultLifetimeSeconds;
  // Measured from before the question and a tenth less, so that a token does not run out on its way.
  return { value, expiresAtMs: askedAtMs + seconds * 900 };
}
