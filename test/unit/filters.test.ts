import { matchesImage } from '../../lib/filters';
import type { ImageRecord } from '../../lib/image';

const record = (references: string[], day: number, labels = {}): ImageRecord =>
  ({ references, created: new Date(Date.UTC(2026, 0, day)), config: { labels } }) as unknown as ImageRecord;

const images = [record(['app:1'], 1, { tier: 'web' }), record([], 2), record(['team/db:2', 'db:latest'], 3)];
const days = async (filters: object): Promise<number[]> => {
  const matches = await matchesImage(filters, async (name) => images[Number(name) - 1]!);
  return images.filter(matches).map(({ created }) => created!.getUTCDate());
};

test.each([
  [{}, [1, 2, 3]],
  [{ dangling: true }, [2]],
  [{ dangling: false }, [1, 3]],
  [{ before: '3' }, [1, 2]],
  [{ since: '1' }, [2, 3]],
  [{ since: '1', before: '3' }, [2]],
  [{ label: 'tier=web' }, [1]],
  [{ reference: 'team/*' }, [3]],
  [{ reference: ['app', 'db:latest'] }, [1, 3]],
  [{ reference: 'app', dangling: true }, []],
  [{ label: ['tier=web', 'other'] }, []],
  [{ reference: 'docker.io/library/a?p:*' }, [1]],
])('%j', async (filters, expected) => {
  expect(await days(filters)).toEqual(expected);
});

test.each([[{ dangling: 'yes' }], [{ until: 'x' }], [{ before: 1 }], [{ label: 1 }]])(
  '%j is refused',
  async (filters) => {
    await expect(days(filters)).rejects.toMatchObject({ code: 'ERR_INVALID_OPTION' });
  },
);
