import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

import { Bench, cliPath, eventually } from '../support/e2e';

// tmux is the terminal: it understands what a program writes, and can be asked what is on its screen.

let bench: Bench;
beforeAll(async () => {
  bench = await Bench.open({ busybox: '1' });
  expect(bench.cli(['pull', '-q', 'busybox:1']).status).toBe(0);
}, 120_000);
afterEach(() => {
  // What a failed test left: the containers of the command line outlive it.
  const left = bench.cli(['ps', '-aq']).stdout.split('\n').filter(Boolean);
  if (left.length > 0) bench.cli(['rm', '-f', ...left]);
});
afterAll(async () => {
  await bench.close();
});

// A socket for each: a server that was told to end may still be there.
let screens = 0;

/** One tmux server with one window, in which `command` runs. */
class Screen {
  readonly #socket: string;

  constructor(command: string, { columns = 80, rows = 24 } = {}) {
    this.#socket = join(bench.folder, `tmux-${++screens}`);
    const size = ['-x', String(columns), '-y', String(rows)];
    this.#tmux(['-f', '/dev/null', 'new-session', '-d', ...size, `${command}; echo "status $?"; exec cat`]);
  }

  text(): string {
    return this.#tmux(['capture-pane', '-p']);
  }

  /** Literal text, then named keys. */
  type(text: string, ...keys: string[]): void {
    if (text !== '') this.#tmux(['send-keys', '-l', text]);
    if (keys.length > 0) this.#tmux(['send-keys', ...keys]);
  }

  resize(columns: number, rows: number): void {
    this.#tmux(['resize-window', '-x', String(columns), '-y', String(rows)]);
  }

  async shows(pattern: RegExp): Promise<string> {
    try {
      return await eventually(() => (pattern.test(this.text()) ? this.text() : undefined), 15_000);
    } catch {
      throw new Error(`${String(pattern)} is not on the screen:\n${this.text()}`);
    }
  }

  close(): void {
    this.#tmux(['kill-server']);
  }

