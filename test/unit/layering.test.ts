import { join } from 'node:path';

import type { Graph, Import, Order } from '../support/layering';
import { findBreaches, importsOf, includeGraph, typescriptGraph } from '../support/layering';

const repository = join(__dirname, '..', '..');

// As ARCHITECTURE.md has it.
const library: Order = {
  levels: [
    ['errors.ts', 'log.ts'],
    ['util/'],
    ['native/', 'oci/'],
    ['registry/', 'store/', 'network/'],
    ['layers/'],
    ['pull/', 'push/', 'run/', 'archive/'],
    ['image.ts', 'image-access.ts', 'container.ts', 'filters.ts', 'networks.ts', 'volumes.ts', 'runtime-options.ts'],
    ['engine.ts'],
    ['runtime.ts'],
    ['index.ts'],
    ['index.mts', 'cli/'],
  ],
  typesBetween: [
    'image.ts',
    'image-access.ts',
    'container.ts',
    'filters.ts',
    'networks.ts',
    'volumes.ts',
    'runtime-options.ts',
  ],
};

const addon: Order = {
  levels: [['sys/'], ['jail/', 'layer/', 'net/'], ['supervisor/', 'binding/'], ['test/', 'fuzz/']],
};

test('lib/ imports its own folder or a lower level, and nothing in circles', () => {
  const graph = typescriptGraph(join(repository, 'lib'));
  expect(graph.size).toBeGreaterThan(20);
  expect(findBreaches(graph, library)).toEqual([]);
});

test('addon/ includes its own folder or a lower level, and nothing in circles', () => {
  const graph = includeGraph(join(repository, 'addon'));
  expect(graph.size).toBeGreaterThan(5);
  expect(findBreaches(graph, addon)).toEqual([]);
});

describe('the check itself', () => {
  const order: Order = { levels: [['low/'], ['left/', 'right/'], ['a.ts', 'b.ts']], typesBetween: ['a.ts', 'b.ts'] };
  const graphOf = (edges: Record<string, (string | Import)[]>): Graph =>
    new Map(
      Object.entries(edges).map(([file, targets]) => [
        file,
        targets.map((one) => (typeof one === 'string' ? { target: one, typeOnly: false } : one)),
      ]),
    );

  test('lets a file import downwards and from its own folder', () => {
    expect(
      findBreaches(graphOf({ 'left/x.ts': ['low/y.ts', 'left/z.ts'], 'left/z.ts': [], 'low/y.ts': [] }), order),
    ).toEqual([]);
  });

  test('finds an upward import', () => {
    expect(findBreaches(graphOf({ 'low/x.ts': ['left/y.ts'], 'left/y.ts': [] }), order)).toEqual([
      'upward: low/x.ts -> left/y.ts',
    ]);
  });

  test('finds a sideways import', () => {
    expect(findBreaches(graphOf({ 'left/x.ts': ['right/y.ts'], 'right/y.ts': [] }), order)).toEqual([
      'sideways: left/x.ts -> right/y.ts',
    ]);
  });

  test('finds an upward import of types alone', () => {
    const graph = graphOf({ 'low/x.ts': [{ target: 'left/y.ts', typeOnly: true }], 'left/y.ts': [] });
    expect(findBreaches(graph, order)).toEqual(['upward: low/x.ts -> left/y.ts']);
  });

  test('lets named neighbours know the types of each other, and nothing else', () => {
    expect(findBreaches(graphOf({ 'a.ts': [{ target: 'b.ts', typeOnly: true }], 'b.ts': [] }), order)).toEqual([]);
    expect(findBreaches(graphOf({ 'a.ts': ['b.ts'], 'b.ts': [] }), order)).toEqual(['sideways: a.ts -> b.ts']);
  });

  test('finds a cycle and shows its path', () => {
    const graph = graphOf({ 'low/a.ts': ['low/b.ts'], 'low/b.ts': ['low/c.ts'], 'low/c.ts': ['low/a.ts'] });
    expect(findBreaches(graph, order)).toEqual(['cycle: low/a.ts -> low/b.ts -> low/c.ts -> low/a.ts']);
  });

  test('finds a file that stands in no layer', () => {
    expect(findBreaches(graphOf({ 'new/x.ts': [] }), order)).toEqual(['new/x.ts stands in no layer']);
  });

  test('sees every way to import', () => {
    const text = `
      import { a } from './a';
      import type { b } from '../b';
      export * from './c.js';
      export type { D } from './d';
      const e = require('./e') as typeof import('./f');
      const g = () => import('./g');
      import 'node:fs';
    `;
    const known = new Set(['x/a.ts', 'b.ts', 'x/c.ts', 'x/d.ts', 'x/e.ts', 'x/f.ts', 'x/g.ts']);
    const found = importsOf('x/file.ts', text, known);
    expect(found.filter((one) => !one.typeOnly).map((one) => one.target)).toEqual([
      'x/a.ts',
      'x/c.ts',
      'x/e.ts',
      'x/g.ts',
    ]);
    expect(found.filter((one) => one.typeOnly).map((one) => one.target)).toEqual(['b.ts', 'x/d.ts', 'x/f.ts']);
  });
});
