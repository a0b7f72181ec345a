import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  key: string;
  cert: string;
}

/** An authority in a folder, that makes certificates for as long as a test takes. */
export class TestAuthority {
  readonly ca: string;
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
    this.#openssl('req', '-x509', ...this.#newKey('ca'), '-subj', '/CN=test authority', '-days', '2', '-out', 'ca.crt');
    this.ca = this.#read('ca.crt');
  }

  /** @param name the host it is for, or the client it names */
  issue(name: string): KeyPair {
    writeFileSync(join(this.#folder, 'extensions'), `subjectAltName=DNS:${name}\n`);
    this.#openssl('req', ...this.#newKey(name), '-subj', `/CN=${name}`, '-out', `${name}.csr`);
    const signing = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions', '-days', '2'];
    this.#openssl('x509', '-req', '-in', `${name}.csr`, ...signing, '-out', `${name}.crt`);
    return { key: this.#read(`${name}.key`), cert: this.#read(`${name}.crt`) };
  }

  #newKey(name: string): string[] {
    return ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', `${name}.key`];
  }

  #openssl(...args: string[]): void {
    execFileSync('openssl', args, { cwd: this.#folder, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  #read(name: string): string {
    return readFileSync(join(this.#folder, name), 'utf8');
  }
}
