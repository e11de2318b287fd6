import type { IncomingMessage } from 'node:http';
import type { Duration } from '../../../plugin-api/index.ts';
import type { ByteBudget } from './byte-budget.ts';

export interface BodyLimits {
  readonly bytes: number;
  /** From the first byte asked for to the last one read. */
  readonly timeout: Duration;
  /** Shared by all bodies that are being read; without it each has its own limit only. */
  readonly budget?: ByteBudget | undefined;
}

/** Why a body was not read to its end. */
export type BodyFault = 'too-large' | 'cut-off' | 'too-slow' | 'no-room';

/**
 * The whole body of a request, as it came; the rest of one that is refused is not read.
 * @throws what `refusal` makes of the fault
 */
export async function readBytes(
  req: IncomingMessage,
  { bytes, timeout, budget }: BodyLimits,
  refusal: (fault: BodyFault) => Error,
): Promise<Buffer> {
  if (Number(req.headers['content-length'] ?? 0) > bytes) throw refusal('too-large');
  return new Promise((resolve, reject) => {
    // Gone while the caller was being authenticated: nothing will be heard of it any more.
    if (req.destroyed) {
      reject(refusal('cut-off'));
      return;
    }
    const chunks: Buffer[] = [];
    let length = 0;
    const settle = (done: () => void): void => {
      clearTimeout(timer);
      req.off('data', onData).off('end', onEnd).off('error', onBreak).off('close', onBreak);
      budget?.give(length);
      length = 0;
      done();
    };
    const fail = (fault: BodyFault): void => settle(() => reject(refusal(fault)));
    const onData = (chunk: Buffer): void => {
      if (length + chunk.length > bytes) fail('too-large');
      else if (budget && !budget.take(chunk.length)) fail('no-room');
      else {
        length += chunk.length;
        chunks.push(chunk);
      }
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks)));
    const onBreak = (): void => fail('cut-off');
    const timer = setTimeout(() => fail('too-slow'), timeout);
    req.on('data', onData).on('end', onEnd).on('error', onBreak).on('close', onBreak);
  });
}
