import type { Os9Model } from './os9-model.ts';

/** A fault, or anything else that happens around one command. */
export type Behaviour =
  /** The command is not run; the text is what the switch says, as it stands. */
  | { readonly do: 'refuse'; readonly text: string }
  /** The command is not run, and the switch says nothing about it. */
  | { readonly do: 'ignore' }
  /** The connection breaks without a word, before or after the command took effect. */
  | { readonly do: 'disconnect'; readonly when: 'before' | 'after' }
  /** Neither output nor prompt ever comes, before or after the command took effect. */
  | { readonly do: 'hang'; readonly when: 'before' | 'after' }
  | { readonly do: 'delay'; readonly ms: number }
  /** Saving fails: refuses like `refuse`, with the text of a full flash unless one is given. */
  | { readonly do: 'fail-save'; readonly text?: string }
  /** Somebody on the console takes the configuration lock, before the command, for so long. */
  | { readonly do: 'lock'; readonly ms: number; readonly user?: string }
  /** Another administrator edits. */
  | { readonly do: 'edit'; readonly when: 'before' | 'after'; readonly edit: (model: Os9Model) => void }
  /** The switch restarts: sessions die, running becomes startup. Before or after the command took effect. */
  | { readonly do: 'reload'; readonly when: 'before' | 'after'; readonly newHostKey?: boolean }
  /** The host name, and with it the prompt, changes before the command. */
  | { readonly do: 'hostname'; readonly name: string }
  /**
   * Lines of their own, such as log messages, before or within the output, or (`after`) behind the next prompt, which is drawn
   * again; or on its line and without that, as recorded of an S4048-ON.
   */
  | {
      readonly do: 'noise';
      readonly where: 'before' | 'within' | 'after' | 'on the prompt';
      readonly lines: readonly string[];
    };

/** A log message as it interleaves with output. */
export const syslogLine = '%STKUNIT0-M:CP %IFMGR-5-OSTATE_UP: Changed interface state to up: Te 1/1';

export interface BehaviourRule {
  /** How often it has struck so far. */
  readonly fired: number;
  /** Takes the rule away. */
  cancel(): void;
}

interface Rule {
  readonly command: RegExp;
  readonly behaviour: Behaviour;
  readonly nth: number;
  readonly times: number;
  seen: number;
  fired: number;
}

/**
 * The faults of one switch, each addressed as "on the n-th match of this command". A command matches by the line as
 * typed or by its written-out form (`wr mem` is also `write memory`).
 */
export class Behaviours {
  #rules: Rule[] = [];

  /** From the `nth` match on (default the first) it strikes `times` times (default once; Infinity = always). */
  on(command: RegExp, behaviour: Behaviour, options: { nth?: number; times?: number } = {}): BehaviourRule {
    const rule: Rule = {
      command,
      behaviour,
      nth: options.nth ?? 1,
      times: options.times ?? 1,
      seen: 0,
      fired: 0,
    };
    this.#rules.push(rule);
    return {
      get fired() {
        return rule.fired;
      },
      cancel: () => (this.#rules = this.#rules.filter((other) => other !== rule)),
    };
  }

  clear(): void {
    this.#rules = [];
  }

  /** The behaviours that strike this command; each counts as fired. */
  strike(typed: string, expanded: string | null): Behaviour[] {
    const striking: Behaviour[] = [];
    for (const rule of this.#rules) {
      rule.command.lastIndex = 0;
      const matches = rule.command.test(typed) || (expanded !== null && rule.command.test(expanded));
      if (!matches) continue;
      rule.seen++;
      if (rule.seen < rule.nth || rule.fired >= rule.times) continue;
      rule.fired++;
      striking.push(rule.behaviour);
    }
    return striking;
  }
}
