import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { json, text } from 'node:stream/consumers';
import { LabSwitch } from '../../lab/switch/index.ts';
import { requirePeer } from '../support/peers.ts';

/** Debian's own Python, which is where python3-netmiko is, whatever else is in the PATH. */
const python = '/usr/bin/python3';
const script = new URL('./netmiko/session.py', import.meta.url).pathname;

interface Step {
  command?: string;
  config?: string[];
  save?: true;
}

interface Outcome {
  refused?: true;
  prompt: string;
  enabled: string;
  answers: string[];
}

/** Netmiko as a client: it knows real Force10 switches, and nobody here wrote it. */
describe('interop: the lab switch as Netmiko sees it', function () {
  this.timeout(120_000);
  let lab: LabSwitch;

  before(async function () {
    requirePeer(this, 'netmiko', () => spawnSync(python, ['-c', 'import netmiko']).status === 0);
    lab = await LabSwitch.start({
      name: 'tor-a',
      ports: ['Te 1/1-1/48'],
      uplinks: ['Fo 1/49'],
      uplinkVlans: [100],
      username: 'admin',
      password: 'pw',
      privilege: 1,
      enableSecret: 'sesame',
    });
  });

  after(async () => {
    // Undefined when the peer is absent and nothing was started.
    await (lab as LabSwitch | undefined)?.stop();
  });

  async function netmiko(steps: Step[], device: Record<string, unknown> = {}): Promise<Outcome> {
    const child = spawn(python, [script], { stdio: ['pipe', 'pipe', 'pipe'] });
    const errors = text(child.stderr);
    child.stdin.end(
      JSON.stringify({
        device: {
          host: lab.host,
          port: lab.port,
          username: 'admin',
          password: 'pw',
          secret: 'sesame',
          timeout: 30,
          fast_cli: true,
          ...device,
        },
        steps,
      }),
    );
    const code = new Promise((resolve) => child.once('exit', resolve));
    const outcome = await json(child.stdout).catch(async () => assert.fail(await errors));
    assert.equal(await code, 0, await errors);
    return outcome as Outcome;
  }

  it('logs in, enables, configures, reads, meets its own wrong save command, and saves with the right one', async () => {
    const { prompt, enabled, answers } = await netmiko([
      {
        config: [
          'interface vlan 310',
          'description acs-310',
          'untagged TenGigabitEthernet 1/1',
          'no shutdown',
        ],
      },
      { config: ['interface vlan 100', 'tagged TenGigabitEthernet 1/1'] },
      { config: ['interface vlan 100', 'tagged TenGigabitEthernet 1/99'] },
      { command: 'show vlan' },
      { command: 'show running-config interface vlan 310' },
      { save: true },
      { command: 'write memory' },
    ]);
    assert.equal(prompt, 'tor-a>');
    assert.equal(enabled, 'tor-a#');
    assert.doesNotMatch(answers[0]!, /Error/);
    assert.deepEqual(lab.model.effective('Te 1/1'), { native: 310, tagged: [100], up: true });
    assert.match(answers[2]!, /% Error: No such interface/);
    assert.match(answers[3]!, /^ {4}310 {4}Active {4}acs-310 {25}U Te 1\/1$/m);
    assert.match(answers[4]!, /^interface Vlan 310\n description acs-310\n/m);
    assert.match(answers[5]!, /% Error: The source file does not exist\./);
    assert.equal(answers[6]!.trim(), '!');
    assert.equal(lab.model.saved, true);
    assert.ok(lab.transcript.lines().includes('terminal length 0'));
    assert.equal(lab.sessions.max, 1);
  });

  it('is refused with a wrong password', async () => {
    assert.equal((await netmiko([], { password: 'wrong' })).refused, true);
  });

  it('talks to a switch that is slow, chatty in pieces, and old', async () => {
    const modern = lab;
    lab = await LabSwitch.start({
      name: 'tor-b',
      ports: ['Te 0/1-4'],
      username: 'admin',
      password: 'pw',
      latencyMs: 50,
      chunking: { seed: 7 },
      knobs: { rangeGrammar: 'old', firmware: '9.9(0.0)' },
    });
    try {
      const { prompt, answers } = await netmiko([{ command: 'show vlan' }, { command: 'show version' }]);
      assert.equal(prompt, 'tor-b#');
      assert.match(answers[0]!, /U Te 0\/1-4$/m);
      assert.match(answers[1]!, /9\.9\(0\.0\)/);
    } finally {
      await lab.stop();
      lab = modern;
    }
  });
});
