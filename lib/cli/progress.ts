import type { Progress, ProgressHandler } from '../index';
import type { Output } from './context';
import { humanSize, shortId } from './format';
import { Rate } from './rate';

const words: Record<Progress['phase'], string> = {
  resolving: 'Resolving',
  downloading: 'Downloading',
  verifying: 'Verifying Checksum',
  extracting: 'Extracting',
  uploading: 'Pushing',
  exists: 'Already exists',
  done: 'Pull complete',
};
const pushWords: typeof words = { ...words, exists: 'Layer already exists', done: 'Pushed' };

/**
 * Shows a pull or push: on a terminal a bar for each layer, redrawn in place, with its bytes, its rate and the time it still takes;
 * elsewhere a line when a layer's phase changes.
 * @param now milliseconds of a clock that runs on
 */
export function progressReporter(
  out: Output,
  what: 'pull' | 'push' = 'pull',
  now: () => number = () => performance.now(),
): ProgressHandler {
  const names = what === 'push' ? pushWords : words;
  return out.isTTY ? bars(out, names, now) : lines(out, names);
}

function lines(out: Output, names: typeof words): ProgressHandler {
  const shown = new Map<string, string>();
  return ({ digest, phase }) => {
    if (digest === undefined || shown.get(digest) === phase || phase === 'verifying') return;
    shown.set(digest, phase);
    out.write(`${shortId(digest)}: ${names[phase]}\n`);
  };
}

interface Line {
  phase: Progress['phase'];
  rate: Rate;
  text: string;
}

function bars(out: Output, names: typeof words, now: () => number): ProgressHandler {
  const order: string[] = [];
  const shown = new Map<string, Line>();
  return ({ digest, phase, current, total }) => {
    if (digest === undefined) return;
    let line = shown.get(digest);
    if (!line) {
      order.push(digest);
      out.write('\n');
    }
    if (line?.phase !== phase) line = { phase, rate: new Rate(), text: '' };
    shown.set(digest, line);
    line.rate.add(current, now());
    const measured = phase === 'downloading' || phase === 'extracting' || phase === 'uploading';
    const text = `${shortId(digest)}: ${names[phase]}${measured ? ` ${bar(current, total)}${line.rate.text(total)}` : ''}`;
    if (line.text === text) return;
    line.text = text;
    const up = order.length - order.indexOf(digest);
    if (up >= (out.rows ?? Infinity)) return; // it has scrolled away, and the cursor cannot follow
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
