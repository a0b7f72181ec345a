import { DinghyError } from '../errors';
import { canonicalName, familiarName, parseReference } from './reference';

/**
 * Tells whether a reference fits a pattern as Docker's filter `reference` has it: with its tag or without, `*` for any part of one path
 * segment, `?` for one character, `[a-z]` for one of these, `\` before a character that is meant itself. Written in full
 * (`docker.io/library/nginx`) a name fits too.
 * @throws ERR_INVALID_REFERENCE for a pattern that doesn't end
 */
export function referenceMatcher(pattern: string): (reference: string) => boolean {
  const form = new RegExp(`^${toRegExp(pattern)}$`);
  return (text) => spellings(text).some((each) => form.test(each));
}

function spellings(text: string): string[] {
  try {
    const reference = parseReference(text);
    const bare = { ...reference, digest: undefined };
    // An empty tag is written as a colon; without any, `latest` would be meant.
    const full = canonicalName({ ...bare, tag: '' }).replace(/:$/, '');
    return [text, familiarName({ ...bare, tag: undefined }), full, canonicalName(reference)];
  } catch {
    return [text]; // what another tool calls an image need be no reference
  }
}

function toRegExp(pattern: string): string {
  const parts = /\*|\?|\[(\^?)((?:\\[^]|[^\]\\])+)\]|\\([^])|[^[\\]/g;
  let end = 0;
  const text = pattern.replace(parts, (part: string, not?: string, members?: string, literal?: string, ...[at]) => {
    end = typeof at === 'number' ? at + part.length : end;
    if (part === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (members !== undefined) return `[${not}${members.replace(/[[^]/g, '\\$&')}]`;
    return (literal ?? part).replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
  });
  try {
    if (end === pattern.length) {
      new RegExp(text);
      return text;
    }
  } catch {
    // `[z-a]`
  }
  throw new DinghyError({
    code: 'ERR_INVALID_REFERENCE',
    message: `bad pattern ${JSON.stringify(pattern.slice(0, 300))} for references: a bracket or "\\" in it has no end, or a range runs backwards`,
  });
}
