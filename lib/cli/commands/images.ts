import type { Command } from 'commander';
import type { Image, ImageFilters } from '../../index';
import { familiarName, parseReference } from '../../oci/reference';
import { referenceMatcher } from '../../oci/reference-pattern';
import type { Context } from '../context';
import { UsageError } from '../context';
import { collect, parseFilters } from '../filters';
import { humanDuration, humanSize, shortId } from '../format';
import type { Column, Row } from '../table';
import { printRows } from '../table';

interface ImagesFlags {
  digests?: boolean;
  filter?: string[];
  format?: string;
  quiet?: boolean;
  trunc: boolean;
}

const columns: readonly Column[] = [
  ['REPOSITORY', 'Repository'],
  ['TAG', 'Tag'],
  ['IMAGE ID', 'ID'],
  ['CREATED', 'CreatedSince'],
  ['SIZE', 'Size'],
];

const digestColumn: Column = ['DIGEST', 'Digest'];
const filterKeys = { before: 'before', dangling: 'dangling', label: 'label', reference: 'reference', since: 'since' };

/** `images [REPOSITORY[:TAG]]`: a line for each reference; the size is that of the unpacked layers. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --all', 'changes nothing: there are no hidden images')
    .option('--digests', "show the manifests' digests")
    .option('-f, --filter <key=value>', Object.keys(filterKeys).join(', '), collect)
    .option('--format <template>', "'{{.Repository}}:{{.Tag}}', 'table {{.ID}}', json")
    .option('--no-trunc', 'whole ids')
    .option('-q, --quiet', 'ids only')
    .argument('[reference]')
    .action(async (wanted: string | undefined, flags: ImagesFlags) => {
      const filters = settleFilters(flags.filter ?? [], wanted);
      const images = await context.runtime().images({ filters });
      images.sort((left, right) => (right.created?.getTime() ?? 0) - (left.created?.getTime() ?? 0));
      const patterns = [filters.reference ?? []].flat().map(referenceMatcher);
      const shown = (reference: string): boolean => patterns.length === 0 || patterns.some((fits) => fits(reference));
      const rows = images.flatMap((image) => rowsOf(image, shown, flags.trunc, context.now()));
      for (const { references, digest, reason } of await context.runtime().damagedImages()) {
        context.stderr.write(
          `Warning: ${references.join(', ') || digest} is damaged: ${reason}, or remove it with rmi -f\n`,
        );
      }
      if (flags.quiet) {
        for (const id of new Set(rows.map((row) => row['ID']))) context.stdout.write(`${id}\n`);
        return;
      }
      const chosen = flags.digests ? [...columns.slice(0, 2), digestColumn, ...columns.slice(2)] : columns;
      printRows(context.stdout, chosen, rows, flags.format, [digestColumn, ['CREATED AT', 'CreatedAt']]);
    });
}

/** The name that stands alone is one more pattern, as for Docker, or another way to say the only one. */
function settleFilters(values: readonly string[], wanted: string | undefined): ImageFilters {
  const { dangling, before, since, ...more } = parseFilters(values, filterKeys);
  const reference = [...(more['reference'] ?? []), ...(wanted === undefined ? [] : [wanted])];
  return {
    ...more,
    ...(reference.length > 0 ? { reference } : {}),
    ...(dangling ? { dangling: toBoolean(dangling.at(-1)!) } : {}),
    ...(before ? { before: before.at(-1)! } : {}),
    ...(since ? { since: since.at(-1)! } : {}),
  };
}

function toBoolean(text: string): boolean {
  if (/^(true|t|1)$/i.test(text)) return true;
  if (/^(false|f|0)$/i.test(text)) return false;
  throw new UsageError(`--filter dangling= takes true or false, not "${text}"`);
}

function rowsOf(image: Image, shown: (reference: string) => boolean, truncate: boolean, now: Date): Row[] {
  const common = {
    ID: truncate ? shortId(image.id) : image.id,
    Digest: image.digest,
    CreatedSince: image.created ? `${humanDuration(now.getTime() - image.created.getTime())} ago` : 'N/A',
    CreatedAt: image.created?.toISOString() ?? '',
    Size: humanSize(image.size),
  };
  if (image.references.length === 0) return [{ Repository: '<none>', Tag: '<none>', ...common }];
  return image.references.filter(shown).map((text) => {
    const reference = parseReference(text);
    const repository = familiarName({ ...reference, tag: undefined, digest: undefined });
    return { Repository: repository, Tag: reference.tag ?? '<none>', ...common };
  });
}
