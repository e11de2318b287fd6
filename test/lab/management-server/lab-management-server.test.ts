import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { createAuthority } from '../../../lab/management-server/certificate.ts';
import { startCommand, stopCommand } from '../../../lab/management-server/commands.ts';
import { LabManagementServer } from '../../../lab/management-server/lab-management-server.ts';
import { composeBody, parseBody } from '../../../src/wire/cloudstack/body.ts';
import { decodeFrame, encodeFrame, type Frame } from '../../../src/wire/cloudstack/frame.ts';
import { FramedTlsLink } from '../../../src/wire/cloudstack/framed-tls-link.ts';
import { flag, responseHeader, type FrameHeader } from '../../../src/wire/cloudstack/header.ts';
import { vector } from '../../golden/cloudstack-vectors.ts';

/** An agent without any sense: it sends what the test says and keeps what it gets. */
class BareAgent {
  readonly received: Frame[] = [];
  #link!: FramedTlsLink;
  #heard: () => void = () => undefined;

  async connect(server: LabManagementServer): Promise<void> {
    const socket = connect(server.address.port, server.address.host);
    await once(socket, 'connect');
    this.#link = FramedTlsLink.client(
      socket,
      {},
      {
        message: (bytes) => {
          this.received.push(decodeFrame(bytes));
          this.#heard();
        },
        closed: () => this.#heard(),
      },
    );
    await this.#link.secured();
  }

  send(bytes: Buffer): Promise<void> {
    return this.#link.send(bytes);
  }

  get closed(): boolean {
    return this.#link.closed;
  }

  /** The frame number `index`, as soon as it is here. */
  async frame(index: number): Promise<Frame> {
    while (this.received.length <= index) {
      if (this.closed) throw new Error('closed');
      await new Promise<void>((resolve) => (this.#heard = resolve));
    }
    return this.received[index]!;
  }

  answer(request: Frame, className: string, change: Partial<FrameHeader> = {}): Promise<void> {
    const text = '{"result":true,"contextMap":{},"wait":0}';
    return this.send(
      encodeFrame({ ...responseHeader(request.header), ...change }, composeBody([{ className, text }])),
    );
  }

  destroy(): void {
    this.#link.destroy();
  }
}

const classOf = (frame: Frame): string =>
  parseBody(frame.text)[0]!.className.replace('com.cloud.agent.api.', '');
const startup = Buffer.from(vector('startup-routing-baremetal-new').frameHex, 'hex');
const guid = 'b1f2c3d4-1111-2222-3333-444455556666-BareMetalProvider';

describe('lab management server', () => {
  const authority = createAuthority();
  let server: LabManagementServer;
  let agent: BareAgent;
  beforeEach(async () => {
    server = new LabManagementServer({ authority });
    await server.start();
    agent = new BareAgent();
    await agent.connect(server);
  });
  afterEach(async () => {
    agent.destroy();
    await server.stop();
  });

  /** Takes the bare agent through everything until the host is Up; returns how many frames came. */
  async function becomeUp(): Promise<bigint> {
    await agent.send(startup);
    for (const [index, className] of [
      [1, 'CheckNetworkAnswer'],
      [2, 'Answer'],
      [3, 'ReadyAnswer'],
      [4, 'ReadyAnswer'],
    ] as const) {
      await agent.answer(await agent.frame(index), `com.cloud.agent.api.${className}`);
    }
    return (await server.waitForHost(guid)).hostId;
  }

  it('takes a golden Startup through the real sequence of frames', async () => {
    const hostId = await becomeUp();
    assert.deepEqual(agent.received.map(classOf), [
      'StartupAnswer',
      'CheckNetworkCommand',
      'CleanupNetworkRulesCmd',
      'ReadyCommand',
      'ReadyCommand',
    ]);
    const first = agent.received[0]!;
    const golden = vector('startup-answer-first');
    assert.equal(first.text, golden.json);
    assert.deepEqual(
      { ...first.header, sequence: 0n, length: 0 },
      {
        version: 0,
        reserved: 0,
        flags: golden.headerFields.flags,
        sequence: 0n,
        length: 0,
        mgmtId: BigInt(golden.headerFields.mgmtId),
        agentId: -1n,
        via: -1n,
      },
    );
    const ready = agent.received[3]!;
    assert.equal(ready.header.agentId, hostId);
    assert.ok(ready.header.sequence > 2n ** 53n);
    assert.ok((ready.header.flags & flag.IN_SEQUENCE) !== 0);
  });

  it('throws away what comes before Startup', async () => {
    await agent.send(Buffer.from(vector('ping-plain').frameHex, 'hex'));
    await server.until('the anomaly', () => (server.anomalies.length === 1 ? true : undefined));
    assert.match(server.anomalies[0]!, /before Startup thrown away/);
    await becomeUp();
  });

  it('disconnects a host that answers CheckNetwork in the wrong class', async () => {
    await agent.send(startup);
    await agent.answer(await agent.frame(1), 'com.cloud.agent.api.Answer');
    await assert.rejects(agent.frame(2));
    assert.match(server.anomalies[0]!, /CheckNetworkCommand answered by com\.cloud\.agent\.api\.Answer/);
  });

  it('refuses with the golden frame', async () => {
    server.behaviours.refusal =
      'com.cloud.utils.exception.CloudRuntimeException: No resource state adapter response';
    await agent.send(startup);
    const refusal = await agent.frame(1);
    assert.equal(
      encodeFrame(refusal.header, refusal.text).toString('hex'),
      vector('ready-rejected').frameHex,
    );
    assert.equal(agent.closed, false, 'the link stays open');
  });

  it('sends in-sequence requests one at a time; an answer without the flag stalls them', async () => {
    const hostId = await becomeUp();
    const inSequence = { executeInSequence: true };
    const first = server.send(hostId, [stopCommand({ name: 'a' }, inSequence)], { timeout: 200 });
    const second = server.send(hostId, [stopCommand({ name: 'b' }, inSequence)], { timeout: 200 });
    const parallel = server.send(hostId, [stopCommand({ name: 'c' })]);
    const frames = [await agent.frame(5), await agent.frame(6)];
    assert.deepEqual(
      frames.map((frame) => parseBody(frame.text)[0]!.fields.vmName),
      ['a', 'c'],
    );
    const stopAnswer = 'com.cloud.agent.api.StopAnswer';
    await agent.answer(frames[1]!, stopAnswer);
    assert.equal((await parallel)[0]!.result, true);
    await agent.answer(frames[0]!, stopAnswer, { flags: flag.STOP_ON_ERROR });
    await first;
    await assert.rejects(second, /no answer to .*StopCommand in time/);
    assert.match(server.anomalies.at(-1)!, /lacks IN_SEQUENCE/);
  });

  it('loses an answer whose management server id was changed', async () => {
    const hostId = await becomeUp();
    const sent = server.send(hostId, [stopCommand({ name: 'a' })], { timeout: 100 });
    await agent.answer(await agent.frame(5), 'com.cloud.agent.api.StopAnswer', { mgmtId: 7n });
    await assert.rejects(sent, /in time/);
    assert.match(server.anomalies.at(-1)!, /is for server 7/);
  });

  it('closes the older link when the same host connects again', async () => {
    const hostId = await becomeUp();
    const old = agent;
    agent = new BareAgent();
    await agent.connect(server);
    assert.equal(await becomeUp(), hostId);
    await server.until('the old link to close', () => (server.connections === 1 ? true : undefined));
    await assert.rejects(old.frame(99));
    assert.equal(server.hosts()[0]!.connects, 2);
  });

  it('tells a waiting command that its link was lost', async () => {
    const hostId = await becomeUp();
    const sent = server.send(hostId, [startCommand({ name: 'a', id: 1, uuid: 'u' })]);
    await agent.frame(5);
    server.dropLink(hostId);
    await assert.rejects(sent, /link was lost/);
    assert.equal(server.hosts()[0]!.state, 'Alert');
  });
});

describe('lab certificates', () => {
  it('are as CloudStack makes them: the CA itself, without the key usage of a server', () => {
    const ca = createAuthority();
    const certificate = new X509Certificate(ca.pem);
    assert.ok(certificate.raw.equals(ca.der));
    assert.equal(certificate.subject, 'CN=ca.cloudstack.apache.org');
    assert.equal(certificate.issuer, certificate.subject);
    assert.equal(certificate.ca, true);
    assert.equal(certificate.subjectAltName, undefined);
    assert.ok(certificate.verify(certificate.publicKey));
    const client = new X509Certificate(ca.issue('csbm', ['10.0.0.1', '192.0.2.200']).pem);
    assert.equal(client.subjectAltName, 'IP Address:10.0.0.1, IP Address:192.0.2.200');
    assert.ok(client.verify(certificate.publicKey));
    assert.equal(client.ca, false);
  });
});
