/**
 * The text of a file or of standard input; null where its bytes are no UTF-8: with others in their place it would be another text, and a
 * password another password. A byte order mark at its beginning, which Windows editors make, does not belong to it.
 */
export function utf8(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}
