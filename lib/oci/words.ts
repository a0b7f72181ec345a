/** A text with quotes, backslashes and variables that can't be read. */
export class WordsError extends Error {}

type Environment = Readonly<Record<string, string>>;

const special = /[A-Za-z_][A-Za-z0-9_]*/y;
const braced = /\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+])((?:\\.|[^}\\])*))?\}/sy;

/**
 * Splits at spaces that are neither quoted nor behind a backslash, as a Dockerfile's instructions are read: quotes and backslashes are
 * taken off, and `$NAME`, `${NAME}`, `${NAME:-else}` and `${NAME:+then}` are what they stand for, except in single quotes. A variable
 * that is not there is empty; what one holds is not split.
 * @throws WordsError
 */
export function splitWords(text: string, environment: Environment): string[] {
  return new Lexer(text, environment).read(true);
}

/** The same with the spaces left where they are. @throws WordsError */
export function expandText(text: string, environment: Environment): string {
  return new Lexer(text, environment).read(false)[0] ?? '';
}

class Lexer {
  readonly #text: string;
  readonly #environment: Environment;
  readonly #words: string[] = [];
  #word: string | undefined;
  #at = 0;

  constructor(text: string, environment: Environment) {
    this.#text = text;
    this.#environment = environment;
  }

  read(split: boolean): string[] {
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++]!;
      if (split && /\s/.test(char)) {
        this.#end();
      } else if (char === "'") {
        this.#put(this.#single());
      } else if (char === '"') {
        this.#put(this.#double());
      } else if (char === '\\') {
        this.#put(this.#text[this.#at++] ?? char);
      } else {
        this.#put(char === '$' ? this.#variable() : char);
      }
    }
    this.#end();
    return this.#words;
  }

  #put(text: string): void {
    this.#word = (this.#word ?? '') + text;
  }

  #end(): void {
    if (this.#word !== undefined) {
      this.#words.push(this.#word);
    }
    this.#word = undefined;
  }

  #single(): string {
    const end = this.#text.indexOf("'", this.#at);
    if (end < 0) {
      throw new WordsError('a single quote is not closed');
    }
    const inside = this.#text.slice(this.#at, end);
    this.#at = end + 1;
    return inside;
  }

  #double(): string {
    let inside = '';
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at++]!;
      if (char === '"') {
        return inside;
      }
      const next = this.#text[this.#at];
      if (char === '\\' && next !== undefined && '"\\$'.includes(next)) {
        inside += next;
        this.#at++;
      } else {
        inside += char === '$' ? this.#variable() : char;
      }
    }
    throw new WordsError('a double quote is not closed');
  }

  /** What stands behind a `$`. */
  #variable(): string {
    const name = this.#match(special)?.[0];
    if (name !== undefined) {
      return this.#value(name) ?? '';
    }
    if (this.#text[this.#at] !== '{') {
      return '$';
    }
    const found = this.#match(braced);
    if (!found) {
      throw new WordsError('after ${ must come a name and }, or :-…} or :+…}');
    }
    const [, inner = '', form, word = ''] = found;
    const value = this.#value(inner);
    // With the colon an empty one counts as none.
    const present = form?.startsWith(':') ? value !== undefined && value !== '' : value !== undefined;
    if (form?.endsWith('-')) {
      return present ? value! : expandText(word, this.#environment);
    }
    return form?.endsWith('+') ? (present ? expandText(word, this.#environment) : '') : (value ?? '');
  }

  #value(name: string): string | undefined {
    return Object.hasOwn(this.#environment, name) ? this.#environment[name] : undefined;
  }

  #match(pattern: RegExp): RegExpExecArray | undefined {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text) ?? undefined;
    this.#at = found ? pattern.lastIndex : this.#at;
    return found;
  }
}
