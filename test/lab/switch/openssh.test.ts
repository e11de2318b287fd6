import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { LabSwitch } from '../../../lab/switch/index.ts';
import { requirePeer } from '../../support/peers.ts';

describe('lab switch: an OpenSSH client with a here-document', () => {
  it('configures, reads back and leaves', async function () {
    requirePeer(this, 'ssh');
    const folder = await mkdtemp(join(tmpdir(), 'csbm-openssh-'));
    const lab = await LabSwitch.start({
      name: 'tor-a',
      ports: ['Te 1/1-1/4'],
      username: 'admin',
      password: 'pw',
      methods: ['keyboard-interactive'],
    });
    try {
      const askpass = join(folder, 'askpass');
      await writeFile(askpass, '#!/bin/sh\necho pw\n');
      await chmod(askpass, 0o700);
      const child = spawn(
        'ssh',
        [
          ...['-tt', '-F', 'none', '-p', String(lab.port)],
          ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-o', 'LogLevel=ERROR'],
          'admin@127.0.0.1',
        ],
        {
          stdio: ['pipe', 'pipe', 'inherit'],
          env: { ...process.env, SSH_ASKPASS: askpass, SSH_ASKPASS_REQUIRE: 'force' },
        },
      );
      child.stdin.end(
        [
          'terminal length 0',
          'configure',
          'interface vlan 100',
          'untagged te 1/2',
          'end',
          'show vlan',
          'exit',
          '',
        ].join('\n'),
      );
      const output = await text(child.stdout);
      assert.match(output, /^ {4}100 .* U Te 1\/2\r$/m);
      assert.match(output, /tor-a\(conf-if-vl-100\)#untagged te 1\/2\r\n/);
      assert.equal(lab.model.effective('Te 1/2').native, 100);
    } finally {
      await lab.stop();
      await rm(folder, { recursive: true });
    }
  });
});
