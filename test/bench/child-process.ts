import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** A program of a bench in a process of its own, which answers questions. */
export interface Child {
  readonly pid: number;
  /** @throws Error when the process ended, or could not answer. */
  ask<T>(question: string, about?: unknown): Promise<T>;
  /** Leaves it where it is: its sockets stay open, and nobody serves them. */
  freeze(): void;
  /** Ends it without a word, and waits until it is gone. */
  kill(): Promise<void>;
}

interface Question {
  readonly id: number;
  readonly question: string;
  readonly about: unknown;
}
type Answer = { readonly id: number; readonly value?: unknown; readonly error?: string };

/** Starts a program of this folder, with `order` as its argument; resolves once it answers questions. */
export async function startChild(
  program: string,
  order: unknown,
  nodeOptions: readonly string[] = [],
): Promise<Child> {
  const child = fork(fileURLToPath(new URL(program, import.meta.url)), [JSON.stringify(order)], {
    execArgv: ['--import', fileURLToPath(import.meta.resolve('tsx')), ...nodeOptions],
  });
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  const gone = (): Error => new Error(`${program} has ended`);
  child.on('message', (message: Answer | 'ready') => {
    if (message === 'ready') return;
    const waiter = waiting.get(message.id);
    waiting.delete(message.id);
    if (message.error !== undefined) waiter?.reject(new Error(`${program}: ${message.error}`));
    else waiter?.resolve(message.value as never);
  });
  const ended = once(child, 'exit').then(() => {
    for (const { reject } of waiting.values()) reject(gone());
    waiting.clear();
  });
  await Promise.race([once(child, 'message'), ended.then(() => Promise.reject(gone()))]);
  let asked = 0;
  return {
    pid: child.pid!,
    ask: (question, about = null) =>
      new Promise((resolve, reject) => {
        if (!isAlive(child)) return reject(gone());
        const id = asked++;
        waiting.set(id, { resolve, reject });
        child.send({ id, question, about } satisfies Question);
      }),
    freeze: () => void child.kill('SIGSTOP'),
    kill: async () => {
      if (isAlive(child)) child.kill('SIGKILL');
      await ended;
    },
  };
}

const isAlive = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

/** The other end: answers until the parent is gone. Values travel as JSON. */
export function answerQuestions(answers: Readonly<Record<string, (about: never) => unknown>>): void {
  const reply = (answer: Answer): void => void process.send?.(answer);
  process.on('message', ({ id, question, about }: Question) => {
    Promise.resolve(about)
      .then((value) => answers[question]!(value as never))
      .then((value) => reply({ id, value }))
      .catch((error: unknown) => reply({ id, error: (error as Error).message }));
  });
  process.once('disconnect', () => process.exit(0));
  process.send?.('ready');
}
