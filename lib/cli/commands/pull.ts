import type { Command } from 'commander';
import { canonicalName, familiarName, parseReference } from '../../oci/reference';
import type { Context } from '../context';
import { UsageError } from '../context';
import { progressReporter } from '../progress';

interface PullFlags {
  allTags?: boolean;
  platform?: string;
  quiet?: boolean;
}

/** `pull IMAGE`: asks the registry, fetches what is missing, and prints the whole name. */
export function configure(command: Command, context: Context): void {
  command
    .option('-a, --all-tags', 'every tag of the repository')
    .option('--platform <platform>', 'os/arch[/variant]')
    .option('-q, --quiet', 'print the name only')
    .argument('<image>')
    .action(async (name: string, flags: PullFlags) => {
      if (flags.allTags) throw new UsageError('-a: pulling all tags is not in this version; name each of them');
      const reference = parseReference(name);
      if (reference.tag === 'latest' && !flags.quiet && !/:latest(@|$)/.test(name)) {
        context.stdout.write('Using default tag: latest\n');
      }
      const runtime = context.runtime();
      const before = await runtime.images({ filters: { reference: familiarName(reference) } });
      if (!flags.quiet) {
        context.stdout.write(`${reference.digest ?? reference.tag}: Pulling from ${reference.repository}\n`);
      }
      const image = await runtime.pull(name, {
        force: true,
        platform: flags.platform,
        onProgress: flags.quiet ? undefined : progressReporter(context.stdout),
      });
      if (!flags.quiet) {
        const same = before.some((one) => one.digest === image.digest);
        context.stdout.write(`Digest: ${image.digest}\n`);
        context.stdout.write(
          same
            ? `Status: Image is up to date for ${familiarName(reference)}\n`
            : `Status: Downloaded newer image for ${familiarName(reference)}\n`,
        );
      }
      context.stdout.write(`${canonicalName(reference)}\n`);
    });
}
