/** One challenge of a WWW-Authenticate header (RFC 9110, 11.6.1): scheme and parameter names in lower case. */
export interface Challenge {
  scheme: string;
  parameters: Readonly<Record<string, string>>;
}

const token = /[!#$%&'*+.^_`|~0-9A-Za-z-]+/y;

/**
 * The challenges of a header; several may be joined by commas, as Node joins repeated headers. What cannot be read ends the
 * list: a challenge that is only half understood is none.
 */
export function parseChallenges(header: string | undefined): Challenge[] {
  const reader = new HeaderReader(header ?? '');
  const challenges: Challenge[] = [];
  for (;;) {
    reader.skip(/[\s,]*/y);
    const scheme = reader.take(token);
    if (scheme === undefined) {
      return challenges;
    }
    const parameters = readParameters(reader);
    if (parameters === undefined) {
      return challenges;
    }
    challenges.push({ scheme: scheme.toLowerCase(), parameters });
  }
}

function readParameters(reader: HeaderReader): Record<string, string> | undefined {
  const parameters: [string, string][] = [];
  for (;;) {
    const start = reader.position;
    reader.skip(/[\s,]*/y);
    const name = reader.take(token);
    reader.skip(/\s*/y);
    if (name === undefined || reader.take(/=/y) === undefined) {
      reader.position = start; // not a parameter, so the next scheme
      return Object.fromEntries(parameters);
    }
    reader.skip(/\s*/y);
    const quoted = reader.take(/"(?:[^"\\]|\\.)*"/y);
    const value = quoted === undefined ? reader.take(token) : quoted.slice(1, -1).replace(/\\(.)/g, '$1');
    if (value === undefined) {
      return undefined;
    }
    parameters.push([name.toLowerCase(), value]);
  }
}

class HeaderReader {
  position = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  take(form: RegExp): string | undefined {
    form.lastIndex = this.position;
    const found = form.exec(this.#text)?.[0];
    this.position += found?.length ?? 0;
    return found;
  }

  skip(form: RegExp): void {
    this.take(form);
  }
}
