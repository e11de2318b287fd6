import assert from 'node:assert/strict';
import { runIpxe, type IpxeHost } from '../../../lab/machine/ipxe.ts';

function host(files: Readonly<Record<string, string>> = {}, more: Partial<IpxeHost> = {}) {
  const fetched: string[] = [];
  let slept = 0;
  const settings: Readonly<Record<string, string>> = {
    'netX/mac': '52:54:00:aa:00:01',
    platform: 'pcbios',
    serial: 'SN 1/x',
  };
  return {
    fetched,
    slept: () => slept,
    setting: (name: string) => settings[name],
    fetch: async (url: string) => {
      fetched.push(url);
      const body = files[url];
      if (body === undefined) throw new Error('HTTP 404');
      return Buffer.from(body);
    },
    diskBoots: () => true,
    sleep: async (time: number) => void (slept += time),
    ...more,
  };
}

describe('iPXE scripts', () => {
  it('expand settings with their modifiers', async () => {
    const on = host();
    await runIpxe(
      '#!ipxe\nchain http://s/x?mac=${netX/mac:hexhyp}&s=${serial:uristring}&u=${unknown} ||\n',
      on,
    );
    assert.deepEqual(on.fetched, ['http://s/x?mac=52-54-00-aa-00-01&s=SN%201%2Fx&u=']);
  });

  it('chain, load and boot', async () => {
    const on = host({
      'http://s/a': '#!ipxe\nkernel vmlinuz initrd=initrd a=b\ninitrd --name initrd initrd\nboot',
      'http://s/vmlinuz': 'k',
      'http://s/initrd': 'i',
    });
    assert.deepEqual(await runIpxe('#!ipxe\nchain --replace http://s/a', on), {
      kind: 'boot',
      kernel: { url: 'http://s/vmlinuz', args: ['initrd=initrd', 'a=b'] },
      initrds: ['http://s/initrd'],
    });
  });

  it('try again by label until an answer comes', async () => {
    let answers = 0;
    const on = host(
      {},
      {
        fetch: async () =>
          ++answers < 4 ? Promise.reject(new Error('down')) : Buffer.from('#!ipxe\npoweroff'),
      },
    );
    const script = '#!ipxe\n:ask\nchain --replace http://s/x ||\nsleep 3\ngoto ask\n';
    assert.deepEqual(await runIpxe(script, on), { kind: 'power-off' });
    assert.equal(on.slept(), 9_000);
  });

  for (const [line, expected] of [
    ['iseq ${platform} efi && goto efi || goto bios', 'exit'],
    ['iseq ${platform} pcbios && goto efi || goto bios', 'power-off'],
    ['isset ${unknown} || goto bios', 'exit'],
    ['set x pcbios\niseq ${x} ${platform} && goto efi ||', 'power-off'],
  ] as const) {
    it(`decide: ${line.replaceAll('\n', '; ')}`, async () => {
      const outcome = await runIpxe(`#!ipxe\n${line}\n:bios\nexit\n:efi\npoweroff\n`, host());
      assert.equal(outcome.kind, expected);
    });
  }

  for (const [script, said] of [
    ['#!ipxe\nchain http://s/none', /404/],
    ['#!ipxe\nboot', /no image/],
    ['#!ipxe\nfrobnicate', /command not found/],
    ['#!ipxe\ngoto nowhere', /no label/],
    ['#!ipxe\n:a\ngoto a', /loops/],
    ['echo no magic', /Exec format/],
  ] as const) {
    it(`fail: ${JSON.stringify(script)}`, async () => {
      const outcome = await runIpxe(script, host());
      assert.equal(outcome.kind, 'failed');
      assert.match(outcome.said, said);
    });
  }

  it('go on after a disk that does not boot', async () => {
    const outcome = await runIpxe(
      '#!ipxe\nsanboot --no-describe --drive 0x80 || poweroff',
      host({}, { diskBoots: () => false }),
    );
    assert.equal(outcome.kind, 'power-off');
  });
});
