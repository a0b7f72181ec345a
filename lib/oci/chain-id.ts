import { digestOf } from './digest';

/**
 * The chain id of every layer, bottom first: names the layer together with all below it (image-spec, config.md
 * "Layer ChainID").
 */
export function chainIds(diffIds: readonly string[]): string[] {
  const chain: string[] = [];
  for (const diffId of diffIds) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffId : digestOf(`${below} ${diffId}`));
  }
  return chain;
}
