import type { QuarantineRecord, TroubleRecord } from '../../core/quarantine/quarantine.ts';
import { bigint, index, int, json, key, nullable, renamed, string, table, text } from './columns.ts';

export type QuarantineRow = QuarantineRecord;

/** No foreign keys: how often a switch was withheld is known also after a rack config that drops it for a while. */
export const quarantineSchema = table<QuarantineRow>({
  name: 'quarantine',
  columns: {
    kind: key(string(16)),
    name: key(string(160)),
    code: key(string(64)),
    reason: text(),
    since: nullable(bigint()),
    by: renamed('put_by', string(128)),
    count: renamed('times', int()),
    lastAt: renamed('last_at', bigint()),
    liftedAt: nullable(renamed('lifted_at', bigint())),
    liftedBy: nullable(renamed('lifted_by', string(128))),
    liftedBecause: nullable(renamed('lifted_because', text())),
  },
  indices: [index('ix_quarantine_since', 'since')],
});

export type TroubleRow = TroubleRecord;

/** Rows of what fails at the moment only: the first success takes its row away. */
export const troubleSchema = table<TroubleRow>({
  name: 'trouble',
  columns: {
    kind: key(string(16)),
    name: key(string(160)),
    failures: int(),
    ages: json(),
    begun: string(32),
    revision: int(),
  },
});
