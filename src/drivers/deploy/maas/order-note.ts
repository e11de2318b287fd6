import { z } from 'zod';
import type { OrderNotes } from '../../../../plugin-api/index.ts';

/*
 * What is remembered of an order besides what MAAS itself shows: which machine it is for, and how far it was placed. `sent` is
 * written before a call that must not be repeated blindly, `accepted` after its answer.
 */
const noteShape = z.object({
  phase: z.enum(['commission', 'deploy', 'erase']),
  machineId: z.string(),
  systemId: z.string(),
  hostname: z.string(),
  /** Epoch milliseconds of the latest call that MAAS accepted for it. */
  at: z.number(),
  sent: z.boolean(),
  accepted: z.boolean(),
  /** Whether it was Ready, and nobody's, before we allocated it for this order: it can be given back as it was. */
  fromReady: z.boolean(),
  /** Of a deploy. */
  image: z.string().optional(),
  /** Of a deploy: when it was first found Deployed, epoch milliseconds. */
  deployedAt: z.number().optional(),
  /** Of an erase. */
  grade: z.enum(['quick', 'full', 'secure']).optional(),
  /** Of an erase: the strongest sign of it that MAAS has shown. */
  seen: z.enum(['nothing', 'releasing', 'erasing']).optional(),
});

export type OrderNote = z.output<typeof noteShape>;

export async function readNote(notes: OrderNotes, orderId: string): Promise<OrderNote | null> {
  const stored = await notes.get(orderId);
  return stored === null ? null : noteShape.parse(stored);
}

export async function writeNote(notes: OrderNotes, orderId: string, note: OrderNote): Promise<OrderNote> {
  await notes.put(orderId, note.machineId, { ...note });
  return note;
}
