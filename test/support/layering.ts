import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

import ts from 'typescript';

/** One import: of what, and whether only types come from it, which leaves no trace when the program runs. */
export interface Import {
  target: string;
  typeOnly: boolean;
}

/** Files (paths from the top) and what they import of each other. */
export type Graph = ReadonlyMap<string, readonly Import[]>;

/**
 * The order of the parts of a tree, the lowest first: what stands in one inner array is side by side. A part is a folder
 * (`util/`, with all below it) or a file. `typesBetween` names files that may know each other's types though side by side.
 */
export interface Order {
  levels: readonly (readonly string[])[];
  typesBetween?: readonly string[];
}

/** Every breach of the order and every cycle, each as a line that shows the path; empty when all is well. */
export function findBreaches(graph: Graph, order: Order): string[] {
  const breaches: string[] = [];
  for (const [file, imports] of graph) {
    const from = place(file, order);
    if (!from) {
      breaches.push(`${file} stands in no layer`);
      continue;
    }
    for (const { target, typeOnly } of imports) {
      const to = place(target, order);
      if (!to || to.part === from.part || to.level < from.level) continue;
      const known = order.typesBetween ?? [];
      if (to.level === from.level && typeOnly && known.includes(from.part) && known.includes(to.part)) continue;
      breaches.push(`${to.level > from.level ? 'upward' : 'sideways'}: ${file} -> ${target}`);
    }
  }
  const cycle = findCycle(graph);
  return cycle ? [...breaches, `cycle: ${cycle.join(' -> ')}`] : breaches;
}

function place(file: string, order: Order): { level: number; part: string } | undefined {
  for (const [level, parts] of order.levels.entries()) {
    const part = parts.find((one) => (one.endsWith('/') ? file.startsWith(one) : file === one));
    if (part !== undefined) return { level, part };
  }
  return undefined;
}

// Depth first. Imports of types alone do not count: erased by the compiler, they make no circle when the program runs.
function findCycle(graph: Graph): string[] | undefined {
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): string[] | undefined => {
    const at = path.indexOf(file);
    if (at >= 0) return [...path.slice(at), file];
    if (done.has(file)) return undefined;
    path.push(file);
    for (const { target, typeOnly } of graph.get(file) ?? []) {
      const found = typeOnly ? undefined : visit(target);
      if (found) return found;
    }
    path.pop();
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const found = visit(file);
    if (found) return found;
  }
  return undefined;
}

/** The graph of a folder's TypeScript; imports of packages are left out. */
export function typescriptGraph(top: string): Graph {
  const files = filesBelow(top, /\.m?ts$/).filter((file) => !file.startsWith('vendor/'));
  return new Map(files.map((file) => [file, importsOf(file, readFileSync(join(top, file), 'utf8'), new Set(files))]));
}

/** What a TypeScript file imports of the known ones: `import`, `export … from`, `import()`, `require()`, `import('…')` types. */
export function importsOf(file: string, text: string, known: ReadonlySet<string>): Import[] {
  const found: Import[] = [];
  const add = (node: ts.Node | undefined, typeOnly: boolean): void => {
    if (!node || !ts.isStringLiteralLike(node) || !node.text.startsWith('.')) return;
    const path = normalize(join(dirname(file), node.text)).replace(/\.(m?)js$/, '');
    const target = [`${path}.ts`, `${path}.mts`, `${path}/index.ts`].find((one) => known.has(one));
    if (target !== undefined) found.push({ target, typeOnly });
  };
  const visit = (node: ts.Node): void => {
    if (ts.isImportDeclaration(node)) {
      add(node.moduleSpecifier, node.importClause?.phaseModifier === ts.SyntaxKind.TypeKeyword);
    } else if (ts.isExportDeclaration(node)) {
      add(node.moduleSpecifier, node.isTypeOnly);
    } else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) {
      add(node.argument.literal, true);
    } else if (
      ts.isCallExpression(node) &&
      (node.expression.kind === ts.SyntaxKind.ImportKeyword || node.expression.getText(source) === 'require')
    ) {
      add(node.arguments[0], false);
    }
    ts.forEachChild(node, visit);
  };
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.ES2022);
  visit(source);
  return found;
}

/** The graph of a folder's C++: quoted includes, which are written from the top. */
export function includeGraph(top: string): Graph {
  const files = filesBelow(top, /\.(cc|h)$/).filter((file) => !/^(build|third_party)/.test(file));
  const known = new Set(files);
  return new Map(
    files.map((file) => {
      const text = readFileSync(join(top, file), 'utf8');
      const targets = [...text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)].map((match) => match[1]!);
      const resolved = targets.map((one) => (known.has(one) ? one : normalize(join(dirname(file), one))));
      return [file, resolved.filter((one) => known.has(one)).map((target) => ({ target, typeOnly: false }))];
    }),
  );
}

function filesBelow(top: string, matching: RegExp): string[] {
  return readdirSync(top, { recursive: true, encoding: 'utf8' })
    .filter((file) => matching.test(file) && !file.endsWith('.d.ts'))
    .sort();
}
