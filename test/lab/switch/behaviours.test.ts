import assert from 'node:assert/strict';
import { LabSwitch, syslogLine } from '../../../lab/switch/index.ts';
import type { LabSwitchOptions } from '../../../lab/switch/index.ts';
import { milliseconds } from '../../../plugin-api/index.ts';
import { ManualClock } from '../../../src/kernel/clock/manual-clock.ts';
import { Terminal } from './terminal.ts';

describe('lab switch: behaviours', () => {
  let lab: LabSwitch;
  let terminal: Terminal;

  async function start(options: Partial<LabSwitchOptions> = {}): Promise<void> {
    lab = await LabSwitch.start({
      name: 'tor-a',
      ports: ['Te 1/1-1/8'],
      username: 'admin',
      password: 'pw',
      terminalLength: 0,
      vlans: { 100: 'tenant', 200: 'other' },
      ...options,
    });
    terminal = await login();
  }

  async function login(): Promise<Terminal> {
    const opened = await Terminal.open(lab);
    await opened.until(/tor-a[>#]$/);
    return opened;
  }

  afterEach(async () => {
    await terminal.close();
    await lab.stop();
  });

  async function inVlan100(): Promise<void> {
    await terminal.type('configure');
    await terminal.type('interface vlan 100');
  }

  const native = (): number | null => lab.model.effective('Te 1/1').native;

  it('refuses the n-th match, so many times, as typed or written out', async () => {
    await start();
    await inVlan100();
    const text = '% Error: Hardware is busy.';
    const rule = lab.behaviours.on(/^untagged te/, { do: 'refuse', text }, { nth: 2, times: 2 });
    assert.equal(await terminal.type('untagged te 1/1'), '');
    assert.equal(await terminal.type('unt te 1/2'), text);
    assert.equal(await terminal.type('unt te 1/2'), text);
    assert.equal(await terminal.type('unt te 1/2'), '');
    assert.equal(rule.fired, 2);
    const always = lab.behaviours.on(/^no untagged/, { do: 'refuse', text }, { times: Infinity });
    for (let i = 0; i < 5; i++) assert.equal(await terminal.type('no unt te 1/1'), text);
    always.cancel();
    assert.equal(await terminal.type('no unt te 1/1'), '');
    assert.equal(lab.transcript.entries.filter((entry) => entry.refused).length, 7);
  });

  it('breaks the connection before or after the effect', async () => {
    await start();
    await inVlan100();
    lab.behaviours.on(/untagged/, { do: 'disconnect', when: 'before' });
    terminal.send('untagged te 1/1\n');
    await terminal.ended();
    assert.equal(native(), 1);
    terminal = await login();
    await inVlan100();
    lab.behaviours.on(/untagged/, { do: 'disconnect', when: 'after' });
    terminal.send('untagged te 1/1\n');
    await terminal.ended();
    assert.equal(native(), 100);
    assert.equal(lab.sessions.now, 0);
  });

  it('hangs without a prompt, before or after the effect, and only in that session', async () => {
    await start();
    await inVlan100();
    lab.behaviours.on(/untagged/, { do: 'hang', when: 'after' });
    terminal.send('untagged te 1/1\nend\nshow version\n');
    await terminal.until(/untagged te 1\/1\r\n$/);
    const other = await login();
    await other.type('show vlan');
    assert.equal(native(), 100);
    assert.equal(terminal.text, '');
    assert.ok(!lab.transcript.lines(1).includes('end'));
    await other.close();
  });

  it('takes its time: per switch and per command', async () => {
    const clock = new ManualClock();
    await start({ clock, latencyMs: 300, idleMs: 1e9 });
    lab.behaviours.on(/^write/, { do: 'delay', ms: 5_000 });
    terminal.send('write memory\n');
    const sleeping = async (n: number): Promise<void> => {
      while (clock.sleeping < n) await new Promise((resolve) => setImmediate(resolve));
    };
    // One sleeper watches for idleness.
    await sleeping(2);
    await clock.advance(milliseconds(5_000));
    await sleeping(2);
    assert.equal(lab.transcript.entries.length, 0);
    await clock.advance(milliseconds(300));
    assert.equal(await terminal.until(/tor-a#$/), 'write memory\r\n!\r\ntor-a#');
  });

  it('fails to save', async () => {
    await start();
    await inVlan100();
    await terminal.type('untagged te 1/1');
    await terminal.type('end');
    lab.behaviours.on(/^write memory/, { do: 'fail-save' });
    assert.match(await terminal.type('write'), /^% Error: /);
    assert.equal(lab.model.saved, false);
    assert.equal(await terminal.type('write'), '!');
    assert.equal(lab.model.saved, true);
  });

  it('lets the console hold the configuration lock for a while', async () => {
    const clock = new ManualClock();
    await start({ clock });
    lab.behaviours.on(/^configure/, { do: 'lock', ms: 2_000 });
    const denial = '% Error: User "" on line console0 is in exclusive configuration mode.';
    assert.equal(await terminal.type('configure'), denial);
    await clock.advance(milliseconds(1_999));
    assert.equal(await terminal.type('configure'), denial);
    await clock.advance(milliseconds(1));
    assert.equal(await terminal.promptAfter('configure'), 'tor-a(conf)#');
  });

  it('lets another administrator edit between a read and a write', async () => {
    await start();
    lab.behaviours.on(/^show vlan/, {
      do: 'edit',
      when: 'after',
      edit: (model) => model.addUntagged(200, 'TenGigabitEthernet 1/1', 'somebody'),
    });
    assert.match(await terminal.type('show vlan'), /200 .*\n?$/);
    await inVlan100();
    assert.match(await terminal.type('untagged te 1/1'), /already an untagged member of Vlan 200/);
  });

  it('restarts: nothing forwards meanwhile, unsaved changes are gone, the port number stays', async () => {
    const clock = new ManualClock();
    await start({ clock, restartMs: 60_000 });
    const { port } = lab;
    await inVlan100();
    await terminal.type('untagged te 1/1');
    const changes: string[][] = [];
    lab.model.onChange(({ ports }) => changes.push([...ports]));
    lab.behaviours.on(/^end/, { do: 'reload', when: 'before' });
    terminal.send('end\n');
    await terminal.ended();
    assert.equal(lab.model.carries('Te 1/1', 100, false), false);
    assert.equal(changes.length, 1);
    await assert.rejects(login());
    await clock.advance(milliseconds(60_000));
    terminal = await login();
    assert.equal(lab.port, port);
    assert.equal(native(), 1);
    assert.equal(lab.model.carries('Te 1/1', 1, false), true);
  });

  it('changes its host name in mid-session', async () => {
    await start();
    lab.behaviours.on(/^show vlan/, { do: 'hostname', name: 'renamed' });
    terminal.send('show vlan\n');
    await terminal.until(/\nrenamed#$/);
  });

  it('throws log messages in before, within and behind, unless logging is off', async () => {
    await start();
    for (const where of ['before', 'within', 'after'] as const)
      lab.behaviours.on(/^show users/, { do: 'noise', where, lines: [syslogLine] }, { times: Infinity });
    terminal.send('show users\n');
    const text = await terminal.until(/tor-a#\r\n%STK.*\r\ntor-a#$/);
    assert.equal(text.split(syslogLine).length, 4);
    await terminal.type('terminal no monitor');
    assert.doesNotMatch(await terminal.type('show users'), /%STK/);
    await terminal.type('terminal monitor');
    await terminal.type('configure');
    await terminal.type('no logging monitor');
    await terminal.type('end');
    assert.doesNotMatch(await terminal.type('show users'), /%STK/);
  });

  it('tells of a change before the command is answered', async () => {
    await start();
    await inVlan100();
    let answered = false;
    const order: boolean[] = [];
    lab.model.onChange(() => order.push(answered));
    await terminal.type('untagged te 1/1').then(() => (answered = true));
    assert.deepEqual(order, [false]);
  });

  it('keeps no secret in the transcript', async () => {
    await start();
    await terminal.type('configure');
    await terminal.type('username bob password hunter2 privilege 15');
    await terminal.type('enable secret sesame');
    assert.doesNotMatch(JSON.stringify(lab.transcript.entries), /hunter2|sesame/);
    assert.deepEqual(lab.transcript.lines(1), [
      'configure',
      'username bob password ***',
      'enable secret ***',
    ]);
  });
});
