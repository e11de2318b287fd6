import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import fc from 'fast-check';
import ssh2 from 'ssh2';
import type { Algorithms } from 'ssh2';
import { LabSwitch } from '../../../lab/switch/index.ts';
import type { Chunking, LabSwitchOptions } from '../../../lab/switch/index.ts';
import { milliseconds } from '../../../plugin-api/index.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { Terminal } from './terminal.ts';

const legacy: Algorithms = {
  kex: ['diffie-hellman-group1-sha1'],
  cipher: ['3des-cbc'],
  serverHostKey: ['ssh-rsa'],
  hmac: ['hmac-sha1'],
};

describe('lab switch: SSH face', () => {
  let lab: LabSwitch;

  async function start(options: Partial<LabSwitchOptions> = {}): Promise<void> {
    lab = await LabSwitch.start({
      name: 'tor-a',
      ports: ['Te 1/1-1/8'],
      username: 'admin',
      password: 'pw',
      terminalLength: 0,
      ...options,
    });
  }

  afterEach(() => lab.stop());

  async function login(config: Parameters<typeof Terminal.open>[1] = {}): Promise<Terminal> {
    const terminal = await Terminal.open(lab, config);
    await terminal.until(/tor-a[>#]$/);
    return terminal;
  }

  const sessionsBecome = async (n: number): Promise<void> => {
    while (lab.sessions.now !== n) await new Promise((resolve) => setImmediate(resolve));
  };

  it('lets in by password, refuses a wrong one, an unknown user and a locked one', async () => {
    await start();
    await (await login()).close();
    await assert.rejects(login({ password: 'wrong' }), /authentication methods failed/);
    await assert.rejects(login({ username: 'nobody' }), /authentication methods failed/);
    lab.model.edit('test', ({ users }) => (users.get('admin')!.locked = true));
    await assert.rejects(login(), /authentication methods failed/);
    await sessionsBecome(0);
  });

  it('lets in by keyboard-interactive alone', async () => {
    await start({ methods: ['keyboard-interactive'] });
    await assert.rejects(login(), /authentication methods failed/);
    const client = new ssh2.Client();
    client.on('keyboard-interactive', (_name, _instructions, _lang, prompts, finish) =>
      finish(prompts.map(() => 'pw')),
    );
    client.connect({ host: lab.host, port: lab.port, username: 'admin', tryKeyboard: true });
    await once(client, 'ready');
    client.end();
    await once(client, 'close');
  });

  it('shows the host key whose fingerprint it tells, a new one after a restart as another device', async () => {
    await start();
    const seen: string[] = [];
    const look = { hostHash: 'sha256', hostVerifier: (hash: string) => seen.push(hash) > 0 } as const;
    await (await login(look)).close();
    await lab.reload();
    await (await login(look)).close();
    const before = lab.hostKeySha256;
    await lab.reload({ newHostKey: true });
    await (await login(look)).close();
    assert.deepEqual(seen, [before, before, lab.hostKeySha256]);
    assert.notEqual(before, lab.hostKeySha256);
  });

  it('speaks only old algorithms in the legacy profile', async () => {
    await start({ crypto: 'legacy' });
    await assert.rejects(login(), /no matching/);
    const terminal = await login({ algorithms: legacy });
    assert.match(await terminal.type('show version'), /System Type/);
    await terminal.close();
  });

  it('refuses old algorithms in the modern profile, and exec channels always', async () => {
    await start();
    await assert.rejects(login({ algorithms: legacy }), /no matching/);
    const client = new ssh2.Client();
    client.connect({ host: lab.host, port: lab.port, username: 'admin', password: 'pw' });
    await once(client, 'ready');
    const error = await new Promise((resolve) => client.exec('show vlan', resolve));
    assert.ok(error instanceof Error);
    client.end();
    await once(client, 'close');
  });

  it('holds the first prompt back until the banner is acknowledged', async () => {
    await start({ acknowledge: 'Authorised use only.\nDo you accept?' });
    const terminal = await Terminal.open(lab);
    assert.equal(await terminal.until(/\[y\/n\]: $/), 'Authorised use only.\r\nDo you accept? [y/n]: ');
    terminal.send('maybe\n');
    await terminal.until(/\[y\/n\]: $/);
    terminal.send('y\n');
    await terminal.until(/tor-a#$/);
    await terminal.close();
    const unwilling = await Terminal.open(lab);
    unwilling.send('n\n');
    await unwilling.ended();
  });

  it('says the same however its output is cut up', async () => {
    const session = async (chunking: Chunking): Promise<string> => {
      await start({ chunking });
      const terminal = await login();
      terminal.send(
        'conf\ninterface te 1/1\ndescription größe # tor-a# ☃\nend\nshow running-config int te 1/1\nexit\n',
      );
      await terminal.ended();
      const { text } = terminal;
      await lab.stop();
      return text;
    };
    const whole = await session('whole');
    assert.match(whole, / description größe # tor-a# ☃\r\n/);
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.constant<Chunking>('split-prompt'),
          fc.integer({ min: 1, max: 7 }),
          fc.nat().map((seed) => ({ seed })),
        ),
        async (chunking) => assert.equal(await session(chunking), whole),
      ),
      { numRuns: 6 },
    );
  });

  it('without a terminal there is no echo', async () => {
    await start();
    const terminal = await login({ pty: false });
    terminal.send('show users\n');
    assert.match(await terminal.until(/tor-a#$/), /^ {6}Line/);
    await terminal.close();
  });

  it('has so many terminal lines and no more', async () => {
    await start({ vtyLines: 2 });
    const first = await login();
    const second = await login();
    await assert.rejects(login());
    assert.deepEqual([lab.sessions.now, lab.sessions.max, lab.sessions.refused], [2, 2, 1]);
    await second.close();
    await sessionsBecome(1);
    const third = await login();
    await third.close();
    await first.close();
    await sessionsBecome(0);
    assert.equal(lab.sessions.total, 3);
  });

  it('clear line ends another session', async () => {
    await start();
    const first = await login();
    const second = await login();
    await first.type('clear line vty 1');
    await second.ended();
    await first.close();
  });

  it('limits new connections per minute', async () => {
    const clock = new ManualClock();
    await start({ connectionsPerMinute: 2, clock });
    await (await login()).close();
    await (await login()).close();
    await assert.rejects(login());
    assert.equal(lab.sessions.refused, 1);
    await clock.advance(milliseconds(60_000));
    await (await login()).close();
  });

  it('ends an idle session', async () => {
    const clock = new ManualClock();
    await start({ idleMs: 600_000, clock });
    const terminal = await login();
    await clock.advance(milliseconds(500_000));
    await terminal.type('');
    await clock.advance(milliseconds(500_000));
    assert.equal(lab.sessions.now, 1);
    await clock.advance(milliseconds(100_000));
    await terminal.ended();
    assert.equal(lab.sessions.now, 0);
  });

  it('can be dead or silent to new connections', async () => {
    await start();
    lab.reception = 'closed';
    await assert.rejects(login());
    lab.reception = 'silent';
    const socket = connect(lab.port, lab.host);
    await once(socket, 'connect');
    await lab.stop();
    await once(socket, 'close');
    assert.equal(socket.bytesRead, 0);
  });
});
