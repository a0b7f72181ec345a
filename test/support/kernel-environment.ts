import type { Circus } from '@jest/types';
import { TestEnvironment } from 'jest-environment-node';

import { LeakCheck, cleanUp, describeLeaks } from './leak-check';

/**
 * Node's environment, in which a test that leaves something of the runtime on the machine fails. A hook of a set-up file
 * could not do this: jest-circus runs it before the test file's own afterEach and afterAll, which may still tidy up.
 */
export default class KernelEnvironment extends TestEnvironment {
  #file?: LeakCheck;
  #test?: LeakCheck;

  async handleTestEvent(event: Circus.Event, state: Circus.State): Promise<void> {
    switch (event.name) {
      case 'run_start':
        this.#file = new LeakCheck();
        break;
      case 'test_start':
        this.#test = new LeakCheck();
        break;
      case 'test_done': {
        const error = await errorFor(this.#test);
        if (error) event.test.errors.push(error);
        break;
      }
      case 'run_finish': {
        const error = await errorFor(this.#file);
        if (error) state.unhandledErrors.push(error);
        break;
      }
    }
  }
}

async function errorFor(check: LeakCheck | undefined): Promise<Error | undefined> {
  const leaks = (await check?.leaks()) ?? [];
  if (leaks.length === 0) return undefined;
  cleanUp(leaks);
  return new Error(describeLeaks(leaks));
}
