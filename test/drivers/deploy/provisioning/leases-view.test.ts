import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AdminService, enrolment } from '../../../api/admin/admin-service.ts';
import { csbm } from '../../../cli/run-csbm.ts';
import { until } from '../../../support/until.ts';

interface View {
  readonly provisioning: {
    readonly state: string;
    readonly why?: string | null;
    readonly remedy?: string | null;
  };
  readonly leases: readonly {
    readonly mac: string;
    readonly address: string;
    readonly machine: { readonly hostname: string } | null;
  }[];
}

describe('admin API: leases of the provisioning network', () => {
  /** `csbm native leases` */
  const told = (service: AdminService, ...more: readonly string[]) =>
    csbm(['native', 'leases', ...more], {
      cwd: service.folder,
      env: { CSBM_URL: service.url, CSBM_TOKEN_FILE: service.tokenFile },
    });
  const view = async (service: AdminService): Promise<View> =>
    JSON.parse((await service.get('/native/leases')).text) as View;

  it("there are none where the provisioning network is somebody else's", async () => {
    const service = new AdminService();
    await service.start();
    try {
      assert.deepEqual(await view(service), { provisioning: { state: 'off' }, leases: [] });
      const { code, out } = await told(service);
      assert.equal(code, 0);
      assert.match(out, /^the provisioning network is not served by csbm/);
    } finally {
      await service.dispose();
    }
  });

  it('name the machine; a network that cannot be served is told, and everything else works', async () => {
    const service = new AdminService();
    const network =
      '{enabled: true, interface: absent0, address: 10.11.0.1/24, range: 10.11.0.10-10.11.0.20}';
    appendFileSync(service.configFile, `provisioning: {network: ${network}}\n`);
    mkdirSync(join(service.folder, 'state/provisioning'), { recursive: true });
    const lines = ['0 52:54:00:aa:00:01 10.11.0.10 * *', '0 52:54:00:aa:99:99 10.11.0.11 * *', ''];
    writeFileSync(join(service.folder, 'state/provisioning/leases'), lines.join('\n'));
    await service.start();
    try {
      const machine = await service.post('/machines', enrolment(1));
      assert.equal(machine.status, 201);
      // Which of the reasons comes first depends on what is installed here.
      await until(async () => /^(failed|missing-package)$/.test((await view(service)).provisioning.state));
      const { provisioning, leases } = await view(service);
      assert.ok(provisioning.why && provisioning.remedy);
      assert.deepEqual(
        leases.map((lease) => [lease.mac, lease.address, lease.machine?.hostname ?? null]),
        [
          ['52:54:00:aa:00:01', '10.11.0.10', machine.json.machine.hostname],
          ['52:54:00:aa:99:99', '10.11.0.11', null],
        ],
      );
      const { code, out } = await told(service);
      assert.equal(code, 0);
      const name = machine.json.machine.hostname;
      assert.match(out, new RegExp(`^10\\.11\\.0\\.10 +52:54:00:aa:00:01 +${name} +- +never$`, 'm'));
      assert.match(out, /^10\.11\.0\.11 +52:54:00:aa:99:99 +- +- +never$/m);
      // It says why nobody gets an address any more, and what to do.
      assert.match(out, /^dnsmasq is not running: .*\n.+\n-> .+$/m);
      const document = JSON.parse((await told(service, '--json')).out) as View;
      assert.deepEqual(document.leases, leases);
      const health = JSON.parse((await service.get('/health')).text) as View;
      assert.deepEqual(health.provisioning, provisioning);
    } finally {
      await service.dispose();
    }
  });
});
