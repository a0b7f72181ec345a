import { DinghyError } from '../errors';
import { type Challenge, parseChallenges } from './challenge';
import type { RegistryAuth } from './credentials';
import type { HttpSender, TlsSettings } from './http';
import { SharedTask } from './shared-task';
import { basic, fetchToken, type Token } from './token';
import { checkRealm, type TrustedOrigin } from './url-safety';

export interface AuthenticatorOptions {
  sender: HttpSender;
  registry: TrustedOrigin;
  tls: TlsSettings;
  /** Asked only when the registry wants credentials. */
  credentials: (signal: AbortSignal) => Promise<RegistryAuth | undefined>;
}

interface KeptToken {
  task: SharedTask<Token>;
  /** Once it has come. */
  token?: Token;
}

/**
 * The Authorization headers of one registry. Tokens are kept per scope until they expire, and however many requests find a token
 * missing, expired or refused, one new one is asked for.
 */
export class Authenticator {
  readonly #options: AuthenticatorOptions;
  readonly #tokens = new Map<string, KeptToken>();
  #challenge: Challenge | undefined;
  #credentials: SharedTask<RegistryAuth | undefined> | undefined;

  constructor(options: AuthenticatorOptions) {
    this.#options = options;
  }

  /** From now on requests are authorized as this WWW-Authenticate header asks; without one, not at all. */
  challenge(header: string | undefined): void {
    const challenges = parseChallenges(header);
    this.#challenge =
      challenges.find(({ scheme, parameters }) => scheme === 'bearer' && parameters['realm'] !== undefined) ??
      challenges.find(({ scheme }) => scheme === 'basic') ??
      this.#challenge;
  }

  /**
   * The header's value for a scope, or undefined where none is wanted.
   * @throws ERR_REGISTRY_AUTH, ERR_REGISTRY_UNSAFE
   */
  async authorization(scope: string, signal?: AbortSignal): Promise<string | undefined> {
    if (!this.#challenge) {
      return undefined;
    }
    if (this.#challenge.scheme === 'basic') {
      return this.#basic(signal);
    }
    return `Bearer ${(await this.#token(scope, this.#challenge, signal)).value}`;
  }

  /**
   * The registry refused `used`: the next authorization() for the scope gets a new token, unless another request has already
   * brought one.
   */
  refused(scope: string, used: string | undefined): void {
    const kept = this.#tokens.get(scope);
    if (kept?.token && `Bearer ${kept.token.value}` === used) {
      this.#tokens.delete(scope);
    }
  }

  async #basic(signal: AbortSignal | undefined): Promise<string | undefined> {
    const auth = await this.#findCredentials(signal);
    return auth?.username === undefined ? undefined : basic(auth.username, auth.password ?? '');
  }

  async #token(scope: string, challenge: Challenge, signal: AbortSignal | undefined): Promise<Token> {
    let kept = this.#tokens.get(scope);
    const usable = kept && !kept.task.ended && (kept.token === undefined || kept.token.expiresAtMs > performance.now());
    if (!kept || !usable) {
      kept = { task: new SharedTask((shared) => this.#fetchInto(scope, challenge, shared)) };
      this.#tokens.set(scope, kept);
    }
    return kept.task.wait(signal);
  }

  async #fetchInto(scope: string, challenge: Challenge, signal: AbortSignal): Promise<Token> {
    await Promise.resolve(); // the entry is in the map from here on
    const entry = this.#tokens.get(scope);
    try {
      const token = await this.#fetch(scope, challenge, signal);
      if (entry) {
        entry.token = token;
      }
      return token;
    } catch (error) {
      if (this.#tokens.get(scope) === entry) {
        this.#tokens.delete(scope);
      }
      throw error;
    }
  }

  async #fetch(scope: string, challenge: Challenge, signal: AbortSignal): Promise<Token> {
    const { sender, registry, tls } = this.#options;
    const auth = await this.#findCredentials(signal);
    if (auth?.registryToken !== undefined) {
      return { value: auth.registryToken, expiresAtMs: Infinity };
    }
    const realm = checkRealm(challenge.parameters['realm'], registry);
    const service = challenge.parameters['service'];
    return fetchToken(sender, {
      realm,
      ...(service === undefined ? {} : { service }),
      scope,
      ...(auth ? { auth } : {}),
      registry,
      tls: realm.origin === registry.url.origin ? tls : { ...(tls.ca ? { ca: tls.ca } : {}) },
      signal,
    });
  }

  #findCredentials(signal: AbortSignal | undefined): Promise<RegistryAuth | undefined> {
    if (!this.#credentials || this.#credentials.ended) {
      this.#credentials = new SharedTask(async (shared) => {
        const auth = await this.#options.credentials(shared);
        if (auth && Object.values(auth).some((value) => typeof value === 'string' && /[\r\n]/.test(value))) {
          throw new DinghyError({ code: 'ERR_REGISTRY_AUTH', message: 'the credentials contain a line break' });
        }
        return auth;
      });
    }
    return this.#credentials.wait(signal);
  }
}
