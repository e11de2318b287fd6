import type { Response } from 'express';
import type { JsonObject } from '../../../plugin-api/index.ts';
import type { OperationRecord, StepRecord } from '../../core/storage/journal-records.ts';
import type { Storage } from '../../core/storage/storage.ts';
import { asCodedError, ServiceError } from '../../kernel/errors/service-error.ts';
import type { EventBus } from '../../kernel/events/event-bus.ts';
import type { Log } from '../../kernel/log/log.ts';
import type { OperationEvents } from '../../operations/operation-events.ts';
import type { Instances } from '../../operations/instances/instances.ts';
import { operationView, stepView } from './views.ts';

/** Milliseconds between two looks at the journal for what another instance does. */
const lookInterval = 500;

/**
 * Streams an operation as lines of JSON, `{"step": ...}` and `{"operation": ...}`: first what the journal holds, then what
 * happens, until it ends; the last line is the ended operation. An empty line every 15 s keeps proxies from closing it.
 */
export async function followOperation(
  {
    events,
    storage,
    instances,
    log,
  }: {
    readonly events: EventBus<OperationEvents>;
    readonly storage: Storage;
    readonly instances: Pick<Instances, 'shared'>;
    readonly log: Log;
  },
  id: string,
  res: Response,
): Promise<void> {
  const read = (): Promise<readonly [OperationRecord | null, readonly StepRecord[]]> =>
    storage.run(async (tx) => [await tx.journal.find(id), await tx.journal.steps(id)] as const);
  const send = (line: JsonObject): void => void res.write(`${JSON.stringify(line)}\n`);
  const sent = new Map<number, string>();
  const tell = (step: StepRecord): void => {
    const view = stepView(step);
    const text = JSON.stringify(view);
    if (sent.get(step.seq) === text) return;
    sent.set(step.seq, text);
    send({ step: view });
  };
  const tellAll = (operation: OperationRecord, steps: readonly StepRecord[]): void => {
    steps.forEach(tell);
    send({ operation: operationView(operation) });
  };

  // Listening begins before the journal is read, so that nothing falls in between.
  const early: StepRecord[] = [];
  const stream = { live: false, closed: false };
  /** The journal has the last word: the last step's outcome is written together with the end, and told after it. */
  const finish = async (): Promise<void> => {
    if (stream.closed) return;
    close();
    const [operation, steps] = await read();
    if (operation) tellAll(operation, steps);
    res.end();
  };
  const breakOff = (thrown: unknown): void => {
    log.error({ operation: id, error: asCodedError(thrown).message }, 'follow broken off');
    res.destroy();
  };
  const stopStep = events.on('step', (step) => {
    if (step.operationId !== id) return;
    if (stream.live) tell(step);
    else early.push(step);
  });
  const stopOperation = events.on('operation', (operation) => {
    if (operation.id !== id || !stream.live) return;
    if (operation.endedAt === null) {
      send({ operation: operationView(operation) });
      return;
    }
    finish().catch(breakOff);
  });
  // What another instance carries out is not heard here, but it is in the journal.
  const look = async (): Promise<void> => {
    if (!stream.live) return;
    const [operation, steps] = await read();
    if (stream.closed) return;
    steps.forEach(tell);
    if (operation?.endedAt != null) await finish();
  };
  const looks = instances.shared ? setInterval(() => void look().catch(breakOff), lookInterval) : undefined;
  const pulse = setInterval(() => stream.live && res.write('\n'), 15_000);
  const close = (): void => {
    stream.closed = true;
    clearInterval(pulse);
    clearInterval(looks);
    stopStep();
    stopOperation();
  };
  res.on('close', close);

  try {
    const [operation, steps] = await read();
    if (!operation)
      throw new ServiceError({ code: 'request.not-found', what: `there is no operation ${id}` });
    // Gone meanwhile: there is nobody to tell.
    if (stream.closed) return;
    res.status(200).set({
      'content-type': 'application/x-ndjson',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    });
    stream.live = true;
    tellAll(operation, steps);
    // What was heard before the reading may be older than what was read.
    for (const step of early) if ((steps[step.seq]?.state ?? 'intent') === 'intent') tell(step);
    // It may have ended between the reading and now, unheard because nothing was live yet.
    const now = operation.endedAt === null ? (await read())[0] : operation;
    if (now?.endedAt != null) await finish();
  } catch (thrown) {
    close();
    throw thrown;
  }
}
