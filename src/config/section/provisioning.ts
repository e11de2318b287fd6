import { isIPv4 } from 'node:net';
import { z } from 'zod';
import { duration, flag, optionalText, passedOn, path, settingFacts, text } from '../setting.ts';

/** An IPv4 address with the prefix length of its network. */
export interface InterfaceAddress {
  readonly host: string;
  readonly prefix: number;
}

/** The first and the last of a row of IPv4 addresses. */
export interface AddressRange {
  readonly first: string;
  readonly last: string;
}

const addressRemedy = 'write address/prefix, for example 10.11.0.1/24';
const rangeRemedy = 'write first-last, for example 10.11.0.100-10.11.0.250';

const address = z.string(addressRemedy).transform((written, context): InterfaceAddress => {
  const [host = '', prefix = '', ...rest] = written.split('/');
  const fits = /^\d{1,2}$/.test(prefix) && Number(prefix) >= 8 && Number(prefix) <= 30;
  if (isIPv4(host) && fits && rest.length === 0) return { host, prefix: Number(prefix) };
  context.addIssue({ code: 'custom', message: addressRemedy });
  return z.NEVER;
});

const range = z.string(rangeRemedy).transform((written, context): AddressRange => {
  const [first = '', last = '', ...rest] = written.split('-').map((end) => end.trim());
  if (isIPv4(first) && isIPv4(last) && rest.length === 0 && numberOf(first) <= numberOf(last))
    return { first, last };
  context.addIssue({ code: 'custom', message: rangeRemedy });
  return z.NEVER;
});

const network = z
  .strictObject({
    enabled: flag('Whether the service runs dnsmasq (DHCP, TFTP) on the provisioning network', false),
    interface: optionalText(
      'The network interface on the provisioning network, and nothing else; never the one with the default route',
      'write the name of one interface, as "ip link" shows it',
      // Linux allows more, but in a configuration of dnsmasq some of it has a meaning.
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,14}$/,
    ),
    address: address.optional().register(settingFacts, {
      kind: 'text',
      meaning: 'IPv4 address that this interface has, with its prefix: 10.11.0.1/24',
    }),
    range: range.optional().register(settingFacts, {
      kind: 'text',
      meaning: 'IPv4 addresses that machines get while they are installed or erased: 10.11.0.100-10.11.0.250',
    }),
    routerAdvertisements: flag(
      'Whether to answer router solicitations, without which iPXE waits 13 s at each boot; needs an IPv6 address on the interface',
      true,
    ),
    tftpDir: z
      .string('write a path as text')
      .min(1, 'write a path as text')
      .default('/usr/lib/ipxe')
      .register(settingFacts, {
        kind: 'path',
        meaning: "Folder of undionly.kpxe and snponly.efi: where Debian's package ipxe has them",
        default: '/usr/lib/ipxe',
      }),
    dnsmasq: text('The program dnsmasq: a path, or a name that is looked up', 'dnsmasq'),
  })
  .superRefine((value, context) => {
    const complain = (key: string, what: string, message: string): void => {
      context.addIssue({ code: 'custom', path: [key], params: { what }, message });
    };
    const needed = { interface: 'name the interface', address: addressRemedy, range: rangeRemedy };
    if (value.enabled) {
      for (const [key, remedy] of Object.entries(needed)) {
        if (value[key as keyof typeof needed] === undefined)
          complain(key, 'is missing, although the provisioning network is enabled', remedy);
      }
    }
    if (!value.address || !value.range) return;
    const size = 2 ** (32 - value.address.prefix);
    const own = numberOf(value.address.host);
    const base = Math.floor(own / size) * size;
    const [first, last] = [numberOf(value.range.first), numberOf(value.range.last)];
    if (first <= base || last >= base + size - 1)
      complain('range', 'leaves the network of address', 'use addresses of the same network');
    else if (own >= first && own <= last)
      complain('range', "contains the interface's own address", 'leave that address out');
  });

const gibRemedy = 'write a whole number from 1 to 65536';

const conversion = z.strictObject({
  qemuImg: text('The program qemu-img: a path, or a name that is looked up', 'qemu-img'),
  timeout: duration('Converting an image (qcow2, VMDK, VHD) takes at most', '2h'),
  maxRawGiB: z.int(gibRemedy).min(1, gibRemedy).max(65536, gibRemedy).default(256).register(settingFacts, {
    kind: 'whole number',
    meaning: 'Largest disk that is converted, in GiB',
    default: '256',
  }),
});

export const provisioningSection = z.strictObject({
  settings: passedOn('Settings of the native deploy engine, which checks them'),
  imageDir: path('Folder of the images', 'images'),
  network: network.prefault({}),
  conversion: conversion.prefault({}),
});

function numberOf(host: string): number {
  return host.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}
