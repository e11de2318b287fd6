import { z } from 'zod';
import { optionalPath } from '../setting.ts';

/** A listener's TLS: both files, or none. */
export const tls = z
  .strictObject({
    certFile: optionalPath(
      'Certificate (PEM) that this listener shows, with its chain; absent = plain HTTP. Read anew when it changes',
    ),
    keyFile: optionalPath('Private key (PEM, without passphrase) of that certificate'),
  })
  .superRefine(bothOrNone)
  .prefault({});

interface KeyPair {
  readonly certFile?: string | undefined;
  readonly keyFile?: string | undefined;
}

/** A certificate without its key is of no use, nor is a key without its certificate. */
export function bothOrNone(value: KeyPair, context: z.RefinementCtx): void {
  if ((value.certFile === undefined) === (value.keyFile === undefined)) return;
  context.addIssue({
    code: 'custom',
    path: [value.certFile === undefined ? 'keyFile' : 'certFile'],
    params: { what: 'stands alone' },
    message: 'set certFile and keyFile together',
  });
}
