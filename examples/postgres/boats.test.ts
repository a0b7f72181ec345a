import { TestDatabase } from './database';

let database: TestDatabase;

beforeEach(async () => {
  database = await TestDatabase.make();
});

afterEach(() => database.close());

async function names(): Promise<string[]> {
  const { rows } = await database.client.query<{ name: string }>('select name from boats order by name');
  return rows.map(({ name }) => name);
}

test('a boat is added', async () => {
  await database.client.query("insert into boats (name) values ('Coot')");
  expect(await names()).toEqual(['Albatross', 'Bonito', 'Coot']);
});

test('what another test added is not there', async () => {
  expect(await names()).toEqual(['Albatross', 'Bonito']);
});

test('even the schema is each test’s own', async () => {
  await database.client.query('drop table trips; alter table boats add column sails int');
  await database.client.query('vacuum full');
  expect(await names()).toHaveLength(2);
});
