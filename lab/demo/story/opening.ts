import { gzipSync } from 'node:zlib';
import { startCommand, type LabInstance } from '../../management-server/commands.ts';
import { makeLabImage } from '../../machine/index.ts';
import { leasesOf, vlans, type Show } from './show.ts';

export const imageName = 'lab-linux';
export const demoImageBytes = 24 * 2 ** 20;

/** 1: the floor stands; the service is started and comes up. */
export async function floorAndService({ page, stage }: Show): Promise<void> {
  const { switches, machines } = stage.floor;
  page.section(
    'The floor and the service',
    "Two switches (SSH), three servers with BMCs (IPMI) and the tenants' router are simulated, on free ports of this computer. " +
      'csbm is the real program, in a process of its own, on its embedded database.',
  );
  page.step(
    'switches',
    `${switches.map((one) => `${one.name} at ssh ${one.host}:${one.port}`).join(', ')}, joined by a trunk`,
  );
  page.step(
    'servers',
    `${machines.map(({ machine, bmcAddress }) => `${machine.name} with BMC at udp ${bmcAddress.host}:${bmcAddress.port}`).join(', ')}; two NICs each, one on each switch`,
  );
  page.step(
    'networks',
    `provisioning: VLAN ${vlans.provisioning}; tenant red: VLAN ${vlans.red} and ${vlans.redBackend}; tenant blue: VLAN ${vlans.blue}`,
  );
  const began = performance.now();
  page.waiting('csbm starts');
  await stage.serve();
  const { adminUrl, bootUrl } = stage.service;
  if (stage.hasUpstream)
    page.step(
      'an upstream MAAS',
      `played by a second csbm, as MAAS itself answers, at ${stage.upstream.root}: it installs and erases the servers`,
    );
  page.step(
    'csbm serve',
    `admin API ${adminUrl}, boot service ${bootUrl}, SQLite in ${stage.directory}/state`,
    performance.now() - began,
  );
}

/** 2: rack config, image, three servers enrolled and commissioned. */
export async function serversJoin(show: Show): Promise<void> {
  const { page, stage } = show;
  page.section(
    'The servers join',
    'An administrator uploads the rack config (which MAC is on which switch port) and an image, and enrols the servers. ' +
      'csbm boots each over the network, takes its inventory and erases its disks.',
  );
  await timed(show, 'rack config', async () => {
    const { switches, wires } = await stage.admin.call(
      'POST',
      '/rack-config/check',
      stage.floor.rackConfig(),
    );
    await stage.admin.call('PUT', '/rack-config', stage.floor.rackConfig());
    return `${String(switches)} switches, ${String(wires)} cables between NICs and ports`;
  });
  if (stage.hasUpstream)
    page.step(
      'image',
      `${imageName} is in MAAS, for the template csbm://${imageName}; the key to MAAS is in csbm.yaml`,
    );
  else await uploadImage(show);
  const names = stage.floor.machines.map(({ machine }) => machine.name);
  page.waiting(`${names.join(', ')} boot, are counted and erased`);
  const summaries = await Promise.all(
    names.map(async (name) => {
      const began = performance.now();
      await stage.enrol(name);
      const found = new Map<string, string>();
      await stage.admin.operation('POST', `/machines/${name}/commission`, { grade: 'secure' }, (step) => {
        const evidence = step['evidence'] as { readonly summary: string } | null;
        if (!evidence) return;
        page.detail(`${name} ${String(step['name'])}: ${evidence.summary}`);
        found.set(String(step['name']), evidence.summary);
      });
      page.step(
        name,
        `${found.get('commission.wait') ?? 'no inventory'}; ${found.get('erase.wait') ?? 'not erased'}`,
        performance.now() - began,
      );
      return show.machine(name);
    }),
  );
  page.check(
    'all servers are ready for tenants',
    summaries.every(({ state, clean }) => state === 'ready' && clean?.verified === true),
    names.map((name, index) => `${name} ${summaries[index]!.state}`).join(', '),
  );
}

async function uploadImage(show: Show): Promise<void> {
  const packed = gzipSync(makeLabImage({ name: imageName, canBond: true, bytes: demoImageBytes }), {
    level: 1,
  });
  await timed(show, 'image', async () => {
    const { image } = await show.stage.admin.upload(
      `/images?name=${imageName}&canBond=true&firstBoot=nocloud&alias=http://templates.example/${imageName}`,
      packed,
    );
    const { rawBytes, sha256 } = image as { readonly rawBytes?: number; readonly sha256?: string };
    return `${imageName}: ${((rawBytes ?? demoImageBytes) / 2 ** 20).toFixed(0)} MiB${sha256 ? `, sha256 ${sha256}` : ''}, for the template http://templates.example/${imageName}`;
  });
}

/** 3: one link for each server to the management server; and somebody else's instance, to be left in peace. */
export async function cloudConnects(show: Show): Promise<LabInstance> {
  const { page, stage } = show;
  page.section(
    'CloudStack connects',
    "To CloudStack each server is a host. csbm opens one link for each to the management server, in CloudStack's agent protocol " +
      'over its framed TLS, and accepts only the certificate it was told to pin.',
  );
  for (const { machine } of stage.floor.machines) {
    const hostId = await stage.host(machine.name);
    show.hosts.set(machine.name, hostId);
    const host = stage.cloud.hosts().find((one) => one.hostId === hostId)!;
    page.step(
      machine.name,
      `host ${hostId} is ${host.state} at ${stage.cloud.address.host}:${stage.cloud.address.port}, guid ${host.guid}`,
    );
  }
  const up = stage.cloud.hosts().filter((host) => host.state === 'Up');
  page.check(
    'the management server accepted our agents',
    up.length === stage.floor.machines.length && stage.cloud.anomalies.length === 0,
    `${up.length} hosts Up, ${stage.cloud.anomalies.length} protocol errors`,
  );
  return neighbour(show);
}

async function neighbour(show: Show): Promise<LabInstance> {
  const { page, stage } = show;
  const instance = stage.instance('i-3-50-VM', [vlans.blue]);
  const began = performance.now();
  page.waiting(`${instance.name} is installed on server-3`);
  const [answer] = await stage.cloud.send(show.hosts.get('server-3')!, [startCommand(instance)], {
    timeout: 60_000,
  });
  const [leased] = leasesOf(instance);
  const lease = await show.eventually(() => stage.floor.router.leases.find(({ mac }) => mac === leased!.mac));
  page.step(
    'a neighbour',
    `tenant blue has ${instance.name} on server-3 in VLAN ${vlans.blue}: it must never hear tenant red`,
    performance.now() - began,
  );
  page.check(
    'the neighbour runs',
    answer?.result === true && lease !== undefined,
    lease ? `${lease.address} for ${lease.mac}` : (answer?.details ?? 'it has no lease'),
  );
  return instance;
}

async function timed({ page }: Show, label: string, work: () => Promise<string>): Promise<void> {
  const began = performance.now();
  page.step(label, await work(), performance.now() - began);
}
