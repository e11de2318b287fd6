/** What can be bound to a statement. */
export type SqlValue = null | string | number | Buffer;

/**
 * A parameter as every database stores and gives it back exactly. Anything else is refused before a driver sees it: some
 * store another value without a word.
 * @throws TypeError that names the parameter, never its value
 */
export function toSqlValue(value: unknown, index: number): SqlValue {
  if (value === null) return value;
  if (typeof value === 'string') {
    // libsql cuts a text at its first NUL without a word; half a surrogate pair comes back as another character.
    if (/[\0\p{Surrogate}]/u.test(value))
      throw new TypeError(
        `parameter ${index + 1} is a text that cannot be stored exactly (NUL or lone surrogate)`,
      );
    return value;
  }
  if (typeof value === 'boolean') return value ? 1 : 0;
  if (typeof value === 'number') {
    // Whole numbers beyond 2^53 come back with other digits.
    if (Number.isFinite(value) && (!Number.isInteger(value) || Number.isSafeInteger(value))) return value;
    throw new TypeError(`parameter ${index + 1} is a number that cannot be stored exactly`);
  }
  if (value instanceof Uint8Array) {
    return Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  }
  const kind = value instanceof Date ? 'a Date' : typeof value === 'object' ? 'an object' : typeof value;
  throw new TypeError(`parameter ${index + 1} is ${kind}; only null, text, numbers and bytes can be stored`);
}
