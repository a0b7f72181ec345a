import './global-setup';
import { cleanUp, describeLeaks } from './leak-check';

/** Fails the run when something is left that no single test was blamed for: what a detached process made late. */
export default async function globalTeardown(): Promise<void> {
  const leaks = (await globalThis.dinghyLeakCheck?.leaks()) ?? [];
  if (leaks.length === 0) return;
  cleanUp(leaks);
  throw new Error(describeLeaks(leaks));
}
