/** One IPMI command: how its request and its answer's data (behind the completion code) look. Both ends use it. */
export interface CommandCodec<Request, Response> {
  /** As the IPMI specification calls it, for messages. */
  readonly name: string;
  readonly netFn: number;
  readonly command: number;
  encodeRequest(request: Request): Buffer;
  /** @throws MalformedPacket */
  decodeRequest(data: Buffer): Request;
  encodeResponse(response: Response): Buffer;
  /** @throws MalformedPacket */
  decodeResponse(data: Buffer): Response;
}

/** For commands without request or response data. */
export const empty = (): Buffer => Buffer.alloc(0);
