import { once } from 'node:events';
import { closeSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';
import type { Socket } from 'node:net';
import { availableParallelism } from 'node:os';
import { TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Deferred } from '../../kernel/concurrency/deferred.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { ByteRange } from './byte-range.ts';
import type { SenderAnswer, SenderOutcome, SenderRequest } from './file-sender-thread.ts';
import { errno, loadLinuxCalls, type LinuxCalls } from './linux-calls.ts';

/** Sends files by Linux' sendfile(2) in threads of their own: the kernel hands the page cache to the socket, nothing is copied here. */
export interface FileSender {
  /**
   * Sends bytes of a file on a connection on which nothing else is being written, after what was written before.
   * @param gone aborts when the connection is closed, by whomever.
   * @returns `sent`: all was sent; `refused`: nothing was, it has to be done another way; `broken`: part of it may have been sent,
   *   the connection must be closed.
   * @throws Error when the file cannot be read: the connection must be closed.
   */
  send(
    socket: Socket,
    file: FileHandle,
    range: ByteRange,
    gone: AbortSignal,
  ): Promise<'sent' | 'refused' | 'broken'>;
  /** Breaks off what is being sent, and ends the threads. */
  close(): Promise<void>;
}

export interface SenderThreads {
  /** How many; by default one for each core, at most four. */
  readonly threads?: number;
  /** Milliseconds that one system call may take before its thread gets nothing more to send, as long as there is another one. */
  readonly stuckAfter?: number;
}

const mostThreads = 4;

/** Null, with the reason in the log, where it cannot be done: another system, or the optional package koffi is absent. */
export async function startFileSender(
  log: Log,
  { threads = Math.min(availableParallelism(), mostThreads), stuckAfter = 1_000 }: SenderThreads = {},
): Promise<FileSender | null> {
  try {
    const calls = await loadLinuxCalls();
    const started = await Promise.allSettled(Array.from({ length: threads }, () => startThread(calls, log)));
    const running = started.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    const failed = started.find((each) => each.status === 'rejected');
    // Those that did start are enough.
    if (failed && running.length === 0) throw failed.reason;
    return new SenderPool(running, stuckAfter);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    log.info({ reason }, 'images are sent by way of Node, which takes more CPU time');
    return null;
  }
}

async function startThread(calls: LinuxCalls, log: Log): Promise<SenderThread> {
  // The thread's program lies beside this one, as it is in the sources and as it is in dist.
  const program = fileURLToPath(import.meta.url).replace(/file-sender(\.[jt]s)$/, 'file-sender-thread$1');
  const lastSign = new BigInt64Array(new SharedArrayBuffer(BigInt64Array.BYTES_PER_ELEMENT));
  const worker = new Worker(program, { name: 'file sender', workerData: lastSign });
  const [first] = (await once(worker, 'message')) as [SenderAnswer];
  if (first.kind === 'ready') return new SenderThread(calls, worker, first.wake, lastSign, log);
  await worker.terminate();
  throw new Error(first.kind === 'unable' ? first.reason : 'the thread did not start');
}

/**
 * Several threads, because one has but one core, and one that waits for a disk which does not answer holds up all that it sends.
 * A transfer stays with the thread that it was given to.
 */
class SenderPool implements FileSender {
  readonly #threads: readonly SenderThread[];
  readonly #stuckAfter: number;

  constructor(threads: readonly SenderThread[], stuckAfter: number) {
    this.#threads = threads;
    this.#stuckAfter = stuckAfter;
  }

  async send(...transfer: Parameters<FileSender['send']>): ReturnType<FileSender['send']> {
    const running = this.#threads.filter((thread) => thread.running);
    const moving = running.filter((thread) => thread.silence() <= this.#stuckAfter);
    const [first, ...others] = moving.length > 0 ? moving : running;
    if (!first) return 'refused';
    return others
      .reduce((best, thread) => (thread.transfers < best.transfers ? thread : best), first)
      .send(...transfer);
  }

  async close(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }
}

type Ending = { readonly outcome: SenderOutcome; readonly errno: number };

class SenderThread implements FileSender {
  readonly #calls: LinuxCalls;
  readonly #worker: Worker;
  readonly #wake: number;
  readonly #lastSign: BigInt64Array;
  readonly #ended: Promise<unknown>;
  readonly #open = new Map<number, Deferred<Ending>>();
  #alive = true;
  #lastId = 0;

  constructor(calls: LinuxCalls, worker: Worker, wake: number, lastSign: BigInt64Array, log: Log) {
    this.#calls = calls;
    this.#worker = worker;
    this.#wake = wake;
    this.#lastSign = lastSign;
    worker.on('message', (answer: SenderAnswer) => {
      if (answer.kind === 'ended') this.#open.get(answer.id)?.resolve(answer);
    });
    // The thread has no descriptor in use any more; what comes later is refused.
    this.#ended = new Promise<void>((resolve) => worker.once('exit', () => resolve())).then(() => {
      this.#alive = false;
      closeSync(wake);
      for (const ending of this.#open.values()) ending.resolve({ outcome: 'stopped', errno: 0 });
    });
    worker.on('error', (error) =>
      log.error(
        { err: error },
        'a thread that sends images ended; without any Node sends them until the next start',
      ),
    );
    // It must not keep the process; a transfer's connection does.
    worker.unref();
  }

  get running(): boolean {
    return this.#alive;
  }

  get transfers(): number {
    return this.#open.size;
  }

  /** Milliseconds since it was last between two system calls; 0 when it has nothing to do. */
  silence(): number {
    return this.#open.size === 0
      ? 0
      : Number(process.hrtime.bigint() - Atomics.load(this.#lastSign, 0)) / nanosecondsPerMillisecond;
  }

  async send(
    socket: Socket,
    file: FileHandle,
    { start, end }: ByteRange,
    gone: AbortSignal,
  ): Promise<'sent' | 'refused' | 'broken'> {
    if (!this.#alive || socket.writableLength > 0) return 'refused';
    const own = descriptorOf(socket);
    if (own === null) return 'refused';
    // Node closes its descriptor when the connection breaks, and the number goes to the next connection at once. A descriptor of our
    // own stays with this connection until the thread is done with it. Its CLOEXEC keeps it from programs that are started meanwhile.
    const descriptor = this.#calls.duplicate(own);
    if (descriptor < 0) return 'refused';
    const id = (this.#lastId += 1);
    const ending = new Deferred<Ending>();
    const stop = (): void => this.#ask({ kind: 'stop', id });
    // It may have slept until now.
    if (this.#open.size === 0) Atomics.store(this.#lastSign, 0, process.hrtime.bigint());
    // The thread sees whether the client moves; Node does not.
    const idle = socket.timeout ?? 0;
    socket.setTimeout(0);
    this.#open.set(id, ending);
    this.#ask({
      kind: 'send',
      id,
      socket: descriptor,
      file: file.fd,
      at: start,
      end: end + 1,
      idle,
    });
    gone.addEventListener('abort', stop, { once: true });
    if (gone.aborted) stop();
    try {
      return verdict(await ending.promise);
    } finally {
      gone.removeEventListener('abort', stop);
      this.#open.delete(id);
      closeSync(descriptor);
      socket.setTimeout(idle);
    }
  }

  async close(): Promise<void> {
    this.#worker.ref();
    this.#ask({ kind: 'close' });
    await this.#ended;
  }

  #ask(request: SenderRequest): void {
    if (!this.#alive) return;
    this.#worker.postMessage(request);
    writeSync(this.#wake, one);
  }
}

const nanosecondsPerMillisecond = 1e6;
const one = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Of a plain connection; null for one under TLS, whose bytes are not the file's, and where Node does not tell. */
function descriptorOf(socket: Socket): number | null {
  if (socket instanceof TLSSocket || socket.destroyed) return null;
  const fd = (socket as { readonly _handle?: { readonly fd?: unknown } | null })._handle?.fd;
  return typeof fd === 'number' && fd >= 0 ? fd : null;
}

function verdict({ outcome, errno: code }: Ending): 'sent' | 'refused' | 'broken' {
  if (outcome === 'sent' || outcome === 'refused') return outcome;
  if (outcome === 'failed' && code !== errno.EPIPE && code !== errno.ECONNRESET)
    throw new Error(`sendfile: errno ${code}`);
  return 'broken';
}
