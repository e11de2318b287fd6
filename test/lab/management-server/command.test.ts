import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { pinFromPem } from '../../../src/api/cloudstack-agent/agent-settings.ts';
import { AgentHarness, facts, fixed } from '../../api/cloudstack-agent/agent-harness.ts';

const root = new URL('../../../', import.meta.url);
const program = `
  import { labManagementServerCommand } from './src/cli/direct/lab-management-server.ts';
  await labManagementServerCommand().parseAsync(process.argv.slice(1), { from: 'user' });
`;

describe('csbm lab management-server', () => {
  it('listens in the foreground, prints its certificate, takes an agent, and ends at SIGTERM', async () => {
    const child = spawn(
      process.execPath,
      ['--import', 'tsx', '--input-type=module', '--eval', program, '--', '--port', '0'],
      { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    const closed = once(child, 'close');
    const certificate = text(child.stdout);
    const harness = new AgentHarness();
    try {
      const lines = createInterface(child.stderr);
      const [first] = (await once(lines, 'line')) as [string];
      const [, host, port] = /listening on ([\d.]+):(\d+)/.exec(first)!;
      const up = new Promise<void>((resolve) => {
        lines.on('line', (line) => {
          if (line.includes(`is Up: ${facts.guid}`)) resolve();
        });
      });
      await harness.service.add({
        machineId: 'abc123',
        facts,
        hostId: null,
        endpoint: { servers: [{ host: host!, port: Number(port) }], credentials: fixed({ trustAll: true }) },
      });
      await up;
      await harness.close();
    } finally {
      child.kill('SIGTERM');
    }
    assert.deepEqual(await closed, [0, null]);
    assert.ok(pinFromPem(await certificate).length > 0);
  });
});
