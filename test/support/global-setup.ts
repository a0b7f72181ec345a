import { LeakCheck } from './leak-check';

declare global {
  var dinghyLeakCheck: LeakCheck | undefined;
}

/** The machine as the whole run finds it; global-teardown.ts compares. */
export default function globalSetup(): void {
  globalThis.dinghyLeakCheck = new LeakCheck();
}
