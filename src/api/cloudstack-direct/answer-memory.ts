import { createHash } from 'node:crypto';
import type { Clock, Duration } from '../../../plugin-api/index.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';

export interface AnswerMemoryOptions {
  readonly clock: Clock;
  /** How long an answer is kept after its end. */
  readonly keep: Duration;
  /** Ended answers kept at most; the oldest goes first. */
  readonly most?: number;
}

/** An answer longer than this is not kept after its end: what is asked again then, the operations judge by themselves. */
const longestKept = 256 * 1024;
const usualMost = 500;

interface Remembered {
  readonly body: string;
  readonly answer: Promise<string>;
  /** Monotonic, of the end; null while it runs. */
  endedAt: number | null;
}

/** Answers by request id: a repeated request joins the running one, or gets the answer of the ended one. */
export class AnswerMemory {
  readonly #options: AnswerMemoryOptions;
  readonly #remembered = new Map<string, Remembered>();

  constructor(options: AnswerMemoryOptions) {
    this.#options = options;
  }

  /** @throws ServiceError `request.invalid` when the same id came with another body. */
  async once(key: string, body: string, work: () => Promise<string>): Promise<string> {
    this.#forgetOld();
    const digest = createHash('sha256').update(body).digest('base64');
    const before = this.#remembered.get(key);
    if (before?.body === digest) return before.answer;
    if (before)
      throw new ServiceError({
        code: 'request.invalid',
        what: 'the request id came before, with another body',
      });
    const remembered: Remembered = { body: digest, answer: work(), endedAt: null };
    this.#remembered.set(key, remembered);
    try {
      const answer = await remembered.answer;
      if (answer.length > longestKept) this.#remembered.delete(key);
      return answer;
    } catch (thrown) {
      this.#remembered.delete(key);
      throw thrown;
    } finally {
      remembered.endedAt = this.#options.clock.monotonic();
    }
  }

  #forgetOld(): void {
    const { clock, keep, most = usualMost } = this.#options;
    const ended = [...this.#remembered].filter(([, { endedAt }]) => endedAt !== null);
    const tooMany = ended.length - most;
    for (const [i, [key, { endedAt }]] of ended.entries())
      if (i < tooMany || clock.monotonic() - endedAt! > keep) this.#remembered.delete(key);
  }
}
