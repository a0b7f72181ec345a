// Makes lib/vendor/: got as one CommonJS file, its notices, and the types of what lib/ uses of it. got is published as ES modules
// only, which Jest in its default mode cannot load; bundled, source and tests use the same copy and users install none of its
// dependencies.
import { build } from 'esbuild';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'lib', 'vendor');

const types = `// Made by scripts/vendor.mjs: the part of got that lib/registry/http.ts uses.
import type { IncomingMessage } from 'node:http';
import type { Duplex, Readable } from 'node:stream';

export interface GotStreamOptions {
  method?: string;
  headers?: Record<string, string | undefined>;
  body?: string | Buffer | Readable;
  throwHttpErrors?: boolean;
  followRedirect?: boolean;
  decompress?: boolean;
  retry?: { limit: number };
  timeout?: Record<string, number>;
  agent?: { http?: unknown; https?: unknown };
  https?: Record<string, unknown>;
  signal?: AbortSignal;
}

export interface GotRequest extends Duplex {
  on(event: 'response', listener: (response: IncomingMessage) => void): this;
  on(event: string, listener: (...values: any[]) => void): this;
  once(event: 'response', listener: (response: IncomingMessage) => void): this;
  once(event: string, listener: (...values: any[]) => void): this;
}

export interface Got {
  stream(url: string | URL, options?: GotStreamOptions): GotRequest;
}

export const got: Got;
`;

/** Of every input of the bundle, the package it belongs to: the innermost node_modules folder of its path. */
function packagesOf(inputs) {
  const folders = new Set();
  for (const path of inputs) {
    const match = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path);
    if (match) folders.add(join(root, match[1]));
  }
  return [...folders].sort();
}

function noticeOf(folder) {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
  const text = file ? readFileSync(join(folder, file), 'utf8').trim() : `Licensed under ${license}.`;
  return `${name} ${version} (${license})\n\n${text}\n`;
}

const result = await build({
  stdin: { contents: "export { got } from 'got';\n", resolveDir: root },
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node20',
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'eof',
  metafile: true,
  write: false,
  absWorkingDir: root,
  logLevel: 'warning',
});

const bundle = result.outputFiles[0].text;
if (/import\.meta/.test(bundle)) {
  throw new Error('the bundle uses import.meta, which CommonJS lacks: pin got to a version that does not');
}
const packages = packagesOf(Object.keys(result.metafile.inputs));
if (packages.length === 0 || packages.some((folder) => !existsSync(join(folder, 'package.json')))) {
  throw new Error('cannot tell which packages the bundle is made of, so cannot write their notices');
}
mkdirSync(out, { recursive: true });
writeFileSync(join(out, 'got.js'), `'use strict';\n${bundle}`);
writeFileSync(join(out, 'got.d.ts'), types);
writeFileSync(
  join(out, 'THIRD-PARTY-NOTICES.txt'),
  `got.js is made of these packages.\n\n${packages.map(noticeOf).join(`\n${'-'.repeat(80)}\n\n`)}`,
);
