export interface MediaType {
  /** In lower case, without parameters. */
  readonly type: string;
  /** By name in lower case; of two of one name the first. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Reads `type; name=value; name="value"`, as `Content-Type` and `Content-Disposition` have it. */
export function parseMediaType(header: string): MediaType {
  const semicolon = header.indexOf(';');
  const type = (semicolon < 0 ? header : header.slice(0, semicolon)).trim().toLowerCase();
  const parameters = new Map<string, string>();
  // Sticky, so that its time is linear in the text.
  const pattern = /;[ \t]*([^=;\s"]*)[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([^;]*)))?[^;]*/gsy;
  pattern.lastIndex = semicolon < 0 ? header.length : semicolon;
  for (let match = pattern.exec(header); match; match = pattern.exec(header)) {
    const [, name = '', quoted, plain = ''] = match;
    const key = name.toLowerCase();
    const value = quoted === undefined ? plain.trim() : quoted.replaceAll(/\\(["\\])/g, '$1');
    if (key.endsWith('*')) setExtended(parameters, key.slice(0, -1), value);
    else if (key !== '' && !parameters.has(key)) parameters.set(key, value);
  }
  return { type, parameters };
}

/** `name*=utf-8''text` (RFC 5987): how Python's email package writes a name that is not ASCII. */
function setExtended(parameters: Map<string, string>, key: string, value: string): void {
  const match = /^(?:utf-8|us-ascii)'[^']*'(.*)$/is.exec(value);
  if (!match) return;
  try {
    parameters.set(key, decodeURIComponent(match[1]!));
  } catch {
    // Misspelt: the parameter is not there.
  }
}
