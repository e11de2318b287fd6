import assert from 'node:assert/strict';
import { parseBody } from '../../src/wire/cloudstack/body.ts';

// The parser of command bodies put texts together character by character: one text of 16 MiB took it four seconds, in which no ping
// of any link was answered. Counted in CPU time, so that other programs do not matter.
for (const [what, text] of [
  ['plain', 'x'.repeat(16_000_000)],
  ['escaped', '\\n'.repeat(8_000_000)],
  ['not ASCII', 'é'.repeat(8_000_000)],
] as const)
  it(`a body of 16 MiB that is one ${what} text is read in less than a second`, function () {
    this.timeout(60_000);
    const body = `[{"com.cloud.agent.api.StartCommand":{"vm":{"name":"${text}"}}}]`;
    const before = process.cpuUsage();
    const [entry] = parseBody(body);
    const { user, system } = process.cpuUsage(before);
    assert.equal(
      (entry!.fields['vm'] as { name: string }).name.length,
      what === 'escaped' ? 8_000_000 : text.length,
    );
    assert.ok((user + system) / 1_000 < 1_000, `${(user + system) / 1_000} ms`);
  });