  #tmux(args: readonly string[]): string {
    const options = { env: { ...bench.env, TERM: 'xterm', LANG: 'C.UTF-8' }, encoding: 'utf8' } as const;
    const { status, stdout, stderr } = spawnSync('tmux', ['-S', this.#socket, ...args], options);
    if (status !== 0) throw new Error(`tmux ${args.join(' ')}: ${stderr}`);
    return stdout;
  }
}

const dinghy = `"${process.execPath}" "${cliPath}"`;

async function onScreen(command: string, work: (screen: Screen) => Promise<void>, size = {}): Promise<void> {
  const screen = new Screen(command, size);
  try {
    await work(screen);
  } finally {
    screen.close();
  }
}

test('a shell: the size before its first command, keys, resizing, Ctrl-C, and the exit code', async () => {
  const command = `${dinghy} run --rm -it --network none busybox:1 sh -c 'stty size; exec sh'`;
  await onScreen(
    command,
    async (screen) => {
      expect(await screen.shows(/#$/m)).toMatch(/^31 97\n/);
      screen.type('echo a-$((6*7))', 'Enter');
      await screen.shows(/^a-42$/m);
      screen.resize(70, 20);
      screen.type('stty size', 'Enter');
      await screen.shows(/^20 70$/m);
      screen.type('echo asl""eep; sleep 100', 'Enter');
      // From here on Ctrl-C is a signal, no key of the shell's line editor.
      await screen.shows(/^asleep$/m);
      screen.type('', 'C-c');
      // The terminal's input queue is emptied by Ctrl-C: what is typed before the prompt may be lost, here as anywhere.
      await screen.shows(/\^C\n\/ #$/m);
      screen.type('exit 5', 'Enter');
      await screen.shows(/^status 5$/m);
    },
    { columns: 97, rows: 31 },
  );
  expect(bench.cli(['ps', '-aq']).stdout).toBe('');
});

test('vi: the same screen as without a container, through keys and resizing', async () => {
  const lines = Array.from({ length: 60 }, (_, index) => `line ${index + 1} ${'-'.repeat(index % 30)}`).join('\\n');
  const script = `printf "${lines}\\n" > /tmp/vi-test-$$; exec busybox vi /tmp/vi-test-$$`;
  const shown: string[][] = [];
  for (const command of [
    `TERM=xterm sh -c '${script.replaceAll('/tmp/', `${bench.folder}/`)}'`,
    `${dinghy} run --rm -it --network none busybox:1 sh -c '${script}'`,
  ]) {
    const seen: string[] = [];
    // The last line has the path.
    const keep = (text: string): void => void seen.push(text.split('\n').slice(0, -2).join('\n'));
    await onScreen(command, async (screen) => {
      keep(await screen.shows(/^line 1 ?$[^]*^line 23 /m));
      screen.type('Goadded by hand');
      await screen.shows(/^added by hand$[^]*^I /m);
      screen.type('', 'Escape');
      // Out of the mode: what comes too soon after Escape is taken for a key's sequence.
      keep(await screen.shows(/^added by hand$[^]*^- /m));
      screen.type('1G');
      await screen.shows(/^line 1 ?\n/);
      screen.type('', 'C-d');
      await screen.shows(/^line 12 -+\n/);
      screen.type('ddp');
      // How far C-d goes depends on the size.
      await screen.shows(/^line 13 -+\nline 12 -+\nline 14 /m);
      screen.resize(60, 15);
      screen.type('', 'C-l');
      await eventually(() => screen.text().trimEnd().split('\n').length <= 15);
      screen.type('1G');
      keep(await screen.shows(/^line 1 ?$[^]*^line 13 -+\nline 12 -+\nline 14 /m));
      screen.type(':q!', 'Enter');
      await screen.shows(/^status 0$/m);
    });
    shown.push(seen);
  }
  expect(shown[1]).toEqual(shown[0]);
  expect(shown[0]).toHaveLength(3);
});

test('top fills the screen, follows its size, and leaves the terminal usable', async () => {
  await onScreen(`${dinghy} run --rm -it --network none busybox:1 sh`, async (screen) => {
    await screen.shows(/#$/m);
    screen.type('top -d 1', 'Enter');
    const shown = await screen.shows(/^\s*PID\s+PPID\s+USER[^]*^\s+1\s+0\s+root[^]*top -d 1/m);
    expect(shown).toMatch(/^Mem: \d+K used/);
    screen.type('q');
    screen.type('echo typed-$((1+1)); exit', 'Enter');
    await screen.shows(/^typed-2$/m);
    await screen.shows(/^status 0$/m);
    screen.type('echoed again', 'Enter');
    // By the terminal and by cat.
    await screen.shows(/^echoed again\nechoed again$/m);
  });
});

test('detach keys leave it running; attach, start -ai and exec -it come back to it', async () => {
  const name = 'detachable';
  await onScreen(`${dinghy} run --name ${name} -it --network none busybox:1 sh`, async (screen) => {
    await screen.shows(/#$/m);
    screen.type('X=kept', 'Enter');
    screen.type('', 'C-p', 'C-q');
    // Where the cursor was: after the prompt.
    await screen.shows(/status 0$/m);
  });
  expect(bench.cli(['ps', '--format', '{{.Names}}']).stdout).toBe(`${name}\n`);
  await onScreen(`${dinghy} exec -it ${name} sh`, async (screen) => {
    await screen.shows(/#$/m);
    screen.type('sleep 765', 'Enter');
    await eventually(() => bench.cli(['exec', name, 'ps']).stdout.includes('sleep 765'));
    screen.type('', 'C-p', 'C-q');
    await screen.shows(/status 0$/m);
  });
  expect(bench.cli(['exec', name, 'ps']).stdout).toContain('sleep 765');
  await onScreen(`${dinghy} attach --detach-keys ctrl-x ${name}`, async (screen) => {
    await screen.shows(/#$/m);
    screen.type('echo $X', 'Enter');
    await screen.shows(/^kept$/m);
    screen.type('exit 6', 'Enter');
    await screen.shows(/^status 6$/m);
  });
  await onScreen(`${dinghy} start -ai ${name}`, async (screen) => {
    await screen.shows(/#$/m);
    screen.type('stty size; exit 7', 'Enter');
    await screen.shows(/^24 80[^]*^status 7$/m);
  });
  expect(bench.cli(['rm', name]).status).toBe(0);
});
