import { spawn } from 'node:child_process';

import { DinghyError } from '../errors';
import { abortError, onAbort } from '../util/abort';
import type { RegistryAuth } from './credentials';

const maxAnswerBytes = 1024 * 1024;
const timeoutMs = 60_000;

/**
 * What `docker-credential-<name> get` answers for a server, or undefined when it knows none (docker-credential-helpers,
 * "Development").
 * @throws ERR_REGISTRY_AUTH when the helper is missing or fails: the user meant it to be used
 */
export async function askHelper(
  name: string,
  server: string,
  env: NodeJS.ProcessEnv = process.env,
  signal?: AbortSignal,
): Promise<RegistryAuth | undefined> {
  const stdout = await callHelper(name, 'get', server, env, signal);
  if (stdout === undefined) {
    return undefined;
  }
  let answer: { Username?: unknown; Secret?: unknown };
  try {
    answer = JSON.parse(stdout) as typeof answer;
  } catch {
    throw failure(name, 'its answer is not JSON'); // the parser's message would quote the secret
  }
  const { Username: username, Secret: secret } = answer ?? {};
  if (typeof username !== 'string' || typeof secret !== 'string' || secret === '') {
    return undefined;
  }
  return username === '<token>' ? { identityToken: secret } : { username, password: secret };
}

/**
 * The helper keeps these credentials for the server. An identity token is kept as the password of `<token>`, as Docker does.
 * @throws ERR_REGISTRY_AUTH
 */
export async function storeWithHelper(
  name: string,
  server: string,
  auth: RegistryAuth,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const [username, secret] =
    auth.identityToken === undefined ? [auth.username, auth.password] : ['<token>', auth.identityToken];
  const input = JSON.stringify({ ServerURL: server, Username: username, Secret: secret });
  await callHelper(name, 'store', input, env);
}

/** The helper knows the server no more. True when it did. @throws ERR_REGISTRY_AUTH */
export async function eraseFromHelper(
  name: string,
  server: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<boolean> {
  return (await callHelper(name, 'erase', server, env)) !== undefined;
}

/** What it wrote; undefined when it said that it has no such credentials. */
async function callHelper(
  name: string,
  verb: string,
  input: string,
  env: NodeJS.ProcessEnv,
  signal?: AbortSignal,
): Promise<string | undefined> {
  // The name comes from a file and becomes part of a program's name: only one in PATH, never a path.
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw failure(name, 'its name may hold letters, digits, ".", "_" and "-" only');
  }
  const { exitCode, stdout } = await run([`docker-credential-${name}`, verb], input, env, signal).catch(
    (error: unknown) => {
      throw signal?.aborted
        ? abortError(signal)
        : failure(name, (error as NodeJS.ErrnoException).code ?? 'it cannot be run', error);
    },
  );
  if (exitCode !== 0 && !/credentials not found/i.test(stdout)) {
    throw failure(name, `it exited with ${exitCode}`);
  }
  return exitCode === 0 ? stdout : undefined;
}

function run(
  [program, verb]: [string, string],
  input: string,
  env: NodeJS.ProcessEnv,
  signal: AbortSignal | undefined,
): Promise<{ exitCode: number | null; stdout: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, [verb], { env, stdio: ['pipe', 'pipe', 'ignore'] });
    // Not spawn's own option: where there's no such program, Node leaves its timer behind, which keeps the process alive.
    const timer = setTimeout(() => child.kill('SIGKILL'), timeoutMs);
    const forget = onAbort(signal, () => child.kill('SIGKILL'));
    const release = (): void => {
      clearTimeout(timer);
      forget();
    };
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
      if (stdout.length > maxAnswerBytes) {
        child.kill('SIGKILL');
      }
    });
    child.on('error', (error) => {
      release();
      reject(error);
    });
    child.on('close', (exitCode) => {
      release();
      if (signal?.aborted) {
        reject(abortError(signal));
      } else {
        resolve({ exitCode, stdout });
      }
    });
    child.stdin.on('error', () => undefined); // it may answer without reading
    child.stdin.end(input);
  });
}

function failure(name: string, why: string, cause?: unknown): DinghyError {
  return new DinghyError({
    code: 'ERR_REGISTRY_AUTH',
    message: `the credential helper docker-credential-${name} failed: ${why}`,
    ...(cause === undefined ? {} : { cause }),
  });
}
