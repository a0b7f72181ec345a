import { runtime } from './setup';

export default async function teardown(): Promise<void> {
  await runtime.close();
}
