import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { Transform, type TransformCallback } from 'node:stream';

import { UsageError } from './context';

const byDefault = 'ctrl-p,ctrl-q';

/**
 * The keys that leave a container running: of the flag, of `detachKeys` in Docker's configuration, or ctrl-p ctrl-q.
 *
 * @throws UsageError
 */
export function detachKeys(flag: string | undefined, env: Readonly<Record<string, string | undefined>>): Buffer {
  return parseKeys(flag ?? configuredKeys(env) ?? byDefault);
}

/** `ctrl-p,ctrl-q` or `a,b`: ctrl with a letter or one of @ [ \ ] ^ _, or a character. @throws UsageError */
export function parseKeys(text: string): Buffer {
  const keys = text.split(',').map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/.exec(key)?.[1];
    const code = control === undefined ? key.charCodeAt(0) : control.toUpperCase().charCodeAt(0) - 64;
    if ((control === undefined && key.length !== 1) || code > 127) {
      throw new UsageError(`--detach-keys takes keys such as ctrl-p,ctrl-q or a,b, not "${text}"`);
    }
    return code;
  });
  return Buffer.from(keys);
}

function configuredKeys(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const folder = env['DOCKER_CONFIG'] || join(env['HOME'] || homedir(), '.docker');
  try {
    const { detachKeys: keys } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as Record<
      string,
      unknown
    >;
    return typeof keys === 'string' && keys !== '' ? keys : undefined;
  } catch {
    return undefined; // none, or one that `login` will complain about
  }
}

/** Passes on what is typed, and ends when the keys were: these, or the beginning of them, wait until it's known what they are. */
export class DetachScanner extends Transform {
  readonly #keys: Buffer;
  readonly #onDetach: () => void;
  #matched = 0;
  #detached = false;

  constructor(keys: Buffer, onDetach: () => void) {
    super();
    this.#keys = keys;
    this.#onDetach = onDetach;
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    if (this.#detached) {
      done();
      return;
    }
    const passed: number[] = [];
    for (const byte of chunk) {
      if (this.#detached) {
        break;
      }
      if (byte !== this.#keys[this.#matched]) {
        passed.push(...this.#keys.subarray(0, this.#matched));
        this.#matched = 0;
      }
      if (byte !== this.#keys[this.#matched]) {
        passed.push(byte);
      } else if (++this.#matched === this.#keys.length) {
        this.#detached = true;
      }
    }
    if (passed.length > 0) {
      this.push(Buffer.from(passed));
    }
    if (this.#detached) {
      this.#onDetach();
    }
    done();
  }

  override _flush(done: TransformCallback): void {
    done(null, this.#detached ? null : this.#keys.subarray(0, this.#matched));
  }
}
