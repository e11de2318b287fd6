import { z } from 'zod';
import { duration, wholeNumber } from '../setting.ts';

/** Of what becomes a timer of a connection. */
const longest = '1d';

/** What hostile, faulty or many clients may take of the service; for every listener alike. docs/hardening.md has the reasons. */
export const limitsSection = z.strictObject({
  connections: wholeNumber('Most connections of one listener', 4_096, 16, 1_000_000),
  connectionsPerAddress: wholeNumber(
    'Most connections of one listener from one address (IPv6: from one /64); behind a proxy all callers have its address',
    256,
    4,
    1_000_000,
  ),
  headersTimeout: duration("A TLS handshake, and a request's headers, must be over within", '10s', longest),
  bodyTimeout: duration(
    'The body of a request must be there within; images have their own pace',
    '1m',
    longest,
  ),
  idleTimeout: duration('A connection on which nothing moves is closed after', '2m', longest),
  readerPatience: duration(
    'A client that takes hardly anything of a long answer is cut after',
    '30s',
    longest,
  ),
  bodyMemoryMiB: wholeNumber(
    'Most MiB of memory for bodies that one listener is reading from callers whom it knows; a sixteenth of it for all others',
    128,
    16,
    65_536,
  ),
  answerMemoryMiB: wholeNumber(
    'Most MiB of answers that wait for the clients of one listener; beyond it those are cut for whom most waits',
    128,
    16,
    65_536,
  ),
  failedLogins: wholeNumber(
    'So many wrong credentials are borne, from an address or for a name or key, before it has to wait',
    20,
    1,
    1_000_000,
  ),
  failedLoginWait: duration(
    'That wait at first, and the time in which failures are counted; doubled each time',
    '1m',
  ),
  failedLoginLongestWait: duration('Its longest', '15m'),
  requestsPerSecond: wholeNumber(
    'Requests a second that one principal may send for ever, at the admin API and the MAAS API each; 0 = no limit',
    200,
    0,
    1_000_000,
  ),
  requestsAtOnce: wholeNumber(
    'Requests that a principal may send at once after a quiet time',
    2_000,
    1,
    1_000_000,
  ),
  bootsPerSecond: wholeNumber(
    'Requests a second to the boot service for ever, for one MAC address and for one boot token each; from one address twenty times as many; 0 = no limit',
    5,
    0,
    1_000_000,
  ),
  bootsAtOnce: wholeNumber(
    'Such requests at once after a quiet time; from one address twenty times as many',
    100,
    1,
    1_000_000,
  ),
});

export type Limits = z.output<typeof limitsSection>;
