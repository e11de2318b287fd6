/** What the switch says to one line. */
export interface Reply {
  readonly lines: readonly string[];
  /** The switch refused, or did not understand. */
  readonly refused: boolean;
  /** A question instead of the prompt; the next typed line is its answer. */
  readonly ask?: Question;
  /** The session ends after the text; `reload` takes the whole switch down. */
  readonly end?: 'logout' | 'reload';
}

export interface Question {
  readonly text: string;
  /** False for passwords. */
  readonly echo: boolean;
  readonly answer: (line: string) => Reply;
}

export function say(lines: readonly string[]): Reply {
  return { lines, refused: false };
}
