/**
 * A thread that sends files: one loop over poll(2) and sendfile(2), as web servers have it. Its descriptors are its own while it has
 * them: whoever asked closes them after the answer, not before. It waits as a thread of Node's while there is nothing to send.
 */
import { readSync } from 'node:fs';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { errno, loadLinuxCalls, pollIn, pollOut } from './linux-calls.ts';

/** To the thread. */
export type SenderRequest =
  | {
      readonly kind: 'send';
      readonly id: number;
      /** Descriptors; the socket's is non-blocking. */
      readonly socket: number;
      readonly file: number;
      /** From byte `at` up to, and without, byte `end`. */
      readonly at: number;
      readonly end: number;
      /** Ends when the client took nothing for so many milliseconds; 0 = waits on. */
      readonly idle: number;
    }
  | { readonly kind: 'stop'; readonly id: number }
  | { readonly kind: 'close' };

/**
 * How sending ended: all was `sent`; the file was `short`; the client was `idle`; `stopped` on request; `refused` by a file system
 * that cannot, with nothing sent; `failed` with an errno.
 */
export type SenderOutcome = 'sent' | 'short' | 'idle' | 'stopped' | 'refused' | 'failed';

/** From the thread; the first message is `ready`. */
export type SenderAnswer =
  | { readonly kind: 'ready'; readonly wake: number }
  | { readonly kind: 'unable'; readonly reason: string }
  | {
      readonly kind: 'ended';
      readonly id: number;
      readonly outcome: SenderOutcome;
      readonly errno: number;
    };

/** Per call, so that none waits long for another, nor for a slow disk. A socket takes hardly more at once; nginx has the same. */
const bytesPerCall = 2 * 1024 * 1024;
/** How often idle clients are looked for, and how long the process's end may have to wait, in milliseconds. */
const longestWait = 200;

interface Transfer {
  readonly id: number;
  readonly socket: number;
  readonly file: number;
  readonly begin: number;
  readonly end: number;
  readonly idle: number;
  at: number;
  /** Monotonic, when the kernel last took bytes. */
  moved: number;
}

const port = parentPort!;
/** When it was last between two system calls that may take long: process.hrtime.bigint(), one clock for all threads. */
const lastSign = workerData as BigInt64Array;
const isAlive = (): void => void Atomics.store(lastSign, 0, process.hrtime.bigint());
const say = (answer: SenderAnswer): void => port.postMessage(answer);

try {
  const calls = await loadLinuxCalls();
  const wake = calls.eventCounter();
  if (wake < 0) throw new Error(`eventfd: errno ${-wake}`);
  const position = new BigInt64Array(new ArrayBuffer(8));
  const woken = Buffer.alloc(8);
  const transfers = new Map<number, Transfer>();
  /** Since the last round. */
  let changed = false;

  const ended = (transfer: Transfer, outcome: SenderOutcome, code = 0): void => {
    transfers.delete(transfer.id);
    changed = true;
    say({ kind: 'ended', id: transfer.id, outcome, errno: code });
  };

  const accept = (request: SenderRequest): void => {
    if (request.kind === 'close') {
      for (const transfer of [...transfers.values()]) ended(transfer, 'stopped');
      port.close();
    } else if (request.kind === 'send') {
      const { id, socket, file, at, end, idle } = request;
      transfers.set(id, { id, socket, file, begin: at, end, idle, at, moved: performance.now() });
      changed = true;
    } else {
      const transfer = transfers.get(request.id);
      if (transfer) ended(transfer, 'stopped');
    }
  };

  const sendSome = (transfer: Transfer): void => {
    isAlive();
    position[0] = BigInt(transfer.at);
    const bytes = Math.min(bytesPerCall, transfer.end - transfer.at);
    const taken = calls.sendFile(transfer.socket, transfer.file, position, bytes);
    if (taken > 0) {
      transfer.at += taken;
      transfer.moved = performance.now();
      if (transfer.at === transfer.end) ended(transfer, 'sent');
    } else if (taken === 0) {
      ended(transfer, 'short');
    } else if (taken !== -errno.EAGAIN && taken !== -errno.EINTR) {
      const cannot = [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP].includes(-taken);
      ended(transfer, cannot && transfer.at === transfer.begin ? 'refused' : 'failed', -taken);
    }
  };

  /** As long as there is something to send; what is asked meanwhile comes by the counter, because events do not get through. */
  const serve = (): void => {
    let round: readonly Transfer[] = [];
    let set = new Int32Array(0);
    while (transfers.size > 0) {
      isAlive();
      if (changed) {
        changed = false;
        round = [...transfers.values()];
        set = Int32Array.from([wake, pollIn, ...round.flatMap(({ socket }) => [socket, pollOut])]);
      }
      // What poll(2) reports it writes anew each time.
      const ready = calls.poll(set, round.length + 1, longestWait);
      if (ready < 0 && ready !== -errno.EINTR) throw new Error(`poll: errno ${-ready}`);
      if (ready > 0) round.forEach((transfer, i) => set[2 * i + 3]! >>> 16 && sendSome(transfer));
      if (ready > 0 && set[1]! >>> 16) {
        readSync(wake, woken);
        for (let next = received(); next; next = received()) accept(next);
      }
      const now = performance.now();
      for (const transfer of round)
        if (transfers.has(transfer.id) && transfer.idle > 0 && now - transfer.moved > transfer.idle)
          ended(transfer, 'idle');
    }
  };

  const received = (): SenderRequest | undefined =>
    (receiveMessageOnPort(port) as { readonly message: SenderRequest } | undefined)?.message;

  port.on('message', (request: SenderRequest) => {
    accept(request);
    serve();
  });
  say({ kind: 'ready', wake });
} catch (error) {
  say({ kind: 'unable', reason: error instanceof Error ? error.message : String(error) });
}
