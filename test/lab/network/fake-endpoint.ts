import type { Endpoint, Frame, Place, Service, Tag } from '../../../lab/network/index.ts';

/** An endpoint that only listens. */
export class FakeEndpoint implements Endpoint {
  readonly name: string;
  readonly place: Place;
  readonly heard: { readonly frame: Frame; readonly tag: Tag; readonly from: Place }[] = [];
  readonly #mac: string;

  constructor(name: string, place: Place, mac = '') {
    this.name = name;
    this.place = place;
    this.#mac = mac;
  }

  listening(): boolean {
    return true;
  }

  owns(mac: string): boolean {
    return mac === this.#mac;
  }

  hear(frame: Frame, tag: Tag, from: Place): void {
    this.heard.push({ frame, tag, from });
  }
}

/** A service whose server is somewhere on loopback. */
export class FakeService extends FakeEndpoint implements Service {
  readonly tag: Tag;
  readonly #port: number;

  constructor(name: string, place: Place, tag: Tag, tcpPort = 1) {
    super(name, place);
    this.tag = tag;
    this.#port = tcpPort;
  }

  address(): { readonly host: string; readonly port: number } {
    return { host: '127.0.0.1', port: this.#port };
  }
}
