import type { Readable } from 'node:stream';

import type { Output } from './context';

/** All of `source` is written to `target`, as slowly as that takes; `target` stays open. Rejects when either fails. */
export async function relay(source: Readable, target: Output): Promise<void> {
  for await (const chunk of source) {
    if (!target.write(chunk)) {
      await new Promise<void>((resolve, reject) => {
        const settle = (error?: Error): void => {
          target.off('drain', settle).off('error', settle).off('close', settle);
          if (error) reject(error);
          else resolve();
        };
        target.on('drain', settle).on('error', settle).on('close', settle);
      });
    }
  }
}
