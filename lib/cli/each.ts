import type { Container } from '../index';
import { isDinghyError } from '../index';
import type { Context } from './context';
import { ExitStatus } from './context';
import { describe } from './failure';

/** Does `work` for every name, one after another; prints what it gives, or why it failed. One failure makes the status 1. */
export async function forEach(
  context: Context,
  names: readonly string[],
  work: (name: string) => Promise<string>,
): Promise<void> {
  let failed = false;
  for (const name of names) {
    try {
      context.stdout.write(`${await work(name)}\n`);
    } catch (error) {
      if (isDinghyError(error) && error.code === 'ERR_NOT_IMPLEMENTED') throw error;
      context.stderr.write(`Error: ${describe(error)}\n`);
      failed = true;
    }
  }
  if (failed) throw new ExitStatus(1);
}

/** The same for containers: each is looked up, and its name as it was typed is printed when `work` is done. */
export async function forEachContainer(
  context: Context,
  names: readonly string[],
  work: (container: Container) => Promise<void>,
): Promise<void> {
  await forEach(context, names, async (name) => {
    await work(await context.runtime().container(name));
    return name;
  });
}
