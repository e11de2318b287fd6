import type { AdminClient } from './admin-client.ts';
import type { Page } from './page.ts';

/** An operation as the admin API shows it. */
export interface OperationView {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly error: { readonly code: string; readonly what: string; readonly said?: string } | null;
  readonly undoError: object | null;
}

/** A step as the admin API shows it. */
export interface StepView {
  readonly seq: number;
  readonly name: string;
  readonly direction: 'do' | 'undo';
  readonly state: string;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly progress: { readonly activity: string; readonly percent: number | null } | null;
  readonly evidence: { readonly summary: string } | null;
  readonly error: {
    readonly what: string;
    readonly where?: string;
    readonly said?: string;
  } | null;
}

/** How often the service is asked whether the operation has begun. */
const lookEvery = 25;

/** Finds the operations that the service begins for a machine, and shows each of their steps as it happens. */
export class OperationFollower {
  readonly #admin: AdminClient;
  readonly #page: Page;
  readonly #known = new Set<string>();

  constructor(admin: AdminClient, page: Page) {
    this.#admin = admin;
    this.#page = page;
  }

  /**
   * Follows the next operation of this kind that it has not followed yet.
   * @param until gives up when this settles first and there still is none
   */
  async next(machine: string, kind: string, until: Promise<unknown>): Promise<Followed | null> {
    const id = await this.#begun(machine, kind, until);
    if (id === null) return null;
    const steps = new Map<number, StepView>();
    const operation = await this.#admin.follow(id, (step) => {
      const view = step as unknown as StepView;
      if (view.state === 'intent') {
        if (view.progress?.percent == null) this.#page.waiting(view.name);
        else this.#page.progress(view.name, view.progress.percent, view.progress.activity);
      } else if (!steps.has(view.seq)) {
        steps.set(view.seq, view);
        this.#show(view);
      }
    });
    return { operation: operation as unknown as OperationView, steps: [...steps.values()] };
  }

  async #begun(machine: string, kind: string, until: Promise<unknown>): Promise<string | null> {
    const end = until.then(
      () => true,
      () => true,
    );
    for (let last = false; ;) {
      const { operations } = await this.#admin.call('GET', `/operations?machine=${machine}`);
      const fresh = (operations as OperationView[]).find(
        (one) => one.kind === kind && !this.#known.has(one.id),
      );
      if (fresh) {
        this.#known.add(fresh.id);
        return fresh.id;
      }
      if (last) return null;
      const pause = new Promise<false>((resolve) => setTimeout(() => resolve(false), lookEvery));
      last = await Promise.race([end, pause]);
    }
  }

  #show(step: StepView): void {
    const took = step.endedAt === null ? null : step.endedAt - step.startedAt;
    const label = step.direction === 'undo' ? `undo ${step.name}` : step.name;
    if (step.error) {
      const { what, where, said } = step.error;
      const text = `${step.state}: ${where ? `${where}: ` : ''}${what}${said ? `; it said: ${said}` : ''}`;
      this.#page.step(label, text, took, 'failed');
    } else {
      const mark = step.direction === 'undo' ? 'undo' : 'step';
      this.#page.step(label, step.evidence?.summary ?? step.state, took, mark);
    }
  }
}

export interface Followed {
  readonly operation: OperationView;
  readonly steps: readonly StepView[];
}
