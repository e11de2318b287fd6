import assert from 'node:assert/strict';
import { startRequest } from '../../src/api/cloudstack-agent/start-request.ts';
import { parseBody } from '../../src/wire/cloudstack/body.ts';
import { readVirtualMachine } from '../../src/wire/cloudstack/message/virtual-machine.ts';

// CloudStack's bare-metal code writes doPxe, and only do_pxe was known here: every first Start from a real server was refused.
describe('the mark of a first deployment', () => {
  const first = (bootArgs: string): boolean => {
    const command = { vm: { id: 77, name: 'i-2-77-VM', bootArgs, nics: [], disks: [] } };
    const [entry] = parseBody(JSON.stringify([{ 'com.cloud.agent.api.StartCommand': command }]));
    return startRequest(readVirtualMachine(entry!)!, { wait: null, job: null, sequence: null })
      .firstDeployment;
  };

  it('is doPxe, alone or among others', () => {
    assert.equal(first('doPxe'), true);
    assert.equal(first('console=ttyS0 doPxe quiet'), true);
    assert.equal(first('do_pxe'), true);
  });

  it('is nothing else', () => {
    for (const other of ['', 'undoPxe', 'doPxeLater', 'dopxe']) assert.equal(first(other), false, other);
  });
});
