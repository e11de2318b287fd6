import assert from 'node:assert/strict';
import { stopCommand } from '../../lab/management-server/commands.ts';
import { encodeFrame } from '../../src/wire/cloudstack/frame.ts';
import { flag } from '../../src/wire/cloudstack/header.ts';
import { AgentHarness, facts } from '../api/cloudstack-agent/agent-harness.ts';

// A request whose body could not be read was only logged. The server waited for its answer, half an hour or more, and with it every
// in-sequence command behind it.
it('a request that cannot be read is answered at once', async () => {
  const harness = new AgentHarness();
  try {
    const server = await harness.server();
    await harness.connect(server);
    const { hostId } = await server.waitForHost(facts.guid);
    const header = {
      version: 0,
      reserved: 0,
      flags: flag.REQUEST | flag.FROM_SERVER | flag.IN_SEQUENCE,
      sequence: 7n,
      length: 0,
      mgmtId: server.mgmtId,
      agentId: hostId,
      via: hostId,
    };
    await server.sendRaw(hostId, encodeFrame(header, '[{"com.cloud.agent.api.StopCommand":{"vmName":'));
    // Nobody at the lab's server waits for what was sent past it.
    await server.until('the answer', () =>
      server.anomalies.includes(`answer 7 of host ${hostId} has no waiter`) ? true : undefined,
    );
    const [answer] = await server.send(hostId, [stopCommand({ name: 'i-2-77-VM' })]);
    assert.equal(answer!.result, true);
    assert.equal(server.startups, 1, 'on the same link');
  } finally {
    await harness.close();
  }
});
