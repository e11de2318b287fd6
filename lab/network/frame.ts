import type { Mac } from '../../plugin-api/index.ts';

export const broadcast = 'ff:ff:ff:ff:ff:ff';

/** What the lab's frames carry: as much of DHCP and of ICMP echo as tells who is heard where. */
export type Payload =
  | { readonly kind: 'dhcp-discover'; readonly client: Mac; readonly by: DhcpClient }
  | { readonly kind: 'dhcp-offer'; readonly client: Mac; readonly lease: DhcpLease }
  | {
      readonly kind: 'dhcp-request';
      readonly client: Mac;
      readonly by: DhcpClient;
      readonly lease: DhcpLease;
    }
  | { readonly kind: 'dhcp-ack'; readonly client: Mac; readonly lease: DhcpLease }
  | { readonly kind: 'echo'; readonly id: number; readonly address: string }
  | { readonly kind: 'echo-reply'; readonly id: number; readonly address: string };

/** Who asks, as the DHCP vendor class tells firmware, ramdisk and operating system apart. */
export type DhcpClient = 'ipxe' | 'agent' | 'os';

export interface DhcpLease {
  readonly address: string;
  readonly server: string;
  /** Boot file URL for iPXE, on the provisioning network only. */
  readonly bootUrl: string | null;
}

/** An Ethernet frame without its tag; the tag is what the sender put on the wire beside it. */
export interface Frame {
  readonly source: Mac;
  readonly destination: Mac | typeof broadcast;
  readonly payload: Payload;
}

/** An 802.1Q tag on the wire; null = untagged. */
export type Tag = number | null;
