/** What a prompt tells: `tor-a(conf-if-vl-100)#`. */
export interface Prompt {
  readonly host: string;
  /** The text in brackets: `conf`, `conf-if-vl-100`, or null in EXEC mode. */
  readonly mode: string | null;
  /** False for `>` and for the `$` of the S60 generation. */
  readonly privileged: boolean;
}

/** Anchored at both ends: descriptions and banners contain `#` and `>`. */
const promptPattern = /^\s?([A-Za-z0-9][A-Za-z0-9._-]{0,63})(?:\(([^()\s]{1,64})\))?([>#$])\s?$/;

/** Reads the last, unfinished line as a prompt, or gives null. */
export function parsePrompt(line: string): Prompt | null {
  const match = promptPattern.exec(line);
  return match && { host: match[1]!, mode: match[2] ?? null, privileged: match[3] === '#' };
}

/** A line that begins with a prompt, taken apart: what stands behind it was typed, or is a message of the log. */
export function splitPrompt(line: string): { readonly prompt: string; readonly rest: string } {
  const prompt = /^\s?[A-Za-z0-9][A-Za-z0-9._-]{0,63}(?:\([^()\s]{1,64}\))?[>#$]/.exec(line)?.[0] ?? '';
  return { prompt, rest: line.slice(prompt.length) };
}

export function isPager(line: string): boolean {
  return /^\s*-+\s*more\s*-+\s*$/i.test(line);
}

/** A question that waits for yes or no: `[confirm yes/no]:`, `[y/n]:`, `[yes/no]:`. */
export function isQuestion(line: string): boolean {
  return /\[(?:confirm\s+)?y(?:es)?\/n(?:o)?\]\s*[:?]?\s*$/i.test(line);
}

export function isPasswordPrompt(line: string): boolean {
  return /^\s*password\s*:\s*$/i.test(line);
}

/**
 * A line of the system log that the switch wrote into our session: `Mar 30 20:20:41: %STKUNIT0-M:CP %IFMGR-5-OSTATE_UP: ...`.
 * It begins in the first column, where neither a `show vlan` row nor a line of an interface's configuration begins.
 */
export function isLogLine(line: string): boolean {
  return /^(?:\w[\w:., +-]*)?%(?:STKUNIT\d|RPM\d|[A-Z0-9_]+-\d-[A-Z0-9_]+)/.test(line);
}

/** The prompt of a line on which the log went on behind it: `DellEMC#Feb  7 15:17:02 %STKUNIT1-M:CP %SYS-5-CONFIG_I: ...`. */
export function promptBeforeLog(line: string): Prompt | null {
  const { prompt, rest } = splitPrompt(line);
  return prompt !== '' && isLogLine(rest.trimStart()) ? parsePrompt(prompt) : null;
}
