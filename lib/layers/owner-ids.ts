/**
 * For requests that walk through unpacked layers: these are this user's own files, and may be closed to their owner. Root needs no right,
 * and of anybody else one id is enough, since layers hold no others'.
 */
export function ownerIds(): { rootless?: { uid: number; gid: number } } {
  const uid = process.geteuid?.() ?? 0;
  return uid === 0 ? {} : { rootless: { uid, gid: process.getegid?.() ?? uid } };
}
