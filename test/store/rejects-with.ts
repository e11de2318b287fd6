import assert from 'node:assert/strict';
import { CodedError } from '../../plugin-api/index.ts';

/** Asserts that the promise rejects with this code; gives the error. */
export async function rejectsWith(promise: Promise<unknown>, code: string): Promise<CodedError> {
  const error = await promise.then(
    () => assert.fail(`it was accepted; a rejection with ${code} was expected`),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof CodedError, `not a coded error: ${String(error)}`);
  assert.equal(error.code, code, error.message);
  return error;
}
