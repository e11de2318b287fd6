import assert from 'node:assert/strict';
import { AgentHarness, facts, fixed } from '../api/cloudstack-agent/agent-harness.ts';

// Whatever was changed at a machine made its link anew, also what CloudStack is never told, such as a quarantine that a person
// lifted: the server lost the answers that it waited for.
describe('the link of a machine that is described once more', () => {
  let harness: AgentHarness;
  beforeEach(() => {
    harness = new AgentHarness();
  });
  afterEach(() => harness.close());

  it('stays where nothing changed that the server knows, and is made anew where something did', async () => {
    const server = await harness.server();
    const endpoint = { credentials: fixed() };
    const { hostId } = await connected();
    await harness.connect(server, { endpoint, hostId });
    assert.equal((await connected()).connects, 1);

    await harness.connect(server, { endpoint, hostId, facts: { ...facts, cpus: facts.cpus + 1 } });
    const host = await harness.until('a second connection', () =>
      server.hosts().find(({ connects, state }) => connects === 2 && state === 'Up'),
    );
    assert.equal(host.hostId, hostId);

    async function connected() {
      await harness.connect(server, { endpoint });
      await harness.reached('up');
      return server.waitForHost(facts.guid);
    }
  });
});
