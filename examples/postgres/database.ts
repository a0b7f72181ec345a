import { type Container, Runtime } from 'dinghy';
import { Client } from 'pg';

const runtime = new Runtime();

/** A database with the schema in it and nothing else, of one test alone. */
export class TestDatabase {
  private constructor(
    private readonly container: Container,
    readonly client: Client,
  ) {}

  static async make(): Promise<TestDatabase> {
    const base = await runtime.container(process.env['POSTGRES_BASE']!);
    // A fork waits for what its base waited for. This is quicker here: its log has that line once, and nothing is run.
    const container = await base.fork({ waitFor: { log: 'ready to accept connections' } });
    const client = new Client({ ...(await container.port(5432)), user: 'postgres', password: 'secret' });
    await client.connect();
    return new TestDatabase(container, client);
  }

  async close(): Promise<void> {
    await this.client.end();
    await this.container.close();
  }
}
