import { isUtf8 } from 'node:buffer';

/**
 * The bytes of a path as the binary told it: UTF-8, except that U+DC80…U+DCFF stand for the bytes 0x80…0xFF of names that are no
 * UTF-8.
 */
export function pathBytes(text: string): Buffer {
  if (!/[\udc80-\udcff]/.test(text)) {
    return Buffer.from(text);
  }
  const parts: Buffer[] = [];
  // By code points: the low half of a surrogate pair is no escaped byte.
  for (const character of text) {
    const point = character.codePointAt(0)!;
    parts.push(point >= 0xdc80 && point <= 0xdcff ? Buffer.from([point - 0xdc00]) : Buffer.from(character));
  }
  return Buffer.concat(parts);
}

/** A path's bytes as text, so that pathBytes() gives them back. */
export function pathText(bytes: Buffer): string {
  if (isUtf8(bytes)) {
    return bytes.toString();
  }
  let text = '';
  for (let at = 0; at < bytes.length;) {
    const length = [1, 2, 3, 4].find((size) => at + size <= bytes.length && isUtf8(bytes.subarray(at, at + size)));
    text += length ? bytes.toString('utf8', at, at + length) : String.fromCharCode(0xdc00 + bytes[at]!);
    at += length ?? 1;
  }
  return text;
}
