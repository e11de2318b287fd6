import { portList, vlanList } from './os9-port-name.ts';

/**
 * One command line pattern: keywords (any unambiguous beginning of each is understood) and slots in angle brackets.
 * Slots: `<vlan>` and `<number>` a number, `<vlans>` a list of VLAN ids, `<ports>` a port list, `<port>` one port,
 * `<word>` a word, `<line>` the rest of the line.
 */
export interface CommandPattern {
  readonly pattern: string;
}

export type ParsedLine<C> =
  | { readonly found: C; readonly values: readonly string[]; readonly expanded: string }
  | { readonly found: null; readonly error: 'invalid'; readonly column: number }
  | { readonly found: null; readonly error: 'incomplete' | 'ambiguous' };

interface Candidate<C> {
  readonly command: C;
  readonly elements: readonly string[];
  readonly values: readonly string[];
  readonly expanded: readonly string[];
}

/** Finds the command that a typed line means. Of patterns that fit equally the first one wins. */
export function parseLine<C extends CommandPattern>(line: string, commands: readonly C[]): ParsedLine<C> {
  let alive: Candidate<C>[] = commands.map((command) => ({
    command,
    elements: command.pattern.split(' '),
    values: [],
    expanded: [],
  }));
  let column = 0;
  for (let position = 0; ; position++) {
    column += /^\s*/.exec(line.slice(column))![0].length;
    const rest = line.slice(column).trimEnd();
    if (rest === '') {
      const complete = alive.find((candidate) => candidate.elements.length === position);
      if (!complete) return { found: null, error: 'incomplete' };
      return { found: complete.command, values: complete.values, expanded: complete.expanded.join(' ') };
    }
    const open = alive.filter((candidate) => candidate.elements.length > position);
    const step = keywordStep(rest, open, position) ?? slotStep(rest, open, position);
    if (step === null) return { found: null, error: 'invalid', column };
    if (step === 'ambiguous') return { found: null, error: 'ambiguous' };
    alive = step.alive;
    column += step.consumed;
  }
}

type Step<C> = { alive: Candidate<C>[]; consumed: number } | 'ambiguous' | null;

function keywordStep<C>(rest: string, open: readonly Candidate<C>[], position: number): Step<C> {
  // A keyword ends at the first digit: `vlan100` is `vlan 100`.
  const typed = /^[a-z][a-z-]*/i.exec(rest)?.[0];
  if (typed === undefined) return null;
  const wanted = typed.toLowerCase();
  const words = open.map((candidate) => candidate.elements[position]!);
  const matching = new Set(words.filter((word) => !word.startsWith('<') && word.startsWith(wanted)));
  if (matching.size === 0) return null;
  if (matching.size > 1 && !matching.has(wanted)) return 'ambiguous';
  const word = matching.has(wanted) ? wanted : [...matching][0]!;
  return {
    alive: open
      .filter((candidate) => candidate.elements[position] === word)
      .map((candidate) => ({ ...candidate, expanded: [...candidate.expanded, word] })),
    consumed: typed.length,
  };
}

function slotStep<C>(rest: string, open: readonly Candidate<C>[], position: number): Step<C> {
  for (const slot of new Set(open.map((candidate) => candidate.elements[position]!))) {
    const value = slot.startsWith('<') ? slotValue(slot, rest) : null;
    if (value === null) continue;
    return {
      alive: open
        .filter((candidate) => candidate.elements[position] === slot)
        .map((candidate) => ({
          ...candidate,
          values: [...candidate.values, value],
          expanded: [...candidate.expanded, value],
        })),
      consumed: value.length,
    };
  }
  return null;
}

/** The beginning of `rest` that fills the slot, or null. */
function slotValue(slot: string, rest: string): string | null {
  const word = /^\S+/.exec(rest)![0];
  switch (slot) {
    case '<vlan>':
      return /^\d{1,4}$/.test(word) && Number(word) >= 1 && Number(word) <= 4094 ? word : null;
    case '<number>':
      return /^\d{1,9}$/.test(word) ? word : null;
    case '<word>':
      return word;
    case '<line>':
      return rest;
    case '<vlans>':
      return vlanList(rest) ? rest : null;
    case '<ports>':
      return portList(rest) ? rest : null;
    case '<port>':
      return portList(rest)?.length === 1 ? rest : null;
    default:
      throw new Error(`unknown slot ${slot}`);
  }
}
