import { z } from 'zod';
import { rackDocumentSchema } from './rack-document.ts';

/** The published JSON Schema of the rack config (draft 7, the one that editors know). It allows unknown keys, as the reader does. */
export function rackConfigJsonSchema(): object {
  const { $schema, ...rest } = z.toJSONSchema(rackDocumentSchema, { io: 'input', target: 'draft-7' });
  return { $schema, title: 'Bare-metal rack configuration', ...rest };
}
