import { constants } from 'node:os';
import { StringDecoder } from 'node:string_decoder';

import type { Context } from './context';
import { ExitStatus, UsageError } from './context';

const interrupt = '\x03';
const endOfInput = '\x04';
const ending: readonly NodeJS.Signals[] = ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM'];

/**
 * What is typed in answer to a question, without its newline. With `hidden` the terminal shows nothing of it; it is as it was before
 * when this settles, also after Ctrl-C or a signal, which end the command as the shell expects.
 * @throws UsageError where nobody can be asked, or nothing is answered
 */
export async function ask(context: Context, question: string, options: { hidden?: boolean } = {}): Promise<string> {
  const { stdin, stdout } = context;
  if (!stdin.isTTY || !stdin.setRawMode) {
    throw new UsageError('cannot perform an interactive login from a non-TTY device');
  }
  const { hidden = false } = options;
  // The terminal itself shows and edits what is not hidden. Before the question, for the answer may be quick.
  if (hidden) {
    stdin.setRawMode(true);
  }
  try {
    const answer = readLine(context);
    stdout.write(question);
    return await answer;
  } finally {
    if (hidden) {
      stdin.setRawMode(false);
      stdout.write('\n');
    }
  }
}

function readLine(context: Context): Promise<string> {
  const { stdin } = context;
  return new Promise((resolve, reject) => {
    const decoder = new StringDecoder('utf8');
    let line = '';
    const stopListening = context.onSignals((name) => {
      if (ending.includes(name)) {
        settle(() => reject(new ExitStatus(128 + constants.signals[name])));
      }
    });
    const settle = (act: () => void): void => {
      stopListening();
      stdin.off('data', read).off('end', ended).off('error', ended).pause();
      act();
    };
    const ended = (): void => settle(() => reject(new UsageError('the input ended before there was an answer')));
    const read = (chunk: Buffer | string): void => {
      const typed = typeof chunk === 'string' ? chunk : decoder.write(chunk);
      for (const [index, character] of [...typed].entries()) {
        if (character === '\r' || character === '\n') {
          const rest = [...typed].slice(index + 1).join('');
          settle(() => resolve(line));
          if (rest !== '') stdin.unshift(Buffer.from(rest));
          return;
        }
        if (character === interrupt) {
          settle(() => reject(new ExitStatus(128 + constants.signals.SIGINT)));
          return;
        }
        if (character === endOfInput && line === '') {
          ended();
          return;
        }
        line = edit(line, character);
      }
    };
    stdin.on('data', read).on('end', ended).on('error', ended).resume();
  });
}

/** The keys that a terminal in its usual mode understands: backspace, and Ctrl-U for the whole line. */
function edit(line: string, character: string): string {
  if (character === '\x7f' || character === '\b') return [...line].slice(0, -1).join('');
  if (character === '\x15') return '';
  return character < ' ' ? line : line + character;
}
