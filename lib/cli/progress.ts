import type { Progress, ProgressHandler } from '../index';
import type { Output } from './context';
import { humanSize, shortId } from './format';

const words: Record<Progress['phase'], string> = {
  resolving: 'Resolving',
  downloading: 'Downloading',
  verifying: 'Verifying Checksum',
  extracting: 'Extracting',
  uploading: 'Pushing',
  exists: 'Already exists',
  done: 'Pull complete',
};

/** Shows a pull: a bar for each layer that is redrawn in place on a terminal, elsewhere a line when a layer's phase changes. */
export function progressReporter(out: Output): ProgressHandler {
  return out.isTTY ? bars(out) : lines(out);
}

function lines(out: Output): ProgressHandler {
  const shown = new Map<string, string>();
  return ({ digest, phase }) => {
    if (digest === undefined || shown.get(digest) === phase || phase === 'verifying') return;
    shown.set(digest, phase);
    out.write(`${shortId(digest)}: ${words[phase]}\n`);
  };
}

function bars(out: Output): ProgressHandler {
  const order: string[] = [];
  const texts = new Map<string, string>();
  return ({ digest, phase, current, total }) => {
    if (digest === undefined) return;
    if (!texts.has(digest)) {
      order.push(digest);
      out.write('\n');
    }
    const measured = phase === 'downloading' || phase === 'extracting' || phase === 'uploading';
    const text = `${shortId(digest)}: ${words[phase]}${measured ? ` ${bar(current, total)}` : ''}`;
    if (texts.get(digest) === text) return;
    texts.set(digest, text);
    const up = order.length - order.indexOf(digest);
    const width = (out.columns ?? 80) - 1;
    // Up to that layer's line, written anew, the rest of it erased, and back to the line below all bars.
    out.write(`\x1b[${up}A\r${text.slice(0, width)}\x1b[K\x1b[${up}B\r`);
  };
}

/** `[=====>    ]  12.3MB/45MB` */
function bar(current: number, total: number | undefined): string {
  if (total === undefined || total === 0) return humanSize(current);
  const width = 30;
  const filled = Math.min(width, Math.floor((current / total) * width));
  const drawn = '='.repeat(filled) + (filled < width ? '>' : '');
  return `[${drawn.padEnd(width)}]  ${humanSize(current)}/${humanSize(total)}`;
}
