import { milliseconds, type Clock } from '../../plugin-api/index.ts';
import {
  decodeSolPacket,
  encodeSolPacket,
  nextSolSequence,
  solOperation,
  solStatus,
} from '../../src/wire/rmcp/sol-packet.ts';

/** A serial line of a simulated host: what is typed arrives here, what it prints goes to whoever has the console. */
export class LabSerial {
  typed = '';
  breaks = 0;
  #printer: (bytes: Buffer) => void = () => undefined;

  /** Prints; nobody at the console = lost, as on a real line. */
  print(text: string): void {
    this.#printer(Buffer.from(text));
  }

  attach(printer: (bytes: Buffer) => void): void {
    this.#printer = printer;
  }
}

/** Longest payload, header included. */
export const labSolPayload = 64;
const retryAfter = milliseconds(60);

/** The BMC's end of Serial over LAN: one console at a time. */
export class LabSol {
  readonly #serial: LabSerial;
  readonly #clock: Clock;
  #console: { readonly session: number; readonly send: (payload: Buffer) => void } | null = null;
  #waiting = Buffer.alloc(0);
  #sent: { readonly sequence: number; readonly characters: Buffer } | null = null;
  #sequence = 0;
  #received = 0;

  constructor(serial: LabSerial, clock: Clock) {
    this.#serial = serial;
    this.#clock = clock;
    serial.attach((bytes) => {
      if (!this.#console) return;
      this.#waiting = Buffer.concat([this.#waiting, bytes]);
      this.#push();
    });
  }

  get active(): boolean {
    return this.#console !== null;
  }

  activate(session: number, send: (payload: Buffer) => void): void {
    this.#console = { session, send };
    this.#waiting = Buffer.alloc(0);
    this.#sent = null;
    this.#sequence = this.#received = 0;
  }

  /** Ends the console; its owner is told when it was somebody else who wanted that. */
  deactivate(by: number): void {
    const owner = this.#console;
    this.#console = null;
    if (owner && owner.session !== by)
      owner.send(
        encodeSolPacket({
          sequence: 0,
          acknowledged: 0,
          accepted: 0,
          flags: solStatus.deactivated,
          characters: Buffer.alloc(0),
        }),
      );
  }

  /** The BMC started anew, and knows of no console. */
  forgotten(): void {
    this.#console = null;
  }

  /** The session is gone, and its console with it. */
  sessionEnded(session: number): void {
    if (this.#console?.session === session) this.#console = null;
  }

  /** @throws MalformedPacket */
  hear(session: number, payload: Buffer): void {
    if (this.#console?.session !== session) return;
    const { sequence, acknowledged, flags, characters } = decodeSolPacket(payload);
    if (this.#sent?.sequence === acknowledged && acknowledged !== 0) {
      this.#sent = null;
      this.#push();
    }
    if (sequence === 0) return;
    if (sequence !== this.#received) {
      this.#received = sequence;
      this.#serial.typed += characters.toString('latin1');
      if ((flags & solOperation.sendBreak) !== 0) this.#serial.breaks += 1;
    }
    const accepted = characters.length;
    this.#console.send(
      encodeSolPacket({
        sequence: 0,
        acknowledged: sequence,
        accepted,
        flags: 0,
        characters: Buffer.alloc(0),
      }),
    );
  }

  #push(): void {
    if (this.#sent || this.#waiting.length === 0 || !this.#console) return;
    this.#sequence = nextSolSequence(this.#sequence);
    const characters = this.#waiting.subarray(0, labSolPayload - 4);
    this.#waiting = this.#waiting.subarray(characters.length);
    this.#sent = { sequence: this.#sequence, characters };
    this.#repeat(this.#sent);
  }

  #repeat(packet: { readonly sequence: number; readonly characters: Buffer }): void {
    if (this.#sent !== packet || !this.#console) return;
    this.#console.send(encodeSolPacket({ ...packet, acknowledged: 0, accepted: 0, flags: 0 }));
    void this.#clock.sleep(retryAfter).then(() => this.#repeat(packet));
  }
}
