/** The switch refuses a command; the message is what it says. */
export class Os9Refusal extends Error {
  override name = 'Os9Refusal';
  /** The message is the whole line, as recorded from a switch; otherwise `% Error: ` goes before it. */
  readonly verbatim: boolean;

  constructor(message: string, verbatim = false) {
    super(message);
    this.verbatim = verbatim;
  }
}
