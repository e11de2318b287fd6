import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { runCli } from '../../src/cli/run-cli.ts';
import { AdminService } from '../api/admin/admin-service.ts';

describe('csbm image add of a virtual disk', () => {
  const service = new AdminService();
  after(() => service.dispose());

  it('shows on a terminal how far its conversion is', async () => {
    const bytes = 1024 * 1024;
    const go = join(service.folder, 'go');
    // A qemu-img that waits until the terminal has shown its percents.
    const qemuImg = join(service.folder, 'qemu-img');
    const info = `echo '{"format": "qcow2", "virtual-size": ${bytes}}'`;
    const convert = `printf '    (42.31/100%%)\\r'; while [ ! -e '${go}' ]; do sleep 0.05; done; truncate -s ${bytes} "$last"`;
    writeFileSync(
      qemuImg,
      `#!/bin/sh\nfor last; do :; done\ncase $1 in\n--version) ;;\ninfo) ${info} ;;\ncheck) exit 63 ;;\nconvert) ${convert} ;;\nesac\n`,
    );
    chmodSync(qemuImg, 0o755);
    appendFileSync(service.configFile, `provisioning: {conversion: {qemuImg: ${qemuImg}}}\n`);
    await service.start();

    const header = Buffer.alloc(65536);
    Buffer.from('514649fb00000003', 'hex').copy(header);
    header.writeBigUInt64BE(BigInt(bytes), 24);
    writeFileSync(join(service.folder, 'disk.qcow2'), header);
    let shown = '';
    let out = '';
    const collect = (take: (text: string) => void): Writable =>
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          take(chunk.toString());
          done();
        },
      });
    const stderr = collect((text) => {
      shown += text;
      if (shown.includes('sent, converting 42 %')) writeFileSync(go, '');
    });
    const code = await runCli(['image', 'add', 'disk.qcow2', '--name', 'converted'], {
      stdin: Readable.from([]),
      stdout: collect((text) => (out += text)),
      stderr: Object.assign(stderr, { isTTY: true }),
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
      cwd: service.folder,
      interrupted: () => new AbortController().signal,
    });
    assert.equal(code, 0, shown);
    assert.match(out, /^converted: (zstd|gzip), .*, unpacks to 1\.0 MiB, SHA-256 [0-9a-f]{64}\n$/);
  });
});
