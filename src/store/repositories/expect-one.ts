import { ServiceError } from '../../kernel/errors/service-error.ts';

/** @throws ServiceError `store.conflict` unless exactly one row was hit by a compare-and-set. */
export function expectOne(affected: number, where: string): void {
  if (affected !== 1) {
    throw new ServiceError({
      code: 'store.conflict',
      what: 'it was changed or deleted by somebody else meanwhile',
      where,
    });
  }
}
