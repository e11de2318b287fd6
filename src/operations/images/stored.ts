import { ServiceError } from '../../kernel/errors/service-error.ts';

/** Failures of the disk (no space, no permission) are an operator's business, not a fault of the service. */
export async function stored<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw new ServiceError({
      code: 'image.storage',
      what: 'the image file cannot be written',
      said: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}
