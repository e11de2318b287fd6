import type { OperationRecord } from '../../core/storage/journal-records.ts';
import { ServiceError } from '../../kernel/errors/service-error.ts';
import type { StepContext, StepList } from './step.ts';

/** All step lists by name and version; old versions stay while operations begun by them may be active. */
export class StepLists {
  readonly #lists = new Map<string, StepList>();

  add<C extends StepContext>(list: StepList<C>): this {
    this.#lists.set(`${list.name}@${list.version}`, list as unknown as StepList);
    return this;
  }

  /** The list that began `operation`. */
  of(operation: OperationRecord): StepList {
    return this.named(listName(operation), operation.listVersion);
  }

  named(name: string, version: number): StepList {
    const list = this.#lists.get(`${name}@${version}`);
    if (!list) {
      throw new ServiceError({
        code: 'internal.bug',
        what: `this version of csbm has no step list ${name}@${version}`,
        remedy: 'finish the operation with the version that began it, or mark the machine broken',
      });
    }
    return list;
  }

  latest(name: string): StepList {
    const versions = [...this.#lists.values()]
      .filter((list) => list.name === name)
      .map((list) => list.version);
    return this.named(name, Math.max(...versions));
  }
}

/** The name of the step list is part of the journaled input, since one kind may have several (first start, known start). */
export function listName(operation: Pick<OperationRecord, 'kind' | 'input'>): string {
  return typeof operation.input['list'] === 'string' ? operation.input['list'] : operation.kind;
}
