/** Whether a request can carry it as `Authorization: Bearer TOKEN` (RFC 6750, section 2.1, allows less; what was given may be more). */
export function isBearerToken(text: string): boolean {
  return /^[\x21-\x7e]{1,512}$/.test(text);
}
