import type { Command } from 'commander';
import { canonicalName, familiarName, parseReference, type Reference } from '../../oci/reference';
import type { Context } from '../context';
import { UsageError } from '../context';
import { progressReporter } from '../progress';

interface PushFlags {
  allTags?: boolean;
  quiet?: boolean;
}

/** `push NAME[:TAG]`: the registry gets what it lacks of the image, then the name. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --all-tags', 'every tag of the repository that is here')
    .option('-q, --quiet', 'print the name only')
    .argument('<image>')
    .action(async (name: string, flags: PushFlags) => {
      const reference = parseReference(name);
      if (flags.allTags && (reference.digest !== undefined || hasTag(name))) {
        throw new UsageError('-a: give the name without a tag');
      }
      if (!flags.quiet) {
        if (!flags.allTags && reference.digest === undefined && !hasTag(name)) {
          context.stdout.write('Using default tag: latest\n');
        }
        context.stdout.write(`The push refers to repository [${reference.registry}/${reference.repository}]\n`);
      }
      for (const one of flags.allTags ? await allTags(context, reference) : [reference]) {
        await pushOne(context, one, flags);
      }
    });
}

async function pushOne(context: Context, reference: Reference, { quiet = false }: PushFlags): Promise<void> {
  const name = familiarName(reference);
  const image = await context.runtime().image(name);
  await image.push(name, quiet ? {} : { onProgress: progressReporter(context.stdout, 'push') });
  const line = quiet ? canonicalName(reference) : `${reference.tag ?? reference.digest}: digest: ${image.digest}`;
  context.stdout.write(`${line}\n`);
}

async function allTags(context: Context, { registry, repository }: Reference): Promise<Reference[]> {
  const names = (await context.runtime().images()).flatMap((image) => image.references);
  const found = names.map(parseReference).filter((one) => one.registry === registry && one.repository === repository);
  const tagged = found.filter((one) => one.digest === undefined);
  if (tagged.length === 0) {
    throw new UsageError(`no tag of ${registry}/${repository} is here`);
  }
  return tagged;
}

function hasTag(name: string): boolean {
  return /:[^/]*$/.test(name.replace(/@.*$/, ''));
}
