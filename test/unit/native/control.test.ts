import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';

import { ControlConnection, type ControlEvent } from '../../../lib/native/control';
import { encodeFrame, FrameDecoder, frameTypes } from '../../../lib/native/protocol';
import { removeFolder, temporaryFolder } from '../../support/temporary-folder';

const folder = temporaryFolder('control');
const path = join(folder, 'ctl');
let server: Server;
let peer: Promise<Socket>;
const sockets: Socket[] = [];
let answersHello = true;

beforeEach(async () => {
  answersHello = true;
  peer = new Promise((resolve) => {
    server = createServer((socket) => {
      sockets.push(socket);
      if (answersHello) socket.write(encodeFrame(frameTypes.serverHello, { version: 1 }));
      resolve(socket);
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
});
afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
  server.close();
});
afterAll(() => removeFolder(folder));

/** What arrives, frame by frame. */
async function* framesOf(socket: Socket): AsyncGenerator<{ type: number; value: Record<string, unknown> }> {
  const decoder = new FrameDecoder();
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    for (const { type, payload } of decoder.push(chunk)) {
      yield { type, value: JSON.parse(payload.toString()) as Record<string, unknown> };
    }
  }
}

test('greets, and matches answers to requests, in whatever order they come', async () => {
  const control = await ControlConnection.connect(path, { hold: true });
  const socket = await peer;
  const answers = Promise.all([control.request('first', { a: 1 }), control.request('second')]);
  const frames = framesOf(socket);
  expect((await frames.next()).value).toEqual({ type: frameTypes.clientHello, value: { version: 1, hold: true } });
  const first = (await frames.next()).value?.value ?? {};
  const second = (await frames.next()).value?.value ?? {};
  expect(first).toMatchObject({ op: 'first', a: 1 });
  for (const { id, op } of [second, first]) {
    socket.write(encodeFrame(frameTypes.reply, { id, ok: true, op }));
  }
  expect(await answers).toMatchObject([{ op: 'first' }, { op: 'second' }]);
  control.close();
});

test('events are delivered, and an end of the peer fails what is pending', async () => {
  const events: ControlEvent[] = [];
  const control = await ControlConnection.connect(path, { onEvent: (event) => events.push(event) });
  const socket = await peer;
  const pending = control.request('never');
  socket.end(encodeFrame(frameTypes.event, { event: 'state', status: 'running' }));
  await expect(pending).rejects.toMatchObject({ code: 'ERR_SUPERVISOR' });
  await control.closed;
  expect(events).toEqual([{ event: 'state', status: 'running' }]);
  expect(control.isClosed).toBe(true);
  await expect(control.request('late')).rejects.toMatchObject({ code: 'ERR_SUPERVISOR', step: 'late' });
});

test('what is not the protocol ends the connection', async () => {
  const control = await ControlConnection.connect(path);
  const socket = await peer;
  const pending = control.request('x');
  socket.write('HTTP/1.1 400 Bad Request\r\n\r\n');
  await expect(pending).rejects.toMatchObject({ code: 'ERR_SUPERVISOR' });
});

test('nobody there: the error of connect', async () => {
  await expect(ControlConnection.connect(join(folder, 'nobody'))).rejects.toMatchObject({ code: 'ENOENT' });
});

test('one that ends before it has answered the hello has not been there', async () => {
  answersHello = false;
  const connecting = ControlConnection.connect(path);
  (await peer).destroy();
  await expect(connecting).rejects.toMatchObject({ code: 'ECONNRESET' });
});
