import type { Session } from '../session.ts';
import type { Tables } from '../tables.ts';

/** The next number of a kind, from 1: never given twice, also after the record that had the last one is gone. */
export async function nextNumber(tables: Tables, session: Session, kind: string): Promise<number> {
  await tables.recordSequence.insertMissing(session, { kind, next: 1 });
  // Counted first: the row is ours until the end of the transaction.
  await tables.recordSequence.increment(session, 'next', { kind });
  return (await tables.recordSequence.find(session, { kind }))!.next - 1;
}
