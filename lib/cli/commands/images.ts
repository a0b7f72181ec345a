import type { Command } from 'commander';
import type { Image } from '../../index';
import { familiarName, parseReference } from '../../oci/reference';
import type { Context } from '../context';
import { humanDuration, humanSize, shortId } from '../format';
import type { Column, Row } from '../table';
import { printRows } from '../table';

interface ImagesFlags {
  digests?: boolean;
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

/** `images [REPOSITORY[:TAG]]`: a line for each reference; the size is that of the unpacked layers. */
export function configure(command: Command, context: Context): void {
  command
    .option('--digests', "show the manifests' digests")
    .option('--format <template>', "'{{.Repository}}:{{.Tag}}', json")
    .option('--no-trunc', 'whole ids')
    .option('-q, --quiet', 'ids only')
    .argument('[reference]')
    .action(async (wanted: string | undefined, flags: ImagesFlags) => {
      const images = await context.runtime().images();
      images.sort((left, right) => (right.created?.getTime() ?? 0) - (left.created?.getTime() ?? 0));
      const rows = images
        .flatMap((image) => rowsOf(image, flags.trunc, context.now()))
        .filter(
          (row) => wanted === undefined || [row['Repository'], `${row['Repository']}:${row['Tag']}`].includes(wanted),
        );
      if (flags.quiet) {
        for (const id of new Set(rows.map((row) => row['ID']))) context.stdout.write(`${id}\n`);
        return;
      }
      const shown = flags.digests
        ? [...columns.slice(0, 2), ['DIGEST', 'Digest'] as const, ...columns.slice(2)]
        : columns;
      printRows(context.stdout, shown, rows, flags.format);
    });
}

function rowsOf(image: Image, truncate: boolean, now: Date): Row[] {
  const common = {
    ID: truncate ? shortId(image.id) : image.id,
    Digest: image.digest,
    CreatedSince: image.created ? `${humanDuration(now.getTime() - image.created.getTime())} ago` : 'N/A',
    CreatedAt: image.created?.toISOString() ?? '',
    Size: humanSize(image.size),
  };
  if (image.references.length === 0) return [{ Repository: '<none>', Tag: '<none>', ...common }];
  return image.references.map((text) => {
    const reference = parseReference(text);
    const repository = familiarName({ ...reference, tag: undefined, digest: undefined });
    return { Repository: repository, Tag: reference.tag ?? '<none>', ...common };
  });
}
