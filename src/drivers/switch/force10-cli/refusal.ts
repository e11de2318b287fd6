/** `% Error: ...`, `%Error:`, `Error : Te 0/9 ...` at the beginning of a line. */
const errorLine = /^\s*%?\s*error\s*:/i;
const otherRefusals =
  /^\s*%.*(?:invalid input|incomplete|ambiguous command|bad secret|invalid password|denied)/i;

/** What the switch said against a command, on one line; null when it said nothing against it. There is no exit status. */
export function findRefusal(lines: readonly string[]): string | null {
  const refusals = lines.filter((line) => errorLine.test(line) || otherRefusals.test(line));
  return refusals.length > 0 ? oneLine(refusals) : null;
}

/** Somebody else holds the configuration lock; the text names the user and the line. */
export function isLockRefusal(text: string): boolean {
  return /exclusive configuration mode|lock configuration mode|configuration (?:mode )?is locked/i.test(text);
}

/** The switch has no such interface (for a `show` of one). */
export function isUnknownInterface(text: string): boolean {
  return /invalid (?:input|interface|port|slot|unit|stack)|no such|does not exist|not (?:present|found|exist)|incomplete/i.test(
    text,
  );
}

/** A port that belongs to a link aggregation group refuses layer 2 settings of its own: `Error : Te 0/9 is in Layer 2 LAG`. */
export function isLagRefusal(text: string): boolean {
  return /\bLAG\b|port-channel member|part of port-channel/i.test(text);
}

/** `portmode hybrid` on a port in layer 2 mode, or membership for a port outside it. */
export function isUnpreparedRefusal(text: string): boolean {
  return /in layer-?\s?[23] mode|not in layer|switchport|hybrid/i.test(text);
}

/** What a person does about such a port. */
export const unpreparedRemedy =
  'prepare the port: no switchport, portmode hybrid, switchport; with preparePorts: true csbm does it for ports that are in no ' +
  'VLAN but the default one; see docs/switch-os9.md';

/** The refused thing already holds, so it does not matter: a VLAN or name that exists, a membership that is gone. */
export function isHarmlessRefusal(line: string, text: string): boolean {
  if (/already exist/i.test(text)) return /^(?:interface|description|name) /.test(line);
  if (/(?:does )?not exist|no such|not a (?:tagged |untagged )?member/i.test(text))
    return /^(?:no|do show) /.test(line);
  return line === 'no switchport' && /not in layer-?\s?2/i.test(text);
}

/** Lines of a switch as one short line, for a message. */
export function oneLine(lines: readonly string[]): string {
  const text = lines
    .map((line) => line.trim())
    .filter((line) => line !== '')
    .join(' / ');
  return text.length > 300 ? `${text.slice(0, 300)}...` : text;
}
