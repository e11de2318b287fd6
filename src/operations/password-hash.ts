import { randomBytes, scrypt, timingSafeEqual, type ScryptOptions } from 'node:crypto';
import type { Secret } from '../../plugin-api/index.ts';
import { ServiceError } from '../kernel/errors/service-error.ts';
import { Semaphore } from '../kernel/concurrency/semaphore.ts';

/** 16 MiB and some 50 ms each: dear for who tries many, and cheap for who logs in. */
const cost: ScryptOptions = { N: 16_384, r: 8, p: 1 };
const hashBytes = 32;

/** Many at once would take all memory and all threads, which files and names need too. */
const turns = new Semaphore(2);

/** Shorter ones are guessed; longer ones only cost. */
const lengths = { least: 8, most: 1_024 };

/** scrypt with a salt of its own, `salt:hash` in base64. @throws ServiceError `request.invalid` */
export async function hashNewPassword(password: Secret): Promise<string> {
  const { length } = password.reveal();
  if (length < lengths.least || length > lengths.most)
    throw new ServiceError({
      code: 'request.invalid',
      what: `a password has ${lengths.least} to ${lengths.most} characters`,
    });
  const salt = randomBytes(16);
  return `${salt.toString('base64')}:${(await derive(password, salt)).toString('base64')}`;
}

/** Whether the password is the hashed one. Where there is no hash, it takes as long, and is not. */
export async function isPassword(password: Secret, stored: string | null): Promise<boolean> {
  const [salt = '', hash = ''] = (stored ?? `${'A'.repeat(22)}==:`).split(':');
  const expected = Buffer.from(hash, 'base64');
  const derived = await derive(password, Buffer.from(salt, 'base64'));
  return expected.length === derived.length && timingSafeEqual(expected, derived);
}

function derive(password: Secret, salt: Buffer): Promise<Buffer> {
  return turns.run(
    () =>
      new Promise((resolve, reject) => {
        scrypt(password.reveal(), salt, hashBytes, cost, (error, key) =>
          error ? reject(error) : resolve(key),
        );
      }),
  );
}
