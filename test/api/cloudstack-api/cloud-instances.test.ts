import assert from 'node:assert/strict';
import { LabApiServer } from '../../../lab/management-server/api-server.ts';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { CodedError, Secret } from '../../../plugin-api/index.ts';
import { ApiClient } from '../../../src/api/cloudstack-api/api-client.ts';
import { CloudInstances } from '../../../src/api/cloudstack-api/cloud-instances.ts';
import { SystemClock } from '../../../src/kernel/clock/system-clock.ts';
import type { AskedInstance, Sighting } from '../../../src/operations/reconcile/instance-directory.ts';

const keys = { apiKey: 'key', secretKey: 'secret' };
const authority = createAuthority();
const uuid = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const asked = (n: number, id: string | null = uuid(n)): AskedInstance => ({ name: `i-2-${n}-VM`, uuid: id });

describe('CloudStack API: instances', () => {
  let server: LabApiServer;
  let directory: CloudInstances;

  beforeEach(async () => {
    server = new LabApiServer({ ...keys, authority });
    await server.start();
    const endpoint = {
      url: server.url,
      apiKey: new Secret(keys.apiKey),
      secretKey: new Secret(keys.secretKey),
    };
    directory = new CloudInstances(new ApiClient(endpoint, new SystemClock()));
  });
  afterEach(() => server.stop());

  const have = (n: number, state = 'Running'): void => {
    server.instances.push({ id: uuid(n), name: `i-2-${n}-VM`, state });
  };
  const look = (...instances: AskedInstance[]): Promise<ReadonlyMap<string, Sighting>> =>
    directory.look(instances, new AbortController().signal);
  const kinds = async (...instances: AskedInstance[]): Promise<string[]> =>
    [...(await look(...instances)).values()].map(({ kind }) => kind);

  it('tells those that are there from the recoverable and the expunged ones', async () => {
    for (const [n, state] of ['Running', 'Stopped', 'Error', 'Destroyed', 'Expunging', 'Expunged'].entries())
      have(n, state);
    const found = await look(...[0, 1, 2, 3, 4, 5].map((n) => asked(n)));
    assert.deepEqual(
      [...found.values()].map(({ kind }) => kind),
      ['present', 'present', 'present', 'recoverable', 'gone', 'gone'],
    );
    assert.deepEqual(found.get('i-2-0-VM'), { kind: 'present', uuid: uuid(0), state: 'Running' });
  });

  it('takes what was never known for no evidence: it may be another cloud than it was', async () => {
    have(1);
    assert.deepEqual(await kinds(asked(1), asked(2)), ['present', 'unclear']);
    server.instances.length = 0;
    assert.deepEqual(await kinds(asked(1), asked(2)), ['unclear', 'unclear']);
  });

  it('takes an empty list for no evidence where it is the answer to everything', async () => {
    have(1);
    have(2, 'Expunged');
    server.behaviours.emptyForUnknown = true;
    assert.deepEqual(await kinds(asked(1), asked(2)), ['present', 'unclear']);
  });

  it('reads every page of many, and a few requests are enough', async () => {
    for (let n = 0; n < 250; n += 1) have(n);
    const found = await look(...Array.from({ length: 250 }, (_, n) => asked(n)));
    assert.equal(found.size, 250);
    assert.ok([...found.values()].every(({ kind }) => kind === 'present'));
    assert.equal(server.asked('listVirtualMachines'), 3);
  });

  it('finds nothing where only the administrator of everything could', async () => {
    have(1, 'Expunged');
    for (const accountType of [0, 2]) {
      server.behaviours.accountType = accountType;
      await assert.rejects(
        look(asked(1)),
        (error) => error instanceof CodedError && error.code === 'cloudstack.credentials',
      );
    }
  });

  it('finds nothing in pages that do not fit together', async () => {
    for (let n = 0; n < 150; n += 1)
      server.instances.push({ id: uuid(n), name: `i-2-1-VM-${n}`, state: 'Running' });
    const refused = (error: unknown): boolean =>
      error instanceof CodedError && error.code === 'cloudstack.answer';
    server.behaviours.repeatFirstPage = true;
    await assert.rejects(look(asked(1, null)), refused);
    server.behaviours.repeatFirstPage = false;
    server.behaviours.countTooMuch = 7;
    await assert.rejects(look(asked(1, null)), refused);
  });

  it('learns the UUID of an instance by its exact name, and never misses one by its name', async () => {
    have(1);
    have(11);
    server.instances.push({ id: uuid(99), name: 'i-2-1-VM-old', state: 'Running' });
    have(3, 'Expunging');
    const found = await look(asked(1, null), asked(2, null), asked(3, null));
    assert.deepEqual(found.get('i-2-1-VM'), { kind: 'present', uuid: uuid(1), state: 'Running' });
    assert.equal(found.get('i-2-2-VM')?.kind, 'unclear');
    assert.equal(found.get('i-2-3-VM')?.kind, 'unclear');
  });

  it('says when a UUID is that of another instance there', async () => {
    server.instances.push({ id: uuid(1), name: 'i-9-9-VM', state: 'Expunging' });
    assert.deepEqual(await kinds(asked(1)), ['unclear']);
    server.behaviours.hideInstanceNames = true;
    assert.deepEqual(await kinds(asked(1)), ['gone']);
  });

  it('rejects when the API breaks off in the middle', async () => {
    for (let n = 0; n < 3; n += 1) have(n, 'Expunged');
    const { instances } = server;
    const list = Array.from({ length: 3 }, (_, n) => asked(n));
    Object.defineProperty(server, 'instances', {
      get: () => {
        if (server.asked('listVirtualMachines') >= 2)
          server.behaviours.instead = { status: 503, text: 'busy' };
        return instances;
      },
    });
    await assert.rejects(look(...list), (error) => error instanceof CodedError);
  });
});
