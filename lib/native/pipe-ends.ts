import { closeFd, pipe } from './binding';

/** A descriptor that is closed once, however often. */
export class PipeEnd {
  readonly fd: number;
  #open = true;

  constructor(fd: number) {
    this.fd = fd;
  }

  close(): void {
    if (this.#open) {
      this.#open = false;
      closeFd(this.fd);
    }
  }
}

/** A pipe from one process of the binary to another: whoever made it closes both ends, as soon as those have them. */
export function pipeEnds(): { readEnd: PipeEnd; writeEnd: PipeEnd } {
  const [readEnd, writeEnd] = pipe();
  return { readEnd: new PipeEnd(readEnd), writeEnd: new PipeEnd(writeEnd) };
}
