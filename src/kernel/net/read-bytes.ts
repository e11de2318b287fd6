import type { IncomingMessage } from 'node:http';
import type { Duration } from '../../../plugin-api/index.ts';

export interface BodyLimits {
  readonly bytes: number;
  /** From the first byte asked for to the last one read. */
  readonly timeout: Duration;
}

/** Why a body was not read to its end. */
export type BodyFault = 'too-large' | 'cut-off' | 'too-slow';

/**
 * The whole body of a request, as it came; the rest of one that is refused is not read.
 * @throws what `refusal` makes of the fault
 */
export async function readBytes(
  req: IncomingMessage,
  { bytes, timeout }: BodyLimits,
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
      done();
    };
    const fail = (fault: BodyFault): void => settle(() => reject(refusal(fault)));
    const onData = (chunk: Buffer): void => {
      length += chunk.length;
      if (length > bytes) fail('too-large');
      else chunks.push(chunk);
    };
    const onEnd = (): void => settle(() => resolve(Buffer.concat(chunks)));
    const onBreak = (): void => fail('cut-off');
    const timer = setTimeout(() => fail('too-slow'), timeout);
    req.on('data', onData).on('end', onEnd).on('error', onBreak).on('close', onBreak);
  });
}
