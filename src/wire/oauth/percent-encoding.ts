/** Percent-encodes as RFC 5849 section 3.6 wants it: everything but letters, digits and `-._~`, in capitals. */
export function percentEncode(text: string): string {
  // By way of a buffer, since half a surrogate pair cannot be encoded.
  return encodeURIComponent(Buffer.from(text).toString()).replaceAll(
    /[!'()*]/g,
    (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

/** Undoes one percent-encoding; what is no encoding stays as it is. */
export function percentDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
